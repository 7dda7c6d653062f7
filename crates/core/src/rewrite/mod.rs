//! Changes top-level fields of a JSON body and leaves every other byte as it is.

use crate::target::Edit;

mod scanner;
mod stream;

use scanner::{Range, Scanner};
pub use stream::Stream;

/// A body in which no top-level fields could be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a JSON object")]
pub struct NoObject;

/// Gives top-level fields of the JSON object in `body` their new values, takes away those that go,
/// and adds those that are missing in front. A field that stands there twice is replaced twice,
/// because providers differ in which one counts; of two names of one field, the first stays.
///
/// `None` when nothing changes. Linear time; only as much of the JSON is checked as finding the
/// fields needs.
///
/// # Errors
///
/// When `body` is no JSON object.
pub fn splice(body: &[u8], edits: &[Edit]) -> Result<Option<Vec<u8>>, NoObject> {
    let mut members = Members::new(body, edits).ok_or(NoObject)?;
    members.walk();
    let Some(close) = members.close else { return Err(NoObject) };
    if !members.changes() {
        return Ok(None);
    }
    let mut spliced = members.written();
    spliced.extend_from_slice(body.get(close..).unwrap_or_default());
    Ok(Some(spliced))
}

/// What becomes of a member of the object, or of several that follow each other.
struct Span<'e> {
    /// From behind the brace or comma before it to the comma or brace behind it.
    all: Range,
    value: Range,
    change: Change<'e>,
}

enum Change<'e> {
    Keep,
    Replace(&'e str),
    Remove,
}

/// The members of the object that a body is, as far as they are whole.
struct Members<'b, 'e> {
    scanner: Scanner<'b>,
    edits: &'e [Edit],
    /// Which of its names each edit was found by.
    found: Vec<Option<usize>>,
    spans: Vec<Span<'e>>,
    /// Position behind the opening brace.
    open: usize,
    /// Position of the closing brace, if it was reached.
    close: Option<usize>,
}

impl<'b, 'e> Members<'b, 'e> {
    fn new(body: &'b [u8], edits: &'e [Edit]) -> Option<Self> {
        let mut scanner = Scanner { body, position: 0 };
        scanner.open_object()?;
        let (open, found) = (scanner.position, vec![None; edits.len()]);
        Some(Members { scanner, edits, found, spans: Vec::new(), open, close: None })
    }

    /// Goes to the closing brace, or to the beginning of the first member that is not whole.
    fn walk(&mut self) {
        let start = self.scanner.position;
        self.scanner.skip_space();
        if self.scanner.peek() == Some(b'}') {
            self.close = Some(self.scanner.position);
            return;
        }
        self.scanner.position = start;
        loop {
            let start = self.scanner.position;
            if self.member(start).is_none() {
                self.scanner.position = start;
                return;
            }
            if self.close.is_some() {
                return;
            }
        }
    }

    fn member(&mut self, start: usize) -> Option<()> {
        let (name, value) = self.scanner.skip_member()?;
        self.scanner.skip_space();
        let end = self.scanner.position;
        match self.scanner.next()? {
            b',' => {}
            b'}' => self.close = Some(end),
            _ => return None,
        }
        let change = self.change(self.scanner.body.get(name)?);
        if let (Change::Keep, Some(Span { all, change: Change::Keep, .. })) =
            (&change, self.spans.last_mut())
        {
            all.end = end;
        } else {
            self.spans.push(Span { all: start..end, value, change });
        }
        Some(())
    }

    fn change(&mut self, name: &[u8]) -> Change<'e> {
        for (edit, found) in self.edits.iter().zip(&mut self.found) {
            let Some(which) = named(edit, name) else { continue };
            return match &edit.value {
                Some(value) if *found.get_or_insert(which) == which => Change::Replace(value),
                _ => Change::Remove,
            };
        }
        Change::Keep
    }

    /// What is to be added.
    fn missing(&self) -> impl Iterator<Item = (&'e Edit, &'e str)> {
        let missing = self.edits.iter().zip(&self.found).filter(|(_, found)| found.is_none());
        missing
            .filter(|(edit, _)| edit.add)
            .filter_map(|(edit, _)| Some((edit, edit.value.as_deref()?)))
    }

    fn changes(&self) -> bool {
        let kept = |span: &Span| matches!(span.change, Change::Keep);
        self.missing().next().is_some() || !self.spans.iter().all(kept)
    }

    /// The object up to what was walked over, without the comma or brace behind it.
    fn written(&self) -> Vec<u8> {
        let body = self.scanner.body;
        let part = |range: Range| body.get(range).unwrap_or_default();
        let mut written = Vec::with_capacity(body.len() + 64);
        written.extend_from_slice(part(0..self.open));
        let mut first = true;
        let mut separate = |written: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                written.push(b',');
            }
        };
        for (edit, value) in self.missing() {
            separate(&mut written);
            written.extend_from_slice(serde_json::Value::from(&*edit.field).to_string().as_bytes());
            written.push(b':');
            written.extend_from_slice(value.as_bytes());
        }
        for Span { all, value, change } in &self.spans {
            match change {
                Change::Remove => continue,
                Change::Keep => {
                    separate(&mut written);
                    written.extend_from_slice(part(all.clone()));
                }
                Change::Replace(new) => {
                    separate(&mut written);
                    written.extend_from_slice(part(all.start..value.start));
                    written.extend_from_slice(new.as_bytes());
                    written.extend_from_slice(part(value.end..all.end));
                }
            }
        }
        written
    }
}

