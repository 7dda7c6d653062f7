//! Envelopes: what agents wrap around, or slip into, the words of a person.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// Tags whose elements say nothing of what the model is asked: state of an editor, reminders to
/// the model, output of local commands. Agents send them in user turns, again in every request.
pub const DEFAULT_TAGS: [&str; 11] = [
    "system-reminder",
    "environment_context",
    "environment_details",
    "user_info",
    "user_instructions",
    "ide_opened_file",
    "ide_selection",
    "open_and_recently_viewed_files",
    "project_layout",
    "local-command-caveat",
    "local-command-stdout",
];

/// The tags of elements that are left out of a user turn's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelopes {
    closing: Vec<String>,
}

impl Default for Envelopes {
    fn default() -> Self {
        Envelopes::new(DEFAULT_TAGS)
    }
}

impl Envelopes {
    /// Elements with these names, as in `<name>` or `<name attribute="x">`.
    pub fn new<S: AsRef<str>>(tags: impl IntoIterator<Item = S>) -> Self {
        Envelopes { closing: tags.into_iter().map(|tag| format!("</{}>", tag.as_ref())).collect() }
    }

    /// Removes whole elements from a text; one that is not closed stays. Linear time for a given
    /// list of tags.
    pub(super) fn strip<'a>(&self, text: &mut Cow<'a, str>) {
        let bytes = text.as_bytes();
        let mut kept = String::new();
        let mut kept_to = 0;
        let mut position = 0;
        // A tag that is not closed further on is not looked for again.
        let mut open = vec![true; self.closing.len()];
        while let Some(found) = memchr(b'<', bytes.get(position..).unwrap_or_default()) {
            let start = position + found;
            position = start + 1;
            let rest = bytes.get(position..).unwrap_or_default();
            for (closing, open) in self.closing.iter().zip(&mut open) {
                if !*open || !opens(rest, closing) {
                    continue;
                }
                if let Some(end) = memmem::find(rest, closing.as_bytes()) {
                    kept.push_str(text.get(kept_to..start).unwrap_or_default());
                    position += end + closing.len();
                    kept_to = position;
                } else {
                    *open = false;
                }
                break;
            }
        }
        if kept_to > 0 {
            kept.push_str(text.get(kept_to..).unwrap_or_default());
            *text = Cow::Owned(kept);
        }
    }
}

/// Whether `rest`, which follows a `<`, begins an element that `closing` ends.
fn opens(rest: &[u8], closing: &str) -> bool {
    let name = closing.as_bytes().get(2..closing.len().saturating_sub(1)).unwrap_or_default();
    let behind = rest.strip_prefix(name).and_then(<[u8]>::first);
    behind.is_some_and(|byte| *byte == b'>' || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        Envelopes::new(["a", "note-x"]).strip(&mut text);
        text.into_owned()
    }

    #[test]
    fn whole_elements_are_left_out() {
        for (text, expected) in [
            ("<a>x</a>Why?", "Why?"),
            ("Why <note-x kind=\"1\">x\ny</note-x>not?", "Why not?"),
            ("<a>1</a>b<a>2</a><note-x>3</note-x>c", "bc"),
            ("<a></a>", ""),
        ] {
            assert_eq!(stripped(text), expected, "{text}");
        }
    }

    #[test]
    fn other_text_stays_and_is_not_copied() {
        for text in ["", "<", "a < b", "<ab>x</ab>", "<a>x", "x</a>", "<a>x</ a>", "<A>x</A>", "<a"]
        {
            assert_eq!(stripped(text), text);
            let mut same = Cow::Borrowed(text);
            Envelopes::default().strip(&mut same);
            assert!(matches!(same, Cow::Borrowed(_)), "{text}");
        }
    }
}
