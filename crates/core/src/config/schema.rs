//! JSON Schema of the configuration, made from the same names and bounds that reading checks.
//!
//! What no schema can say stays with [`super::Config::from_json`]: that names are unique, that a
//! name names a target, that a part needs another.

use serde_json::{Map, Value, json};

use super::control_plane::{
    AGAIN_SECONDS, BUFFER_BYTES, COSTLY, INTERVAL_MS, MAX_AGE_S, SIGNS, SLOW_MS,
};
use super::escalate;
use super::node::RULE_NAME;
use super::parameters::{MAX_PARAMETERS, NOT_PARAMETERS};
use super::policies::{
    BOUNDS, CHEAPEST, CONDITIONS, HOUSEKEEPING, MATCHES, MAX_WORDS, ORDERS, STRONGEST, TOOL_LOOP,
    WORD_BYTES,
};
use super::read::{
    CONVERSATIONS, EJECTION_SECONDS, FAILURES, MAX_NAMES, MAX_SESSIONS, NOVELTY_LIMIT, OFF,
    SWITCH_COST, TTL_SECONDS,
};
use super::targets::{CONTEXT_TOKENS, PRICES};
use super::{BODY_BYTES, MAX_POLICIES, MAX_RULES, Mode, REGEX_BYTES, TARGETS};
use crate::api::ApiFormat;
use crate::classifier::Objective;
use crate::features::SCHEMA;
use crate::policy::Preset;
use crate::sign::Sign;
use crate::target::{Hold, OnTimeout};

/// An object with these fields and no others.
fn object(required: &[&str], fields: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required,
           "properties": fields})
}

fn integer(range: std::ops::RangeInclusive<u64>) -> Value {
    json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
}

fn list(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

fn one_of<T>(names: &[(&str, T)]) -> Value {
    json!({"enum": names.iter().map(|(name, _)| *name).collect::<Vec<_>>()})
}

/// The schema, draft 2020-12: what `pointsman schema` prints.
pub fn json_schema() -> Value {
    let flag = json!({"type": "boolean"});
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let name = json!({"type": "string", "pattern": RULE_NAME});
    let amount = json!({"type": "number", "minimum": 0, "maximum": 1e6});
    let cluster = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
    let header = json!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"});
    let parameters = json!({"type": "object", "maxProperties": MAX_PARAMETERS,
        "propertyNames": {"not": {"enum": NOT_PARAMETERS}}});
    let apis = json!({"type": "array", "items": one_of(&ApiFormat::NAMES), "minItems": 1,
                      "maxItems": ApiFormat::NAMES.len()});
    let manifest = json!({"type": "object"});
    let base64 = json!({"type": "string", "contentEncoding": "base64"});
    let model = object(&["onnx", "manifest"], json!({"onnx": base64, "manifest": manifest}));
    let target = object(
        &["name", "cluster"],
        json!({
            "name": name, "cluster": cluster, "threshold": share, "model": {"type": "string"},
            "price": object(&["input", "output"], Value::Object(PRICES.map(|name| (name.to_owned(), amount.clone())).into_iter().collect())),
            "context_tokens": integer(CONTEXT_TOKENS),
            "apis": apis, "images": flag, "audio": flag, "files": flag, "video": flag,
            "tools": flag, "response_format": flag, "parameters": parameters,
            "escalate": escalation(&name, &apis, &model),
        }),
    );
    let rules = json!({"oneOf": [{"const": "default"}, list(rule(&name), MAX_RULES)]});
    let policy = |own: (&str, Value)| {
        let mut fields = Map::from_iter([
            ("order".to_owned(), one_of(&ORDERS)),
            ("uncertain_band".to_owned(), share.clone()),
            ("preset".to_owned(), one_of(&Preset::NAMES)),
            ("rules".to_owned(), rules.clone()),
        ]);
        fields.insert(own.0.to_owned(), own.1);
        object(&[], Value::Object(fields))
    };
    let thresholds = json!({"type": "object", "additionalProperties": share});
    let novelty_limit =
        json!({"type": "number", "minimum": NOVELTY_LIMIT.start(), "maximum": NOVELTY_LIMIT.end()});
    let novelty_limit = json!({"oneOf": [novelty_limit, {"const": OFF}]});
    let switch_cost =
        json!({"type": "number", "minimum": SWITCH_COST.start(), "maximum": SWITCH_COST.end()});
    let shown = ["target", "source", "reason", "score", "decision_id", "escalated"];
    let shown: Map<String, Value> =
        shown.iter().map(|name| ((*name).to_owned(), flag.clone())).collect();
    let mut main = policy((
        "classifier",
        object(&[], json!({"model": model, "novelty_limit": novelty_limit})),
    ));
    if let Some(fields) = main.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let bandit = object(&[], json!({"max_age_s": integer(MAX_AGE_S)}));
        fields.insert("bandit".to_owned(), bandit);
        fields.insert("objective".to_owned(), one_of(&Objective::NAMES));
    }
    let secret = json!({"type": "string", "minLength": 16, "pattern": "^[!-~]+$"});
    let mut schema = object(
        &["targets"],
        json!({
            "$schema": {"type": "string"},
            "targets": {"type": "array", "items": target, "minItems": TARGETS.start(),
                        "maxItems": TARGETS.end()},
            "default": name,
            "policy": main,
            "policies": {"type": "object", "maxProperties": MAX_POLICIES,
                         "propertyNames": name,
                         "additionalProperties": policy(("thresholds", thresholds))},
            "canary": object(&["policy", "share"], json!({"policy": name, "share": share})),
            "sticky": object(&[], json!({
                "header": header, "headers": list(header.clone(), MAX_SESSIONS),
                "fields": list(json!({"type": "string", "minLength": 1}), MAX_SESSIONS),
                "user": flag, "ttl_seconds": integer(TTL_SECONDS),
                "max_conversations": integer(CONVERSATIONS), "switch_cost": switch_cost,
            })),
            "override": object(&[], json!({
                "targets": list(name.clone(), *TARGETS.end()), "skip": flag,
            })),
            "health": object(&[], json!({
                "consecutive_failures": integer(FAILURES),
                "ejection_seconds": integer(EJECTION_SECONDS),
            })),
            "tenant_header": header,
            "path_prefixes": {"type": "array", "minItems": 1, "maxItems": MAX_NAMES,
                              "items": {"type": "string", "pattern": "^/", "maxLength": 255}},
            "prompt": object(&[], json!({"strip_tags": list(name.clone(), MAX_NAMES)})),
            "body": object(&[], json!({
                "max_bytes": integer(BODY_BYTES), "hold_bytes": integer(BODY_BYTES),
                "rewrite_model": flag,
            })),
            "response_headers": object(&[], Value::Object(shown)),
            "mode": one_of(&Mode::NAMES),
            "control": object(&["cluster", "key", "token"], json!({
                "cluster": {"type": "string", "minLength": 1, "maxLength": 255},
                "key": secret, "token": secret, "interval_ms": integer(INTERVAL_MS),
                "buffer_bytes": integer(BUFFER_BYTES), "implicit": implicit(&share),
            })),
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), draft.into());
        schema.insert("title".to_owned(), "Configuration of the Pointsman filter".into());
    }
    schema
}

