//! Configuration, model, module and listener are replaced while requests come: none is lost.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::Case;
use crate::stage::{PROTOCOLS, Stage, chat_body, post};
use pointsman_testkit::client::{self, Connection, Protocol};
use pointsman_testkit::deployment::{Deployment, Watched};
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::{RUNTIME, program, root, wasm_module};

pub const CASES: &[Case] = &[
    ("configuration_model_module_and_listener_are_replaced_without_losing_a_request", reload),
    ("a_refused_roll_out_says_so_and_the_old_configuration_serves_on", rolled_out),
];

fn reload(stage: &Stage) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let upstreams = [("cheap-cache", stage.cheap.address), ("strong-cache", stage.strong.address)];
    let (start, mut watched) = Deployment::watched(&wasm_module()?, directory.path(), &upstreams)?;
    let envoy = Envoy::start(&stage.binary, &start, directory.path())?;
    let load = Load::start(&envoy)?;
    let vms = stat(&envoy, "wasm.envoy.wasm.runtime.v8.active")?;

    // Thresholds that send everything to one target show which configuration is at work.
    let mut configuration = watched.filter_configuration()?;
    for round in 0..4 {
        let (threshold, target) = if round % 2 == 0 { (1.0, "strong") } else { (0.0, "cheap") };
        configuration["targets"][0]["threshold"] = json!(threshold);
        watched.set_filter_configuration(&configuration.to_string())?;
        wait_for(&envoy, "x-pointsman-target", target)?;
    }

    // What is wrong is refused and told, and what is at work stays.
    let refused = |watched: &mut Watched, wrong: &Value, told: &[&str]| -> Result<()> {
        let (failures, log) = (stat(&envoy, CONFIG_FAIL)?, envoy.log_len());
        watched.set_filter_configuration(&wrong.to_string())?;
        wait_until(|| Ok(stat(&envoy, CONFIG_FAIL)? > failures)).context("nothing is refused")?;
        for part in told {
            ensure!(envoy.log_since(log).contains(part), "{part:?} is not in the log");
        }
        assert_all(&envoy, "x-pointsman-target", "cheap")
    };
    let mut wrong = configuration.clone();
    wrong["default"] = json!("stronk");
    wrong["targets"][0]["threshold"] = json!(7);
    refused(&mut watched, &wrong, &["default", "stronk", "targets[0].threshold"])?;
    let mut manifest: Value = serde_json::from_slice(&model_file("manifest.json")?)?;
    let other = with_model(&configuration, &model_file("model.onnx")?, {
        let mut other = manifest.clone();
        other["schema_hash"] = json!("0123456789abcdef");
        other
    });
    refused(&mut watched, &other, &["0123456789abcdef", &pointsman_core::features::schema_hash()])?;

    // Another model: the same graph with a note of our own in it, so with another version.
    let mut onnx = model_file("model.onnx")?;
    onnx.extend([0x32, 4, b't', b'e', b's', b't']);
    let digest: String = Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    let version = digest[..12].to_owned();
    manifest["version"] = json!(version);
    configuration["targets"][0]["threshold"] = json!(1.0);
    let configuration = with_model(&configuration, &onnx, manifest);
    watched.set_filter_configuration(&configuration.to_string())?;
    wait_for(&envoy, "x-pointsman-target", "strong")?;
    let gauge = format!("wasmcustom.pointsman_configuration.model.{version}.policy.");
    ensure!(envoy.admin_get("/stats")?.contains(&gauge), "no {gauge}");

    // All of that ran in the VMs that were there, of which workers have one each.
    assert_eq!(stat(&envoy, "wasm.envoy.wasm.runtime.v8.active")?, vms);

    // A new listener takes over from one that finishes what it has begun.
    watched.set_stat_prefix("renamed")?;
    wait_until(|| {
        assert_all(&envoy, "x-pointsman-target", "strong")?;
        Ok(stat(&envoy, "http.renamed.downstream_rq_completed").is_ok_and(|count| count > 8))
    })?;

    // Another module: the same code with an empty section, so with another digest.
    let module = directory.path().join("other.wasm");
    let mut code = std::fs::read(wasm_module()?)?;
    code.extend([0, 5, 4, b't', b'e', b's', b't']);
    std::fs::write(&module, code)?;
    let loaded = configuration_log(&envoy);
    watched.set_module(&module)?;
    wait_until(|| Ok(configuration_log(&envoy) > loaded))?;
    assert_all(&envoy, "x-pointsman-target", "strong")?;

    let (answered, failures) = load.stop()?;
    assert!(failures.is_empty(), "{} of {answered}: {:?}", failures.len(), failures.first());
    assert!(answered > 100, "only {answered} requests ran meanwhile");
    Ok(())
}

