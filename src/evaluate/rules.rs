//! Hand rules: what a team writes before it has labels. The baseline that a model must beat.

use std::sync::LazyLock;

use crate::config::Config;
use crate::features::Features;
use crate::policy::rules::Rule;
use crate::policy::{Evidence, Facts};
use crate::prompt::Prompt;

/// The rules that `"rules": "default"` names in the filter's configuration.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let config = Config::from_json(
        br#"{"targets": [{"name": "cheap", "cluster": "cheap"}, {"name": "strong", "cluster": "strong"}],
             "policy": {"rules": "default"}}"#,
    );
    // The shipped rules are valid: a test reads them.
    config.ok().and_then(|mut config| config.policies.pop()).unwrap_or_default().rules
});

/// The score from which on hand rules take the cheap target: no rule asks for the strong one.
pub const HAND_RULES_THRESHOLD: f32 = 1.0;

/// Score of the shipped rules, which look at features alone: 1 when none asks for the strong
/// model, less with each that does.
pub fn hand_rules(features: &Features) -> f32 {
    let evidence = Evidence { prompt: &Prompt::default(), features, facts: &Facts::default() };
    let hits = RULES.iter().filter(|rule| rule.target > 0 && rule.matches(&evidence)).count();
    1.0 / (1.0 + hits as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::extract;
    use crate::prompt::Prompt;

    fn score(text: &str) -> f32 {
        hand_rules(&extract(&Prompt::from_text(text)))
    }

    #[test]
    fn the_shipped_rules_are_read_and_name_every_case() {
        assert_eq!(RULES.len(), 10);
        assert!(RULES.last().unwrap().when.is_empty(), "the last takes everything else");
    }

    #[test]
    fn plain_questions_are_cheap_and_programs_are_not() {
        assert_eq!(score("What is the capital of Mongolia?"), HAND_RULES_THRESHOLD);
        assert!(score("```python\nprint(1)\n```\nWhy does this fail?") < HAND_RULES_THRESHOLD);
        assert!(score(&"A long letter. ".repeat(200)) < HAND_RULES_THRESHOLD);
    }
}
