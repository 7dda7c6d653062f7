//! Hand rules: what a team writes before it has labels. The baseline that a model must beat.

use crate::features::SCHEMA;

/// A feature and the value from which on it asks for the strong model. Counts are compressed:
/// `ln(1 + n)`.
const RULES: [(&str, f32); 9] = [
    // A program, or something that went wrong in one.
    ("code_fences", 0.5),
    ("stack_trace", 0.5),
    ("identifiers", 1.0),
    // Formulas.
    ("latex", 1.0),
    ("math_terms", 1.3),
    // Reasoning and conditions, three or more of either.
    ("reasoning_words", 1.3),
    ("constraint_words", 1.3),
    // More than 2,000 bytes of question.
    ("text_bytes", 7.6),
    // An agent at work.
    ("tool_calls", 0.5),
];

/// The score from which on hand rules take the cheap target: no rule asks for the strong one.
pub const HAND_RULES_THRESHOLD: f32 = 1.0;

/// Score of a keyword-and-length rule list: 1 when no rule asks for the strong model, less with
/// each that does. `features` holds the engineered features, in the order of the schema.
pub fn hand_rules(features: &[f32]) -> f32 {
    let value = |name: &str| {
        let position = SCHEMA.iter().position(|feature| feature.name == name);
        position.and_then(|position| features.get(position)).copied().unwrap_or(0.0)
    };
    let hits = RULES.iter().filter(|(name, from)| value(name) >= *from).count();
    1.0 / (1.0 + hits as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::extract;
    use crate::prompt::Prompt;

    fn score(text: &str) -> f32 {
        hand_rules(extract(&Prompt::from_text(text)).engineered())
    }

    #[test]
    fn every_rule_names_a_feature() {
        for (name, _) in RULES {
            assert!(SCHEMA.iter().any(|feature| feature.name == name), "{name}");
        }
    }

    #[test]
    fn plain_questions_are_cheap_and_programs_are_not() {
        assert_eq!(score("What is the capital of Mongolia?"), HAND_RULES_THRESHOLD);
        assert!(score("```python\nprint(1)\n```\nWhy does this fail?") < HAND_RULES_THRESHOLD);
        assert!(score(&"A long letter. ".repeat(200)) < HAND_RULES_THRESHOLD);
    }
}
