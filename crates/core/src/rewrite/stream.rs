//! The same for a body that passes by in pieces, of which only the first is held back.
//!
//! The length that the client announced has been passed on by then, so the rest may neither grow
//! nor shrink. A field that was given its value in the first piece, or in front of it, is therefore
//! blanked out where it comes again: white space between members means nothing in JSON. The name
//! of a member may be cut in two; what is known of it is held back until the next piece.

use memchr::memchr2;

use super::{Members, named};
use crate::target::Edit;

/// Most white space in front of a name that is held back with it, its comma included.
const HELD_SPACE: usize = 64;

/// Blanks out fields in what passes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    edits: Vec<Edit>,
    stage: Stage,
    /// The comma in front of a member, and what is here of its name.
    held: Vec<u8>,
    /// Longest JSON string that may be one of the names.
    longest: usize,
    /// Something stands in the object that needs a comma behind it.
    wrote: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// In front of a member's name, or in it.
    Name(Text),
    /// Behind the name, up to the comma or brace that ends the member.
    Value { blank: bool, depth: usize, text: Text },
    /// Behind the object, or in something that is none.
    Over,
}

/// Whether a position is in a JSON string.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Out,
    In,
    /// Behind a backslash.
    Escaped,
}

impl Stream {
    /// Makes the edits in `head`, the beginning of a body; gives it as it is to be sent, and what
    /// the rest is to be fed to. `None` when it is not the beginning of a JSON object.
    ///
    /// A field with a value that may only be replaced stays as it is behind the beginning.
    pub fn begin(head: &[u8], edits: &[Edit]) -> Option<(Vec<u8>, Self)> {
        let mut members = Members::new(head, edits)?;
        members.walk();
        let mut written = members.written();
        let blanked = edits.iter().filter(|edit| edit.add || edit.value.is_none());
        let names = edits.iter().flat_map(|edit| std::iter::once(&edit.field).chain(&edit.aliases));
        let longest = names.map(|name| 6 * name.len() + 2).max().unwrap_or(0);
        let wrote = written.len() > members.open;
        let mut stream = Stream {
            edits: blanked.cloned().collect(),
            stage: Stage::Name(Text::Out),
            held: Vec::new(),
            longest,
            wrote,
        };
        let rest = members.close.unwrap_or(members.scanner.position);
        if members.close.is_some() {
            stream.stage = Stage::Over;
        } else if wrote {
            stream.held.push(b',');
        }
        stream.pass(head.get(rest..).unwrap_or_default(), &mut written);
        Some((written, stream))
    }

    /// How many bytes of what it was fed are not sent yet.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What to send for the next piece; all of what was fed has been sent for when it has `ended`.
    pub fn feed(&mut self, piece: &[u8], ended: bool) -> Vec<u8> {
        let mut sent = Vec::with_capacity(piece.len() + self.held.len());
        self.pass(piece, &mut sent);
        if ended {
            sent.append(&mut self.held);
        }
        sent
    }

    fn pass(&mut self, piece: &[u8], sent: &mut Vec<u8>) {
        let mut position = 0;
        while let Some(&byte) = piece.get(position) {
            position += 1;
            match self.stage {
                Stage::Name(text) => self.name(byte, text, sent),
                Stage::Value { blank, depth, text: Text::In } => {
                    // Most of a body is long strings.
                    let rest = piece.get(position - 1..).unwrap_or_default();
                    let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    put(rest.get(..end).unwrap_or_default(), blank, sent);
                    position += end;
                    if let Some(byte) = rest.get(end) {
                        put(&[*byte], blank, sent);
                        let text = if *byte == b'"' { Text::Out } else { Text::Escaped };
                        self.stage = Stage::Value { blank, depth, text };
                    } else {
                        position -= 1;
                    }
                }
                Stage::Value { blank, depth, text } => self.value(byte, blank, depth, text, sent),
                Stage::Over => {
                    sent.extend_from_slice(piece.get(position - 1..).unwrap_or_default());
                    return;
                }
            }
        }
    }

    fn name(&mut self, byte: u8, text: Text, sent: &mut Vec<u8>) {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match (text, byte) {
            (Text::Out, _) if space && self.held.len() < HELD_SPACE => self.held.push(byte),
            // White space may change places with a comma.
            (Text::Out, _) if space => sent.push(byte),
            (Text::Out, b'"') => {
                self.held.push(byte);
                self.stage = Stage::Name(Text::In);
            }
            (Text::Out, _) => {
                // Of an object that has no members of its own, or no object at all.
                let empty = byte == b'}';
                self.held.push(byte);
                let comma = self.held.first_mut().filter(|first| empty && **first == b',');
                comma.into_iter().for_each(|first| *first = b' ');
                sent.append(&mut self.held);
                self.stage = Stage::Over;
            }
            (Text::In, b'"') => {
                self.held.push(byte);
                self.begin_value(sent);
            }
            (Text::In, b'\\') => {
                self.held.push(byte);
                self.stage = Stage::Name(Text::Escaped);
            }
            (Text::In | Text::Escaped, _) => {
                self.held.push(byte);
                self.stage = Stage::Name(Text::In);
            }
        }
        if self.held.len() > self.longest + HELD_SPACE && matches!(self.stage, Stage::Name(_)) {
            let text = if byte == b'\\' && text == Text::In { Text::Escaped } else { Text::In };
            sent.append(&mut self.held);
            self.wrote = true;
            // The rest of the name is passed like a string in front of the value.
            self.stage = Stage::Value { blank: false, depth: 0, text };
        }
    }

