//! Whoever cannot show who they are is sent nothing.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Site, body, error_of};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::provider::{Authority, Provider, documented};

pub const CASES: &[Case] = &[(
    "a_provider_that_cannot_show_who_it_is_is_sent_nothing_and_another_answers",
    nobody_in_particular,
)];

/// The targets, and what Envoy says and counts when it asks them.
const BROKEN: [(&str, &str, &str); 4] = [
    ("other-ca", "CERTIFICATE_VERIFY_FAILED", "fail_verify_error"),
    ("expired", "CERTIFICATE_VERIFY_FAILED", "fail_verify_error"),
    ("other-name", "CERTIFICATE_VERIFY_FAILED", "fail_verify_san"),
    ("plain", "WRONG_VERSION_NUMBER", "connection_error"),
];

fn nobody_in_particular(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    let stranger = Authority::new("somebody else's")?;
    site.add_with("other-ca-1", "openai", "m", &stranger.issue("localhost")?)?;
    let expired = site.authority.issue_expired("localhost")?;
    site.add_with("expired-1", "openai", "m", &expired)?;
    let other_name = site.authority.issue("api.example.com")?;
    site.add_with("other-name-1", "openai", "m", &other_name)?;
    let plain = Provider::start_plain(documented("openai").context("a kind")?, "m")?;
    let entry = json!({
        "kind": "openai", "url": plain.url(), "ca": site.path("ca.pem"), "auth": "none"
    });
    site.insert("plain-1", plain, entry);
    site.add("sound-1", "openai", "sound-model")?;
    site.add_with("alone-1", "anthropic", "m", &stranger.issue("localhost")?)?;
    let targets = BROKEN.map(|(name, _, _)| name).into_iter().chain(["sound", "alone"]);
    let targets = targets.map(|name| {
        let model = if name == "sound" { "sound-model" } else { "m" };
        json!({"name": name, "model": format!("{name}-1/{model}")})
    });
    let running = site.start(stage, targets.collect())?;
    // From the last on, because each is replaced by those behind it.
    for (target, failure, counter) in BROKEN.into_iter().rev() {
        assert_eq!(running.answered(target, "chat/completions")?, "sound-model", "{target}");
        let line =
            running.envoy.access_log_line(|line| line["endpoint"] == format!("{target}-model"))?;
        assert_eq!(line["provider"], format!("{target}-1"));
        let told = line["failure"].as_str().unwrap_or_default();
        ensure!(told.contains(failure), "{target}: {line}");
        let counted = running.statistic(&format!("cluster.{target}-model.ssl.{counter}"))?;
        ensure!(counted > 0, "{target}: {counter}");
        let failed = format!("cluster.{target}-model.upstream_cx_connect_fail");
        ensure!(running.statistic(&failed)? > 0, "{target}: {failed}");
    }
    let line = running.envoy.access_log_line(|line| line["answered"] == "sound")?;
    assert_eq!(line["status"], 200);
    // Nobody else serves this API.
    let response = running.ask("alone", "messages", &body("messages"))?;
    assert_eq!(response.status, 503);
    let error = error_of(&response)?;
    ensure!(error.starts_with("alone (alone-1): "), "{error}");
    // From 1.40 on, only the log says why.
    let line = running.envoy.access_log_line(|line| line["endpoint"] == "alone-model")?;
    let told = line["failure"].as_str().unwrap_or_default();
    ensure!(told.contains("CERTIFICATE_VERIFY_FAILED"), "{line}");
    for (name, provider) in &site.providers {
        if name == "sound-1" {
            continue;
        }
        let (connections, handshakes) = provider.connections();
        ensure!(connections > 0, "{name} was not asked at all");
        assert_eq!(handshakes, 0, "{name}");
        assert_eq!(provider.seen().len(), 0, "{name}");
    }
    let heard = site.provider("plain-1").heard();
    assert_eq!(heard.first(), Some(&0x16), "a TLS record of a handshake");
    for text in ["HTTP", "key-of", "messages"] {
        ensure!(!String::from_utf8_lossy(&heard).contains(text), "{text} in the clear");
    }
    site.assert_no_faults();
    Ok(())
}
