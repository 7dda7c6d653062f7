//! Envelopes: what agents wrap around, or slip into, the words of a person.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memchr_iter, memmem};

use super::agents::{AGENTS, Agent};

/// What is left out of a user turn's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelopes {
    /// Names of elements.
    tags: Vec<String>,
    /// Beginnings of paragraphs from which on nothing is a person's.
    markers: Vec<String>,
    /// Turns of which nothing is a person's.
    turns: Vec<String>,
    /// How such turns begin.
    beginnings: Vec<String>,
}

/// Those of all agents that are known.
static KNOWN: LazyLock<Envelopes> = LazyLock::new(|| {
    let of = |part: fn(&Agent) -> &Vec<String>| AGENTS.iter().flat_map(part).cloned().collect();
    Envelopes {
        tags: of(|agent| &agent.strip_tags),
        markers: of(|agent| &agent.strip_from),
        turns: of(|agent| &agent.strip_turns),
        beginnings: of(|agent| &agent.strip_turns_from),
    }
});

impl Default for Envelopes {
    fn default() -> Self {
        KNOWN.clone()
    }
}

impl Envelopes {
    /// Those of all agents that are known.
    pub fn known() -> &'static Self {
        &KNOWN
    }

    /// Elements with these names, as in `<name>` or `<name attribute="x">`.
    pub fn new<S: AsRef<str>>(tags: impl IntoIterator<Item = S>) -> Self {
        let tags = tags.into_iter().map(|tag| tag.as_ref().to_owned()).collect();
        Envelopes { tags, markers: Vec::new(), turns: Vec::new(), beginnings: Vec::new() }
    }

    /// The same with these elements in place of the known ones.
    pub fn with_tags<S: AsRef<str>>(self, tags: impl IntoIterator<Item = S>) -> Self {
        Envelopes { tags: Envelopes::new(tags).tags, ..self }
    }

    /// Leaves what the person wrote: of a text with an element for it, what is in its last one;
    /// else what is in none of the elements to leave out, and in front of what an agent adds. An
    /// element that is not closed stays. Linear time for a given list of tags.
    pub(super) fn strip(&self, text: &mut Cow<str>) {
        if self.is_the_agents(text) {
            *text = Cow::Borrowed("");
            return;
        }
        // Most texts have no element: nothing is searched for in them.
        let mut given = None;
        if memchr(b'<', text.as_bytes()).is_some() {
            narrow(text, question);
            given = argument(text).map(str::to_owned);
            self.remove_elements(text);
        }
        narrow(text, |text| self.in_front_of_markers(text));
        narrow(text, framed);
        if let Some(argument) = given.filter(|_| text.trim().is_empty()) {
            *text = Cow::Owned(argument);
        }
    }

    /// Whether all of a turn is an agent's.
    fn is_the_agents(&self, text: &str) -> bool {
        let text = text.trim();
        self.turns.iter().any(|turn| turn == text)
            || self.beginnings.iter().any(|beginning| text.starts_with(beginning.as_str()))
    }

    fn remove_elements(&self, text: &mut Cow<str>) {
        let bytes = text.as_bytes();
        let mut kept = String::new();
        let mut kept_to = 0;
        let mut position = 0;
        // A tag that is not closed further on is not looked for again.
        let mut open = vec![true; self.tags.len()];
        while let Some(found) = memchr(b'<', bytes.get(position..).unwrap_or_default()) {
            let start = position + found;
            position = start + 1;
            let rest = bytes.get(position..).unwrap_or_default();
            let Some(name) = name_of(rest) else { continue };
            let known = self.tags.iter().zip(&mut open).find(|(tag, _)| tag.as_bytes() == name);
            let Some((tag, open)) = known.filter(|(_, open)| **open) else { continue };
            let closing = format!("</{tag}>");
            if let Some(end) = memmem::find(rest, closing.as_bytes()) {
                kept.push_str(text.get(kept_to..start).unwrap_or_default());
                position += end + closing.len();
                kept_to = position;
            } else {
                *open = false;
            }
        }
        if kept_to > 0 {
            kept.push_str(text.get(kept_to..).unwrap_or_default());
            *text = Cow::Owned(kept);
        }
    }

    /// What stands in front of the first paragraph that an agent added.
    fn in_front_of_markers<'t>(&self, text: &'t str) -> Option<&'t str> {
        // One pass for all of them, since searchers are dear to build.
        let bytes = text.as_bytes();
        let mut paragraphs = memchr_iter(b'\n', bytes)
            .filter(|at| bytes.get(at + 1) == Some(&b'\n'))
            .map(|at| at + 2);
        let begins = |at: &usize| {
            let rest = bytes.get(*at..).unwrap_or_default();
            self.markers.iter().any(|marker| rest.starts_with(marker.as_bytes()))
        };
        text.get(..paragraphs.find(begins)?)
    }
}

