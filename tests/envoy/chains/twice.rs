//! Two filters of ours in one listener: the last one routes.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Chain, EASY, HARD, ask, ask_at, chained, counted, decisions, merged, short_body, targets,
};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::client::{self, Protocol};

pub const CASES: &[Case] = &[
    ("of_two_filters_the_last_one_routes_and_both_count", last_routes),
    ("what_the_last_filter_passes_is_not_routed_by_the_first", last_passes),
    ("a_filter_that_observes_in_front_of_another_changes_no_route", observed),
];

pub(super) fn chains(documented: &Value) -> Vec<Chain> {
    let (all, none) = (targets(documented, 0.0), targets(documented, 1.0));
    vec![
        Chain {
            name: "two",
            first: Some(merged(
                documented,
                &json!({"targets": all, "sticky": {"header": "x-first-conversation"}}),
            )),
            fields: Some(json!({"targets": none, "sticky": {"header": "x-conversation-id"}})),
            ..Chain::default()
        },
        Chain {
            name: "two-by-path",
            first: Some(merged(documented, &json!({"targets": all, "path_prefixes": ["/first/"]}))),
            fields: Some(json!({"targets": none, "path_prefixes": ["/last/"]})),
            ..Chain::default()
        },
        Chain {
            name: "observe-and-route",
            first: Some(merged(documented, &json!({"targets": none, "mode": "observe"}))),
            ..Chain::default()
        },
    ]
}

fn last_routes(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for protocol in PROTOCOLS {
        let before = decisions(stage)?;
        let body = short_body(EASY)?;
        let headers = [("x-first-conversation", "talk-1"), ("x-conversation-id", "talk-2")];
        let asked = ask(stage, "two", protocol, client::whole(body.clone()), &headers)?;
        let (cluster, record) = stage.landing(&asked.path)?;
        assert_eq!((cluster, &record.body[..]), ("strong", &body[..]), "as the last decides");
        assert_eq!(stage.decision(&asked.path)?["target"], "strong", "its record is logged");
        // Answers come by the first filter last.
        assert_eq!(asked.response.header("x-pointsman-target"), Some("cheap"));
        assert_eq!(decisions(stage)? - before, 2);
        for (name, _) in headers {
            assert!(!record.headers.contains_key(name), "{name}: each takes its own away");
        }
    }
    Ok(())
}

fn last_passes(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let send = |path: String| {
        let body = client::whole(short_body(EASY)?);
        ask_at(stage, "two-by-path", Protocol::Http1, path, body, &[])
    };
    let before = decisions(stage)?;
    let asked = send(format!("/first{}", stage.path()))?;
    assert_eq!(stage.landing(&asked.path)?.0, "strong", "where what is not decided goes");
    let line = stage.logged(&asked.path)?;
    assert_eq!(line["route"], "not-decided");
    assert_eq!(line["decision"], r#"{"passed":"out_of_scope"}"#);
    assert_eq!(asked.response.header("x-pointsman-target"), Some("cheap"));
    assert_eq!(decisions(stage)? - before, 1);
    let asked = send(format!("/last{}", stage.path()))?;
    assert_eq!(stage.logged(&asked.path)?["route"], "decided");
    assert_eq!(stage.decision(&asked.path)?["target"], "strong");
    assert_eq!(decisions(stage)? - before, 2);
    Ok(())
}

fn observed(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for (question, target) in [(EASY, "cheap"), (HARD, "strong")] {
        let (before, taken) = (decisions(stage)?, counted(stage, "pointsman_fallbacks")?);
        let body = client::whole(short_body(question)?);
        let asked = ask(stage, "observe-and-route", Protocol::Http1, body, &[])?;
        assert_eq!(stage.landing(&asked.path)?.0, target);
        let decision = stage.decision(&asked.path)?;
        assert_eq!((&decision["target"], &decision["mode"]), (&json!(target), &json!("route")));
        assert_eq!(asked.response.header("x-pointsman-target"), Some("strong"));
        assert_eq!(decisions(stage)? - before, 2);
        assert_eq!(counted(stage, "pointsman_fallbacks")?, taken);
    }
    Ok(())
}
