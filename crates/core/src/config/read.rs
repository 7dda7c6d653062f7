//! JSON to [`Config`], collecting every error on the way.

use serde_json::{Map, Value};

use super::control_plane::{read_bandit, read_control_plane};
use super::node::{ConfigErrors, Errors, Fields, Node, is_secret};
use super::policies::{read_canary, read_policies};
use super::targets::{read_default, read_targets};
use super::{
    BODY_BYTES, Config, DEFAULT_HOLD_BYTES, DEFAULT_MAX_BODY_BYTES, Health, Mode, Model, Override,
    ResponseHeaders, Sticky, Target,
};
use crate::canonical;
use crate::classifier::{NoveltyLimit, Objective};
use crate::features;
use crate::prompt::Envelopes;

/// Most tags and path prefixes.
pub(super) const MAX_NAMES: usize = 64;
/// Most headers, and most fields, that name a session.
pub(super) const MAX_SESSIONS: usize = 16;
/// Bounds of `sticky.ttl_seconds` and `sticky.max_conversations`.
pub(super) const TTL_SECONDS: std::ops::RangeInclusive<u64> = 1..=7 * 24 * 3600;
pub(super) const CONVERSATIONS: std::ops::RangeInclusive<u64> = 16..=1 << 20;
/// Bounds of `sticky.switch_cost`.
pub(super) const SWITCH_COST: std::ops::RangeInclusive<f64> = 0.0..=1e6;

/// Bounds of `policy.classifier.novelty_limit`: no prompt is further away than 8 deviations.
pub(super) const NOVELTY_LIMIT: std::ops::RangeInclusive<f64> = 0.1..=8.0;

/// What `policy.classifier.novelty_limit` says where every prompt is to be scored.
pub(super) const OFF: &str = "off";

/// Bounds of `health`.
pub(super) const FAILURES: std::ops::RangeInclusive<u64> = 1..=1000;
pub(super) const EJECTION_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;

/// The fields of the configuration.
pub const FIELDS: [&str; 16] = [
    "targets",
    "default",
    "policy",
    "policies",
    "canary",
    "sticky",
    "override",
    "health",
    "tenant_header",
    "path_prefixes",
    "prompt",
    "body",
    "response_headers",
    "mode",
    "control",
    "$schema",
];

/// The fields of `body`.
const BODY_FIELDS: [&str; 3] = ["max_bytes", "hold_bytes", "rewrite_model"];

