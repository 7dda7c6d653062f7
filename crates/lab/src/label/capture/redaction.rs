//! What must not be kept of prompts and answers.

use std::borrow::Cow;

use regex::{NoExpand, Regex};
use serde_json::Value;

/// What stands in the place of what was found.
const MARK: &str = "[redacted]";

/// Patterns of what is taken out.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    patterns: Vec<Regex>,
}

impl Redaction {
    /// Patterns, which are applied in this order.
    pub fn new(patterns: Vec<Regex>) -> Self {
        Redaction { patterns }
    }

    /// Replaces every match in every string within a value by `[redacted]`. Names of fields and
    /// numbers stay.
    pub fn apply(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for pattern in &self.patterns {
                    if let Cow::Owned(redacted) = pattern.replace_all(text, NoExpand(MARK)) {
                        *text = redacted;
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.apply(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
