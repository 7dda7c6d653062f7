//! Changes top-level fields of a JSON body and leaves every other byte as it is.

use memchr::memchr2;

use crate::target::Edit;

/// Replaces the values of top-level fields of the JSON object in `body`, and adds those that are
/// missing in front. A field that stands there twice is replaced twice, because providers differ
/// in which one counts.
///
/// `whole` says that nothing follows: of a body's beginning, a missing field may still come, so
/// none is added, and a value that is cut stays. `None` when `body` is not a JSON object or nothing
/// changes. Linear time; only as much of the JSON is checked as finding the fields needs.
pub fn splice(body: &[u8], edits: &[Edit], whole: bool) -> Option<Vec<u8>> {
    let mut found: Vec<(usize, usize, &str)> = Vec::new();
    let mut seen = vec![false; edits.len()];
    let mut scanner = Scanner { body, position: 0 };
    scanner.skip_space();
    scanner.expect(b'{')?;
    let first = scanner.position;
    scanner.skip_space();
    let empty = scanner.peek() == Some(b'}');
    let complete = empty || scan_fields(&mut scanner, edits, &mut seen, &mut found).is_some();
    if whole && !complete {
        return None;
    }
    let mut added = String::new();
    for (edit, _) in edits.iter().zip(seen).filter(|(edit, seen)| whole && edit.add && !seen) {
        let comma = if empty && added.is_empty() { "" } else { "," };
        let name = serde_json::to_string(&edit.field).ok()?;
        // In front of what is there, the comma comes after; in an empty object, between.
        if empty {
            added += &format!("{comma}{name}:{}", edit.value);
        } else {
            added += &format!("{name}:{}{comma}", edit.value);
        }
    }
    if found.is_empty() && added.is_empty() {
        return None;
    }
    let grown: usize = found.iter().map(|(_, _, value)| value.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + grown + added.len());
    spliced.extend_from_slice(body.get(..first)?);
    spliced.extend_from_slice(added.as_bytes());
    let mut copied = first;
    for (start, end, value) in found {
        spliced.extend_from_slice(body.get(copied..start)?);
        spliced.extend_from_slice(value.as_bytes());
        copied = end;
    }
    spliced.extend_from_slice(body.get(copied..)?);
    Some(spliced)
}

