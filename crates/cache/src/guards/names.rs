//! Names that only one question has.

use super::facts::{Kind, QuestionFacts, sense};
use super::pair::Pair;
use super::spelling::{holds_initials, is_end_of, is_joined};

pub(super) fn differs(pair: &Pair) -> bool {
    pair.either_way(|here, there| !holds_names(here, there))
}

/// Whether the names of one text stand in the other. They may be in lower case there, be plural, be
/// part of a path, or stand in their initials.
fn holds_names(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let holds = |name: &str| {
        let wanted = sense(name);
        here.words.iter().any(|word| {
            sense(&word.text) == wanted
                || word.kind == Kind::Symbol && word.text.split('.').any(|part| part == name)
                || is_end_of(name, &word.text) && is_joined(there, &word.text)
        }) || is_joined(here, name)
    };
    let mut names = there.of_kind(Kind::Name);
    names.all(|name| holds(name) || holds_initials(here, there, name))
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn another_name_is_refused() {
        refused(
            Disagreement::Names,
            &[
                ("Who wrote Hamlet?", "Who wrote Macbeth?"),
                ("What does Alice owe Bob?", "What does Carol owe Bob?"),
                ("what is the capital of france", "what is the capital of spain"),
                ("What is the salary of an ML engineer?", "What is the salary of an HR engineer?"),
            ],
        );
    }

    #[test]
    fn a_name_may_be_in_lower_case_joined_or_in_initials() {
        agreed(&[
            ("What is the capital of France?", "what's france's capital"),
            ("How can I learn Python?", "What is the best way to learn python?"),
            ("Who was Alan Turing?", "Tell me who Alan Turing was."),
            ("What does ML mean for a farm?", "What does Machine Learning mean for a farm?"),
            ("What is on the HuggingFace hub?", "What is on the Hugging Face hub?"),
            (
                "The hub holds models for natural language processing.",
                "The hub holds models for NLP.",
            ),
            (
                "What Is The plan that Most people follow?",
                "What is the plan that most people follow?",
            ),
            ("What Are The Benefits Of Green Tea", "What are the benefits of green tea?"),
        ]);
    }
}