    /// The name is complete: the member stays or goes.
    fn begin_value(&mut self, sent: &mut Vec<u8>) {
        let name = self.held.strip_prefix(b",").unwrap_or(&self.held).trim_ascii_start();
        let blank = self.edits.iter().any(|edit| named(edit, name).is_some());
        put(&self.held, blank, sent);
        self.held.clear();
        self.wrote |= !blank;
        self.stage = Stage::Value { blank, depth: 0, text: Text::Out };
    }

    fn value(&mut self, byte: u8, blank: bool, depth: usize, text: Text, sent: &mut Vec<u8>) {
        let mut next = (depth, Text::Out);
        match (text, byte) {
            (Text::Escaped, _) => next.1 = Text::In,
            (_, b'"') => next.1 = Text::In,
            (_, b'{' | b'[') => next.0 = depth.saturating_add(1),
            (_, b',') if depth == 0 => {
                self.held.push(if self.wrote { b',' } else { b' ' });
                self.stage = Stage::Name(Text::Out);
                return;
            }
            (_, b'}' | b']') if depth == 0 => {
                sent.push(byte);
                self.stage = Stage::Over;
                return;
            }
            (_, b'}' | b']') => next.0 = depth - 1,
            _ => {}
        }
        put(&[byte], blank, sent);
        self.stage = Stage::Value { blank, depth: next.0, text: next.1 };
    }
}

/// Sends bytes, or as many spaces.
fn put(bytes: &[u8], blank: bool, sent: &mut Vec<u8>) {
    if blank {
        sent.resize(sent.len() + bytes.len(), b' ');
    } else {
        sent.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn model() -> [Edit; 1] {
        [Edit::set("model", r#""m2""#)]
    }

    /// What is sent of a body whose first piece ends at `cut`, the others after `step` bytes each.
    fn sent(body: &str, edits: &[Edit], cut: usize, step: usize) -> String {
        let (head, rest) = body.as_bytes().split_at(cut);
        let (mut sent, mut stream) = Stream::begin(head, edits).unwrap();
        let promised = sent.len() + stream.held() + rest.len();
        for piece in rest.chunks(step) {
            sent.extend(stream.feed(piece, false));
        }
        sent.extend(stream.feed(b"", true));
        assert_eq!(sent.len(), promised, "{body} cut at {cut}: the length is what was promised");
        String::from_utf8(sent).unwrap()
    }

    #[test]
    fn the_model_has_its_new_name_wherever_the_cut_is() {
        for body in [
            r#"{"model":"m1","messages":[{"content":"a \"quoted\" model"}],"x":1}"#,
            r#"{"messages":[{"model":"kept"}],"model":"m1"}"#,
            r#"{"messages":[] , "model" : "m1" , "stream":true}"#,
            r#"{"model":"a","messages":["\\"],"model":"b","mod\u0065l":{"c":["}"]}}"#,
            r#"{"a":1}"#,
            "{}",
            r#"{"a-name-that-is-longer-than-any-of-the-names-that-are-looked-for":1,"model":2}"#,
        ] {
            let mut expected: Value = serde_json::from_str(body).unwrap();
            expected["model"] = json!("m2");
            for cut in 1..=body.len() {
                for step in [1, 3, 1000] {
                    let sent = sent(body, &model(), cut, step);
                    let value: Value = serde_json::from_str(&sent)
                        .unwrap_or_else(|error| panic!("{error}: {sent} of {body} cut at {cut}"));
                    assert_eq!(value, expected, "{body} cut at {cut}: {sent}");
                    assert_eq!(sent.matches("m2").count(), sent.matches("\"m2\"").count());
                }
            }
        }
    }

    #[test]
    fn what_is_taken_away_is_gone_behind_the_cut_too() {
        let edits = [Edit::remove("t"), Edit { add: false, ..Edit::set("kept", "2") }];
        for body in [
            r#"{"t":1,"a":2}"#,
            r#"{"a":2,"t":[1,{"t":2}]}"#,
            r#"{"t":1,"t":2}"#,
            r#"{"a":[{"t":1}], "t":0 ,"t":"x","b":3}"#,
        ] {
            let mut expected: Value = serde_json::from_str(body).unwrap();
            expected.as_object_mut().unwrap().remove("t");
            for cut in 1..=body.len() {
                let value: Value = serde_json::from_str(&sent(body, &edits, cut, 2)).unwrap();
                assert_eq!(value, expected, "{body} cut at {cut}");
            }
        }
        let behind = sent(r#"{"a":1,"kept":1}"#, &edits, 3, 100);
        assert_eq!(behind, r#"{"a":1,"kept":1}"#);
    }

    #[test]
    fn what_begins_no_object_is_not_begun() {
        for head in ["", "[1]", "model", " \"x"] {
            assert_eq!(Stream::begin(head.as_bytes(), &model()), None, "{head}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_of_what_is_no_json(
            head in "\\{[ -~]{0,40}",
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..5),
        ) {
            if let Some((mut sent, mut stream)) = Stream::begin(head.as_bytes(), &model()) {
                let rest: usize = pieces.iter().map(Vec::len).sum();
                let promised = sent.len() + stream.held() + rest;
                for piece in &pieces {
                    sent.extend(stream.feed(piece, false));
                }
                sent.extend(stream.feed(b"", true));
                prop_assert_eq!(sent.len(), promised);
            }
        }
    }
}
