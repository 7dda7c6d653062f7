//! One question denies what the other says.

use super::denial::{denied_at, reverses};
use super::facts::{QuestionFacts, is_negation};
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    denies_against(pair.a, pair.b) != denies_against(pair.b, pair.a)
}

/// Whether this denies something, and not what the other says by an opposite: "not mandatory" is
/// "optional". "Not only", "do not forget", "or not" and the "no" of an answer, "no, it is", deny
/// nothing.
fn denies_against(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let answers = here.lower.trim_start().starts_with("no,");
    (usize::from(answers)..here.words.len()).any(|position| {
        let asserts = matches!(here.at(position + 1), "only" | "forget")
            || position.checked_sub(1).is_some_and(|before| here.at(before) == "or");
        let turned = || denied_at(here, position).is_some_and(|word| reverses(there, word));
        is_negation(here.at(position)) && !asserts && !turned()
    })
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn a_denial_is_refused() {
        refused(
            Disagreement::Negation,
            &[
                ("Why is the sky blue?", "Why is the sky not blue?"),
                ("Can dogs eat grapes?", "Why can't dogs eat grapes?"),
                ("Is it not possible to swim there?", "Is it possible to swim there?"),
                ("Why dont cats swim?", "Why do cats swim?"),
            ],
        );
    }

    #[test]
    fn the_same_denial_in_other_words_agrees() {
        agreed(&[
            ("Why can't I sleep at night?", "Why can I not sleep at night?"),
            ("Is the form not mandatory?", "Is the form optional?"),
            ("Why is it not possible to swim there?", "Why is it impossible to swim there?"),
            ("Is Mars a planet?", "Is Mars a planet? Why or why not?"),
            ("Why don't cats swim?", "Why dont cats swim?"),
            (
                "Is this library useful not only for images and video but also for long audio \
                 files?",
                "Is this library useful for images and video and also for long audio files?",
            ),
        ]);
    }
}