/// The name of the element whose tag `rest` is, behind its `<`.
fn name_of(rest: &[u8]) -> Option<&[u8]> {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = rest.iter().position(|byte| !in_name(byte))?;
    let behind = rest.get(length)?;
    let ends = *behind == b'>' || behind.is_ascii_whitespace();
    rest.get(..length).filter(|name| ends && !name.is_empty())
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
    AGENTS.iter().flat_map(|agent| &agent.question_tags).find_map(|tag| inside_last(text, tag))
}

/// What a person gave a command that stands alone.
fn argument(text: &str) -> Option<&str> {
    memmem::find(text.as_bytes(), b"-args>")?;
    let mut tags = AGENTS.iter().flat_map(|agent| &agent.argument_tags);
    tags.find_map(|tag| inside_last(text, tag)).filter(|argument| !argument.trim().is_empty())
}

fn inside_last<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (opening, closing) = (format!("<{tag}>"), format!("</{tag}>"));
    let before = text.get(..text.rfind(&closing)?)?;
    before.get(before.rfind(&opening)? + opening.len()..)
}

/// What is left of a text that is nothing but a frame: its inside, nothing of a heading. Only of
/// all of a text: prompts have elements of such names too.
fn framed(text: &str) -> Option<&str> {
    let text = text.trim();
    if !text.starts_with(['#', '<']) {
        return None;
    }
    let mut headings = AGENTS.iter().flat_map(|agent| &agent.headings);
    if !text.contains('\n') && headings.any(|heading| text.starts_with(heading)) {
        return Some("");
    }
    AGENTS
        .iter()
        .flat_map(|agent| &agent.frame_tags)
        .find_map(|tag| text.strip_prefix(&format!("<{tag}>"))?.strip_suffix(&format!("</{tag}>")))
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

    fn known(text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        Envelopes::known().strip(&mut text);
        text.into_owned()
    }

    #[test]
    fn what_agents_say_of_commands_is_left_out_and_what_a_person_gave_them_stays() {
        for (text, expected) in [
            (
                "<bash-input>ls</bash-input><bash-stdout>a\nb</bash-stdout><bash-stderr></bash-stderr>",
                "",
            ),
            (
                "<command-message>plan</command-message>\n<command-name>/plan</command-name>\n<command-args>Add a cache.</command-args>",
                "Add a cache.",
            ),
            (
                "<command-name>/x</command-name><command-args>a.rs</command-args>\nReview the file a.rs.",
                "\nReview the file a.rs.",
            ),
            ("<command-name>/clear</command-name><command-args></command-args>", ""),
            ("<session>\nold\n</session>", ""),
        ] {
            assert_eq!(known(text).trim_end_matches('\n'), expected, "{text}");
        }
    }

    #[test]
    fn instructions_that_an_agent_adds_at_the_end_are_left_out() {
        for agent in AGENTS.iter() {
            for marker in &agent.strip_from {
                let text = format!("Why is it slow?\n\n{marker} And so on.\n\nFor pages.");
                assert_eq!(known(&text), "Why is it slow?\n\n", "{}", agent.name);
                let quoted = format!("What does \"{marker}\" mean?");
                assert_eq!(known(&quoted), quoted, "in the middle of a line it is a quote");
            }
        }
    }

    #[test]
    fn turns_that_are_all_the_agents_are_left_out() {
        for agent in AGENTS.iter() {
            for turn in &agent.strip_turns {
                assert_eq!(known(&format!("{turn}\n")), "", "{}", agent.name);
                let more = format!("{turn} And why?");
                assert_eq!(known(&more), more, "{}", agent.name);
            }
            for beginning in &agent.strip_turns_from {
                assert_eq!(known(&format!("{beginning} a.rs\n\nfn a() {{}}")), "", "{beginning}");
                let quoted = format!("What is \"{beginning}\"?");
                assert_eq!(known(&quoted), quoted, "it is a quote");
            }
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