/// Walks the fields of the object up to its closing brace; `None` when there is none.
fn scan_fields<'e>(
    scanner: &mut Scanner,
    edits: &'e [Edit],
    seen: &mut [bool],
    found: &mut Vec<(usize, usize, &'e str)>,
) -> Option<()> {
    loop {
        scanner.skip_space();
        let start = scanner.position;
        scanner.skip_string()?;
        let name = scanner.body.get(start..scanner.position)?;
        let edit = edits.iter().zip(&mut *seen).find(|(edit, _)| is_name(name, &edit.field));
        scanner.skip_space();
        scanner.expect(b':')?;
        scanner.skip_space();
        let start = scanner.position;
        scanner.skip_value()?;
        if let Some((edit, seen)) = edit {
            *seen = true;
            found.push((start, scanner.position, &edit.value));
        }
        scanner.skip_space();
        match scanner.next()? {
            b',' => {}
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

/// Whether a JSON string, in its quotes, is `name`; it may be spelled with escapes.
fn is_name(string: &[u8], name: &str) -> bool {
    if string.contains(&b'\\') {
        return serde_json::from_slice::<String>(string).is_ok_and(|string| string == name);
    }
    string.get(1..string.len().saturating_sub(1)) == Some(name.as_bytes())
}

struct Scanner<'b> {
    body: &'b [u8],
    position: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.position).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.position += memchr2(b'"', b'\\', self.body.get(self.position..)?)?;
            if self.next()? == b'"' {
                return Some(());
            }
            self.next()?;
        }
    }

    /// To behind a value. Brackets are counted, not matched: the parser has refused what does not
    /// match.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.position += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.position += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.position += 1;
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' => {
                    self.position += 1;
                    continue;
                }
                b',' | b':' => return None,
                _ => self.skip_scalar()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A number, `true`, `false` or `null`: only what ends it is known here.
    fn skip_scalar(&mut self) -> Option<()> {
        let rest = self.body.get(self.position..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        self.position += rest.iter().position(ends)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edit(field: &str, value: &str) -> Edit {
        Edit { field: field.into(), value: value.into(), add: true }
    }

    fn spliced(body: &str, edits: &[Edit], whole: bool) -> Option<String> {
        splice(body.as_bytes(), edits, whole).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_value_changes_and_every_other_byte_stays() {
        let model = [edit("model", r#""m2""#)];
        for (body, expected) in [
            (r#"{"model":"m1"}"#, r#"{"model":"m2"}"#),
            (
                "{ \"a\" : [1, {\"model\": 2}] ,\n\"model\"\t:  \"m\\\"1\" , \"z\":1e0 }\n",
                "{ \"a\" : [1, {\"model\": 2}] ,\n\"model\"\t:  \"m2\" , \"z\":1e0 }\n",
            ),
            (r#"{"model":null,"x":true}"#, r#"{"model":"m2","x":true}"#),
            (r#"{"model":{"a":[1,"]"]},"x":-1.5}"#, r#"{"model":"m2","x":-1.5}"#),
            (r#"{"mod\u0065l":"m1"}"#, r#"{"mod\u0065l":"m2"}"#),
            (r#"{"model":"a","x":1,"model":"b"}"#, r#"{"model":"m2","x":1,"model":"m2"}"#),
            (r#"{"x":1}"#, r#"{"model":"m2","x":1}"#),
            (" {} ", r#" {"model":"m2"} "#),
        ] {
            assert_eq!(spliced(body, &model, true).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn several_fields_change_at_once() {
        let edits = [
            edit("model", r#""m""#),
            edit("max_tokens", "5"),
            Edit { add: false, ..edit("top_p", "1") },
        ];
        assert_eq!(
            spliced(r#"{"max_tokens":10,"x":[]}"#, &edits, true).unwrap(),
            r#"{"model":"m","max_tokens":5,"x":[]}"#
        );
        assert_eq!(spliced("{}", &edits, true).unwrap(), r#"{"model":"m","max_tokens":5}"#);
        assert_eq!(
            spliced(r#"{"top_p":0.1}"#, &edits, true).unwrap(),
            r#"{"model":"m","max_tokens":5,"top_p":1}"#
        );
    }

    #[test]
    fn of_a_beginning_only_what_is_there_changes() {
        let model = [edit("model", r#""m2""#)];
        let begun = |body| spliced(body, &model, false);
        assert_eq!(begun(r#"{"model":"m1","x":"lon"#).unwrap(), r#"{"model":"m2","x":"lon"#);
        for cut in [r#"{"x":"lon"#, r#"{"model":"m"#, r#"{"model":1"#, r#"{"mod"#, "{", ""] {
            assert_eq!(begun(cut), None, "{cut}");
        }
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        let model = [edit("model", r#""m2""#)];
        for body in ["", "[]", "\"model\"", "{\"model\":\"m\"", "{\"model\"}", "{1:2}", "{\"a\":}"]
        {
            assert_eq!(spliced(body, &model, true), None, "{body}");
        }
        assert_eq!(spliced(r#"{"model":"m"}"#, &[], true), None);
    }

    proptest! {
        #[test]
        fn the_rest_of_any_object_is_the_same(
            entries in proptest::collection::btree_map("[a-z\"\\\\é]{1,5}", ".{0,20}", 0..6),
            nested in any::<Vec<i32>>(),
        ) {
            let mut object = serde_json::json!({"model": "old", "nested": [{"x": nested}]});
            for (name, text) in &entries {
                object[name] = serde_json::Value::from(text.as_str());
            }
            let changed = spliced(&object.to_string(), &[edit("model", r#""new""#)], true);
            object["model"] = "new".into();
            prop_assert_eq!(changed, Some(object.to_string()));
        }

        #[test]
        fn any_bytes_are_harmless(bytes in any::<Vec<u8>>(), whole in any::<bool>()) {
            splice(&bytes, &[edit("model", "1")], whole);
        }
    }
}
