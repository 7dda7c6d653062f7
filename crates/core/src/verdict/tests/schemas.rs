//! What breaks a schema, what does not, and what is not known to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::schema::breaks;

fn check(schema: Value, good: &[Value], bad: &[Value]) {
    let text = schema.to_string();
    for value in good {
        assert!(!breaks(&text, value), "{text} is broken by {value}");
    }
    for value in bad {
        assert!(breaks(&text, value), "{text} holds for {value}");
    }
}

#[test]
fn keywords_hold_and_break() {
    check(json!({"type": "integer"}), &[json!(1), json!(1.0)], &[json!(1.5), json!("1")]);
    check(json!({"type": ["string", "null"]}), &[json!("a"), json!(null)], &[json!(1)]);
    check(json!({"type": "boolean", "nullable": true}), &[json!(null), json!(true)], &[json!(0)]);
    check(json!({"enum": ["a", 1, null]}), &[json!("a"), json!(1.0), json!(null)], &[json!("b")]);
    check(json!({"const": "a"}), &[json!("a")], &[json!("b"), json!({})]);
    check(
        json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}),
        &[json!("äöü"), json!(null)],
        &[json!("abcd"), json!(1)],
    );
    check(json!({"oneOf": [{"minimum": 1}, {"minimum": 2}]}), &[json!(3)], &[json!(0)]);
    check(json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), &[json!(1)], &[json!(3)]);
    check(
        json!({"exclusiveMinimum": 1, "exclusiveMaximum": 2}),
        &[json!(1.5), json!("1")],
        &[json!(1), json!(2)],
    );
    check(
        json!({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2}),
        &[json!([1]), json!([1, 2.5])],
        &[json!([]), json!([1, 2, 3]), json!(["1"])],
    );
    check(
        json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 2},
            "b": {"type": "integer"}}, "required": ["a"], "additionalProperties": false}),
        &[json!({"a": "xx"}), json!({"a": "xx", "b": null})],
        &[json!({}), json!({"a": "x"}), json!({"a": null}), json!({"a": "xx", "c": 1})],
    );
    check(
        json!({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}),
        &[json!({"a": "x", "b": 1}), json!([])],
        &[json!({"b": "x"})],
    );
    check(json!(true), &[json!(1)], &[]);
    check(json!({"properties": {"a": false}}), &[json!({})], &[json!({"a": 1})]);
}

#[test]
fn references_are_followed_as_far_as_they_go() {
    let node = json!({"type": "object", "properties": {"next": {"anyOf": [
        {"$ref": "#/$defs/node"}, {"type": "null"}]}, "value": {"type": "integer"}},
        "required": ["value", "next"]});
    check(
        json!({"$ref": "#/$defs/node", "$defs": {"node": node}}),
        &[json!({"value": 1, "next": {"value": 2, "next": null}})],
        &[json!({"value": 1, "next": {"value": "2", "next": null}}), json!(null)],
    );
    check(
        json!({"definitions": {"a/b": {"type": "string"}}, "items": {"$ref": "#/definitions/a~1b"}}),
        &[json!(["x"])],
        &[json!([1])],
    );
    check(json!({"properties": {"a": {"$ref": "#"}}, "type": "object"}), &[], &[json!({"a": 1})]);
    for circle in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": 7}),
    ] {
        check(circle, &[json!(1), json!({}), json!(null)], &[]);
    }
}

#[test]
fn what_is_not_known_breaks_nothing() {
    for schema in [
        json!({"pattern": "^a$", "format": "email"}),
        json!({"type": "date"}),
        json!({"type": 7, "enum": {}, "required": "a", "properties": [], "items": 1}),
        json!({"anyOf": [], "oneOf": [], "allOf": [], "enum": [], "type": []}),
        json!({"not": {}, "if": {}, "then": false, "uniqueItems": true, "multipleOf": 7}),
        json!({"patternProperties": {"^a": {}}, "additionalProperties": false}),
        json!({"prefixItems": [{}], "items": false}),
        json!({"exclusiveMinimum": true, "minLength": "1", "maxItems": null}),
        json!(7),
        json!("x"),
    ] {
        check(schema, &[json!("b"), json!({"a": 1, "b": 2}), json!([1, 1]), json!(8)], &[]);
    }
    assert!(!breaks("{", &json!(1)));
    // Too much to look at.
    let long = json!({"items": {"type": "integer"}});
    let mut values = vec![json!(1); 30_000];
    values.push(json!("x"));
    check(long, &[json!(values)], &[]);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3..4).prop_map(Value::from),
        (-3.0..3.0).prop_map(Value::from),
        "[abc]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        Just("string"),
        Just("integer"),
        Just("number"),
        Just("boolean"),
        Just("null"),
        Just("object"),
        Just("array"),
    ];
    let leaf = prop_oneof![
        Just(json!({})),
        types.prop_map(|kind| json!({"type": kind})),
        (-2..3).prop_map(|limit| json!({"minimum": limit})),
        (0..3).prop_map(|limit| json!({"maxLength": limit, "minItems": limit})),
        Just(json!({"enum": ["a", 1, null, true]})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let fields = proptest::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"anyOf": all})),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"allOf": all})),
            inner.clone().prop_map(|items| json!({"items": items})),
            (fields, inner).prop_map(|(fields, rest)| {
                let required: Vec<&String> = fields.keys().take(1).collect();
                json!({"properties": fields, "required": required, "additionalProperties": rest})
            }),
        ]
    })
}

proptest! {
    /// What is found broken is broken by the book, and the other way round but for the null that
    /// stands for what is left out.
    #[test]
    fn the_checker_agrees_with_a_full_one(schema in schema(), value in value()) {
        let full = jsonschema::validator_for(&schema).unwrap();
        let broken = breaks(&schema.to_string(), &value);
        prop_assert!(!broken || !full.is_valid(&value), "{} {}", schema, value);
        if !value.to_string().contains("null") {
            prop_assert_eq!(broken, !full.is_valid(&value), "{} {}", schema, value);
        }
    }
}
