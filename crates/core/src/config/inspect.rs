//! The configuration of the filter where answers are held, and where a target stands in for
//! another.

use serde_json::Value;

use super::node::{Errors, Fields, Node};
use super::{ConfigErrors, escalate};
use crate::canonical;
use crate::target::Escalate;

/// What an instance of the filter does between the router and the models.
#[derive(Clone, Debug, PartialEq)]
pub enum Inspect {
    /// In front of an endpoint of `target`: holds its answers.
    Hold { target: String, escalate: Escalate },
    /// In front of `target`, where it is asked in another's place.
    StandIn { target: String },
}

impl Inspect {
    /// Reads `{"hold": {"target": …, "escalate": {"to": …}}}` or `{"stand_in": {"target": …}}`;
    /// `None` when it is another configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn from_json(json: &[u8]) -> Option<Result<Self, ConfigErrors>> {
        let value = canonical::parse(json).ok()?;
        let name = ["hold", "stand_in"].into_iter().find(|name| value.get(name).is_some())?;
        let mut errors = Errors(Vec::new());
        let inspect = read(&value, name, &mut errors);
        Some(match inspect {
            Some(inspect) if errors.0.is_empty() => Ok(inspect),
            _ => Err(ConfigErrors(errors.0)),
        })
    }
}

fn read(value: &Value, name: &str, errors: &mut Errors) -> Option<Inspect> {
    let root = Node { path: String::new(), value }.object(&[name], errors)?;
    let target = |fields: &Fields, errors: &mut Errors| {
        fields.required("target", errors).and_then(|node| node.name(errors))
    };
    if name == "stand_in" {
        let fields = root.field(name)?.object(&["target"], errors)?;
        return Some(Inspect::StandIn { target: target(&fields, errors)? });
    }
    let fields = root.field(name)?.object(&["target", "escalate"], errors)?;
    let target = target(&fields, errors);
    let node = fields.required("escalate", errors)?;
    // Which targets there are is the router's to know.
    let to = node.value.get("to").and_then(Value::as_str).unwrap_or_default();
    if to.is_empty() {
        errors.add(&format!("{}.to", node.path), "", "is required");
    }
    let escalate = escalate::read(&node, &[to], errors);
    Some(Inspect::Hold { target: target?, escalate: escalate? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_and_what_stands_in_are_told_apart() {
        let read = |json: &str| Inspect::from_json(json.as_bytes());
        let hold = read(r#"{"hold": {"target": "cheap", "escalate": {"to": "strong"}}}"#);
        let Some(Ok(Inspect::Hold { target, escalate })) = hold else { panic!("{hold:?}") };
        assert_eq!((target.as_str(), escalate.to.as_str()), ("cheap", "strong"));
        let stand_in = Inspect::StandIn { target: "strong".to_owned() };
        assert_eq!(read(r#"{"stand_in": {"target": "strong"}}"#), Some(Ok(stand_in)));
        assert_eq!(read(r#"{"targets": []}"#), None);
        assert_eq!(read("{"), None);
    }

    #[test]
    fn all_errors_come_at_once() {
        let errors = |json: &str| -> Vec<String> {
            let errors = Inspect::from_json(json.as_bytes()).unwrap().unwrap_err();
            errors.0.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            errors(r#"{"hold": {"escalate": {"hold_ms": 0, "x": 1}}, "y": 2}"#),
            [
                "y = 2: unknown field; known are hold",
                "hold.target: is required",
                "hold.escalate.to: is required",
                "hold.escalate.x = 1: unknown field; known are to, signs, apis, hold, hold_bytes, \
                 hold_tokens, hold_ms, on_timeout, hold_below, judge, accept_below, max_share",
                "hold.escalate.hold_ms = 0: must be a whole number from 10 to 600000",
            ]
        );
    }
}
