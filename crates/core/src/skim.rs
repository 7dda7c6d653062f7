//! JSON that is read for a few of its fields only, in pieces, without keeping the rest.

use memchr::memchr2;

/// Containers that are looked into; deeper stands what a model or a person wrote.
const DEPTH: usize = 32;
/// Longest name of a field and longest literal that is kept.
const WORD: usize = 48;

/// One step of the way from the top to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<N> {
    /// An element of an array.
    Item,
    /// A field of an object that has a name here.
    Field(N),
    /// Any other field.
    Other,
}

/// What is met on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'b> {
    /// The next bytes of a text; never empty.
    Text(&'b [u8]),
    /// A backslash and this byte, within a text.
    Escape(u8),
    /// A text ends.
    TextEnd,
    /// A number, `true`, `false` or `null`.
    Literal(&'b [u8]),
    /// An object or array begins; its own fields have a longer path.
    Open,
    /// It ends.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between values; whether the next text is the name of a field.
    Between {
        name: bool,
    },
    InName {
        escaped: bool,
    },
    BehindName,
    InText {
        escaped: bool,
    },
    InLiteral,
}

/// A scanner over JSON texts. Memory is bounded, time is linear, and no input is refused: of
/// broken JSON, whatever can be told apart is read.
#[derive(Debug)]
pub(crate) struct Skimmer<N> {
    place: Place,
    path: Vec<Step<N>>,
    /// For each container of the path, whether it is an object.
    objects: u64,
    /// Containers open beyond [`DEPTH`].
    beyond: u32,
    word: Vec<u8>,
}

impl<N: Copy> Skimmer<N> {
    pub(crate) fn new() -> Self {
        Skimmer {
            place: Place::Between { name: false },
            path: Vec::new(),
            objects: 0,
            beyond: 0,
            word: Vec::new(),
        }
    }

    /// A new JSON text begins.
    pub(crate) fn reset(&mut self) {
        self.place = Place::Between { name: false };
        self.path.clear();
        self.beyond = 0;
        self.word.clear();
    }

    /// Reads on. `named` knows the fields by their names; `found` gets what is met, with the way
    /// there.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        named: impl Fn(&[u8]) -> Option<N>,
        mut found: impl FnMut(&[Step<N>], Token),
    ) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Place::InName { escaped: false } | Place::InText { escaped: false } = self.place
            {
                let length = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                let (run, behind) = bytes.split_at(length);
                if !run.is_empty() {
                    match self.place {
                        Place::InName { .. } => self.keep(run),
                        _ => self.tell(Token::Text(run), &mut found),
                    }
                    bytes = behind;
                    continue;
                }
            }
            self.step(byte, &named, &mut found);
            bytes = rest;
        }
    }

    fn step(
        &mut self,
        byte: u8,
        named: &impl Fn(&[u8]) -> Option<N>,
        found: &mut impl FnMut(&[Step<N>], Token),
    ) {
        self.place = match self.place {
            Place::InName { escaped: true } => Place::InName { escaped: false },
            Place::InName { .. } if byte == b'\\' => {
                // No field that has a name here has an escape in it.
                self.keep(b"\\");
                Place::InName { escaped: true }
            }
            Place::InName { .. } => Place::BehindName,
            Place::BehindName if byte == b':' => {
                let step = named(&self.word).map_or(Step::Other, Step::Field);
                if let Some(last) = self.path.last_mut().filter(|_| self.beyond == 0) {
                    *last = step;
                }
                Place::Between { name: false }
            }
            Place::BehindName if byte.is_ascii_whitespace() => Place::BehindName,
            Place::InText { escaped: true } => {
                self.tell(Token::Escape(byte), found);
                Place::InText { escaped: false }
            }
            Place::InText { .. } if byte == b'\\' => Place::InText { escaped: true },
            Place::InText { .. } => {
                self.tell(Token::TextEnd, found);
                Place::Between { name: false }
            }
            Place::InLiteral
                if !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') =>
            {
                self.keep(&[byte]);
                Place::InLiteral
            }
            Place::InLiteral => {
                let word = std::mem::take(&mut self.word);
                self.tell(Token::Literal(&word), found);
                self.word = word;
                self.between(byte, false, found)
            }
            Place::Between { name } => self.between(byte, name, found),
            Place::BehindName => self.between(byte, false, found),
        };
    }

    fn between(
        &mut self,
        byte: u8,
        name: bool,
        found: &mut impl FnMut(&[Step<N>], Token),
    ) -> Place {
        match byte {
            b'"' if name => {
                self.word.clear();
                return Place::InName { escaped: false };
            }
            b'"' => return Place::InText { escaped: false },
            b'{' | b'[' => {
                self.tell(Token::Open, found);
                self.open(byte == b'{');
            }
            b'}' | b']' => self.close(found),
            b',' => return Place::Between { name: self.in_object() },
            b':' | b' ' | b'\t' | b'\r' | b'\n' => return Place::Between { name },
            _ => {
                self.word.clear();
                self.keep(&[byte]);
                return Place::InLiteral;
            }
        }
        Place::Between { name: byte == b'{' }
    }

    fn open(&mut self, object: bool) {
        if self.path.len() == DEPTH || self.beyond > 0 {
            // Of what lies deeper, only the brackets count; their kinds share the last bit.
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let bit = 1_u64 << self.path.len();
        self.objects = if object { self.objects | bit } else { self.objects & !bit };
        self.path.push(if object { Step::Other } else { Step::Item });
    }

    fn close(&mut self, found: &mut impl FnMut(&[Step<N>], Token)) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if self.path.pop().is_some() {
            self.tell(Token::Close, found);
        }
    }

    /// Whether a comma is followed by a name. Beyond the depth nobody cares.
    fn in_object(&self) -> bool {
        let last = self.path.len().checked_sub(1);
        self.beyond == 0 && last.is_some_and(|last| self.objects >> last & 1 == 1)
    }

    fn tell(&self, token: Token, found: &mut impl FnMut(&[Step<N>], Token)) {
        if self.beyond == 0 {
            found(&self.path, token);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        // A longer word is no word that is known: the excess must not make it one.
        let room = WORD.saturating_sub(self.word.len());
        self.word.extend(bytes.iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &[u8]) -> Option<char> {
        (name.len() == 1).then(|| name.first().map_or(' ', |byte| char::from(*byte)))
    }

    /// What is met in a text that comes in pieces of `size` bytes: way and value.
    fn met(text: &[u8], size: usize) -> Vec<(String, String)> {
        let mut skimmer = Skimmer::new();
        let mut met = Vec::new();
        let mut value = String::new();
        for piece in text.chunks(size) {
            skimmer.read(piece, named, |path, token| {
                let way: String = path
                    .iter()
                    .map(|step| match step {
                        Step::Item => '#',
                        Step::Field(name) => *name,
                        Step::Other => '?',
                    })
                    .collect();
                match token {
                    Token::Text(text) => value.push_str(&String::from_utf8_lossy(text)),
                    Token::Escape(byte) => value.extend(['\\', char::from(byte)]),
                    Token::TextEnd => met.push((way, std::mem::take(&mut value))),
                    Token::Literal(word) => {
                        met.push((way, String::from_utf8_lossy(word).into_owned()));
                    }
                    Token::Open => met.push((way, "(".into())),
                    Token::Close => met.push((way, ")".into())),
                }
            });
        }
        met
    }

    #[test]
    fn values_are_met_with_their_way() {
        let text = br#"{ "a" : [1, {"b":"x\"y","other":null}, []], "c":{"d":true} , "e" : "" }"#;
        let expected = [
            ("", "("),
            ("a", "("),
            ("a#", "1"),
            ("a#", "("),
            ("a#b", "x\\\"y"),
            ("a#?", "null"),
            ("a#", ")"),
            ("a#", "("),
            ("a#", ")"),
            ("a", ")"),
            ("c", "("),
            ("cd", "true"),
            ("c", ")"),
            ("e", ""),
            ("", ")"),
        ];
        for size in 1..=text.len() {
            let met = met(text, size);
            let met: Vec<(&str, &str)> =
                met.iter().map(|(way, value)| (way.as_str(), value.as_str())).collect();
            assert_eq!(met, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_lies_too_deep_is_passed_over_and_what_follows_is_not() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(500), "}".repeat(500));
        let text = format!(r#"{{"x":{deep},"b":"found"}}"#);
        let met = met(text.as_bytes(), 7);
        assert!(met.contains(&("b".into(), "found".into())), "{:?}", met.last());
        assert!(met.iter().all(|(way, _)| way.len() <= DEPTH));
    }

    proptest! {
        /// Any bytes, in any pieces: no panic, and nothing depends on the pieces but where a text
        /// is cut.
        #[test]
        fn pieces_do_not_matter(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b':'),
                Just(b','), Just(b'\\'), Just(b'a'), 0_u8..128
            ], 0..300),
            size in 1_usize..40
        ) {
            prop_assert_eq!(met(&bytes, size), met(&bytes, bytes.len().max(1)));
        }

        /// All texts of any document are met, wherever they are.
        #[test]
        fn texts_are_met_whatever_stands_around(text in "[a-z ]{0,20}", noise in ".{0,40}") {
            let key = format!("_{noise}");
            let document = serde_json::json!({
                "x": [noise, {"y": [[noise]]}], "a": {"b": [noise, text]}, key: noise,
            });
            prop_assert!(met(document.to_string().as_bytes(), 3).contains(&("ab#".into(), text)));
        }
    }
}
