//! Signs of bad answers, and what happens to held answers, in names that headers, metrics and records
//! share.

use crate::names::names;

names! {
    /// What shows that an answer is bad.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Sign {
        /// The status is an error's. Left to the caller, who sees the headers.
        Status = "status",
        /// Complete, and neither text nor a call, an image or a sound.
        Empty = "empty",
        /// The model declined, in a field made for it or in a stock phrase.
        Refusal = "refusal",
        /// Cut by a token limit that was not the client's.
        Truncated = "truncated",
        /// The provider's filter took it, or a part of it, away.
        ContentFilter = "content_filter",
        /// JSON was asked for, and the text is not JSON.
        InvalidJson = "invalid_json",
        /// JSON that is not what was asked for.
        SchemaMismatch = "schema_mismatch",
        /// A call of a function that was not offered.
        UnknownTool = "unknown_tool",
        /// The arguments of a call are not an object, or not what the function takes.
        InvalidArguments = "invalid_arguments",
        /// An error, or something else than an answer, with a good status.
        Error = "error",
        /// It stops before its end.
        Unfinished = "unfinished",
        /// The same over and over, to the end.
        Repetition = "repetition",
        /// A learnt judge's doubt. Never found here.
        Unlikely = "unlikely",
        /// Nothing more arrives. Left to the caller, who has the clock.
        Stalled = "stalled",
    }
}

impl Sign {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sign| sign.name() == name)
    }
}

names! {
    /// What happened to an answer that was to be held.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Outcome {
        /// No sign of a bad answer was found in what was held.
        Passed = "passed",
        /// It was bad, and another target was asked.
        Escalated = "escalated",
        /// It was bad, and nevertheless sent on.
        Kept = "kept",
        /// It was longer than what may be held: what was seen of it has no sign.
        TooLong = "too_long",
        /// It took longer than it may be held: what was seen of it has no sign.
        TimedOut = "timed_out",
        /// It is compressed, or of a media type that is not known here.
        Unreadable = "unreadable",
        /// The worker holds as much as it may.
        NoRoom = "no_room",
        /// Its request is too long to be sent again.
        LongRequest = "long_request",
        /// The client or the upstream left before there was a verdict.
        Aborted = "aborted",
    }
}

names! {
    /// Why a bad answer was sent on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum KeptFor {
        /// The provider ran tools for it, which may have had effects.
        ToolsRan = "tools_ran",
        /// `max_share` of this minute's answers have been escalated.
        MaxShare = "max_share",
        /// The other target's answers have shown the same sign.
        NoHelp = "no_help",
        /// The other target does not answer.
        Unavailable = "unavailable",
        /// Too many escalations are under way.
        NoRoom = "no_room",
    }
}
