//! JSON to [`Config`], collecting every error on the way.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::{
    BODY_BYTES, Config, Control, DEFAULT_MAX_BODY_BYTES, Mode, Model, ResponseHeaders, TARGETS,
    Target,
};

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

pub(super) fn config(json: &[u8]) -> Result<Config, ConfigErrors> {
    let mut errors = Errors(Vec::new());
    let value = match serde_json::from_slice::<Value>(json) {
        Ok(value) => value,
        Err(error) => {
            errors.add("", "", format!("not JSON: {error}"));
            return Err(ConfigErrors(errors.0));
        }
    };
    let config = read_config(&value, &mut errors);
    match config {
        Some(config) if errors.0.is_empty() => Ok(config),
        _ => Err(ConfigErrors(errors.0)),
    }
}

fn read_config(value: &Value, errors: &mut Errors) -> Option<Config> {
    let fields = ["targets", "default", "policy", "body", "response_headers", "mode", "control"];
    let root = Node { path: String::new(), value }.object(&fields, errors)?;
    let targets = match root.field("targets") {
        Some(node) => read_targets(node, errors),
        None => {
            errors.add("targets", "", "is required: the targets, cheapest first");
            Vec::new()
        }
    };
    let default = read_default(root.field("default"), &targets, errors);
    let model = root.field("policy").and_then(|node| read_policy(node, errors));
    let max_body_bytes = root.field("body").and_then(|node| {
        let body = node.object(&["max_bytes"], errors)?;
        body.field("max_bytes")?.integer(BODY_BYTES, errors)
    });
    let response_headers =
        root.field("response_headers").map(|node| read_response_headers(node, errors));
    let mode = root.field("mode").and_then(|node| {
        node.one_of(&[("route", Mode::Route), ("observe", Mode::Observe)], errors)
    });
    Some(Config {
        targets,
        default,
        model,
        max_body_bytes: max_body_bytes.unwrap_or(DEFAULT_MAX_BODY_BYTES),
        response_headers: response_headers.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
        control: read_control(&root, errors),
    })
}

fn read_targets(node: Node, errors: &mut Errors) -> Vec<Target> {
    let Some(nodes) = node.array(errors) else {
        return Vec::new();
    };
    if !TARGETS.contains(&nodes.len()) {
        let (low, high) = (TARGETS.start(), TARGETS.end());
        errors.add(
            &node.path,
            format!("{} targets", nodes.len()),
            format!("must be {low} to {high}"),
        );
    }
    let last = nodes.len().saturating_sub(1);
    let mut targets: Vec<Target> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let Some(fields) = node.object(&["name", "cluster", "threshold"], errors) else {
            continue;
        };
        let name = fields.required("name", errors).and_then(|node| node.target_name(errors));
        let cluster = fields.required("cluster", errors).and_then(|node| node.cluster(errors));
        let threshold = fields.field("threshold").and_then(|node| {
            if index == last {
                node.refuse(
                    "the last target is the strongest: it takes what no other does",
                    errors,
                );
            }
            node.share(errors)
        });
        let name = name.unwrap_or_default();
        if !name.is_empty() && targets.iter().any(|target| target.name == name) {
            errors.add(&format!("{}.name", node.path), format!("\"{name}\""), "must be unique");
        }
        targets.push(Target { name, cluster: cluster.unwrap_or_default(), threshold });
    }
    targets
}

fn read_default(node: Option<Node>, targets: &[Target], errors: &mut Errors) -> usize {
    let strongest = targets.len().saturating_sub(1);
    let Some(node) = node else { return strongest };
    let Some(name) = node.text(errors) else {
        return strongest;
    };
    targets.iter().position(|target| target.name == name).unwrap_or_else(|| {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        node.refuse(&format!("must name a target: {}", names.join(", ")), errors);
        strongest
    })
}

fn read_policy(node: Node, errors: &mut Errors) -> Option<Model> {
    let policy = node.object(&["classifier", "bandit"], errors)?;
    let classifier = policy.field("classifier")?.object(&["model"], errors)?;
    let model = classifier.field("model")?.object(&["onnx", "manifest"], errors)?;
    let onnx = model.required("onnx", errors).and_then(|node| node.base64(errors));
    let manifest = model.required("manifest", errors).and_then(|node| {
        node.object_value(errors)
            .map(|object| Value::Object(object.clone()).to_string().into_bytes())
    });
    Some(Model { onnx: onnx?, manifest: manifest? })
}

fn read_response_headers(node: Node, errors: &mut Errors) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    let names = ["target", "source", "reason", "score", "decision_id"];
    let Some(fields) = node.object(&names, errors) else {
        return headers;
    };
    for (name, header) in [
        ("target", &mut headers.target),
        ("source", &mut headers.source),
        ("reason", &mut headers.reason),
        ("score", &mut headers.score),
        ("decision_id", &mut headers.decision_id),
    ] {
        if let Some(value) = fields.field(name).and_then(|node| node.boolean(errors)) {
            *header = value;
        }
    }
    headers
}

