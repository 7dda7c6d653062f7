//! The tool calls of an answer, which streams send in pieces.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

/// Calls by their place in the answer.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<u64, Call>);

#[derive(Debug, Default)]
struct Call {
    named: bool,
    arguments: String,
}

impl Calls {
    /// A call, or a piece of one.
    pub(super) fn add(&mut self, place: u64, name: Option<&str>, arguments: Option<&str>) {
        let call = self.0.entry(place).or_default();
        call.named |= name.is_some_and(|name| !name.is_empty());
        call.arguments.push_str(arguments.unwrap_or_default());
    }

    /// More arguments of a call that has begun; those of what is not a call are not looked at.
    pub(super) fn add_arguments(&mut self, place: u64, arguments: &str) {
        if let Some(call) = self.0.get_mut(&place) {
            call.arguments.push_str(arguments);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every call names its tool, and has no arguments or whole ones.
    pub(super) fn are_whole(&self) -> bool {
        self.0.values().all(|call| call.named && are_whole(&call.arguments))
    }
}

/// Whether the arguments of a call are JSON. Nothing at all stands for a call without any.
pub(super) fn are_whole(arguments: &str) -> bool {
    arguments.trim().is_empty() || serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}
