//! How far an answer has come, by the words of any of the formats: whether it has begun, failed or
//! ended. [`crate::answer::Outcome`] knows the same of answers that nobody parses.

use serde_json::Value;

use super::{elements, says, text};

#[derive(Debug, Default)]
pub(super) struct Course {
    /// Something that an answer is made of was seen.
    pub(super) begun: bool,
    pub(super) ended: bool,
    pub(super) failed: bool,
    /// The provider still works on it, and whoever asked will ask again.
    pub(super) pending: bool,
}

impl Course {
    /// Reads an event, or an answer that is one JSON text.
    pub(super) fn read(&mut self, event: &Value) {
        let response = &event["response"];
        let choices = elements(&event["choices"]);
        self.begun |= ["choices", "output", "content", "response", "message", "content_block"]
            .iter()
            .any(|name| event[name].is_object() || event[name].is_array());
        self.failed |= is_error(event)
            || is_error(response)
            || choices.iter().any(|it| it["error"].is_object() || it["finish_reason"] == "error");
        let status = text(&event["status"]);
        self.pending = matches!(status, "queued" | "in_progress");
        self.ended |= [status, text(&response["status"]), text(&event["type"])].iter().any(|it| {
            matches!(
                *it,
                "completed"
                    | "incomplete"
                    | "message_stop"
                    | "response.completed"
                    | "response.incomplete"
            )
        });
        self.ended |= says(&event["stop_reason"])
            || event["delta"].get("stop_reason").is_some_and(says)
            || choices.iter().any(|choice| says(&choice["finish_reason"]));
    }
}

/// Whether an event, or what it carries, reports an error.
pub(super) fn is_error(value: &Value) -> bool {
    let error = &value["error"];
    error.is_object()
        || says(error)
        || value["object"] == "error"
        || matches!(text(&value["type"]), "error" | "response.failed")
        || matches!(text(&value["status"]), "failed" | "cancelled")
}
