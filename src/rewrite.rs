//! The request on its way out: top-level fields of the body replaced, every other byte as it came.

use std::ops::Range;

use memchr::memchr2;

/// Sets top-level fields of a JSON object to values, which are JSON text.
///
/// Every occurrence of a field is replaced, whichever of them the provider would read; a field
/// that is not there is added in front. `None` when `body` is not one JSON object, as far as
/// walking over its top level shows.
pub fn set_fields(body: &[u8], fields: &[(&str, &str)]) -> Option<Vec<u8>> {
    let object = walk(body, fields)?;
    let is_missing = |field: usize| !object.found.iter().any(|(found, _)| *found == field);
    let added: Vec<String> = fields
        .iter()
        .enumerate()
        .filter(|(field, _)| is_missing(*field))
        .map(|(_, (name, value))| format!("\"{name}\":{value}"))
        .collect();
    let mut added = added.join(",");
    if !added.is_empty() && !object.empty {
        added.push(',');
    }
    let values: usize =
        object.found.len() * fields.iter().map(|(_, value)| value.len()).sum::<usize>();
    let mut rewritten = Vec::with_capacity(body.len() + added.len() + values);
    rewritten.extend_from_slice(body.get(..object.inside)?);
    rewritten.extend_from_slice(added.as_bytes());
    let mut copied = object.inside;
    for (field, place) in &object.found {
        let (_, value) = fields.get(*field)?;
        rewritten.extend_from_slice(body.get(copied..place.start)?);
        rewritten.extend_from_slice(value.as_bytes());
        copied = place.end;
    }
    rewritten.extend_from_slice(body.get(copied..)?);
    Some(rewritten)
}

/// The top level of a JSON object.
struct Object {
    /// Position behind the opening brace.
    inside: usize,
    empty: bool,
    /// Which field, by position in what is looked for, and where its value is; in order.
    found: Vec<(usize, Range<usize>)>,
}

fn walk(body: &[u8], fields: &[(&str, &str)]) -> Option<Object> {
    let inside = expect(body, skip_space(body, 0), b'{')?;
    let mut object = Object { inside, empty: true, found: Vec::new() };
    let mut position = skip_space(body, inside);
    if body.get(position) == Some(&b'}') {
        return at_end(body, position + 1).then_some(object);
    }
    object.empty = false;
    loop {
        let key = expect(body, position, b'"')?;
        let behind_key = string_end(body, key)?;
        let name = key_text(body.get(position..behind_key)?)?;
        let colon = expect(body, skip_space(body, behind_key), b':')?;
        let start = skip_space(body, colon);
        let end = value_end(body, start)?;
        if let Some(field) = fields.iter().position(|(wanted, _)| *wanted == name) {
            object.found.push((field, start..end));
        }
        position = skip_space(body, end);
        match body.get(position)? {
            b',' => position = skip_space(body, position + 1),
            b'}' => return at_end(body, position + 1).then_some(object),
            _ => return None,
        }
    }
}

/// The text of a key with its quotes, without escapes.
fn key_text(quoted: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let text = std::str::from_utf8(quoted).ok()?;
    if text.contains('\\') {
        return serde_json::from_str::<String>(text).ok().map(Into::into);
    }
    text.get(1..text.len() - 1).map(Into::into)
}

/// Position behind a value that starts at `position`. Containers are walked over, not checked.
fn value_end(body: &[u8], mut position: usize) -> Option<usize> {
    let first = *body.get(position)?;
    if first == b'"' {
        return string_end(body, position + 1);
    }
    if !matches!(first, b'{' | b'[') {
        let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        let length = body.get(position..)?.iter().position(is_end)?;
        return (length > 0).then_some(position + length);
    }
    let mut depth = 0_usize;
    loop {
        let byte = *body.get(position)?;
        position += 1;
        match byte {
            b'"' => position = string_end(body, position)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(position);
                }
            }
            _ => {}
        }
    }
}

/// Position behind the closing quote of a string whose content starts at `position`.
fn string_end(body: &[u8], mut position: usize) -> Option<usize> {
    loop {
        let rest = body.get(position..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        if rest.get(found) == Some(&b'"') {
            return Some(position + found + 1);
        }
        position += found + 2;
    }
}

fn expect(body: &[u8], position: usize, byte: u8) -> Option<usize> {
    (body.get(position) == Some(&byte)).then_some(position + 1)
}

fn skip_space(body: &[u8], position: usize) -> usize {
    let rest = body.get(position..).unwrap_or_default();
    position + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn at_end(body: &[u8], position: usize) -> bool {
    skip_space(body, position) == body.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn model(body: &str) -> Option<String> {
        let body = set_fields(body.as_bytes(), &[("model", r#""new""#)])?;
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    #[test]
    fn only_the_value_changes() {
        for (body, expected) in [
            (r#"{"model":"old"}"#, r#"{"model":"new"}"#),
            (
                " {\n\"a\" : [\"model\", {\"model\":1}] , \"model\" :  \"o\\\"ld\" ,\"b\":1e0 }\n",
                " {\n\"a\" : [\"model\", {\"model\":1}] , \"model\" :  \"new\" ,\"b\":1e0 }\n",
            ),
            (r#"{"model":null,"b":"caf\u00e9"}"#, r#"{"model":"new","b":"caf\u00e9"}"#),
            (r#"{"model":{"a":[1]},"model":2}"#, r#"{"model":"new","model":"new"}"#),
            (r#"{"mod\u0065l":"old"}"#, r#"{"mod\u0065l":"new"}"#),
            (r#"{"a":1}"#, r#"{"model":"new","a":1}"#),
            ("{ }", r#"{"model":"new" }"#),
        ] {
            assert_eq!(model(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn several_fields_at_once() {
        let body = set_fields(br#"{"b":1,"c":2}"#, &[("a", "0"), ("b", "[3]"), ("d", "4")]);
        assert_eq!(body.as_deref(), Some(&br#"{"a":0,"d":4,"b":[3],"c":2}"#[..]));
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for body in [
            "",
            "[]",
            "7",
            "{",
            r#"{"model""#,
            r#"{"model":"#,
            r#"{"model":"x"#,
            r#"{"model":}"#,
            r#"{"a":1}{"#,
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":[1}"#,
            r#"{"a":1"#,
        ] {
            assert_eq!(model(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_of_any_object_is_the_same(
            entries in proptest::collection::btree_map("[a-z\"\\\\é]{1,5}", ".{0,20}", 0..6),
            nested in any::<Vec<i32>>(),
        ) {
            let mut object: Value = serde_json::json!({"model": "old", "nested": [{"x": nested}]});
            for (name, text) in &entries {
                object[name] = Value::from(text.as_str());
            }
            let rewritten = model(&object.to_string()).unwrap();
            object["model"] = Value::from("new");
            prop_assert_eq!(rewritten, object.to_string());
        }

        #[test]
        fn any_bytes_are_harmless(bytes in any::<Vec<u8>>()) {
            set_fields(&bytes, &[("model", "1")]);
        }
    }
}
