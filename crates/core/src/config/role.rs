//! The configuration of the filter where it does not route: on the way from the router to the models.

use serde_json::Value;

use super::node::{Errors, Fields, Node};
use super::{ConfigErrors, escalate};
use crate::canonical;
use crate::target::{Capture, Edit, Escalate};

/// Bounds of `max_bytes` of what is captured. `pointsman capture` takes 4 MiB at once.
pub const CAPTURE_BYTES: std::ops::RangeInclusive<u64> = 256..=1 << 20;

/// What an instance of the filter does between the router and the models.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Sets the name under which the provider knows the model in the bodies that pass.
    Rewrite { model: Edit },
    /// In front of an endpoint of `target`: holds its answers.
    Hold { target: String, escalate: Escalate },
    /// In front of `target`, where it is asked in another's place.
    StandIn { target: String, capture: Option<Capture> },
}

impl Role {
    /// Reads `{"rewrite": {"model": …}}`, `{"hold": {"target": …, "escalate": {"to": …}}}` or
    /// `{"stand_in": {"target": …}}`; `None` when it is another configuration, as the router's.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn from_json(json: &[u8]) -> Option<Result<Self, ConfigErrors>> {
        let value = canonical::parse(json).ok()?;
        let known: [(&str, Reader); 3] =
            [("rewrite", rewrite), ("hold", hold), ("stand_in", stand_in)];
        let (name, read) = known.into_iter().find(|(name, _)| value.get(name).is_some())?;
        let mut errors = Errors(Vec::new());
        let root = Node { path: String::new(), value: &value }.object(&[name], &mut errors);
        let node = root.and_then(|root| root.field(name));
        let role = node.and_then(|node| read(&node, &mut errors));
        Some(match role {
            Some(role) if errors.0.is_empty() => Ok(role),
            _ => Err(ConfigErrors(errors.0)),
        })
    }
}

type Reader = fn(&Node, &mut Errors) -> Option<Role>;

fn rewrite(node: &Node, errors: &mut Errors) -> Option<Role> {
    let fields = node.object(&["model"], errors)?;
    let model = model_name(&fields.required("model", errors)?, errors)?;
    let model = Value::from(model).to_string();
    Some(Role::Rewrite { model: Edit::set("model", model) })
}

fn hold(node: &Node, errors: &mut Errors) -> Option<Role> {
    let fields = node.object(&["target", "escalate"], errors)?;
    let target = target(&fields, errors);
    let node = fields.required("escalate", errors)?;
    // Which targets there are is the router's to know.
    let to = node.value.get("to").and_then(Value::as_str).unwrap_or_default();
    if to.is_empty() {
        errors.add(&format!("{}.to", node.path), "", "is required");
    }
    let escalate = escalate::read(&node, &[to], errors);
    Some(Role::Hold { target: target?, escalate: escalate? })
}

fn stand_in(node: &Node, errors: &mut Errors) -> Option<Role> {
    let fields = node.object(&["target", "capture"], errors)?;
    let target = target(&fields, errors);
    let capture = fields.field("capture").and_then(|node| capture(&node, errors));
    Some(Role::StandIn { target: target?, capture })
}

fn capture(node: &Node, errors: &mut Errors) -> Option<Capture> {
    let fields = node.object(&["cluster", "share", "max_bytes"], errors)?;
    let cluster = fields.required("cluster", errors).and_then(|node| node.cluster(errors));
    let share = fields.field("share").and_then(|node| node.share(errors));
    let max_bytes = fields.field("max_bytes").and_then(|node| node.integer(CAPTURE_BYTES, errors));
    Some(Capture {
        cluster: cluster?,
        share: share.unwrap_or(1.0),
        max_bytes: max_bytes.unwrap_or(64 * 1024),
    })
}

fn target(fields: &Fields, errors: &mut Errors) -> Option<String> {
    fields.required("target", errors).and_then(|node| node.name(errors))
}

/// A model's name at its provider.
fn model_name(node: &Node, errors: &mut Errors) -> Option<String> {
    let name = node.text(errors)?;
    let valid = (1..=255).contains(&name.chars().count()) && !name.contains(char::is_control);
    let rule = "must be 1 to 255 characters without control characters";
    node.checked(valid.then(|| name.to_owned()), rule, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named() {
        let read = |json: &str| Role::from_json(json.as_bytes());
        let rewrite = read(r#"{"rewrite": {"model": "gpt-4o-mini"}}"#);
        let model = Edit::set("model", r#""gpt-4o-mini""#);
        assert_eq!(rewrite.unwrap().unwrap(), Role::Rewrite { model });
        assert_eq!(read(r#"{"targets": []}"#), None);
        assert_eq!(read("{"), None);
    }

    #[test]
    fn all_errors_of_a_models_name_come_at_once() {
        let errors = |json: &str| -> Vec<String> {
            let errors = Role::from_json(json.as_bytes()).unwrap().unwrap_err();
            errors.0.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            errors(r#"{"rewrite": {"model": "", "x": 1}, "targets": []}"#),
            [
                "targets = []: unknown field; known are rewrite",
                "rewrite.x = 1: unknown field; known are model",
                r#"rewrite.model = "": must be 1 to 255 characters without control characters"#,
            ]
        );
        assert_eq!(errors(r#"{"rewrite": {}}"#), ["rewrite.model: is required"]);
    }

    #[test]
    fn what_holds_and_what_stands_in_are_told_apart() {
        let read = |json: &str| Role::from_json(json.as_bytes());
        let hold = read(r#"{"hold": {"target": "cheap", "escalate": {"to": "strong"}}}"#);
        let Some(Ok(Role::Hold { target, escalate })) = hold else { panic!("{hold:?}") };
        assert_eq!((target.as_str(), escalate.to.as_str()), ("cheap", "strong"));
        let stand_in = Role::StandIn { target: "strong".to_owned(), capture: None };
        assert_eq!(read(r#"{"stand_in": {"target": "strong"}}"#), Some(Ok(stand_in)));
        assert_eq!(read(r#"{"targets": []}"#), None);
        assert_eq!(read("{"), None);
    }

    #[test]
    fn all_errors_come_at_once() {
        let errors = |json: &str| -> Vec<String> {
            let errors = Role::from_json(json.as_bytes()).unwrap().unwrap_err();
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
