//! What an answer is worth when nobody says so.

use std::time::Duration;

use super::Outcome;

/// What an answer is worth, 0..=1, when it shows a sign; `None` for a sign that is not looked at.
/// Of several signs the one that is worth least counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Implicit {
    /// An answer without any of these signs.
    pub ok: Option<f32>,
    /// Status 429 or 5xx, or an answer with a good status that is none: an error, a response that
    /// failed, a stream without its end.
    pub error: Option<f32>,
    /// Cut at the token limit.
    pub truncated: Option<f32>,
    /// The model or the provider's filter refused.
    pub refused: Option<f32>,
    /// Neither text nor a tool call, audio or an image.
    pub empty: Option<f32>,
    /// A tool call whose arguments are not a JSON object.
    pub invalid_tool_call: Option<f32>,
    /// Complete only after this long.
    pub slow: Option<(Duration, f32)>,
    /// Dearer than this, in the prices' money.
    pub costly: Option<(f64, f32)>,
    /// The client asks the same again within so many seconds.
    pub asked_again: Option<(u32, f32)>,
}

/// An answer that came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FinishedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// From the decision to the end of the answer.
    pub took: Duration,
    /// What it cost, in the prices' money, when it said so.
    pub cost: Option<f64>,
    /// What it says of itself; `None` when it could not be read.
    pub outcome: Option<Outcome>,
}

impl FinishedAnswer {
    /// Its reward, 0..=1: the least of its signs. `None` when it has none that is looked at, for
    /// answers that are the client's fault, and for those of which nothing is known yet or that
    /// could not be read: unknown is not good.
    pub fn reward(&self, implicit: &Implicit) -> Option<f32> {
        if self.status == 429 || self.status >= 500 {
            return implicit.error;
        }
        if !(200..300).contains(&self.status) {
            return None;
        }
        let slow = implicit.slow.filter(|(limit, _)| self.took > *limit).map(|it| it.1);
        let costly = implicit
            .costly
            .filter(|(limit, _)| self.cost.is_some_and(|cost| cost > *limit))
            .map(|it| it.1);
        if self.outcome.is_some_and(|outcome| outcome.fault.is_some()) {
            return implicit.error;
        }
        let known = self.outcome.filter(|outcome| !outcome.pending);
        let said = known.map_or([None; 4], |outcome| {
            let Outcome { text, tool_call, media, refused, .. } = outcome;
            let empty = !(text || tool_call || media || refused);
            [
                implicit.truncated.filter(|_| outcome.truncated),
                implicit.refused.filter(|_| outcome.refused),
                implicit.empty.filter(|_| empty),
                implicit.invalid_tool_call.filter(|_| outcome.invalid_tool_call),
            ]
        });
        let signs = said.into_iter().chain([slow, costly]).flatten();
        signs.reduce(f32::min).or(implicit.ok.filter(|_| known.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Fault;

    const TEXT: Outcome = Outcome {
        text: true,
        tool_call: false,
        media: false,
        invalid_tool_call: false,
        refused: false,
        truncated: false,
        pending: false,
        fault: None,
    };

    fn implicit() -> Implicit {
        Implicit {
            ok: Some(0.8),
            error: Some(0.0),
            truncated: Some(0.5),
            refused: Some(0.1),
            empty: Some(0.05),
            invalid_tool_call: Some(0.2),
            slow: Some((Duration::from_secs(10), 0.4)),
            costly: Some((0.01, 0.6)),
            asked_again: None,
        }
    }

    fn good() -> FinishedAnswer {
        FinishedAnswer {
            status: 200,
            took: Duration::from_secs(1),
            cost: Some(0.001),
            outcome: Some(TEXT),
        }
    }

    #[test]
    fn the_worst_sign_counts() {
        let with = |change: &dyn Fn(&mut FinishedAnswer)| {
            let mut answer = good();
            change(&mut answer);
            answer.reward(&implicit())
        };
        let said = |outcome| with(&|answer| answer.outcome = Some(outcome));
        assert_eq!(with(&|_| {}), Some(0.8));
        assert_eq!(with(&|answer| answer.status = 503), Some(0.0));
        assert_eq!(with(&|answer| answer.status = 429), Some(0.0));
        assert_eq!(with(&|answer| answer.took = Duration::from_secs(11)), Some(0.4));
        assert_eq!(with(&|answer| answer.cost = Some(0.02)), Some(0.6));
        assert_eq!(said(Outcome { truncated: true, ..TEXT }), Some(0.5));
        assert_eq!(said(Outcome { refused: true, truncated: true, ..TEXT }), Some(0.1));
        assert_eq!(said(Outcome { text: false, ..TEXT }), Some(0.05));
        assert_eq!(said(Outcome { text: false, tool_call: true, ..TEXT }), Some(0.8));
        assert_eq!(said(Outcome { invalid_tool_call: true, ..TEXT }), Some(0.2));
        assert_eq!(said(Outcome { text: false, media: true, ..TEXT }), Some(0.8));
        assert_eq!(with(&|answer| answer.status = 400), None, "the client's fault");
    }

    #[test]
    fn what_is_no_answer_is_worth_what_an_error_is_and_what_is_unknown_nothing() {
        for fault in Fault::ALL {
            let answer =
                FinishedAnswer { outcome: Some(Outcome { fault: Some(fault), ..TEXT }), ..good() };
            assert_eq!(answer.reward(&implicit()), Some(0.0), "{fault:?}");
            let silent = Implicit { error: None, ..implicit() };
            assert_eq!(answer.reward(&silent), None, "never a good reward");
        }
        let pending = FinishedAnswer { outcome: Some(Outcome { pending: true, ..TEXT }), ..good() };
        assert_eq!(pending.reward(&implicit()), None);
        let unread = FinishedAnswer { outcome: None, ..good() };
        assert_eq!(unread.reward(&implicit()), None);
        let slow = FinishedAnswer { took: Duration::from_secs(11), ..unread };
        assert_eq!(slow.reward(&implicit()), Some(0.4), "that much is known");
    }

    #[test]
    fn signs_that_are_not_looked_at_say_nothing() {
        let slow = FinishedAnswer { took: Duration::from_secs(60), ..good() };
        assert_eq!(slow.reward(&Implicit::default()), None);
        assert_eq!(slow.reward(&Implicit { ok: Some(1.0), ..Implicit::default() }), Some(1.0));
    }
}
