//! JSON values with their paths, and what is wrong with them.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, as in `targets[0].threshold`; empty for the whole document.
    pub path: String,
    /// The value found, shortened; empty when it is missing.
    pub value: String,
    /// What it should have been.
    pub rule: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        if self.value.is_empty() {
            write!(formatter, "{path}: {}", self.rule)
        } else {
            write!(formatter, "{path} = {}: {}", self.value, self.rule)
        }
    }
}

/// All that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What names of targets, rules and policies look like: safe in a header and in a metric.
#[cfg(not(target_arch = "wasm32"))]
pub const RULE_NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

/// Errors found so far.
#[derive(Default)]
pub struct Errors(pub Vec<ConfigError>);

impl Errors {
    pub fn add(&mut self, path: &str, value: impl Into<String>, rule: impl Into<String>) {
        self.0.push(ConfigError { path: path.to_owned(), value: value.into(), rule: rule.into() });
    }
}

/// A value and where it stands.
pub struct Node<'v> {
    pub path: String,
    pub value: &'v Value,
}

impl<'v> Node<'v> {
    pub fn refuse(&self, rule: &str, errors: &mut Errors) {
        const SHOWN: usize = 60;
        let mut shown = self.value.to_string();
        if shown.len() > SHOWN {
            shown.truncate(shown.floor_char_boundary(SHOWN));
            shown.push('…');
        }
        errors.add(&self.path, shown, rule);
    }

    pub fn checked<T>(&self, value: Option<T>, rule: &str, errors: &mut Errors) -> Option<T> {
        if value.is_none() {
            self.refuse(rule, errors);
        }
        value
    }

    pub fn object_value(&self, errors: &mut Errors) -> Option<&'v Map<String, Value>> {
        self.checked(self.value.as_object(), "must be an object", errors)
    }

    /// The fields of an object; unknown ones are errors.
    pub fn object(&self, known: &[&str], errors: &mut Errors) -> Option<Fields<'v>> {
        let map = self.object_value(errors)?;
        let fields = Fields { path: self.path.clone(), map };
        for (name, value) in map {
            if !known.contains(&name.as_str()) {
                let node = Node { path: fields.path_of(name), value };
                node.refuse(&format!("unknown field; known are {}", known.join(", ")), errors);
            }
        }
        Some(fields)
    }

    pub fn array(&self, errors: &mut Errors) -> Option<Vec<Node<'v>>> {
        let values = self.checked(self.value.as_array(), "must be an array", errors)?;
        let node = |(index, value)| Node { path: format!("{}[{index}]", self.path), value };
        Some(values.iter().enumerate().map(node).collect())
    }

    pub fn text(&self, errors: &mut Errors) -> Option<&'v str> {
        self.checked(self.value.as_str(), "must be a string", errors)
    }

    pub fn boolean(&self, errors: &mut Errors) -> Option<bool> {
        self.checked(self.value.as_bool(), "must be true or false", errors)
    }

    pub fn integer(&self, range: RangeInclusive<u64>, errors: &mut Errors) -> Option<usize> {
        // Envoy turns a Struct's numbers into doubles.
        let whole = |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
        let number = self.value.as_u64().or_else(|| self.value.as_f64().and_then(whole));
        let number = number.filter(|number| range.contains(number));
        let rule = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.checked(number.and_then(|number| usize::try_from(number).ok()), &rule, errors)
    }

    pub fn share(&self, errors: &mut Errors) -> Option<f32> {
        let number = self.value.as_f64().filter(|number| (0.0..=1.0).contains(number));
        self.checked(number, "must be a number from 0 to 1", errors).map(|number| number as f32)
    }

    /// Money for a million tokens.
    pub fn amount(&self, errors: &mut Errors) -> Option<f64> {
        const MOST: f64 = 1e6;
        let number = self.value.as_f64().filter(|number| (0.0..=MOST).contains(number));
        self.checked(number, &format!("must be a number from 0 to {MOST}"), errors)
    }

    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let name = self.text(errors)?;
        let choice = choices.iter().find(|(choice, _)| *choice == name).map(|(_, value)| *value);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.checked(choice, &format!("must be one of {}", names.join(", ")), errors)
    }

    /// A number within bounds.
    pub fn number(&self, range: RangeInclusive<f64>, errors: &mut Errors) -> Option<f64> {
        let number = self.value.as_f64().filter(|number| range.contains(number));
        let rule = format!("must be a number from {} to {}", range.start(), range.end());
        self.checked(number, &rule, errors)
    }

    /// The elements of an array of at most `most`.
    pub fn list(&self, most: usize, errors: &mut Errors) -> Vec<Node<'v>> {
        let nodes = self.array(errors).unwrap_or_default();
        if nodes.len() > most {
            let rule = format!("must have at most {most} elements");
            errors.add(&self.path, format!("{} elements", nodes.len()), rule);
        }
        nodes
    }

    /// A name of HTTP header fields, in lower case.
    pub fn header_name(&self, errors: &mut Errors) -> Option<String> {
        let name = self.text(errors)?;
        let token = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(token);
        let rule = "must be 1 to 64 lower-case letters, digits, \"-\" or \"_\"";
        self.checked(valid.then(|| name.to_owned()), rule, errors)
    }

    /// A name that is safe in a header and in a metric.
    pub fn name(&self, errors: &mut Errors) -> Option<String> {
        let name = self.text(errors)?;
        self.checked(is_name(name).then(|| name.to_owned()), NAME_RULE, errors)
    }

    /// A cluster name that can be a header's value.
    pub fn cluster(&self, errors: &mut Errors) -> Option<String> {
        let name = self.text(errors)?;
        let valid =
            (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        let rule = "must be 1 to 255 visible ASCII characters";
        self.checked(valid.then(|| name.to_owned()), rule, errors)
    }

    pub fn base64(&self, errors: &mut Errors) -> Option<Vec<u8>> {
        let text = self.text(errors)?;
        self.checked(BASE64_STANDARD.decode(text).ok(), "must be base64", errors)
    }
}

/// Whether this can be the name of a target or a policy: it is safe in a header and in a metric.
pub fn is_name(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(safe)
}

/// Whether this can be a shared secret: nobody guesses it, and it is safe in a header.
pub fn is_secret(text: &str) -> bool {
    text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What [`is_name`] asks for.
pub const NAME_RULE: &str = "must be 1 to 64 letters, digits, \"-\" or \"_\"";

/// The fields of an object and where it stands.
pub struct Fields<'v> {
    path: String,
    pub map: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn field(&self, name: &str) -> Option<Node<'v>> {
        self.map.get(name).map(|value| Node { path: self.path_of(name), value })
    }

    pub fn required(&self, name: &str, errors: &mut Errors) -> Option<Node<'v>> {
        let node = self.field(name);
        if node.is_none() {
            errors.add(&self.path_of(name), "", "is required");
        }
        node
    }
}
