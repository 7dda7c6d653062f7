use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;

/// Cheap by the main policy, strong by `b`; a rule for `hard`.
fn router(more: &str) -> Router {
    let json = format!(
        r#"{{"targets": [
            {{"name": "cheap", "cluster": "c", "threshold": 0.0, "price": {{"input": 1, "output": 1}}}},
            {{"name": "strong", "cluster": "s", "price": {{"input": 100, "output": 100}}}}],
          "policy": {{"rules": [{{"name": "hard", "target": "strong", "when": {{"user": {{"contains": "prove"}}}}}}]}},
          "policies": {{"b": {{"thresholds": {{"cheap": 1.0}}, "rules": []}}}}{more}}}"#
    );
    Router::new(Config::from_json(json.as_bytes()).unwrap()).unwrap()
}

fn decide(router: &Router, body: &str, facts: &RequestContext) -> Decision {
    let mut body = body.as_bytes().to_vec();
    let prompt = router.read(ApiFormat::ChatCompletions, &mut body, false).unwrap();
    router.decide_prompt(&prompt, facts)
}

fn chat(text: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

#[test]
fn rules_alone_decide_among_more_targets_than_the_model_scores() {
    let json = |more: &str| {
        format!(
            r#"{{"targets": [{{"name": "small", "cluster": "a"}}, {{"name": "middle", "cluster": "b"}},
                             {{"name": "large", "cluster": "c"}}],
                "policy": {{"order": "rules_only", "rules": [
                    {{"name": "short", "target": "small", "when": {{"words": {{"lte": 3}}}}}},
                    {{"name": "proof", "target": "middle", "when": {{"user": {{"contains": "prove"}}}}}}]}}{more}}}"#
        )
    };
    let read = |more: &str| Router::new(Config::from_json(json(more).as_bytes()).unwrap());
    let router = read("").unwrap();
    for (text, target, reason) in [
        ("Hi", 0, "short"),
        ("Please prove that there are infinitely many primes", 1, "proof"),
        ("Something else that no rule knows of", 2, "no_rule_matched"),
    ] {
        let decision = decide(&router, &chat(text), &RequestContext::default());
        assert_eq!(router.config().reason_name(decision.reason), reason);
        assert_eq!((decision.target, decision.score), (target, None), "{reason}");
    }
}

fn of_three(targets: [&str; 2], policy: &str) -> Config {
    let json = format!(
        r#"{{"targets": [{{"name": "small", "cluster": "a"{}}}, {{"name": "middle", "cluster": "b"{}}},
                         {{"name": "large", "cluster": "c"}}],
            "policy": {{"order": "classifier_only"}}{policy}}}"#,
        targets[0], targets[1]
    );
    Config::from_json(json.as_bytes()).unwrap()
}