pub(super) fn config(json: &[u8]) -> Result<Config, ConfigErrors> {
    let mut errors = Errors::default();
    let value = match canonical::parse(json) {
        Ok(value) => value,
        Err(error) => {
            let syntax = if error.is_data() { "" } else { "not JSON: " };
            errors.add("", "", format!("{syntax}{error}"));
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
    let root = Node { path: String::new(), value }.object(&FIELDS, errors)?;
    let body = root.field("body").and_then(|node| node.object(&BODY_FIELDS, errors));
    let mut bytes =
        |name: &str| body.as_ref().and_then(|body| body.field(name)?.integer(BODY_BYTES, errors));
    let (max_bytes, hold_bytes) = (bytes("max_bytes"), bytes("hold_bytes"));
    let max_body_bytes = max_bytes.unwrap_or(DEFAULT_MAX_BODY_BYTES);
    // Who says how much to read at most means it.
    let hold_bytes = hold_bytes.unwrap_or(max_bytes.unwrap_or(DEFAULT_HOLD_BYTES));
    let rewrite_model = body
        .as_ref()
        .and_then(|body| body.field("rewrite_model")?.boolean(errors))
        .unwrap_or(false);
    let targets = match root.field("targets") {
        Some(node) => read_targets(node, rewrite_model, errors),
        None => {
            errors.add("targets", "", "is required: the targets, cheapest first");
            Vec::new()
        }
    };
    let default = read_default(root.field("default"), &targets, errors);
    let mut rule_names = Vec::new();
    let policies = read_policies(&root, &targets, &mut rule_names, errors);
    let canary = root.field("canary").and_then(|node| read_canary(node, &policies, errors));
    let classifier = root.field("policy").and_then(|node| read_classifier(node, errors));
    let classifier = classifier.unwrap_or_default();
    let sticky = root.field("sticky").and_then(|node| read_sticky(node, errors));
    let client = root.field("override").and_then(|node| read_override(node, &targets, errors));
    let health = root.field("health").and_then(|node| read_health(node, errors));
    let tenant_header = root.field("tenant_header").and_then(|node| node.header_name(errors));
    let path_prefixes = root.field("path_prefixes").map(|node| read_prefixes(node, errors));
    let envelopes = root.field("prompt").and_then(|node| read_envelopes(node, errors));
    let response_headers =
        root.field("response_headers").map(|node| read_response_headers(node, errors));
    let mode = root.field("mode").and_then(|node| node.one_of(&Mode::NAMES, errors));
    Some(Config {
        version: features::digest_of(value.to_string().as_bytes()),
        targets,
        default,
        model: classifier.model,
        objective: classifier.objective,
        novelty_limit: classifier.novelty_limit,
        policies,
        rule_names,
        canary,
        sticky,
        client: client.unwrap_or_default(),
        health,
        tenant_header,
        path_prefixes: path_prefixes.unwrap_or_else(|| vec!["/".to_owned()]),
        envelopes: envelopes.unwrap_or_default(),
        max_body_bytes,
        hold_bytes: hold_bytes.max(max_body_bytes),
        rewrite_model,
        response_headers: response_headers.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
        control: root.field("control").and_then(|node| read_control_plane(&node, errors)),
        bandit: read_bandit(&root, errors),
    })
}

/// What `policy.objective` and `policy.classifier` say.
#[derive(Default)]
struct ClassifierFields {
    model: Option<Model>,
    objective: Option<Objective>,
    novelty_limit: NoveltyLimit,
}

fn read_classifier(node: Node, errors: &mut Errors) -> Option<ClassifierFields> {
    let policy: &Map<String, Value> = node.value.as_object()?;
    let field =
        |name: &str| policy.get(name).map(|value| Node { path: format!("policy.{name}"), value });
    let objective = field("objective").and_then(|node| node.one_of(&Objective::NAMES, errors));
    let classifier =
        field("classifier").and_then(|node| node.object(&["model", "novelty_limit"], errors));
    let classifier = |name: &str| classifier.as_ref()?.field(name);
    Some(ClassifierFields {
        model: classifier("model").and_then(|node| read_model(node, errors)),
        objective,
        novelty_limit: classifier("novelty_limit")
            .and_then(|node| read_novelty_limit(&node, errors))
            .unwrap_or_default(),
    })
}

fn read_novelty_limit(node: &Node, errors: &mut Errors) -> Option<NoveltyLimit> {
    if node.value == OFF {
        return Some(NoveltyLimit::Off);
    }
    if !node.value.is_number() {
        node.refuse(&format!("must be a number, or \"{OFF}\""), errors);
        return None;
    }
    node.number(NOVELTY_LIMIT, errors).map(|limit| NoveltyLimit::At(limit as f32))
}

pub(super) fn read_model(node: Node, errors: &mut Errors) -> Option<Model> {
    let model = node.object(&["onnx", "manifest"], errors)?;
    let onnx = model.required("onnx", errors).and_then(|node| node.base64(errors));
    let manifest = model.required("manifest", errors).and_then(|node| {
        node.object_value(errors)
            .map(|object| Value::Object(object.clone()).to_string().into_bytes())
    });
    Some(Model { onnx: onnx?, manifest: manifest? })
}

fn read_sticky(node: Node, errors: &mut Errors) -> Option<Sticky> {
    let known =
        ["header", "headers", "fields", "user", "ttl_seconds", "max_conversations", "switch_cost"];
    let fields = node.object(&known, errors)?;
    let header = fields.field("header").and_then(|node| node.header_name(errors));
    let headers = fields.field("headers").map(|node| {
        let names = node.list(MAX_SESSIONS, errors);
        names.iter().filter_map(|node| node.header_name(errors)).collect()
    });
    let sessions = fields.field("fields").map(|node| {
        let names = node.list(MAX_SESSIONS, errors);
        names.iter().filter_map(|node| node.text(errors).map(str::to_owned)).collect()
    });
    let user = fields.field("user").and_then(|node| node.boolean(errors));
    let ttl = fields.field("ttl_seconds").and_then(|node| node.integer(TTL_SECONDS, errors));
    let most =
        fields.field("max_conversations").and_then(|node| node.integer(CONVERSATIONS, errors));
    let switch_cost = fields.field("switch_cost").and_then(|node| node.number(SWITCH_COST, errors));
    let default = Sticky::default();
    let mut headers: Vec<String> = headers.unwrap_or(default.headers);
    headers.splice(..0, header.clone());
    Some(Sticky {
        header,
        headers,
        fields: sessions.unwrap_or(default.fields),
        user: user.unwrap_or(default.user),
        ttl_seconds: ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(default.ttl_seconds),
        max_conversations: most.unwrap_or(default.max_conversations),
        switch_cost,
    })
}

fn read_override(node: Node, targets: &[Target], errors: &mut Errors) -> Option<Override> {
    let fields = node.object(&["targets", "skip"], errors)?;
    let names = fields.field("targets").map(|node| node.list(targets.len(), errors));
    let targets = names
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| name.target(targets, errors))
        .collect();
    let skip = fields.field("skip").and_then(|node| node.boolean(errors)).unwrap_or(false);
    Some(Override { targets, skip })
}

fn read_health(node: Node, errors: &mut Errors) -> Option<Health> {
    let fields = node.object(&["consecutive_failures", "ejection_seconds"], errors)?;
    let mut number = |name, range| {
        let number = fields.field(name).and_then(|node| node.integer(range, errors));
        number.and_then(|number| u32::try_from(number).ok())
    };
    Some(Health {
        consecutive_failures: number("consecutive_failures", FAILURES).unwrap_or(5),
        ejection_seconds: number("ejection_seconds", EJECTION_SECONDS).unwrap_or(10),
    })
}

fn read_prefixes(node: Node, errors: &mut Errors) -> Vec<String> {
    let prefixes = node.list(MAX_NAMES, errors);
    if prefixes.is_empty() {
        node.refuse("must name at least one prefix", errors);
    }
    prefixes.iter().filter_map(|node| node.path_prefix(errors)).collect()
}

fn read_envelopes(node: Node, errors: &mut Errors) -> Option<Envelopes> {
    let fields = node.object(&["strip_tags"], errors)?;
    let tags = fields.field("strip_tags")?.list(MAX_NAMES, errors);
    let tags = tags.iter().filter_map(|tag| tag.name(errors));
    Some(Envelopes::default().with_tags(tags))
}

fn read_response_headers(node: Node, errors: &mut Errors) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    let names = ["target", "source", "reason", "score", "decision_id", "escalated"];
    let Some(fields) = node.object(&names, errors) else {
        return headers;
    };
    for (name, header) in [
        ("target", &mut headers.target),
        ("source", &mut headers.source),
        ("reason", &mut headers.reason),
        ("score", &mut headers.score),
        ("decision_id", &mut headers.decision_id),
        ("escalated", &mut headers.escalated),
    ] {
        if let Some(value) = fields.field(name).and_then(|node| node.boolean(errors)) {
            *header = value;
        }
    }
    headers
}

impl Node<'_> {
    /// The position of the target with this name.
    pub(super) fn target(&self, targets: &[Target], errors: &mut Errors) -> Option<usize> {
        let name = self.text(errors)?;
        let position = targets.iter().position(|target| target.name == name);
        if position.is_none() {
            let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
            self.refuse(&format!("must name a target: {}", names.join(", ")), errors);
        }
        position
    }

    /// A shared secret; never shown in an error.
    pub(super) fn secret(&self, errors: &mut Errors) -> Option<String> {
        let secret = self.value.as_str().filter(|text| is_secret(text));
        if secret.is_none() {
            errors.add(&self.path, "", "must be 16 or more visible ASCII characters");
        }
        secret.map(str::to_owned)
    }

    fn path_prefix(&self, errors: &mut Errors) -> Option<String> {
        let text = self.text(errors)?;
        let valid = text.starts_with('/') && text.len() <= 255;
        self.checked(valid.then(|| text.to_owned()), "must begin with \"/\"", errors)
    }
}

/// The fields of a configuration's part that is not there.
pub(super) fn field_of<'v>(fields: Option<&Fields<'v>>, name: &str) -> Option<Node<'v>> {
    fields.and_then(|fields| fields.field(name))
}
