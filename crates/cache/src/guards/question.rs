//! Questions that ask for something else of the same thing.

use super::facts::{MEASURES, QuestionFacts};
use super::pair::Pair;

/// Words that say what a question asks for.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("who", &["who", "whom", "whose"]),
    ("when", &["when"]),
    ("where", &["where"]),
    ("why", &["why", "reason", "reasons"]),
];

/// Reasons are asked for in few words; other things in many: "who wrote …" is "the author of …".
pub(super) fn differs(pair: &Pair) -> bool {
    if let (Some(here), Some(there)) = (&pair.a.frame, &pair.b.frame)
        && !here.asks_like(there)
    {
        return true;
    }
    match (asks_for(pair.a), asks_for(pair.b)) {
        (Some(a), Some(b)) => a != b,
        (Some(kind), None) | (None, Some(kind)) => kind == "why",
        (None, None) => false,
    }
}

/// What the text asks for, where words say so. In a statement, "who" and "when" ask for nothing,
/// unless it begins with them: "tell me when …".
fn asks_for(facts: &QuestionFacts) -> Option<&str> {
    const OPENING: usize = 4;
    let asking = if facts.lower.contains('?') { facts.words.len() } else { OPENING };
    for (position, word) in facts.words().enumerate().take(asking) {
        if let Some((kind, _)) = QUESTIONS.iter().find(|(_, all)| all.contains(&word)) {
            return Some(kind);
        }
        let next = facts.at(position + 1);
        if word == "how" && MEASURES.contains(&next) {
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn another_question_is_refused() {
        refused(
            Disagreement::Question,
            &[
                ("When was the treaty signed?", "Where was the treaty signed?"),
                ("How many people live there?", "How old are the people there?"),
                ("How are databases used?", "Why are databases used?"),
                ("Can I become a doctor?", "Should I become a doctor?"),
                ("How did you become rich?", "How do I become rich?"),
                ("Can hummingbirds fly backwards?", "How do hummingbirds fly backwards?"),
                ("What is a parser?", "What does a parser do?"),
                ("What is a parser?", "What is the best parser?"),
                ("Why do you write parsers?", "Why would one write parsers?"),
                ("Has anyone cured the flu?", "Can anyone cure the flu?"),
                ("What happened to the Whigs?", "What happens to the Whigs?"),
                ("Is it wise to lease a car?", "How wise is it to lease a car?"),
            ],
        );
    }

    #[test]
    fn a_way_may_be_asked_for_in_several_words() {
        agreed(&[("How do you poach eggs?", "What's the best way to poach eggs?")]);
    }
}
