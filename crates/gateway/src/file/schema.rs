//! JSON Schema of `pointsman.yaml`: its own fields, and the filter's as the filter has them.

use serde_json::{Map, Value, json};

use pointsman_core::config::{CAPTURE_BYTES, json_schema as filter_schema};

use super::filter_fields;
use super::parts::PATTERNS;
use crate::Kind;

fn object(required: &[&str], fields: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required,
           "properties": fields})
}

/// The schema, draft 2020-12.
pub fn json_schema() -> Value {
    let filter = filter_schema();
    let part = |pointer: &str| filter.pointer(pointer).cloned().unwrap_or_default();
    let text = json!({"type": "string", "minLength": 1});
    let file = text.clone();
    let address =
        json!({"type": "string", "pattern": r"^(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):\d+$"});
    let flag = json!({"type": "boolean"});
    let model = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+/.+$"});
    let key = json!({"oneOf": [object(&["env"], json!({"env": text})),
                               object(&["file"], json!({"file": file}))]});
    let provider = object(
        &[],
        json!({
            "kind": {"enum": Kind::ALL.map(|kind| kind.facts().name)},
            "url": {"type": "string", "pattern": "^https?://"},
            "key": key, "auth": {"enum": ["key", "passthrough", "none"]}, "ca": file,
            "headers": {"type": "object", "additionalProperties": {"type": "string"},
                        "propertyNames": {"pattern": "^[a-z0-9-]+$"}},
            "api_version": text, "region": text,
        }),
    );
    let endpoint = object(
        &["model"],
        json!({"model": model, "weight": {"type": "integer", "minimum": 1, "maximum": 100}}),
    );
    let mut target = part("/properties/targets/items");
    if let Some(fields) = target.pointer_mut("/properties").and_then(Value::as_object_mut) {
        fields.remove("cluster");
        fields.insert("model".to_owned(), model);
        let endpoints = json!({"type": "array", "items": endpoint, "minItems": 1, "maxItems": 8});
        fields.insert("endpoints".to_owned(), endpoints);
    }
    target["required"] = json!(["name"]);
    target["oneOf"] = json!([{"required": ["model"]}, {"required": ["endpoints"]}]);
    let mut targets = part("/properties/targets");
    targets["items"] = target;
    let mut control = part("/properties/control");
    if let Some(fields) = control.pointer_mut("/properties").and_then(Value::as_object_mut) {
        fields.remove("cluster");
        for name in ["key", "token", "reward_token", "admin_token"] {
            fields.insert(name.to_owned(), key.clone());
        }
        fields.insert("listen".to_owned(), address.clone());
        fields.insert("store".to_owned(), text.clone());
        fields.insert("host".to_owned(), text.clone());
    }
    control["required"] = json!([]);
    let header = part("/properties/tenant_header");
    let tenant = json!({"oneOf": [object(&["header"], json!({"header": header})),
                                  {"enum": ["credentials", "shared"]}]});
    let count = json!({"type": "integer", "minimum": 1});
    let mut fields = Map::new();
    for name in filter_fields() {
        fields.insert(name.to_owned(), part(&format!("/properties/{name}")));
    }
    for (name, schema) in [
        ("$schema", json!({"type": "string"})),
        ("providers", json!({"type": "object", "additionalProperties": provider})),
        ("targets", targets),
        (
            "cache",
            object(
                &[],
                json!({"tenant": tenant, "listen": address, "host": text, "ttl_seconds": count,
                       "memory_mib": count, "store": text, "exact_only": flag}),
            ),
        ),
        ("control", control),
        (
            "capture",
            object(
                &["out"],
                json!({"listen": address, "out": text,
                       "share": {"type": "number", "minimum": 0, "maximum": 1},
                       "max_bytes": {"type": "integer", "minimum": CAPTURE_BYTES.start(),
                                     "maximum": CAPTURE_BYTES.end()},
                       "redact": {"type": "array", "items": text, "maxItems": PATTERNS}}),
            ),
        ),
        ("listen", address.clone()),
        ("admin", address.clone()),
        ("metrics", address.clone()),
        ("tls", object(&["certificate", "key"], json!({"certificate": file, "key": file}))),
        ("access_log", text),
    ] {
        fields.insert(name.to_owned(), schema);
    }
    let mut schema = object(&["targets"], Value::Object(fields));
    if let Some(schema) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), draft.into());
        schema.insert("title".to_owned(), "pointsman.yaml".into());
    }
    schema
}
