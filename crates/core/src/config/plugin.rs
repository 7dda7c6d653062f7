//! What the host hands over as the filter's configuration: JSON text as it was written, or a
//! `google.protobuf.Struct` in its binary form.
//!
//! Envoy's documentation says that a `Struct` comes as JSON; it comes as protobuf.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value as Json;

/// Largest `Struct` that is read: in memory it is many times as large.
const MAX_STRUCT_BYTES: usize = 16 * 1024 * 1024;
/// How the binary form of a `Struct` with a field begins: field 1, with its length.
const FIRST_FIELD: u8 = 0x0a;

/// The configuration as JSON text. What is neither JSON nor a `Struct` comes back as it is, for
/// [`super::Config::from_json`] to refuse.
pub fn plugin_json(bytes: Vec<u8>) -> Vec<u8> {
    // A line feed is how JSON may begin, too. JSON is asked first, because of the two only a
    // `Struct` can hold what the other's grammar forbids: control characters.
    let is_struct = bytes.first().is_none_or(|first| *first == FIRST_FIELD)
        && bytes.len() <= MAX_STRUCT_BYTES
        && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err();
    // prost refuses what nests deeper than 100 messages.
    match is_struct.then(|| Struct::decode(&*bytes)) {
        Some(Ok(decoded)) => Json::from(decoded).to_string().into_bytes(),
        _ => bytes,
    }
}

/// `google.protobuf.Struct`
#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Boolean(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// `google.protobuf.ListValue`
#[derive(Clone, PartialEq, Message)]
struct ListValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

impl From<Struct> for Json {
    fn from(value: Struct) -> Self {
        let fields = value.fields.into_iter();
        Json::Object(fields.map(|(name, value)| (name, value.into())).collect())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value.kind {
            None | Some(Kind::Null(_)) => Json::Null,
            Some(Kind::Number(number)) => json_number(number),
            Some(Kind::Text(text)) => text.into(),
            Some(Kind::Boolean(boolean)) => boolean.into(),
            Some(Kind::Struct(fields)) => fields.into(),
            Some(Kind::List(list)) => list.values.into_iter().map(Json::from).collect(),
        }
    }
}

/// A `Struct` knows doubles only. Whole ones were written as integers, and some go into requests
/// as they are here: no provider takes 4096.0 for `max_tokens`.
fn json_number(number: f64) -> Json {
    /// Below it, a double distinguishes every integer from the next.
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if number.fract() == 0.0 && number.abs() < EXACT {
        Json::from(number as i64)
    } else {
        Json::from(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `{"a": 1, "b": [0.5, true, null, "x"], "c": {}}`, as Google's Python library writes it.
    const FOREIGN: &[u8] = b"\x0a\x1f\x0a\x01b\x12\x1a2\x18\x0a\x09\x11\x00\x00\x00\x00\x00\x00\xe0?\x0a\x02 \x01\x0a\x02\x08\x00\x0a\x03\x1a\x01x\x0a\x07\x0a\x01c\x12\x02*\x00\x0a\x0e\x0a\x01a\x12\x09\x11\x00\x00\x00\x00\x00\x00\xf0?";

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn one_field(kind: Kind) -> Struct {
        Struct { fields: BTreeMap::from([("a".to_owned(), value(kind))]) }
    }

    #[test]
    fn a_struct_of_another_library_is_read_as_the_json_it_stands_for() {
        let json = plugin_json(FOREIGN.to_vec());
        let expected = r#"{"a":1,"b":[0.5,true,null,"x"],"c":{}}"#;
        assert_eq!(str::from_utf8(&json).unwrap(), expected);
    }

    #[test]
    fn the_order_of_a_structs_fields_does_not_matter() {
        // Envoy's own order differs from start to start; the version of a policy must not.
        let field = |name: &str| Struct {
            fields: BTreeMap::from([(name.to_owned(), value(Kind::Boolean(true)))]),
        };
        let [a, b] = ["a", "b"].map(|name| field(name).encode_to_vec());
        assert_eq!(plugin_json([a.clone(), b.clone()].concat()), plugin_json([b, a].concat()));
    }

    #[test]
    fn json_stays_as_it_is_written() {
        for json in
            ["{\"a\": 1.0}", "\n{\"a\":\n1}", "\n\n[]", "{", "targets: [cheap, strong]", "\n{"]
        {
            assert_eq!(plugin_json(json.into()), json.as_bytes());
        }
    }

    #[test]
    fn nothing_at_all_is_a_struct_without_fields() {
        assert_eq!(plugin_json(Vec::new()), b"{}");
    }

    #[test]
    fn numbers_that_no_integer_can_tell_stay_doubles() {
        for (number, expected) in [
            (4096.0, "4096"),
            (-3.0, "-3"),
            (0.15, "0.15"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (1e300, "1e+300"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(json_number(number).to_string(), expected);
        }
    }

    #[test]
    fn what_nests_too_deeply_or_is_too_long_is_left_for_the_reader_to_refuse() {
        let deep = (0..200)
            .fold(one_field(Kind::Boolean(true)), |inner, _| one_field(Kind::Struct(inner)));
        let long = one_field(Kind::Text("x".repeat(MAX_STRUCT_BYTES)));
        for bytes in [deep.encode_to_vec(), long.encode_to_vec()] {
            assert!(plugin_json(bytes.clone()) == bytes);
            assert!(super::super::Config::from_json(&plugin_json(bytes)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            bytes.insert(0, FIRST_FIELD);
            plugin_json(bytes);
        }

        #[test]
        fn no_damage_to_a_struct_makes_it_panic(at in 0..FOREIGN.len(), byte: u8) {
            let mut bytes = FOREIGN.to_vec();
            bytes[at] = byte;
            plugin_json(bytes);
        }
    }
}
