//! Hand-tuned rules: ordered, the first that matches wins, and its name is the reason.

use memchr::memmem;

use super::{Evidence, RequestContext};
use crate::pattern::{Pattern, text_folded};
use crate::prompt::{Prompt, Role, Turn};

/// Bytes of a text that patterns are held against: half from its beginning, half from its end.
/// It bounds the time that a rule takes.
pub const TEXT_BYTES: usize = 32 * 1024;

/// A rule: when all conditions hold, the target.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Position of its name in [`crate::config::Config::rule_names`].
    pub name: u16,
    /// Position of the target.
    pub target: usize,
    pub when: Vec<Condition>,
}

/// Something that holds for a request or not.
#[derive(Clone, Debug)]
pub enum Condition {
    /// An engineered feature, by its position in the schema.
    Feature(usize, Range),
    /// Tokens of the prompt, as far as its bytes show.
    PromptTokens(Range),
    /// The last turn is a tool's result.
    ToolLoop(bool),
    /// An agent asks for itself.
    Housekeeping(bool),
    /// The last turn of a role; for `system`, all of them.
    Text(Role, Matcher),
    /// `model`, as the client named it.
    Model(Matcher),
    /// A request header.
    Header(String, Matcher),
    /// The path, with its query string.
    Path(Matcher),
}

/// Bounds of a number; those given hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    pub gt: Option<f32>,
    pub gte: Option<f32>,
    pub lt: Option<f32>,
    pub lte: Option<f32>,
}

impl Range {
    fn holds(&self, value: f32) -> bool {
        self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
    }

    /// The same bounds, each passed through a function that keeps their order.
    pub fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Range {
            gt: self.gt.map(&f),
            gte: self.gte.map(&f),
            lt: self.lt.map(&f),
            lte: self.lte.map(&f),
        }
    }
}

/// What a text is held against; those given hold together.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// Whether it is there at all.
    pub present: Option<bool>,
    /// The whole text.
    pub equals: Option<String>,
    /// One of these is in it, without regard to case; folded here.
    pub contains: Vec<String>,
    pub regex: Option<Pattern>,
}

impl Matcher {
    fn holds(&self, text: Option<&str>) -> bool {
        if self.present.is_some_and(|present| present != text.is_some()) {
            return false;
        }
        let Some(text) = text else {
            return self.equals.is_none() && self.contains.is_empty() && self.regex.is_none();
        };
        self.equals.as_ref().is_none_or(|whole| whole == text)
            && head_and_tail(text).into_iter().any(|part| self.is_in(part))
    }

    fn is_in(&self, text: &str) -> bool {
        let contained = || {
            let folded = text_folded(text);
            let within = |word: &String| memmem::find(folded.as_bytes(), word.as_bytes()).is_some();
            self.contains.iter().any(within)
        };
        (self.contains.is_empty() || contained())
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

fn head_and_tail(text: &str) -> [&str; 2] {
    if text.len() <= TEXT_BYTES {
        return [text, ""];
    }
    let head = text.floor_char_boundary(TEXT_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - TEXT_BYTES / 2);
    [text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default()]
}

impl Rule {
    /// Whether all its conditions hold.
    pub fn matches(&self, evidence: &Evidence) -> bool {
        self.when.iter().all(|condition| condition.holds(evidence))
    }

    /// Whether all its conditions hold, as far as can be said without a body: one that looks at it
    /// does not.
    pub fn holds_unread(&self, facts: &RequestContext) -> bool {
        self.when.iter().all(|condition| match condition {
            Condition::Header(name, matcher) => holds_for_header(facts, name, matcher),
            Condition::Path(matcher) => holds_for_path(facts, matcher),
            Condition::Feature(..)
            | Condition::PromptTokens(_)
            | Condition::ToolLoop(_)
            | Condition::Housekeeping(_)
            | Condition::Text(..)
            | Condition::Model(_) => false,
        })
    }
}

impl Condition {
    fn holds(&self, evidence: &Evidence) -> bool {
        let Evidence { prompt, features, facts } = evidence;
        match self {
            Condition::Feature(slot, range) => {
                features.engineered().get(*slot).is_some_and(|value| range.holds(*value))
            }
            Condition::PromptTokens(range) => range.holds(prompt.tokens_estimate() as f32),
            Condition::ToolLoop(wanted) => prompt.in_tool_loop() == *wanted,
            Condition::Housekeeping(wanted) => prompt.is_housekeeping() == *wanted,
            Condition::Text(role, matcher) => holds_for_role(prompt, *role, matcher),
            Condition::Model(matcher) => matcher.holds(prompt.parameters.model.as_deref()),
            Condition::Header(name, matcher) => holds_for_header(facts, name, matcher),
            Condition::Path(matcher) => holds_for_path(facts, matcher),
        }
    }
}

fn holds_for_header(facts: &RequestContext, name: &str, matcher: &Matcher) -> bool {
    let value = (facts.header)(name);
    let text = value.as_deref().map(String::from_utf8_lossy);
    // A header that is sent twice comes as a list. Each element counts, or a second value would
    // hide the first.
    let mut elements = text.iter().flat_map(|text| text.split(',')).map(str::trim);
    matcher.holds(text.as_deref())
        || matcher.equals.is_some() && elements.any(|element| matcher.holds(Some(element)))
}

fn holds_for_path(facts: &RequestContext, matcher: &Matcher) -> bool {
    let value = (facts.header)(":path");
    matcher.holds(value.as_deref().map(String::from_utf8_lossy).as_deref())
}

fn holds_for_role(prompt: &Prompt, role: Role, matcher: &Matcher) -> bool {
    let spoken = |turn: &&Turn| turn.role == role && !turn.text.trim_ascii().is_empty();
    if role == Role::System {
        let mut texts = prompt.turns.iter().filter(spoken).peekable();
        if texts.peek().is_none() {
            return matcher.holds(None);
        }
        return texts.any(|turn| matcher.holds(Some(&turn.text)));
    }
    let text = prompt.turns.iter().rev().find(spoken).map(|turn| &*turn.text);
    // White space around a turn is nobody's, least of all where an envelope was.
    matcher.holds(text) || matcher.equals.is_some() && matcher.holds(text.map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(word: &str) -> Matcher {
        Matcher { contains: vec![word.into()], ..Matcher::default() }
    }

    #[test]
    fn words_are_found_without_regard_to_case() {
        assert!(contains("prove").holds(Some("Please PROVE it")));
        assert!(!contains("prove").holds(Some("Please show it")));
        assert!(!contains("prove").holds(None));
        assert!(contains(&text_folded("Über")).holds(Some("ÜBER alles")));
        assert!(contains(&text_folded("cafe\u{301}")).holds(Some("ein CAFÉ")));
    }

    #[test]
    fn long_texts_are_searched_at_both_ends() {
        let middle = "x".repeat(2 * TEXT_BYTES);
        assert!(contains("needle").holds(Some(&format!("needle {middle}"))));
        assert!(contains("needle").holds(Some(&format!("{middle} needle"))));
        assert!(!contains("needle").holds(Some(&format!("{middle} needle {middle}"))));
    }

    #[test]
    fn absence_can_be_asked_for() {
        let absent = Matcher { present: Some(false), ..Matcher::default() };
        assert!(absent.holds(None) && !absent.holds(Some("")));
    }

    #[test]
    fn bounds_hold_together() {
        let range = Range { gte: Some(1.0), lt: Some(2.0), ..Range::default() };
        assert_eq!(
            [0.9, 1.0, 1.9, 2.0].map(|value| range.holds(value)),
            [false, true, true, false]
        );
    }
}