/// Which of an edit's names a JSON string, in its quotes, is; it may be spelled with escapes.
fn named(edit: &Edit, string: &[u8]) -> Option<usize> {
    let names = || std::iter::once(&edit.field).chain(&edit.aliases);
    if string.contains(&b'\\') {
        let string: String = serde_json::from_slice(string).ok()?;
        return names().position(|name| *name == string);
    }
    let plain = string.get(1..string.len().saturating_sub(1))?;
    names().position(|name| name.as_bytes() == plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spliced(body: &str, edits: &[Edit]) -> Option<String> {
        let spliced = splice(body.as_bytes(), edits).unwrap()?;
        Some(String::from_utf8(spliced).unwrap())
    }

    fn limit(field: &str, alias: &str) -> Edit {
        Edit { aliases: vec![alias.into()], ..Edit::set(field, "5") }
    }

    #[test]
    fn the_value_changes_and_every_other_byte_stays() {
        let model = [Edit::set("model", r#""m2""#)];
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
            ("\u{feff}{\"model\":1}", "\u{feff}{\"model\":\"m2\"}"),
        ] {
            assert_eq!(spliced(body, &model).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn several_fields_change_at_once() {
        let edits = [
            Edit::set("model", r#""m""#),
            Edit::set("max_tokens", "5"),
            Edit { add: false, ..Edit::set("top_p", "1") },
        ];
        assert_eq!(
            spliced(r#"{"max_tokens":10,"x":[]}"#, &edits).unwrap(),
            r#"{"model":"m","max_tokens":5,"x":[]}"#
        );
        assert_eq!(spliced("{}", &edits).unwrap(), r#"{"model":"m","max_tokens":5}"#);
        assert_eq!(
            spliced(r#"{"top_p":0.1}"#, &edits).unwrap(),
            r#"{"model":"m","max_tokens":5,"top_p":1}"#
        );
    }

    #[test]
    fn a_field_that_has_two_names_stays_under_the_one_it_has() {
        let edits = [limit("max_tokens", "max_completion_tokens")];
        for (body, expected) in [
            (r#"{"max_completion_tokens":9}"#, r#"{"max_completion_tokens":5}"#),
            (r#"{"max_tokens":9}"#, r#"{"max_tokens":5}"#),
            ("{}", r#"{"max_tokens":5}"#),
            (r#"{"max_completion_tokens":9,"max_tokens":9}"#, r#"{"max_completion_tokens":5}"#),
            (r#"{"max_tokens":9,"x":1,"max_completion_tokens":8}"#, r#"{"max_tokens":5,"x":1}"#),
        ] {
            assert_eq!(spliced(body, &edits).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn fields_are_taken_away_with_their_comma() {
        let edits = [Edit::remove("t"), Edit::remove("u")];
        for (body, expected) in [
            (r#"{"t":1}"#, "{}"),
            (r#"{"t":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":2 , "t":1}"#, r#"{"a":2 }"#),
            (r#"{"a":2,"t":1,"u":[3]}"#, r#"{"a":2}"#),
            (r#"{"t":1,"u":{}, "a":2}"#, r#"{ "a":2}"#),
            (r#"{"t":1,"a":2,"u":3,"b":4,"t":5}"#, r#"{"a":2,"b":4}"#),
        ] {
            assert_eq!(spliced(body, &edits).as_deref(), Some(expected), "{body}");
        }
        assert_eq!(spliced(r#"{"a":1}"#, &edits), None);
        let both = [Edit::set("model", "1"), Edit::remove("t")];
        assert_eq!(spliced(r#"{"t":1}"#, &both).unwrap(), r#"{"model":1}"#);
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        let model = [Edit::set("model", r#""m2""#)];
        for body in ["", "[]", "\"model\"", "{\"model\":\"m\"", "{\"model\"}", "{1:2}", "{\"a\":}"]
        {
            assert_eq!(splice(body.as_bytes(), &model), Err(NoObject), "{body}");
        }
        assert_eq!(spliced(r#"{"model":"m"}"#, &[]), None);
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
            let edits = [Edit::set("model", r#""new""#), Edit::remove("gone")];
            let changed = spliced(&object.to_string(), &edits);
            object["model"] = "new".into();
            prop_assert_eq!(changed, Some(object.to_string()));
        }

        #[test]
        fn any_bytes_are_harmless(bytes in any::<Vec<u8>>()) {
            let _ = splice(&bytes, &[Edit::set("model", "1"), Edit::remove("a")]);
        }
    }
}
