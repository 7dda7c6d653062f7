//! `ai_protocol_manager`, an alpha filter of Envoy 1.40 that holds requests outside of Envoy's own
//! buffers until they are whole.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Chain, EASY, ask, assert_whole, chained, decisions, filter, long_body, short_body, text,
};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage, cut};
use pointsman_testkit::client::{self, Protocol};

pub const CASES: &[Case] = &[
    ("on_either_side_of_the_manager_of_ai_protocols_bodies_pass_byte_exact", either_side),
    ("the_manager_of_ai_protocols_writes_bodies_anew_unless_it_is_told_not_to", written_anew),
    ("the_manager_of_ai_protocols_refuses_what_is_no_json_and_ours_sends_it_on", malformed),
];

/// Whether this Envoy has the filter.
pub(super) fn has_manager(stage: &Stage) -> Result<bool> {
    Ok(stage.minor()? >= 40)
}

const NAME: &str = "envoy.filters.http.ai_protocol_manager";
const KIND: &str = "filters.http.ai_protocol_manager.v3.AiProtocolManager";

pub(super) fn chains() -> Vec<Chain> {
    let manager = |request: Value| {
        let response = json!({"token_usage": {"include_unconfigured_routes": true}});
        let both = json!({"request_handling": request, "response_handling": response});
        filter(NAME, KIND, both)
    };
    let best_effort = manager(json!({"parse_unconfigured_routes": true}));
    let strict = manager(json!({}));
    let exact = manager(json!({"reserialize_body": "DISABLE"}));
    let declared = json!({NAME: {
        "@type": format!("type.googleapis.com/envoy.extensions.{KIND}PerRoute"),
        "request": {"llm_protocol": "OPENAI_CHAT_COMPLETIONS"}}});
    let before = |name, it: &Value, routes: Option<&Value>| Chain {
        name,
        before: vec![it.clone()],
        routes: routes.cloned(),
        ..Chain::default()
    };
    let behind = |name, it: &Value, routes: Option<&Value>| Chain {
        name,
        behind: vec![it.clone()],
        routes: routes.cloned(),
        ..Chain::default()
    };
    vec![
        before("manager-before", &best_effort, None),
        behind("manager-behind", &best_effort, None),
        before("exact-manager-before", &exact, Some(&declared)),
        behind("exact-manager-behind", &exact, Some(&declared)),
        before("strict-manager-before", &strict, Some(&declared)),
        behind("strict-manager-behind", &strict, Some(&declared)),
    ]
}

fn either_side(stage: &Stage) -> Result<()> {
    if !has_manager(stage)? {
        return Ok(());
    }
    let stage = &*chained(stage)?;
    let chains =
        ["manager-before", "manager-behind", "exact-manager-before", "exact-manager-behind"];
    for chain in chains {
        for body in [short_body(EASY)?, long_body()?] {
            for protocol in PROTOCOLS {
                for content in
                    [client::whole(body.clone()), client::pieces(cut(&body, 50_000), None)]
                {
                    assert_whole(stage, chain, protocol, (content, &body), &[])?;
                }
            }
        }
    }
    Ok(())
}

fn written_anew(stage: &Stage) -> Result<()> {
    if !has_manager(stage)? {
        return Ok(());
    }
    let stage = &*chained(stage)?;
    let body = String::from_utf8(short_body(EASY)?)?.replace(':', " : ").replace("is", "\\u0069s");
    for chain in ["strict-manager-before", "strict-manager-behind"] {
        let before = decisions(stage)?;
        let asked = ask(stage, chain, Protocol::Http1, client::whole(body.clone()), &[])?;
        assert_eq!(asked.response.status, 200, "{chain}");
        let (cluster, record) = stage.landing(&asked.path)?;
        assert_ne!(text(&record.body), body, "{chain}");
        let (sent, arrived): (Value, Value) =
            (serde_json::from_str(&body)?, serde_json::from_slice(&record.body)?);
        assert_eq!(arrived, sent, "{chain}: other spaces and escapes, and all else the same");
        assert_eq!(stage.decision(&asked.path)?["target"], cluster, "{chain}");
        assert_eq!(decisions(stage)? - before, 1, "{chain}");
    }
    Ok(())
}

fn malformed(stage: &Stage) -> Result<()> {
    if !has_manager(stage)? {
        return Ok(());
    }
    let stage = &*chained(stage)?;
    let send = |chain: &str| ask(stage, chain, Protocol::Http1, client::whole("{"), &[]);
    for (chain, decided) in [("strict-manager-before", 0), ("strict-manager-behind", 1)] {
        let before = decisions(stage)?;
        assert_eq!(send(chain)?.response.status, 400, "{chain}");
        assert_eq!(decisions(stage)? - before, decided, "{chain}");
    }
    // Where no route declares what it is, it is sent on as it came.
    for chain in ["manager-before", "manager-behind"] {
        let asked = send(chain)?;
        assert_eq!(stage.landing(&asked.path)?.1.body, "{", "{chain}");
    }
    Ok(())
}
