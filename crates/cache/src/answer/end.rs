//! Why an answer ended, by what it says of itself.

use serde_json::Value;

/// The first reason that does not stand for a whole answer, or else the last one: what was cut does
/// not become whole by an end that follows.
#[derive(Debug, Default)]
pub(super) struct End(Option<String>);

impl End {
    /// Reads a field that says why; `whole` are the reasons of whole answers. Servers leave it empty
    /// in the events before the last.
    pub(super) fn add(&mut self, field: &Value, whole: &[&str]) {
        let reason = match field {
            Value::Null => return,
            Value::String(reason) if reason.is_empty() => return,
            Value::String(reason) => reason.clone(),
            // In no format: it is not known what it says.
            other => other.to_string(),
        };
        if self.0.as_deref().is_none_or(|earlier| whole.contains(&earlier)) {
            self.0 = Some(reason);
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_later_end_makes_a_cut_answer_whole() {
        for (reasons, expected) in [
            (vec![], None),
            (vec![json!(null), json!("")], None),
            (vec![json!("stop"), json!(null)], Some("stop")),
            (vec![json!("stop"), json!("tool_calls")], Some("tool_calls")),
            (vec![json!("length"), json!("stop")], Some("length")),
            (vec![json!("stop"), json!("content_filter"), json!("stop")], Some("content_filter")),
            (vec![json!(7), json!("stop")], Some("7")),
        ] {
            let mut end = End::default();
            reasons.iter().for_each(|reason| end.add(reason, &["stop", "tool_calls"]));
            assert_eq!(end.reason(), expected, "{reasons:?}");
        }
    }
}