/// `pointsman rollout`: its exit status and what it said.
fn roll_out(directory: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(program()?).arg("rollout").arg(directory).args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code().context("killed")?, String::from_utf8(said)?))
}

fn rolled_out(stage: &Stage) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let folder = directory.path();
    let upstreams = [("cheap-cache", stage.cheap.address), ("strong-cache", stage.strong.address)];
    let wasm = wasm_module()?;
    let (start, watched) = Deployment::watched(&wasm, folder, &upstreams)?;
    // The filter's file as it is rendered, and nothing else, for the rest is there.
    let file = folder.join("filter.yaml");
    let text = std::fs::read_to_string(root().join("deploy/xds/filter.yaml"))?;
    let module = wasm.to_str().context("a path in UTF-8")?;
    std::fs::write(&file, text.replace("dist/pointsman.wasm", module))?;
    let envoy = Envoy::start(&stage.binary, &start, folder)?;
    let admin = envoy.admin.to_string();

    // What it shows is what serves, with all that it has.
    let shown = || -> Result<Value> {
        let (status, text) = roll_out(folder, &["--show"])?;
        ensure!(status == 0, "{text}");
        Ok(serde_json::from_str(&text)?)
    };
    let mut configuration = shown()?;
    assert_eq!(configuration, watched.filter_configuration()?);

    let new = folder.join("new.json");
    let named = new.to_str().context("a path in UTF-8")?;
    let handed = ["--config", named, "--admin", &admin];
    // Not ASCII, and what JSON escapes: the filter gets the same text.
    configuration["policy"]["rules"] = json!([
        {"name": "proof", "target": "strong", "when": {"user": {"contains": ["\u{1f600}é\n\\U"]}}}]);
    for (threshold, target) in [(1.0, "strong"), (0.0, "cheap")] {
        configuration["targets"][0]["threshold"] = json!(threshold);
        let text = configuration.to_string();
        std::fs::write(&new, &text)?;
        let (status, said) = roll_out(folder, &handed)?;
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("accepted"), "{said}");
        wait_for(&envoy, "x-pointsman-target", target)?;
        assert_eq!(shown()?, configuration);
        // The bytes of the file, and no other spelling of them.
        let version = pointsman_core::features::digest_of(text.as_bytes());
        let gauges = envoy.admin_get("/stats?filter=pointsman_configuration")?;
        assert!(gauges.contains(&format!(".policy.{version}: ")), "{version}: {gauges}");
    }
    // Nothing new is no failure.
    assert_eq!(roll_out(folder, &handed)?.0, 0);

    // What is refused is told, and the file of what serves is back for the next start.
    let serving = std::fs::read(&file)?;
    let mut wrong = configuration.clone();
    wrong["targets"][0]["threshold"] = json!(7);
    for _ in 0..2 {
        std::fs::write(&new, wrong.to_string())?;
        let failures = stat(&envoy, CONFIG_FAIL)?;
        let (status, said) = roll_out(folder, &handed)?;
        assert_eq!(status, 1, "{said}");
        // Why, too, which Envoy says in its log only.
        let why = "targets[0].threshold = 7: ";
        for part in ["refused", "the old configuration serves on", why, "hint: "] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(stat(&envoy, CONFIG_FAIL)?, failures + 1);
        assert_eq!(std::fs::read(&file)?, serving);
        assert_all(&envoy, "x-pointsman-target", "cheap")?;
    }
    configuration["targets"][0]["threshold"] = json!(1.0);
    std::fs::write(&new, configuration.to_string())?;
    assert_eq!(roll_out(folder, &handed)?.0, 0);
    wait_for(&envoy, "x-pointsman-target", "strong")?;

    // An Envoy that watches other files, none at all, and calls that are wrong.
    let serving = std::fs::read(&file)?;
    let other = tempfile::tempdir()?;
    std::fs::copy(&file, other.path().join("filter.yaml"))?;
    let empty = tempfile::tempdir()?;
    let waited = [&handed[..], &["--timeout", "1"]].concat();
    let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let list = root().join("envoy/versions");
    let cases: [(&Path, Vec<&str>, i32, &str); 6] = [
        (other.path(), waited, 1, "did not look at"),
        (folder, vec!["--config", named, "--admin", &dead], 1, "no answer"),
        (folder, vec!["--config", list.to_str().context("a path in UTF-8")?], 2, "versions"),
        (folder, vec!["--config", named, "--admin", "9901"], 2, "HOST:PORT"),
        (empty.path(), handed.to_vec(), 2, "hint: `pointsman render xds"),
        (empty.path(), vec!["--show"], 2, "hint: `pointsman render xds"),
    ];
    for (folder, arguments, expected, part) in cases {
        let (status, said) = roll_out(folder, &arguments)?;
        assert_eq!(status, expected, "{said}");
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(std::fs::read(&file)?, serving);
    assert_eq!(std::fs::read(other.path().join("filter.yaml"))?, serving);
    assert_all(&envoy, "x-pointsman-target", "strong")?;

    // For an Envoy that starts later, nobody is asked.
    let (status, said) = roll_out(other.path(), &["--config", named, "--no-wait"])?;
    assert_eq!(status, 0, "{said}");
    let (status, shown) = roll_out(other.path(), &["--show"])?;
    assert_eq!((status, shown), (0, std::fs::read_to_string(&new)?));
    Ok(())
}

