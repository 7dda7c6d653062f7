use super::rules::{Condition, Range};
use super::*;
use crate::features::extract;

const BOTH: TargetSet = TargetSet(0b11);

#[test]
fn the_cheapest_target_that_is_good_enough_wins() {
    let choice = choose(&[0.2, 0.7, 0.9], &[0.5, 0.6, 0.6], TargetSet(0b1111)).unwrap();
    assert_eq!((choice.target, choice.score, choice.reached), (1, 0.7, true));
}

#[test]
fn a_target_that_is_not_eligible_is_passed_over() {
    let choice = choose(&[0.2, 0.7, 0.9], &[0.5, 0.6, 0.6], TargetSet(0b1101)).unwrap();
    assert_eq!((choice.target, choice.reached), (2, true));
    let choice = choose(&[0.2, 0.1, 0.9], &[0.5, 0.6, 0.6], TargetSet(0b0011)).unwrap();
    assert_eq!((choice.target, choice.reached), (1, false), "the strongest that is left");
    assert_eq!(choose(&[0.2], &[0.5], TargetSet(0)), None);
}

#[test]
fn a_score_at_the_threshold_reaches_it() {
    assert_eq!(choose(&[0.5], &[0.5], BOTH).unwrap().target, 0);
}

#[test]
fn the_strongest_takes_what_no_score_reaches() {
    let choice = choose(&[0.1, 0.5], &[0.5, 0.6], TargetSet(0b111)).unwrap();
    assert_eq!((choice.target, choice.score, choice.reached), (2, 0.5, false));
}

#[test]
fn no_score_is_no_choice() {
    assert_eq!(choose(&[], &[], BOTH), None);
}

/// What a policy with one rule, `short` to target `rule`, comes to at a score and a threshold of
/// one half.
fn verdict(order: Order, score: f32, text: &str, eligible: TargetSet) -> (usize, Reason) {
    let short = Condition::PromptTokens(Range { lt: Some(3.0), ..Range::default() });
    let policy = Policy {
        order,
        rules: vec![Rule { name: 0, target: 0, when: vec![short] }],
        ..Policy::default()
    };
    let prompt = Prompt::from_text(text);
    let features = extract(&prompt);
    let evidence =
        Evidence { prompt: &prompt, features: &features, facts: &RequestContext::default() };
    let verdict = policy.decide(&evidence, &[score], &[0.5], eligible, 1);
    (verdict.target, verdict.reason)
}

const SHORT: &str = "hello";
const LONG: &str = "hello, and a good deal more than that";

#[test]
fn rules_come_first_unless_said_otherwise() {
    assert_eq!(verdict(Order::default(), 0.1, SHORT, BOTH), (0, Reason::Rule(0)));
    assert_eq!(verdict(Order::default(), 0.1, LONG, BOTH), (1, Reason::ScoreBelowThreshold));
    let only = Order::ClassifierOnly;
    assert_eq!(verdict(only, 0.1, SHORT, BOTH), (1, Reason::ScoreBelowThreshold));
    assert_eq!(verdict(Order::RulesOnly, 0.9, LONG, BOTH), (1, Reason::NoRuleMatched));
}

#[test]
fn rules_are_asked_where_the_score_is_uncertain() {
    let order = Order::RulesWhenUncertain { band: 0.25 };
    assert_eq!(verdict(order, 0.30, SHORT, BOTH), (0, Reason::Rule(0)));
    assert_eq!(verdict(order, 0.20, SHORT, BOTH), (1, Reason::ScoreBelowThreshold));
    assert_eq!(verdict(order, 0.80, SHORT, BOTH), (0, Reason::ScoreReachedThreshold));
    assert_eq!(verdict(order, 0.30, LONG, BOTH), (1, Reason::ScoreBelowThreshold));
}

#[test]
fn a_rule_whose_target_is_not_eligible_does_not_match() {
    let strong_only = TargetSet(0b10);
    assert_eq!(verdict(Order::RulesOnly, 0.9, SHORT, strong_only), (1, Reason::NoRuleMatched));
    assert_eq!(verdict(Order::RulesOnly, 0.9, LONG, TargetSet(0b01)).0, 0, "never the default");
}

#[test]
fn what_an_agent_asks_for_itself_is_told_by_its_instructions() {
    let rule = Rule { name: 0, target: 0, when: vec![Condition::Housekeeping(true)] };
    for (system, expected) in [
        ("You are a title generator. You output ONLY a thread title.", true),
        ("You help with software. Give every section a title.", false),
    ] {
        let mut body = serde_json::json!({"messages": [
            {"role": "user", "content": "Why is the build slow?"},
            {"role": "system", "content": system}]})
        .to_string()
        .into_bytes();
        let prompt =
            Prompt::parse(crate::prompt::ApiFormat::ChatCompletions, &mut body, false).unwrap();
        let features = extract(&prompt);
        let facts = RequestContext::default();
        let evidence = Evidence { prompt: &prompt, features: &features, facts: &facts };
        assert_eq!(rule.matches(&evidence), expected, "{system}");
        assert!(!rule.holds_unread(&facts), "nobody knows");
    }
}
