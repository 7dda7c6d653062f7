//! The configuration of the filter where only the model's name is to be set.

use super::ConfigErrors;
use super::read::{Errors, Node};

/// What is set in the bodies that pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The name under which the provider knows the model.
    pub model: String,
}

impl Rewrite {
    /// Reads `{"rewrite": {"model": …}}`; `None` when it is another configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn from_json(json: &[u8]) -> Option<Result<Self, ConfigErrors>> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        value.get("rewrite")?;
        let mut errors = Errors(Vec::new());
        let rewrite = read(&Node { path: String::new(), value: &value }, &mut errors);
        Some(match rewrite {
            Some(rewrite) if errors.0.is_empty() => Ok(rewrite),
            _ => Err(ConfigErrors(errors.0)),
        })
    }
}

fn read(node: &Node, errors: &mut Errors) -> Option<Rewrite> {
    let root = node.object(&["rewrite"], errors)?;
    let fields = root.field("rewrite")?.object(&["model"], errors)?;
    let model = fields.required("model", errors)?.model_name(errors)?;
    Some(Rewrite { model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named() {
        let read = |json: &str| Rewrite::from_json(json.as_bytes());
        let rewrite = read(r#"{"rewrite": {"model": "gpt-4o-mini"}}"#);
        assert_eq!(rewrite, Some(Ok(Rewrite { model: "gpt-4o-mini".to_owned() })));
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