/// `control.implicit`.
fn implicit(share: &Value) -> Value {
    let above = json!({"type": "number", "minimum": COSTLY.start(), "maximum": COSTLY.end()});
    let mut fields: Map<String, Value> =
        SIGNS.iter().map(|name| ((*name).to_owned(), share.clone())).collect();
    for (name, bound, range) in [
        ("slow", "ms", integer(SLOW_MS)),
        ("costly", "above", above),
        ("asked_again", "seconds", integer(AGAIN_SECONDS)),
    ] {
        let both =
            Map::from_iter([(bound.to_owned(), range), ("reward".to_owned(), share.clone())]);
        fields.insert(name.to_owned(), object(&[bound, "reward"], Value::Object(both)));
    }
    object(&[], Value::Object(fields))
}

fn escalation(name: &Value, apis: &Value, model: &Value) -> Value {
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let signs = json!({"enum": Sign::ALL.map(Sign::name)});
    object(
        &[],
        json!({
            "to": name, "apis": apis, "hold_below": share, "max_share": share,
            "judge": model, "accept_below": share,
            "signs": {"type": "array", "items": signs, "minItems": 1,
                      "maxItems": Sign::ALL.len()},
            "hold": {"enum": Hold::ALL.map(Hold::name)},
            "hold_bytes": integer(escalate::HOLD_BYTES),
            "hold_tokens": integer(escalate::HOLD_TOKENS),
            "hold_ms": integer(escalate::HOLD_MS),
            "on_timeout": {"enum": OnTimeout::ALL.map(OnTimeout::name)},
        }),
    )
}

fn rule(name: &Value) -> Value {
    let bound = json!({"type": "number", "minimum": 0, "maximum": 1e9});
    let bounds: Map<String, Value> =
        BOUNDS.iter().map(|name| ((*name).to_owned(), bound.clone())).collect();
    let range = json!({"type": "object", "additionalProperties": false, "minProperties": 1,
                       "properties": bounds});
    let word = json!({"type": "string", "minLength": 1, "maxLength": WORD_BYTES});
    let [present, equals, contains, regex] = MATCHES;
    let matcher = json!({"type": "object", "additionalProperties": false, "minProperties": 1,
    "properties": {
        present: {"type": "boolean"},
        equals: {"type": "string"},
        contains: {"oneOf": [word, list(word.clone(), MAX_WORDS)]},
        regex: {"type": "string", "maxLength": REGEX_BYTES},
    }});
    let mut when = Map::new();
    for condition in CONDITIONS {
        let value = match condition {
            "headers" => json!({"type": "object", "additionalProperties": matcher,
                                "propertyNames": {"pattern": "^[a-z0-9_-]{1,64}$"}}),
            "prompt_tokens" => range.clone(),
            _ => matcher.clone(),
        };
        when.insert(condition.to_owned(), value);
    }
    for flag in [TOOL_LOOP, HOUSEKEEPING] {
        when.insert(flag.to_owned(), json!({"type": "boolean"}));
    }
    for feature in SCHEMA {
        // "system" and the like are not features.
        let value = json!({"oneOf": [{"type": "boolean"}, range]});
        when.insert(feature.name.to_owned(), value);
    }
    let target = json!({"type": "string",
        "description": format!("a target's name, {CHEAPEST} or {STRONGEST}")});
    object(
        &["name", "when", "target"],
        json!({"name": name, "when": object(&[], Value::Object(when)), "target": target}),
    )
}
