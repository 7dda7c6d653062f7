//! JSON in one form: whitespace and the order of fields do not matter, repeated fields are
//! refused.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// Parses JSON. Two parsers may read an object with a repeated field differently, so it has no
/// canonical form.
///
/// # Errors
///
/// When it is not JSON, or repeats a field.
pub fn parse(json: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(json).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        // Sorted here, because the configuration's digest hangs on the order,
        // and serde_json's own map keeps another one with its feature `preserve_order`.
        let mut object = BTreeMap::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            match object.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(twin) => {
                    let name = twin.key();
                    return Err(A::Error::custom(format_args!("duplicate field {name:?}")));
                }
            }
        }
        let object = object.into_iter().collect();
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_whitespace_do_not_matter_and_repeated_fields_are_refused() {
        let one = parse(br#"{"a": 1, "b": {"d": [1.5, null], "c": "x"}}"#).unwrap();
        let two = parse(br#"{"b":{"c":"x","d":[1.5,null]},"a":1}"#).unwrap();
        assert_eq!(one.to_string(), two.to_string());
        assert_eq!(one.to_string(), r#"{"a":1,"b":{"c":"x","d":[1.5,null]}}"#, "sorted");
        assert!(parse(br#"{"a": 1, "a": 2}"#).is_err());
        assert!(parse(br#"{"x": {"a": 1, "a": 1}}"#).is_err());
        assert!(parse(b"{").is_err());
    }
}
