//! Real Envoy, the real filter, recording upstreams.
//!
//! Every case runs on every version of `envoy/versions`; one Envoy of a version serves all its
//! cases. `POINTSMAN_ENVOY_VERSIONS="1.40.0 1.37.0"` chooses among the versions. The usual test
//! arguments work: `cargo test --release --test envoy -- 1.40.0 trailers`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod body;
mod chains;
mod configuration;
mod demo;
mod edge;
mod escalation;
mod failover;
mod fallback;
mod gateway;
mod observability;
mod opentelemetry;
mod prometheus;
mod providers;
mod reload;
mod routing;
mod safety;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use pointsman_testkit::process::tail;
use stage::{Stage, Stages};

/// A named case; the stage is shared, so a case may not assume that it is alone.
type Case = (&'static str, fn(&Stage) -> Result<()>);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The upstreams are told apart by path, but a busy machine would blur failures.
    arguments.test_threads.get_or_insert(1);
    let versions = match versions() {
        Ok(versions) => versions,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let stages = Arc::new(Stages::default());
    let cases: Vec<Case> = [
        routing::CASES,
        fallback::CASES,
        body::CASES,
        safety::CASES,
        observability::CASES,
        opentelemetry::CASES,
        configuration::CASES,
        gateway::CASES,
        reload::CASES,
        failover::CASES,
        edge::CASES,
        chains::cases().as_slice(),
        providers::cases().as_slice(),
        escalation::cases().as_slice(),
    ]
    .concat();
    // What tests another program's view of Envoy, or the default one, needs no more than one version.
    let once = [prometheus::CASES, demo::CASES, providers::up::CASES].concat();
    let once = once.iter().flat_map(|case| versions.first().map(|v| (v.clone(), *case)));
    let trials = versions
        .iter()
        .flat_map(|version| cases.iter().map(move |case| (version.clone(), *case)))
        .chain(once)
        .map(|(version, (name, case))| {
            let stages = Arc::clone(&stages);
            Trial::test(format!("{version}::{name}"), move || run(&stages, &version, case))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Statics and leaked threads would keep an Envoy alive beyond our end.
    stages.stop();
    conclusion.exit_code()
}

/// Runs one case; on failure Envoy's log since its start is part of the message.
fn run(stages: &Stages, version: &str, case: fn(&Stage) -> Result<()>) -> Result<(), Failed> {
    let stage = stages.get(version)?;
    let start = stage.envoy.log_len();
    let outcome = catch_unwind(AssertUnwindSafe(|| case(&stage)));
    let message = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("{error:?}"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panicked".to_owned()),
    };
    // Envoy writes its access log with a delay.
    std::thread::sleep(Duration::from_millis(200));
    let log = tail(&stage.envoy.log_since(start), 40);
    let requests = tail(&stage.envoy.access_log(), 3);
    Err(format!(
        "{message}\n--- Envoy {version} said since the case began ---\n{log}\n\
         --- the last requests ---\n{requests}"
    )
    .into())
}

fn versions() -> Result<Vec<String>> {
    let supported = pointsman_testkit::supported_versions()?;
    let Ok(chosen) = std::env::var("POINTSMAN_ENVOY_VERSIONS") else {
        return Ok(supported);
    };
    let chosen: Vec<String> =
        chosen.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = chosen.iter().find(|version| !supported.contains(version)) {
        anyhow::bail!("POINTSMAN_ENVOY_VERSIONS: {unknown:?} is not in envoy/versions");
    }
    Ok(chosen)
}