/// `control`, and `policy.bandit`, which has no meaning without it.
fn read_control(root: &Fields, errors: &mut Errors) -> Option<Control> {
    let policy = root.field("policy").and_then(|policy| policy.value.get("bandit"));
    let bandit = policy.map(|value| Node { path: "policy.bandit".to_owned(), value });
    let Some(node) = root.field("control") else {
        if let Some(bandit) = bandit {
            bandit.refuse("needs `control`, where its policy comes from", errors);
        }
        return None;
    };
    let known = ["cluster", "key", "token", "interval_ms", "buffer_bytes"];
    let fields = node.object(&known, errors)?;
    let cluster = fields.required("cluster", errors).and_then(|node| node.cluster(errors));
    let key = fields.required("key", errors).and_then(|node| node.secret(errors));
    let token = fields.required("token", errors).and_then(|node| node.secret(errors));
    let mut number = |name, range, default| {
        fields.field(name).map_or(Some(default), |node| node.integer(range, errors))
    };
    let interval = number("interval_ms", 100..=60_000, 1000);
    let buffer_bytes = number("buffer_bytes", 16_384..=67_108_864, 1_048_576);
    let max_age = bandit.as_ref().map_or(Some(300), |node| {
        let fields = node.object(&["max_age_s"], errors)?;
        fields.field("max_age_s").map_or(Some(300), |node| node.integer(1..=86_400, errors))
    });
    Some(Control {
        cluster: cluster?,
        key: key?,
        token: token?,
        interval: Duration::from_millis(interval? as u64),
        buffer_bytes: buffer_bytes?,
        max_age: Duration::from_secs(max_age? as u64),
        bandit: bandit.is_some(),
    })
}

struct Errors(Vec<ConfigError>);

impl Errors {
    fn add(&mut self, path: &str, value: impl Into<String>, rule: impl Into<String>) {
        self.0.push(ConfigError { path: path.to_owned(), value: value.into(), rule: rule.into() });
    }
}

/// A value and where it stands.
struct Node<'v> {
    path: String,
    value: &'v Value,
}

impl<'v> Node<'v> {
    fn refuse(&self, rule: &str, errors: &mut Errors) {
        const SHOWN: usize = 60;
        let mut shown = self.value.to_string();
        if shown.len() > SHOWN {
            shown.truncate(shown.floor_char_boundary(SHOWN));
            shown.push('…');
        }
        errors.add(&self.path, shown, rule);
    }

    fn checked<T>(&self, value: Option<T>, rule: &str, errors: &mut Errors) -> Option<T> {
        if value.is_none() {
            self.refuse(rule, errors);
        }
        value
    }

    fn object_value(&self, errors: &mut Errors) -> Option<&'v Map<String, Value>> {
        self.checked(self.value.as_object(), "must be an object", errors)
    }

    /// The fields of an object; unknown ones are errors.
    fn object(&self, known: &[&str], errors: &mut Errors) -> Option<Fields<'v>> {
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

    fn array(&self, errors: &mut Errors) -> Option<Vec<Node<'v>>> {
        let values = self.checked(self.value.as_array(), "must be an array", errors)?;
        let node = |(index, value)| Node { path: format!("{}[{index}]", self.path), value };
        Some(values.iter().enumerate().map(node).collect())
    }

    fn text(&self, errors: &mut Errors) -> Option<&'v str> {
        self.checked(self.value.as_str(), "must be a string", errors)
    }

    fn boolean(&self, errors: &mut Errors) -> Option<bool> {
        self.checked(self.value.as_bool(), "must be true or false", errors)
    }

    fn integer(&self, range: RangeInclusive<u64>, errors: &mut Errors) -> Option<usize> {
        // Envoy turns a Struct's numbers into doubles.
        let whole = |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
        let number = self.value.as_u64().or_else(|| self.value.as_f64().and_then(whole));
        let number = number.filter(|number| range.contains(number));
        let rule = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.checked(number.and_then(|number| usize::try_from(number).ok()), &rule, errors)
    }

    fn share(&self, errors: &mut Errors) -> Option<f32> {
        let number = self.value.as_f64().filter(|number| (0.0..=1.0).contains(number));
        self.checked(number, "must be a number from 0 to 1", errors).map(|number| number as f32)
    }

    fn one_of<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let name = self.text(errors)?;
        let choice = choices.iter().find(|(choice, _)| *choice == name).map(|(_, value)| *value);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.checked(choice, &format!("must be one of {}", names.join(", ")), errors)
    }

    /// A name that is safe in a header and in a metric.
    fn target_name(&self, errors: &mut Errors) -> Option<String> {
        let name = self.text(errors)?;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(safe);
        let rule = "must be 1 to 64 letters, digits, \"-\" or \"_\"";
        self.checked(valid.then(|| name.to_owned()), rule, errors)
    }

    /// A cluster name that can be a header's value.
    fn cluster(&self, errors: &mut Errors) -> Option<String> {
        let name = self.text(errors)?;
        let valid =
            (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        let rule = "must be 1 to 255 visible ASCII characters";
        self.checked(valid.then(|| name.to_owned()), rule, errors)
    }

    /// A shared secret; never shown in an error.
    fn secret(&self, errors: &mut Errors) -> Option<String> {
        let long = |text: &&str| text.len() >= 16 && text.bytes().all(|b| b.is_ascii_graphic());
        let secret = self.value.as_str().filter(long);
        if secret.is_none() {
            errors.add(&self.path, "", "must be 16 or more visible ASCII characters");
        }
        secret.map(str::to_owned)
    }

    fn base64(&self, errors: &mut Errors) -> Option<Vec<u8>> {
        let text = self.text(errors)?;
        self.checked(BASE64_STANDARD.decode(text).ok(), "must be base64", errors)
    }
}

/// The fields of an object and where it stands.
struct Fields<'v> {
    path: String,
    map: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn field(&self, name: &str) -> Option<Node<'v>> {
        self.map.get(name).map(|value| Node { path: self.path_of(name), value })
    }

    fn required(&self, name: &str, errors: &mut Errors) -> Option<Node<'v>> {
        let node = self.field(name);
        if node.is_none() {
            errors.add(&self.path_of(name), "", "is required");
        }
        node
    }
}
