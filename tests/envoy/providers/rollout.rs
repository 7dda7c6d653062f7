//! `pointsman rollout` of a changed file, to an Envoy that somebody else started.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Site, body, request};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::program;

pub const CASES: &[Case] =
    &[("a_changed_file_is_rolled_out_under_load_and_a_refused_one_is_put_back", rolled_out)];

const API: &str = "chat/completions";

fn rolled_out(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("first", "groq", "first-model")?;
    site.add("second", "openai", "second-model")?;
    site.add("other", "openrouter", "other-model")?;
    let text = |cheap: &str, more: Value| {
        let strong = json!({"name": "strong", "model": "other/other-model"});
        site.text(json!([{"name": "cheap", "model": cheap}, strong]), more)
    };
    let first = text("first/first-model", json!({}));
    let running = site.start_with(&stage.binary, &first, "bootstrap.yaml")?;
    let (directory, file) = (site.path("envoy"), site.path("pointsman.yaml"));
    let admin = running.envoy.admin.to_string();
    let roll_out = |text: &str, more: &[&str]| -> Result<(i32, String)> {
        fs::write(&file, text)?;
        let mut command = Command::new(program()?);
        command.arg("rollout").arg(&directory).arg("--file").arg(&file);
        let output = command.args(["--admin", &admin]).args(more).output()?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        Ok((output.status.code().context("killed")?, said))
    };
    assert_eq!(running.answered("cheap", API)?, "first-model");

    let (listener, going) = (running.envoy.listener, AtomicBool::new(true));
    let sent = std::thread::scope(|scope| -> Result<usize> {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<usize> {
                    let mut sent = 0;
                    while going.load(Ordering::Relaxed) {
                        let request = request("cheap", API, &body(API))?;
                        let response = client::exchange(listener, Protocol::Http1, request)?;
                        let text = String::from_utf8_lossy(&response.body);
                        ensure!(response.status == 200, "{}: {text}", response.status);
                        sent += 1;
                    }
                    Ok(sent)
                })
            })
            .collect();
        let rounds = || -> Result<()> {
            for model in ["second-model", "first-model", "second-model"] {
                let (provider, _) = model.split_once('-').context("a provider")?;
                let new = text(&format!("{provider}/{model}"), json!({}));
                let (status, said) = roll_out(&new, &[])?;
                ensure!(status == 0 && said.contains("accepted by Envoy ("), "{said}");
                for _ in 0..10 {
                    ensure!(running.answered("cheap", API)? == model, "not from {model}");
                }
                let (status, said) = roll_out(&new, &[])?;
                ensure!(status == 0 && said.contains("nothing changes"), "{said}");
            }
            Ok(())
        };
        let outcome = rounds();
        going.store(false, Ordering::Relaxed);
        let mut sent = 0;
        for client in clients {
            sent += client.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        }
        outcome.map(|()| sent)
    })?;
    ensure!(sent > 50, "only {sent} requests ran meanwhile");

    // What Envoy refuses is put back, what it would not read is said, and what is wrong is not begun.
    let before = contents(&directory)?;
    let third = text("first/first-model", json!({}));
    let (status, said) = roll_out(&third, &["--wasm", "/nowhere/pointsman.wasm"])?;
    ensure!(status == 1 && said.contains("refused by Envoy; "), "{status}: {said}");
    assert_eq!(contents(&directory)?, before);
    let (status, said) = roll_out(&text("first/none", json!({"policy": {"preset": "fast"}})), &[])?;
    ensure!(status == 2 && said.contains("policy.preset = \"fast\""), "{status}: {said}");
    assert_eq!(contents(&directory)?, before);
    assert_eq!(running.answered("cheap", API)?, "second-model");
    let (status, said) =
        roll_out(&text("second/second-model", json!({"admin": "127.0.0.1:9"})), &[])?;
    ensure!(
        status == 0 && said.contains("bootstrap.yaml differs and is not rolled out"),
        "{status}: {said}"
    );
    // Each refuses any key, path, host and model but its own.
    site.assert_no_faults();
    Ok(())
}

/// The files that Envoy watches.
fn contents(directory: &Path) -> Result<Vec<String>> {
    let names = ["clusters.yaml", "listeners.yaml", "filter.yaml"];
    names.iter().map(|name| Ok(fs::read_to_string(directory.join(name))?)).collect()
}
