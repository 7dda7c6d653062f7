//! Envelopes: what agents wrap around, or slip into, the words of a person.

use std::borrow::Cow;

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
        narrow(text, question);
        self.remove_elements(text);
        narrow(text, framed);
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

/// Leaves a part of a text.
fn narrow(text: &mut Cow<str>, part: impl FnOnce(&str) -> Option<&str>) {
    match text {
        Cow::Borrowed(borrowed) => *borrowed = part(borrowed).unwrap_or(borrowed),
        Cow::Owned(owned) => {
            if let Some(part) = part(owned).map(str::to_owned) {
                *owned = part;
            }
        }
    }
}

/// What stands between the tags of the last question.
fn question(text: &str) -> Option<&str> {
    // What all closing tags begin with is looked for once: hardly any text has it.
    memmem::find(text.as_bytes(), b"</user")?;
    QUESTION_TAGS.iter().find_map(|(opening, closing)| {
        let before = text.get(..text.rfind(closing)?)?;
        before.get(before.rfind(opening)? + opening.len()..)
    })
}

/// What is left of a text that is nothing but a frame: a task's inside, nothing of a heading.
fn framed(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.starts_with(INSTRUCTIONS_HEADING) && !text.contains('\n') {
        return Some("");
    }
    text.strip_prefix(TASK.0)?.strip_suffix(TASK.1)
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
