//! Envelopes: what agents wrap around, or slip into, the words of a person.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

/// Tags whose elements say nothing of what the model is asked: state of an editor, reminders to
/// the model, output of local commands. Agents send them in user turns, again in every request.
pub const DEFAULT_TAGS: [&str; 12] = [
    "system-reminder",
    "INSTRUCTIONS",
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

/// Elements that hold what the person wrote, where an editor puts files and reminders around it:
/// Cursor's and Copilot's.
const QUESTION_TAGS: [(&str, &str); 2] =
    [("<user_query>", "</user_query>"), ("<userRequest>", "</userRequest>")];
/// What Cline puts around the first thing that a person writes. Only around all of a text: prompts
/// have elements of this name too.
const TASK: (&str, &str) = ("<task>", "</task>");
/// The line by which Codex introduces a repository's instructions, which follow in an element.
const INSTRUCTIONS_HEADING: &str = "# AGENTS.md instructions for ";

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

    /// Leaves what the person wrote: of a text with an element for it, what is in its last one;
    /// else what is in none of the elements to leave out. One that is not closed stays. Linear time
    /// for a given list of tags.
    pub(super) fn strip(&self, text: &mut Cow<str>) {
        if let Some(question) = question(text) {
            cut(text, question);
        }
        self.remove_elements(text);
        let rest = text.trim();
        if rest.starts_with(INSTRUCTIONS_HEADING) && !rest.contains('\n') {
            *text = Cow::Borrowed("");
        } else if rest.len() >= TASK.0.len() + TASK.1.len()
            && rest.starts_with(TASK.0)
            && rest.ends_with(TASK.1)
        {
            let start = text.len() - text.trim_start().len() + TASK.0.len();
            let end = text.trim_end().len() - TASK.1.len();
            cut(text, start..end);
        }
    }

    fn remove_elements(&self, text: &mut Cow<str>) {
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

/// Where the last question of a text stands between its tags.
fn question(text: &str) -> Option<Range<usize>> {
    // What all closing tags begin with is looked for once: hardly any text has it.
    memmem::find(text.as_bytes(), b"</user")?;
    QUESTION_TAGS.iter().find_map(|(opening, closing)| {
        let end = text.rfind(closing)?;
        let start = text.get(..end)?.rfind(opening)? + opening.len();
        Some(start..end)
    })
}

fn cut(text: &mut Cow<str>, range: Range<usize>) {
    match text {
        Cow::Borrowed(borrowed) => *borrowed = borrowed.get(range).unwrap_or_default(),
        Cow::Owned(owned) => *owned = owned.get(range).unwrap_or_default().to_owned(),
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
    fn of_an_editors_message_what_the_person_wrote_is_left() {
        for (text, expected) in [
            ("<files>\nlet x;\n</files>\n<user_query>\nWhy?\n</user_query>", "\nWhy?\n"),
            ("<b>1</b><userRequest>a <a>no</a>b</userRequest><c>2</c>", "a b"),
            ("<user_query>old</user_query> and <user_query>new</user_query>", "new"),
            ("<task>\nWhy?\n</task>\n<a>files</a>", "\nWhy?\n"),
            ("<task>Why?</task> And how?", "<task>Why?</task> And how?"),
            ("<task></task>", ""),
            ("</task><task>", "</task><task>"),
            ("<task>", "<task>"),
            ("<user_query>open", "<user_query>open"),
            ("</user_query><user_query>", "</user_query><user_query>"),
            ("# AGENTS.md instructions for /w\n\n<a>rules</a>\n", ""),
            (
                "# AGENTS.md instructions for /w\nWhat are they?",
                "# AGENTS.md instructions for /w\nWhat are they?",
            ),
        ] {
            assert_eq!(stripped(text), expected, "{text}");
            let mut owned = Cow::Owned(text.to_owned());
            Envelopes::new(["a", "note-x"]).strip(&mut owned);
            assert_eq!(owned, expected, "{text}");
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
