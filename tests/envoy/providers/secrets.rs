//! Whose key goes where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{CLIENTS_KEY, Site, body};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::load;

pub const CASES: &[Case] = &[
    ("a_key_is_exchanged_under_load_without_a_lost_request", rotation),
    ("a_clients_key_goes_to_the_provider_it_is_for_and_to_no_other", passthrough),
];

/// Providers with and without a word before the key.
const ROTATED: [(&str, &str, &str, &str); 2] =
    [("cheap", "one", "openai", "chat/completions"), ("strong", "two", "anthropic", "messages")];

fn raw_request(target: &str, api: &str) -> Vec<u8> {
    let body = body(api).to_string();
    let length = body.len();
    format!(
        "POST /v1/{api} HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n\
         x-pointsman-target: {target}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn rotation(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    let mut targets = Vec::new();
    for (target, name, kind, _) in ROTATED {
        site.add(name, kind, "m")?;
        targets.push(json!({"name": target, "model": format!("{name}/m")}));
    }
    let running = site.start(stage, targets.into())?;
    let requests = ROTATED.map(|(target, _, _, api)| raw_request(target, api));
    let (requests, over) = (Arc::new(requests.to_vec()), Arc::new(AtomicBool::new(false)));
    let listener = running.envoy.listener;
    let flood = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            load::flood(listener, &requests, 4, move |_| over.load(Ordering::Relaxed))
        })
    };
    let exchanged = exchange(&site);
    over.store(true, Ordering::Relaxed);
    let flood = flood.join().expect("the flood does not panic")?;
    exchanged?;
    site.assert_no_faults();
    assert_eq!(flood.refused, 0);
    ensure!(flood.answered > 100, "{flood:?}");
    Ok(())
}

fn exchange(site: &Site) -> Result<()> {
    let has_key = |name: &str, new: bool| {
        let key = format!("{}-of-{name}", if new { "new" } else { "key" });
        site.provider(name).seen().last().is_some_and(|seen| seen.has(&key))
    };
    let wait = |new: bool| -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !ROTATED.iter().all(|(_, name, _, _)| has_key(name, new)) {
            ensure!(Instant::now() < deadline, "no request with the other key");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(300));
        Ok(())
    };
    wait(false)?;
    for (_, name, _, _) in ROTATED {
        let (old, new) = (format!("key-of-{name}"), format!("new-of-{name}"));
        // From now on requests may have either.
        site.provider(name).accept(&[&old, &new]);
        let file = site.path(&format!("{name}.key"));
        std::fs::write(file.with_extension("new"), new)?;
        std::fs::rename(file.with_extension("new"), file)?;
    }
    wait(true)?;
    for (_, name, _, _) in ROTATED {
        site.provider(name).accept(&[&format!("new-of-{name}")]);
    }
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

fn passthrough(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("theirs", "openai", "theirs-model")?.accept(&[CLIENTS_KEY]);
    let entry = site.entries["theirs"].as_object_mut().expect("an entry");
    entry.remove("key");
    entry.insert("auth".to_owned(), json!("passthrough"));
    site.add("ours", "groq", "ours-model")?;
    let running = site.start(
        stage,
        json!([
            {"name": "cheap", "model": "theirs/theirs-model"},
            {"name": "strong", "model": "ours/ours-model"},
        ]),
    )?;
    let chat = "chat/completions";
    assert_eq!(running.answered("cheap", chat)?, "theirs-model");
    assert_eq!(running.answered("strong", chat)?, "ours-model");
    // Each in the other's place.
    site.provider("theirs").set_status(503);
    assert_eq!(running.answered("cheap", chat)?, "ours-model");
    site.provider("theirs").set_status(200);
    site.provider("ours").set_status(429);
    assert_eq!(running.answered("strong", chat)?, "theirs-model");
    assert_eq!(site.counts(), [3, 3]);
    site.assert_only_seen_by(Some("theirs"), CLIENTS_KEY);
    site.assert_only_seen_by(Some("ours"), "key-of-ours");
    site.assert_no_faults();
    Ok(())
}
