//! A provider is down: another answers, under its own model's name and with its own key.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{CLIENTS_KEY, Site};
use crate::Case;
use crate::stage::Stage;

pub const CASES: &[Case] = &[
    ("a_provider_that_is_down_is_replaced_by_another_under_its_own_name_and_key", three),
    ("endpoints_share_a_targets_requests_by_weight_and_replace_each_other_first", endpoints),
];

const CHAT: &str = "chat/completions";

fn three(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("one", "gemini", "cheap-model")?;
    site.add("two", "azure", "middle-model")?;
    site.add("three", "openai", "strong-model")?;
    let running = site.start(
        stage,
        json!([
            {"name": "cheap", "model": "one/cheap-model"},
            {"name": "middle", "model": "two/middle-model"},
            {"name": "strong", "model": "three/strong-model"},
        ]),
    )?;
    for target in ["cheap", "middle", "strong"] {
        assert_eq!(running.answered(target, CHAT)?, format!("{target}-model"));
    }
    site.provider("one").kill();
    assert_eq!(running.answered("cheap", CHAT)?, "middle-model");
    let line = running
        .envoy
        .access_log_line(|line| line["answered"] == "middle" && line["attempts"] == 2)?;
    assert_eq!(line["status"], 200);
    // The last: the one before it.
    site.provider("three").set_status(500);
    assert_eq!(running.answered("strong", CHAT)?, "middle-model");
    // The middle: the next, and then the previous one.
    site.provider("two").set_status(429);
    site.provider("three").set_status(200);
    assert_eq!(running.answered("middle", CHAT)?, "strong-model");
    assert_eq!(running.answered("cheap", CHAT)?, "strong-model");
    assert_eq!(site.counts(), [1, 5, 4]);
    site.provider("three").kill();
    let response = running.ask("strong", CHAT, &super::body(CHAT))?;
    ensure!([429, 503].contains(&response.status), "{}", response.status);
    for (name, _) in &site.providers {
        site.assert_only_seen_by(Some(name), &format!("key-of-{name}"));
    }
    site.assert_only_seen_by(None, CLIENTS_KEY);
    site.assert_no_faults();
    Ok(())
}

fn endpoints(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("one", "together", "org/model")?;
    site.add("two", "azure", "deployment")?;
    site.add("three", "openai", "strong-model")?;
    let shared = json!([
        {"model": "one/org/model", "weight": 3},
        {"model": "two/deployment", "weight": 1},
    ]);
    let running = site.start(
        stage,
        json!([
            {"name": "cheap", "endpoints": shared},
            {"name": "strong", "model": "three/strong-model"},
        ]),
    )?;
    for _ in 0..160 {
        running.answered("cheap", CHAT)?;
    }
    let counts = site.counts();
    ensure!((100..=140).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 160, "no request was sent twice");
    site.provider("one").kill();
    for number in 0..20 {
        assert_eq!(running.answered("cheap", CHAT)?, "deployment", "{number}");
    }
    assert_eq!(site.counts()[2], 0);
    site.provider("two").set_status(503);
    assert_eq!(running.answered("cheap", CHAT)?, "strong-model");
    site.assert_no_faults();
    Ok(())
}
