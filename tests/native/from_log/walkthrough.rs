//! README's section "From your log to your router", run line by line: only ports, the directory
//! and the way to Envoy differ.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::from_log::root;

/// The section's shell block.
fn block() -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("## From your log to your router").nth(1).expect("the section");
    let start = section.find("```sh\n").expect("a shell block") + "```sh\n".len();
    let end = section[start..].find("```").expect("its end") + start;
    section[start..end].to_owned()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "README no longer has {from:?}");
    text.replace(from, to)
}

#[test]
fn the_lines_of_the_readme_end_in_a_new_model_in_a_running_envoy() {
    let versions = fs::read_to_string(root().join("envoy/versions")).unwrap();
    let version = versions.lines().next().unwrap();
    let envoy = root().join(".envoy").join(version).join("envoy/_bin/envoy");
    assert!(envoy.is_file(), "no Envoy {version}: run `make envoy`");
    assert!(root().join("dist/pointsman.wasm").is_file(), "no filter: run `make wasm`");

    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    // All are held at once, so that they are different ones.
    let held: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port")).collect();
    let ports: Vec<String> =
        held.iter().map(|port| port.local_addr().unwrap().port().to_string()).collect();
    drop(held);
    let documented = ["10000", "9901", "9011", "9012"];
    let mut script = replaced(&block(), "make build\n", "");
    script = replaced(&script, "target/log-to-router", work.to_str().unwrap());
    script = replaced(&script, "target/release/pointsman", env!("CARGO_BIN_EXE_pointsman"));
    let start = format!("{} --use-dynamic-base-id", envoy.display());
    script = replaced(&script, "\"$(make -s envoy)\"", &start);
    let rendered = "render xds --file envoy/pointsman.yaml --out $W\n";
    let mut ported = format!("{rendered}sed -i");
    for (from, to) in documented.iter().zip(&ports) {
        script = replaced(&script, from, to);
        ported += &format!(" -e 's/port_value: {from}/port_value: {to}/'");
    }
    script = replaced(&script, rendered, &format!("{ported} $W/*.yaml\n"));
    // Whatever goes wrong, nothing outlives the test, and nothing waits forever.
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{script}");
    let output = Command::new("timeout")
        .args(["--kill-after=5", "400", "bash", "-euo", "pipefail", "-c", &script])
        .current_dir(root())
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&output.stdout);
    let log = fs::read_to_string(work.join("envoy.log")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{}\n{said}\n{}\n{log}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );

    let manifest: Value =
        serde_json::from_slice(&fs::read(work.join("model/manifest.json")).unwrap()).unwrap();
    let access = fs::read_to_string(work.join("access.log")).unwrap();
    let line: Value = serde_json::from_str(access.lines().last().expect("a request")).unwrap();
    let decision: Value = serde_json::from_str(line["decision"].as_str().unwrap()).unwrap();
    assert_eq!(decision["model_version"], manifest["version"], "the new model decided");
    assert_eq!(decision["source"], "classifier");
    // What `explain` said is what Envoy did.
    let target = decision["target"].as_str().unwrap();
    assert!(said.contains(&format!("target    {target} ")), "{said}");
    assert!(said.contains(&format!("x-pointsman-target: {target}")), "{said}");
    // One Envoy from beginning to end, first with the shipped model.
    assert_eq!(log.matches("starting main dispatch loop").count(), 1);
    let shipped: Value =
        serde_json::from_slice(&fs::read(root().join("model/manifest.json")).unwrap()).unwrap();
    let ready = format!("ready: model {}", shipped["version"].as_str().unwrap());
    assert!(log.contains(&ready), "{log}");
}
