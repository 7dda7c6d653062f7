//! How a conversation begins, as a hash: the same in each of its requests, and another for another
//! conversation.

use crate::features::hash64;
use crate::prompt::{Role, Turn};

/// Bytes of the system's words that count.
const SYSTEM_BYTES: usize = 8 * 1024;

/// Of the first thing that a person said, and of the system's words before it. `None` when nobody
/// said anything: what is left is the same for everybody.
pub(super) fn hash(turns: &[Turn]) -> Option<u64> {
    let is_asked = |turn: &Turn| turn.role == Role::User && !is_injected(&turn.text);
    let first = turns.iter().position(is_asked)?;
    let (before, rest) = turns.split_at_checked(first)?;
    let asked = rest.first()?;
    let system = before.iter().filter(|turn| turn.role == Role::System);
    let system = system.fold(0, |hash, turn| steady(hash, &turn.text));
    Some(hash64(&[b"beginning", &system.to_le_bytes(), asked.text.trim().as_bytes()]))
}

/// Whether a turn of the user is what a tool sends for everybody: nothing but elements, as
/// `<environment_context>…</environment_context>`, or a repository's instructions.
fn is_injected(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.starts_with("# AGENTS.md instructions") {
        return true;
    }
    let name = text.strip_prefix('<').and_then(|text| {
        let end = text.find(|char: char| !(char.is_alphanumeric() || matches!(char, '_' | '-')))?;
        text.get(..end).filter(|name| !name.is_empty())
    });
    let closed = text.strip_suffix('>').and_then(|text| text.rsplit_once("</"));
    name.zip(closed).is_some_and(|(name, (_, closing))| name == closing.trim_end())
}

/// A hash of those words that are the same in every request: no dates, times, counters and IDs.
fn steady(hash: u64, text: &str) -> u64 {
    let text = text.get(..text.floor_char_boundary(SYSTEM_BYTES)).unwrap_or(text);
    text.split_whitespace()
        .filter(|word| !word.contains(char::is_numeric) && !is_of_the_calendar(word))
        .fold(hash, |hash, word| hash64(&[&hash.to_le_bytes(), word.as_bytes()]))
}

/// Names of months and days, long or short, and halves of the day.
fn is_of_the_calendar(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let word = word.trim_matches(|char: char| !char.is_ascii_alphabetic());
    let is = |name: &str| {
        let short = name.get(..3).unwrap_or(name);
        let start = name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        start && (word.len() == name.len() || word.len() == short.len() || word.len() == 4)
    };
    word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") || NAMES.into_iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn<'static> {
        Turn { role, text: text.to_owned().into(), ..Turn::default() }
    }

    fn of(turns: &[(Role, &str)]) -> Option<u64> {
        let turns: Vec<Turn> = turns.iter().map(|(role, text)| turn(*role, text)).collect();
        hash(&turns)
    }

    use Role::{Assistant, System, Tool, User};

    #[test]
    fn what_comes_later_changes_nothing() {
        let begun = of(&[(System, "Be kind."), (User, "hi")]);
        let later = [
            (System, "Be kind."),
            (User, " hi\n"),
            (Assistant, "Hello!"),
            (System, "Reminder: plan mode."),
            (User, "Prove it."),
        ];
        assert!(begun.is_some());
        assert_eq!(begun, of(&later));
        assert_ne!(begun, of(&[(System, "Be curt."), (User, "hi")]));
        assert_ne!(begun, of(&[(System, "Be kind."), (User, "ho")]));
    }

    #[test]
    fn what_changes_with_every_request_is_left_out() {
        let system = |text: &str| of(&[(System, text), (User, "hi")]);
        for (one, other) in [
            ("Today is 2026-11-30.", "Today is 2026-12-01."),
            (
                "It is Monday, 30 November 2026, 11:59 PM.",
                "It is Tuesday, 1 December 2026, 12:01 AM.",
            ),
            ("Now: Mon Nov 30 05:31:35 UTC", "Now: Thu Sept 3 15:31:35 UTC"),
            ("nonce=9f8e7d6c You help.", "nonce=1a2b3c4d You help."),
            ("Request 0199f3a1-7c3e-7d11. Help.", "Request 77aa11bb-7c3e-7d11. Help."),
        ] {
            assert_eq!(system(one), system(other), "{one}");
        }
        assert_ne!(system("You may help."), system("You must help."));
    }

    #[test]
    fn what_a_tool_sends_for_everybody_is_no_beginning() {
        let injected = [
            "",
            " \n",
            "# AGENTS.md instructions for /home/dev/repo\n\n<INSTRUCTIONS>\nTest.\n</INSTRUCTIONS>",
            "# AGENTS.md instructions for /home/dev/repo",
            "<environment_context>\n  <cwd>/repo</cwd>\n</environment_context>",
            "<system-reminder>Be brief.</system-reminder>\n",
        ];
        for text in injected {
            assert_eq!(of(&[(System, "s"), (User, text)]), None, "{text}");
            let behind = of(&[(System, "s"), (User, text), (User, "Fix the bug.")]);
            assert_eq!(behind, of(&[(System, "s"), (User, "Fix the bug.")]), "{text}");
        }
        for text in ["<b>bold</i> what is this?", "Is 1 < 2 and 3 > 2?", "<p>One</p> Explain."] {
            assert!(of(&[(User, text)]).is_some(), "{text}");
        }
    }

    #[test]
    fn results_of_tools_alone_begin_nothing() {
        assert_eq!(of(&[(System, "s"), (Tool, "42"), (Assistant, "So?")]), None);
        assert_eq!(of(&[]), None);
    }
}
