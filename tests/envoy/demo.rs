//! `scripts/demo.py`, as `make demo` runs it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::{program, root, wasm_module};

pub const CASES: &[Case] = &[
    ("the_demo_prints_a_row_per_prompt_and_each_reaches_its_target", table),
    ("the_demo_with_caches_answers_the_second_round_from_them", cached),
    ("the_demo_without_a_filter_says_how_to_build_it", missing_filter),
    ("the_demo_shows_why_envoy_did_not_start_and_leaves_nothing_running", refused),
];

const TARGETS: [&str; 2] = ["cheap", "strong"];

/// A checkout of the driver and of what it reads, so that runs do not share their logs.
fn checkout() -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    for folder in ["scripts", "envoy", "dist", "target/release"] {
        fs::create_dir_all(place(folder))?;
    }
    let envoy = ["upstream.py", "prompts.jsonl", "judged.json", "envoy.yaml"];
    let envoy = envoy.map(|name| format!("envoy/{name}"));
    for name in envoy.iter().map(String::as_str).chain(["scripts/demo.py"]) {
        fs::copy(root().join(name), place(name))?;
    }
    symlink(wasm_module()?, place("dist/pointsman.wasm"))?;
    symlink(program()?, place("target/release/pointsman"))?;
    Ok(directory)
}

fn demo(stage: &Stage, checkout: &TempDir, arguments: &[&str]) -> Result<Output> {
    let mut driver = Command::new("python3");
    driver.arg(checkout.path().join("scripts/demo.py")).arg("--envoy").arg(&stage.binary);
    Ok(driver.args(arguments).output()?)
}

/// What the driver prints, and the target of each row of its table.
fn shown(stage: &Stage, arguments: &[&str]) -> Result<(String, Vec<String>)> {
    let output = demo(stage, &checkout()?, arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{said}", output.status);
    let shown = String::from_utf8(output.stdout)?;
    let mut lines = shown.lines();
    let header: Vec<&str> = lines.next().context("a header")?.split_whitespace().collect();
    let columns = ["#", "target", "reached", "score", "threshold", "judged", "decision", "prompt"];
    assert_eq!(header, columns);
    let mut targets = Vec::new();
    for row in lines.take_while(|line| !line.is_empty()) {
        let words: Vec<&str> = row.split_whitespace().collect();
        targets.push(words[1].to_owned());
        assert_eq!(words[0], targets.len().to_string(), "{row}");
        assert_eq!(words[2], words[1], "{row}");
    }
    Ok((shown, targets))
}

fn table(stage: &Stage) -> Result<()> {
    let (shown, targets) = shown(stage, &[])?;
    let prompts = fs::read_to_string(root().join("envoy/prompts.jsonl"))?.lines().count();
    assert_eq!(targets.len(), prompts, "{shown}");
    for name in TARGETS {
        let count = targets.iter().filter(|target| *target == name).count();
        let line = format!("\n{name:<7} {count:>3} of {prompts} requests (");
        assert!(count > 0 && shown.contains(&line), "{shown}");
    }
    assert!(shown.contains(&format!("\nEnvoy's counters: {prompts} decisions, ")), "{shown}");
    Ok(())
}

fn cached(stage: &Stage) -> Result<()> {
    let (shown, targets) = shown(stage, &["--cache"])?;
    let (_, again) =
        shown.split_once("\nThe same prompts again, by target:\n").context("no hits")?;
    for (name, line) in TARGETS.iter().zip(again.lines()) {
        let (target, outcomes) = line.split_once(' ').context("no outcomes")?;
        assert_eq!(target, *name);
        let counts: Vec<(usize, &str)> = outcomes
            .split(", ")
            .map(|outcome| {
                let (count, outcome) = outcome.trim().split_once(' ').context("no count")?;
                Ok((count.parse()?, outcome))
            })
            .collect::<Result<_>>()?;
        let asked = targets.iter().filter(|target| target == name).count();
        assert_eq!(counts.iter().map(|(count, _)| count).sum::<usize>(), asked, "{shown}");
        assert!(counts.iter().any(|(_, outcome)| outcome.contains("hit")), "{shown}");
    }
    Ok(())
}

fn missing_filter(stage: &Stage) -> Result<()> {
    let checkout = checkout()?;
    fs::remove_file(checkout.path().join("dist/pointsman.wasm"))?;
    let output = demo(stage, &checkout, &[])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8(output.stderr)?;
    let (error, hint) = said.split_once('\n').context("no second line")?;
    assert_eq!(error, "error: dist/pointsman.wasm is missing");
    assert!(hint.starts_with("hint: run `make wasm`"), "{said}");
    Ok(())
}

fn refused(stage: &Stage) -> Result<()> {
    let checkout = checkout()?;
    let file = checkout.path().join("envoy/envoy.yaml");
    let deployment = fs::read_to_string(&file)?;
    let wrong = deployment.replace(r#""mode": "route""#, r#""mode": "anything""#);
    ensure!(wrong != deployment, "envoy.yaml no longer has the mode");
    fs::write(file, wrong)?;
    let output = demo(stage, &checkout, &[])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8(output.stderr)?;
    for part in ["\nerror: envoy ended with status 1 ", "must be one of route", "\nhint: "] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    for target in TARGETS {
        let file = checkout.path().join(format!("target/demo/{target}-model.out"));
        let address = fs::read_to_string(file)?;
        let address: SocketAddr = address.trim().parse()?;
        assert!(TcpStream::connect(address).is_err(), "{target} still listens on {address}");
    }
    Ok(())
}
