//! `pointsman up`, as people start it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Site, body, request};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::{program, root, wasm_module};

/// On the newest version only.
pub const CASES: &[Case] = &[
    ("a_provider_is_replaced_under_load_and_none_gets_anothers_request", replaced),
    ("the_example_of_three_providers_routes_and_falls_back", three_providers),
    ("two_model_names_are_all_that_envoy_needs", two_models),
    ("real_sdks_work_through_up_and_it_ends_cleanly", sdks),
];

const PATIENCE: Duration = Duration::from_secs(120);

/// A running `pointsman up`; dropping it asks it to end.
struct Up {
    child: Child,
    directory: PathBuf,
    listen: SocketAddr,
}

impl Up {
    /// Starts with a file, and waits until it says where to send requests.
    fn start(site: &Site, stage: &Stage, text: &Value, variables: &[(&str, &str)]) -> Result<Self> {
        let directory = site.path("up");
        fs::create_dir_all(&directory)?;
        let listen = free_address()?;
        let mut up = Self { child: Command::new("true").spawn()?, directory, listen };
        up.write(text)?;
        let output = |name: &str| File::create(up.directory.join(name));
        up.child = Command::new(program()?)
            .current_dir(&up.directory)
            .args(["up", "--listen", &listen.to_string(), "--admin", &free_address()?.to_string()])
            .arg("--envoy-binary")
            .arg(&stage.binary)
            .arg("--wasm")
            .arg(wasm_module()?)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output("out")?)
            .stderr(output("err")?)
            .spawn()?;
        up.wait_for("out", "export OPENAI_BASE_URL=")?;
        Ok(up)
    }

    /// Puts another file in the place of the one it runs.
    fn write(&self, text: &Value) -> Result<()> {
        let new = self.directory.join("new.yaml");
        fs::write(&new, text.to_string())?;
        Ok(fs::rename(new, self.directory.join("pointsman.yaml"))?)
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap_or_default()
    }

    fn wait_for(&mut self, name: &str, wanted: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.said(name).contains(wanted) {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("never said {wanted}:\n{}", self.said("err"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn ask(&self, target: &str) -> Result<(u16, String)> {
        let request = request(target, "chat/completions", &body("chat/completions"))?;
        let response = client::exchange(self.listen, Protocol::Http1, request)?;
        Ok((response.status, String::from_utf8_lossy(&response.body).into_owned()))
    }

    /// Asks for a target; which model answered.
    fn answered(&self, target: &str) -> Result<String> {
        let (status, text) = self.ask(target)?;
        ensure!(status == 200, "{target}: {status} {text}\n{}", self.said("out"));
        let answer: Value = serde_json::from_str(&text)?;
        Ok(answer["model"].as_str().context("no model")?.to_owned())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// An address that nobody uses.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn parsed(site: &Site, targets: Value) -> Result<Value> {
    let mut file: Value = serde_json::from_str(&site.text(targets, json!({})))?;
    let fields = file.as_object_mut().context("no object")?;
    // Both are chosen by the arguments.
    fields.remove("listen");
    fields.remove("admin");
    Ok(file)
}

fn replaced(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("first", "groq", "first-model")?;
    site.add("second", "openai", "second-model")?;
    site.add("other", "openrouter", "other-model")?;
    let file = |cheap: &str| {
        parsed(
            &site,
            json!([{"name": "cheap", "model": cheap}, {"name": "strong", "model": "other/other-model"}]),
        )
    };
    let mut up = Up::start(&site, stage, &file("first/first-model")?, &[])?;
    assert_eq!(up.answered("cheap")?, "first-model");
    let going = Arc::new(AtomicBool::new(true));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (going, listen) = (Arc::clone(&going), up.listen);
            std::thread::spawn(move || -> Result<usize> {
                let mut sent = 0;
                while going.load(Ordering::Relaxed) {
                    let request = request("cheap", "chat/completions", &body("chat/completions"))?;
                    let response = client::exchange(listen, Protocol::Http1, request)?;
                    ensure!(
                        response.status == 200,
                        "{}: {}",
                        response.status,
                        String::from_utf8_lossy(&response.body)
                    );
                    sent += 1;
                }
                Ok(sent)
            })
        })
        .collect();
    for (round, cheap) in
        ["second/second-model", "first/first-model", "second/second-model"].into_iter().enumerate()
    {
        up.write(&file(cheap)?)?;
        let deadline = Instant::now() + PATIENCE;
        while up.said("err").matches("accepted by Envoy").count() <= round {
            ensure!(Instant::now() < deadline, "{}", up.said("err"));
            std::thread::sleep(Duration::from_millis(50));
        }
        let model = cheap.split('/').nth(1).context("a model")?;
        for _ in 0..10 {
            assert_eq!(up.answered("cheap")?, model);
        }
    }
    // What Envoy refuses changes nothing.
    let mut wrong = file("first/first-model")?;
    wrong["policy"] = json!({"preset": "fast"});
    up.write(&wrong)?;
    up.wait_for("err", "policy.preset = \"fast\"")?;
    assert_eq!(up.answered("cheap")?, "second-model");
    going.store(false, Ordering::Relaxed);
    let mut sent = 0;
    for thread in load {
        sent += thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    }
    ensure!(sent > 100, "only {sent} requests ran meanwhile");
    // Each refuses any key, path, host and model but its own.
    site.assert_no_faults();
    let counts = site.counts();
    assert!(counts[0] > 0 && counts[1] > 0 && counts[2] == 0, "{counts:?}");
    Ok(())
}

fn three_providers(stage: &Stage) -> Result<()> {
    let text = fs::read_to_string(root().join("examples/three-providers.yaml"))?;
    assert!(text.lines().count() <= 40);
    let docs = fs::read_to_string(root().join("docs/providers.md"))?;
    assert!(docs.contains(text.trim()), "docs/providers.md shows another file");
    let mut file: Value = serde_saphyr::from_str(&text)?;
    let mut site = Site::new()?;
    let targets = file["targets"].as_array().context("no targets")?.clone();
    let mut models = Vec::new();
    for target in &targets {
        let named = target["model"].as_str().context("no model")?;
        let (provider, model) = named.split_once('/').context("PROVIDER/MODEL")?;
        site.add(provider, provider, model)?;
        models.push(model.to_owned());
    }
    // The same but for where they are, and by whom they are vouched for.
    for (name, entry) in &site.entries {
        file["providers"][name]["url"] = entry["url"].clone();
        file["providers"][name]["ca"] = entry["ca"].clone();
    }
    let names: Vec<&str> = targets.iter().filter_map(|target| target["name"].as_str()).collect();
    file["override"] = json!({"targets": names});
    let keys = [
        ("GROQ_API_KEY", "key-of-groq"),
        ("OPENAI_API_KEY", "key-of-openai"),
        ("OPENROUTER_API_KEY", "key-of-openrouter"),
    ];
    let up = Up::start(&site, stage, &file, &keys)?;
    for (name, model) in names.iter().zip(&models) {
        assert_eq!(up.answered(name)?, *model);
    }
    site.providers[0].1.kill();
    assert_eq!(up.answered(names[0])?, models[1], "the next stronger one answers");
    site.providers[2].1.kill();
    assert_eq!(up.answered(names[2])?, models[1], "the strongest is replaced from below");
    site.assert_no_faults();
    site.assert_only_seen_by(None, super::CLIENTS_KEY);
    Ok(())
}

fn two_models(stage: &Stage) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let tools = directory.path().join("bin");
    fs::create_dir(&tools)?;
    symlink(&stage.binary, tools.join("envoy"))?;
    let run = |path: &Path, key: Option<&str>| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(program()?);
        command
            .current_dir(directory.path())
            .env_clear()
            .env("PATH", path)
            .args(["up", "--cheap", "openai/gpt-4o-mini", "--strong", "openai/gpt-4o", "--dry-run"])
            .arg("--wasm")
            .arg(wasm_module()?);
        if let Some(key) = key {
            command.env("OPENAI_API_KEY", key);
        }
        let output = command.output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let (status, said) = run(&tools, Some("sk-test"))?;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("Envoy accepts the configuration"), "{said}");
    let (status, said) = run(&tools, None)?;
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("OPENAI_API_KEY is not set"), "{said}");
    let (status, said) = run(directory.path(), Some("sk-test"))?;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no Envoy found") && said.contains("hint: install one"), "{said}");
    Ok(())
}

/// `make clients-venv` installs the SDKs, which are too large to be fetched for every test run.
fn sdks(stage: &Stage) -> Result<()> {
    let python = root().join(".venv-clients/bin/python");
    if !python.exists() {
        eprintln!("skipped: no SDKs; `make clients-venv` installs them");
        return Ok(());
    }
    let output = Command::new(python)
        .arg(root().join("tests/clients/sdks.py"))
        .env("POINTSMAN", program()?)
        .env("ENVOY", &stage.binary)
        .env("WASM", wasm_module()?)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let faults: Vec<&str> = said.lines().filter(|line| line.starts_with("FAULT")).collect();
    ensure!(output.status.success(), "{faults:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
