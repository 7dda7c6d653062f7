//! The configuration of the filter where only the model's name is to be set.

use super::ConfigErrors;
use super::node::{Errors, Node};
use crate::canonical;
use crate::target::Edit;

/// What is set in the bodies that pass: the name under which the provider knows the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    pub model: Edit,
}

impl Rewrite {
    /// Reads `{"rewrite": {"model": …}}`; `None` when it is another configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn from_json(json: &[u8]) -> Option<Result<Self, ConfigErrors>> {
        let value = canonical::parse(json).ok()?;
        value.get("rewrite")?;
        let mut errors = Errors(Vec::new());
        let rewrite = read(&Node { path: String::new(), value: &value }, &mut errors);
        Some(match rewrite {
            Some(rewrite) if errors.0.is_empty() => Ok(rewrite),
            _ => Err(ConfigErrors(errors.0)),
        })
    }
}

/// A model's name at its provider.
fn model_name(node: &Node, errors: &mut Errors) -> Option<String> {
    let name = node.text(errors)?;
    let valid = (1..=255).contains(&name.chars().count()) && !name.contains(char::is_control);
    let rule = "must be 1 to 255 characters without control characters";
    node.checked(valid.then(|| name.to_owned()), rule, errors)
}

fn read(node: &Node, errors: &mut Errors) -> Option<Rewrite> {
    let root = node.object(&["rewrite"], errors)?;
    let fields = root.field("rewrite")?.object(&["model"], errors)?;
    let model = model_name(&fields.required("model", errors)?, errors)?;
    let model = serde_json::Value::from(model).to_string();
    Some(Rewrite { model: Edit::set("model", model) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named() {
        let read = |json: &str| Rewrite::from_json(json.as_bytes());
        let rewrite = read(r#"{"rewrite": {"model": "gpt-4o-mini"}}"#);
        assert_eq!(rewrite.unwrap().unwrap().model, Edit::set("model", r#""gpt-4o-mini""#));
        assert_eq!(read(r#"{"targets": []}"#), None);
        assert_eq!(read("{"), None);
    }

    #[test]
    fn all_errors_come_at_once() {
        let errors = |json: &str| -> Vec<String> {
            let errors = Rewrite::from_json(json.as_bytes()).unwrap().unwrap_err();
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
}