const CONFIG_FAIL: &str = "extension_config_discovery.http_filter.pointsman.config_fail";

/// How often the filter said that it is ready.
fn configuration_log(envoy: &Envoy) -> usize {
    envoy.log_since(0).matches(" ready: model ").count()
}

fn model_file(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(root().join("model").join(name))?)
}

fn with_model(configuration: &Value, onnx: &[u8], manifest: Value) -> Value {
    let mut configuration = configuration.clone();
    let onnx = BASE64_STANDARD.encode(onnx);
    configuration["policy"]["classifier"]["model"] = json!({"onnx": onnx, "manifest": manifest});
    configuration
}

fn stat(envoy: &Envoy, name: &str) -> Result<u64> {
    let text = envoy.admin_get(&format!("/stats?filter=^{name}$"))?;
    let (_, value) = text.trim().split_once(": ").with_context(|| format!("no {name}: {text}"))?;
    Ok(value.parse()?)
}

fn wait_until(mut reached: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached()? {
        if Instant::now() > deadline {
            bail!("not reached in a minute");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The values of a response header over new connections, enough of them to meet both workers.
fn values(envoy: &Envoy, header: &str) -> Result<Vec<Option<String>>> {
    let ask = |number: usize| {
        let request = request("/reload/v1/chat/completions")?;
        let protocol = PROTOCOLS[number % PROTOCOLS.len()];
        let response = client::exchange(envoy.listener, protocol, request)?;
        Ok(response.header(header).map(str::to_owned))
    };
    (0..8).map(ask).collect()
}

fn assert_all(envoy: &Envoy, header: &str, expected: &str) -> Result<()> {
    let values = values(envoy, header)?;
    assert!(values.iter().all(|value| value.as_deref() == Some(expected)), "{values:?}");
    Ok(())
}

fn wait_for(envoy: &Envoy, header: &str, expected: &str) -> Result<()> {
    wait_until(|| {
        let values = values(envoy, header)?;
        Ok(values.iter().all(|value| value.as_deref() == Some(expected)))
    })
    .with_context(|| format!("{header}: {expected}"))
}

fn request(path: &str) -> Result<http::Request<client::Body>> {
    let body = serde_json::to_vec(&chat_body("What is the capital of Mongolia?"))?;
    Ok(post(path).body(client::whole(body))?)
}

/// Requests that keep coming on connections that stay open, over both protocols.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(envoy: &Envoy) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let client = |protocol: Protocol| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            let mut connection = Connection::new(envoy.listener, protocol);
            RUNTIME.spawn(async move {
                let mut failures = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let Ok(request) = request("/load/v1/chat/completions") else { continue };
                    match connection.exchange(request).await {
                        Ok(response)
                            if response.status == 200
                                && response.header("x-pointsman-target").is_some() =>
                        {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(response) => failures.push(format!("{response:?}")),
                        Err(error) => failures.push(format!("{protocol:?}: {error:#}")),
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                failures
            })
        };
        let clients = PROTOCOLS.iter().cycle().take(8).map(|protocol| client(*protocol)).collect();
        let load = Self { over, answered, clients };
        wait_until(|| Ok(load.answered.load(Ordering::Relaxed) > 20))?;
        Ok(load)
    }

    /// How many requests were answered, and what went wrong.
    fn stop(self) -> Result<(usize, Vec<String>)> {
        self.over.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(RUNTIME.block_on(client)?);
        }
        Ok((self.answered.load(Ordering::Relaxed), failures))
    }
}