#[test]
fn one_score_chooses_the_cheapest_of_several_targets_whose_threshold_it_reaches() {
    let body = chat("What is the capital of Mongolia?");
    let score =
        decide(&Router::new(of_three(["", ""], "")).unwrap(), &body, &RequestContext::default())
            .score;
    let score = score.unwrap();
    let (above, below, lowest) = ((score + 1.0) / 2.0, score / 2.0, score / 4.0);
    for (small, middle, target) in
        [(below, lowest, 0), (above, below, 1), (1.0, above.next_up(), 2)]
    {
        let targets = [small, middle].map(|at| format!(r#", "threshold": {at}"#));
        let router = Router::new(of_three([&targets[0], &targets[1]], "")).unwrap();
        let decision = decide(&router, &body, &RequestContext::default());
        assert_eq!(decision.target, target, "{small} {middle}");
        assert_eq!(decision.scores, [score, score]);
    }
}

#[test]
fn a_target_that_no_score_could_choose_is_refused() {
    let thresholds = [r#", "threshold": 0.5"#, r#", "threshold": 0.5"#];
    let error = Router::new(of_three(thresholds, "")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "targets \"middle\": threshold = 0.5: must be below 0.5, the threshold of a cheaper target \
         on the same score, or no request goes there"
    );
    let named = r#", "policies": {"b": {"thresholds": {"small": 0.2}}}"#;
    let error = Router::new(of_three(["", r#", "threshold": 0.3"#], named)).unwrap_err();
    assert!(error.to_string().contains("policies.b: threshold = 0.3"), "{error}");
}

#[test]
fn presets_set_thresholds_where_no_number_is_given() {
    let more = r#", "policies": {"b": {"preset": "quality"}, "c": {"thresholds": {"small": 0.9}}}"#;
    let router = Router::new(of_three(["", r#", "threshold": 0.2"#], more)).unwrap();
    let own = router.classifier().manifest().targets[0].threshold;
    assert_eq!(router.thresholds(0), [own, 0.2]);
    assert_eq!(router.thresholds(1), [0.8, 0.4]);
    assert_eq!(router.thresholds(2), [0.9, 0.2]);
    let two = |preset: &str| {
        let json = format!(
            r#"{{"targets": [{{"name": "a", "cluster": "a"}}, {{"name": "b", "cluster": "b"}}],
                 "policy": {{"preset": "{preset}"}}}}"#
        );
        Router::new(Config::from_json(json.as_bytes()).unwrap()).unwrap().thresholds(0).to_vec()
    };
    assert_eq!(["economy", "balanced", "quality"].map(two), [[0.4], [0.6], [0.8]]);
}

#[test]
fn a_routes_policy_has_its_own_thresholds() {
    let router = router("");
    let main = decide(&router, &chat("Hi"), &RequestContext::default());
    let strict =
        decide(&router, &chat("prove"), &RequestContext { policy: 1, ..RequestContext::default() });
    assert_eq!((main.target, main.threshold, main.policy), (0, Some(0.0), 0));
    assert_eq!((strict.target, strict.threshold, strict.policy), (1, Some(1.0), 1));
}

#[test]
fn a_canarys_propensity_is_that_of_the_draw_and_one_where_both_agree() {
    let router = router(r#", "canary": {"policy": "b", "share": 0.25}"#);
    let mut drawn = 0;
    for number in 0..400 {
        let decision = decide(&router, &chat(&format!("Hi {number}")), &RequestContext::default());
        let expected = if decision.policy == 1 { (1, 0.25) } else { (0, 0.75) };
        assert_eq!((decision.target, decision.propensity), expected);
        drawn += usize::from(decision.policy == 1);
        let agreed = decide(&router, &chat(&format!("prove {number}")), &RequestContext::default());
        assert_eq!((agreed.target, agreed.propensity), (1, 1.0));
    }
    assert!((70..130).contains(&drawn), "{drawn} of 400");
    // A route that asks for a policy is no part of the experiment.
    let asked =
        decide(&router, &chat("Hi"), &RequestContext { policy: 1, ..RequestContext::default() });
    assert_eq!(asked.propensity, 1.0);
}

#[test]
fn a_conversation_keeps_its_canary() {
    let router = router(r#", "canary": {"policy": "b", "share": 0.5}"#);
    for number in 0..50 {
        let first = decide(&router, &chat(&format!("Hi {number}")), &RequestContext::default());
        let later = format!(
            r#"{{"messages":[{{"role":"user","content":"Hi {number}"}},{{"role":"assistant","content":"Ho"}},{{"role":"user","content":"And now something else entirely"}}]}}"#
        );
        assert_eq!(decide(&router, &later, &RequestContext::default()).policy, first.policy);
    }
}

#[test]
fn a_conversation_moves_upwards_or_when_it_pays() {
    let went = |previous| RequestContext { previous: Some(previous), ..RequestContext::default() };
    let sticky = router(r#", "sticky": {"switch_cost": 0.1}"#);
    let of = |text: &str, previous| {
        let decision = decide(&sticky, &chat(text), &went(previous));
        (decision.target, decision.source().name(), decision.propensity)
    };
    assert_eq!(of("Hi", 0), (0, "sticky", 1.0));
    assert_eq!(of("prove", 0), (1, "rule", 1.0));
    assert_eq!(of("Hi", 1), (1, "sticky", 1.0), "500 tokens of answer save 0.05");
    let long = "word ".repeat(1000);
    assert_eq!(of(&long, 1), (0, "classifier", 1.0), "1,250 tokens more save 0.17");
    let never = router(r#", "sticky": {}"#);
    assert_eq!(decide(&never, &chat(&long), &went(1)).target, 1);
}

#[test]
fn a_target_that_went_down_is_left_by_its_conversations() {
    let facts = RequestContext {
        previous: Some(1),
        unavailable: TargetSet(0b10),
        ..RequestContext::default()
    };
    let decision = decide(&router(r#", "sticky": {}"#), &chat("Hi"), &facts);
    assert_eq!((decision.target, decision.reason), (0, Reason::Health));
    let all = RequestContext { unavailable: TargetSet(0b11), ..RequestContext::default() };
    let decision = decide(&router(""), &chat("Hi"), &all);
    assert_eq!((decision.target, decision.reason), (1, Reason::NoEligibleTarget));
}

#[test]
fn the_classifier_abstains_from_prompts_unlike_its_training_data() {
    let json = |classifier: &str| {
        format!(
            r#"{{"targets": [{{"name": "cheap", "cluster": "c", "threshold": 0.0}},
                             {{"name": "strong", "cluster": "s"}}],
                "policy": {{"classifier": {classifier},
                            "rules": [{{"name": "hard", "target": "cheap", "when": {{"cjk": {{"gt": 0}}}}}}]}}}}"#
        )
    };
    let router = |classifier: &str| {
        let config = Config::from_json(json(classifier).as_bytes()).unwrap();
        Router::new(config).unwrap()
    };
    let usual = chat("Which of these gases is the lightest? Explain your choice.");
    let strange = chat(&"{[|#!]} =>> ".repeat(40));
    let novelty = |body: &str| {
        let mut body = body.as_bytes().to_vec();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
        let router = router(r#"{"novelty_limit": "off"}"#);
        router.classifier().manifest().novelty.as_ref().unwrap().of(&features::extract(&prompt))
    };
    let (near, far) = (novelty(&usual), novelty(&strange));
    assert!(far > near + 0.1, "{far} {near}");
    let abstaining = router(&format!(r#"{{"novelty_limit": {}}}"#, (near + far) / 2.0));
    assert_eq!(decide(&abstaining, &usual, &RequestContext::default()).target, 0);
    let decision = decide(&abstaining, &strange, &RequestContext::default());
    assert_eq!((decision.target, decision.reason), (1, Reason::NovelPrompt));
    assert_eq!((decision.score, decision.reason.source().name()), (None, "default"));
    let scoring = router(r#"{"novelty_limit": "off"}"#);
    assert_eq!(decide(&scoring, &strange, &RequestContext::default()).target, 0);
    // Rules need no training data.
    let ruled = chat(&"{[|#!]} 列車 ".repeat(40));
    assert_eq!(
        decide(&abstaining, &ruled, &RequestContext::default()).reason.source().name(),
        "rule"
    );
}

#[test]
fn without_a_limit_of_its_own_a_policy_abstains_by_the_models() {
    let mut manifest: serde_json::Value =
        serde_json::from_slice(include_bytes!("../../../../model/manifest.json")).unwrap();
    let onnx = BASE64_STANDARD.encode(include_bytes!("../../../../model/model.onnx"));
    let mut reason = |limit: f64, policy: &str| {
        manifest["novelty"]["limit"] = limit.into();
        let config = format!(
            r#"{{"targets": [{{"name": "cheap", "cluster": "c"}}, {{"name": "strong", "cluster": "s"}}],
                "policy": {{"classifier": {{"model": {{"onnx": "{onnx}", "manifest": {manifest}}}{policy}}}}}}}"#
        );
        let router = Router::new(Config::from_json(config.as_bytes()).unwrap()).unwrap();
        decide(&router, &chat("Hello there"), &RequestContext::default()).reason
    };
    assert_eq!(reason(0.01, ""), Reason::NovelPrompt);
    assert_ne!(reason(8.0, ""), Reason::NovelPrompt);
    assert_ne!(reason(0.01, r#", "novelty_limit": "off""#), Reason::NovelPrompt);
    assert_ne!(reason(0.01, r#", "novelty_limit": 8"#), Reason::NovelPrompt);
}

#[test]
fn the_objective_chooses_the_score() {
    let router = |objective: &str| {
        let config = format!(
            r#"{{"targets": [{{"name": "cheap", "cluster": "c"}}, {{"name": "strong", "cluster": "s"}}],
                "policy": {{{objective}}}}}"#
        );
        Router::new(Config::from_json(config.as_bytes()).unwrap()).unwrap()
    };
    let score = |objective: &str| {
        decide(&router(objective), &chat("Prove it."), &RequestContext::default()).score
    };
    let satisfy = score(r#""objective": "satisfy""#);
    assert!(satisfy.is_some());
    assert_eq!(score(""), satisfy, "it is what the shipped model answers first");
    assert_ne!(score(r#""objective": "gain""#), satisfy);
}

#[test]
fn what_falls_back_goes_to_a_target_that_serves_its_api() {
    let config = r#"{"targets": [
        {"name": "cheap", "cluster": "c", "apis": ["chat"]},
        {"name": "strong", "cluster": "s", "apis": ["messages"]}], "default": "cheap"}"#;
    let router = Router::new(Config::from_json(config.as_bytes()).unwrap()).unwrap();
    for (api, target) in
        [(ApiFormat::Messages, 1), (ApiFormat::ChatCompletions, 0), (ApiFormat::Responses, 0)]
    {
        let decision = router.follow(StateOwner::Unknown, Some(api));
        assert_eq!((decision.target, decision.reason), (target, Reason::UnknownState), "{api:?}");
    }
    assert_eq!(router.follow(StateOwner::Unknown, None).target, 0);
}
