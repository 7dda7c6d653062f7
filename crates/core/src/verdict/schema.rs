//! JSON Schema, as far as structured outputs and tools use it.
//!
//! Keywords that are not known here (`pattern` and `format` among them), references to elsewhere,
//! and what is too much work hold for everything: only what certainly breaks a schema does.
//!
//! <https://json-schema.org/draft/2020-12/json-schema-validation>,
//! <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>

use serde_json::{Map, Value};

use super::elements;

/// How deep schemas are followed; references count.
const DEPTH: u32 = 48;
/// Schemas, names and values that are looked at; about a millisecond.
const STEPS: usize = 20_000;

/// Whether a value breaks a schema, JSON text.
pub(super) fn breaks(schema: &str, value: &Value) -> bool {
    let Ok(root) = serde_json::from_slice::<Value>(schema.as_bytes()) else { return false };
    Checker { root: &root, steps: STEPS }.breaks(&root, value, DEPTH)
}

struct Checker<'s> {
    root: &'s Value,
    steps: usize,
}

impl Checker<'_> {
    /// Whether there was still something left to spend.
    fn spend(&mut self, steps: usize) -> bool {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn breaks(&mut self, schema: &Value, value: &Value, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let schema = match schema {
            Value::Bool(allowed) => return !allowed,
            Value::Object(schema) => schema,
            _ => return false,
        };
        if !self.spend(1 + schema.len()) {
            return false;
        }
        // What stands next to a reference counts in newer drafts only.
        if let Some(reference) = schema.get("$ref") {
            let place = reference.as_str().and_then(|it| it.strip_prefix('#'));
            let target = place.and_then(|place| self.root.pointer(place));
            return target.is_some_and(|target| self.breaks(target, value, depth));
        }
        // OpenAPI's way to allow null.
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return false;
        }
        schema.iter().any(|(keyword, rule)| self.breaks_rule(schema, keyword, rule, value, depth))
    }

    fn breaks_rule(
        &mut self,
        schema: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
        depth: u32,
    ) -> bool {
        let rules = elements(rule);
        if !self.spend(rules.len()) {
            return false;
        }
        match keyword {
            "type" => match rule.as_str() {
                Some(kind) => !is_of(kind, value),
                None => {
                    !rules.is_empty()
                        && !rules.iter().any(|kind| is_of(kind.as_str().unwrap_or_default(), value))
                }
            },
            "const" => !may_equal(rule, value),
            "enum" => !rules.is_empty() && !rules.iter().any(|one| may_equal(one, value)),
            "anyOf" | "oneOf" => {
                !rules.is_empty() && rules.iter().all(|one| self.breaks(one, value, depth))
            }
            "allOf" => rules.iter().any(|one| self.breaks(one, value, depth)),
            // As in the newest draft, where the first items may have schemas of their own.
            "items" if !schema.contains_key("prefixItems") => {
                elements(value).iter().any(|item| self.breaks(rule, item, depth))
            }
            "required" | "properties" | "additionalProperties" => {
                let Some(object) = value.as_object() else { return false };
                self.breaks_fields(schema, keyword, rule, object, depth)
            }
            _ => self.is_beyond(keyword, rule, value),
        }
    }

    fn breaks_fields(
        &mut self,
        schema: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        object: &Map<String, Value>,
        depth: u32,
    ) -> bool {
        let required = schema.get("required").map_or(&[][..], elements);
        match (keyword, rule) {
            ("required", _) => {
                let absent =
                    |name: &Value| name.as_str().is_some_and(|it| !object.contains_key(it));
                required.iter().any(absent)
            }
            ("properties", Value::Object(rules)) => object.iter().any(|(name, value)| {
                // Models write null for what they leave out, and most readers take it so.
                let left_out = value.is_null() && !required.iter().any(|it| it == name.as_str());
                let rule = rules.get(name).filter(|_| !left_out);
                self.spend(1 + required.len())
                    && rule.is_some_and(|rule| self.breaks(rule, value, depth))
            }),
            ("additionalProperties", rule) if !schema.contains_key("patternProperties") => {
                let named = schema.get("properties").and_then(Value::as_object);
                let known = |name: &String| named.is_some_and(|named| named.contains_key(name));
                object.iter().any(|(name, value)| {
                    self.spend(1) && !known(name) && self.breaks(rule, value, depth)
                })
            }
            _ => false,
        }
    }

    /// Whether a value is beyond a limit on numbers, lengths or counts.
    fn is_beyond(&mut self, keyword: &str, rule: &Value, value: &Value) -> bool {
        let Some(limit) = rule.as_f64() else { return false };
        let size = match keyword {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.as_f64(),
            "minLength" | "maxLength" => value.as_str().map(|text| {
                // Counting is quick, but not for nothing.
                self.spend(text.len() / 64);
                text.chars().count() as f64
            }),
            "minItems" | "maxItems" => value.as_array().map(|items| items.len() as f64),
            _ => None,
        };
        size.is_some_and(|size| match keyword {
            "minimum" | "minLength" | "minItems" => size < limit,
            "exclusiveMinimum" => size <= limit,
            "exclusiveMaximum" => size >= limit,
            _ => size > limit,
        })
    }
}

/// Whether a value is of a type, by its name; of one that is not known, any.
fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        // 1.0 is one.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

/// Whether two values are equal, or may be: those with values in them are not compared.
fn may_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => true,
        _ => a == b,
    }
}
