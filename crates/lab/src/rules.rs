//! Hand rules: what a team writes before it has labels. The baseline that a model must beat.

use std::sync::LazyLock;

use pointsman_core::config::Config;
use pointsman_core::features::Features;
use pointsman_core::policy::rules::Rule;
use pointsman_core::policy::{Evidence, RequestContext};
use pointsman_core::prompt::Prompt;

/// The rules that `"rules": "default"` names in the filter's configuration.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let config = Config::from_json(
        br#"{"targets": [{"name": "cheap", "cluster": "cheap"}, {"name": "strong", "cluster": "strong"}],
             "policy": {"rules": "default"}}"#,
    );
    // The shipped rules are valid: a test reads them.
    config.ok().and_then(|mut config| config.policies.pop()).unwrap_or_default().rules
});

/// The score from which on hand rules take the cheap target.
pub const HAND_RULES_THRESHOLD: f32 = 1.0;

/// Score of the shipped rules: 1 when the first that matches takes
/// the cheap target, else less with each that asks for the strong one.
pub fn hand_rules(prompt: &Prompt, features: &Features) -> f32 {
    let evidence = Evidence { prompt, features, facts: &RequestContext::default() };
    let mut matching = RULES.iter().filter(|rule| rule.matches(&evidence));
    match matching.next() {
        Some(first) if first.target > 0 => {
            let more = matching.filter(|rule| rule.target > 0).count();
            HAND_RULES_THRESHOLD / (2.0 + more as f32)
        }
        _ => HAND_RULES_THRESHOLD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::features::extract;
    use pointsman_core::prompt::Prompt;

    fn score(text: &str) -> f32 {
        let prompt = Prompt::from_text(text);
        hand_rules(&prompt, &extract(&prompt))
    }

    #[test]
    fn the_shipped_rules_are_read_and_the_last_takes_everything_else() {
        assert_eq!(RULES.len(), 15);
        assert!(RULES.last().unwrap().when.is_empty());
    }

    #[test]
    fn closed_questions_are_cheap_and_open_ended_work_is_not() {
        for cheap in [
            "What is the capital of Mongolia?",
            "hi",
            "Hello there!",
            "Summarise this e-mail in two lines: the meeting is on Monday.",
            "Which gas is lightest?\nA. argon\nB. helium\nC. neon\nD. xenon",
            "Ann has 3 apples and buys 4 more each day. How many apples does she have in total?",
        ] {
            assert!(score(cheap) >= HAND_RULES_THRESHOLD, "{cheap}");
        }
        for strong in [
            "Prove that there are infinitely many primes.",
            "Write a short story about a lighthouse keeper.",
            "Design a sharded rate limiter for us.",
            "Two of our workers hit a deadlock about once a week.",
            &"A long letter. ".repeat(200),
        ] {
            assert!(score(strong) < HAND_RULES_THRESHOLD, "{strong}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let options = "A. `x`\nB. `y`\nC. `z`";
        let both = format!("Which theorem is meant?\n{options}");
        assert_eq!(score(&both), HAND_RULES_THRESHOLD, "a choice, although it is about a theorem");
        let one = score("Write a poem.");
        assert!(score("Write a poem on the strategy of Go.") < one, "more rules, less score");
    }
}
