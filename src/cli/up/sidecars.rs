//! What stands next to Envoy: caches, the control plane, and what keeps escalated requests, as
//! children of this program.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::{BadInput, gateway};
use super::deployment::Directory;
use super::process::Process;
use pointsman_gateway::arguments;
use pointsman_gateway::file::{Control, Gateway};

const LISTENING_WITHIN: Duration = Duration::from_secs(30);

/// Starts what the file has, and waits until it listens.
pub(super) async fn start(
    gateway: &Gateway,
    directory: &Directory,
) -> anyhow::Result<Vec<Process>> {
    let mut started = Vec::new();
    if let Some(control) = &gateway.control {
        let (arguments, variables) = (arguments::serve(gateway, control), variables(control)?);
        started.push(child("control-plane", &arguments, &variables, directory).await?);
    }
    if let Some(cache) = &gateway.cache {
        let store =
            vec![("POINTSMAN_CACHE_STORE".to_owned(), cache.store.clone().unwrap_or_default())];
        started.push(
            child("cache", &arguments::cache(gateway, cache, None), &store, directory).await?,
        );
    }
    if let Some(capture) = &gateway.capture {
        started.push(child("capture", &arguments::capture(capture), &[], directory).await?);
    }
    Ok(started)
}

async fn child(
    name: &str,
    arguments: &[String],
    environment: &[(String, String)],
    directory: &Directory,
) -> anyhow::Result<Process> {
    report!("starting the {name}");
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let log = directory.file(&format!("logs/{name}.log"));
    let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
    let (mut process, _) = Process::start(name, &program, &arguments, environment, &log, false)?;
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains("listening on ") {
            return Ok(process);
        }
        if process.ended().is_some() || begun.elapsed() > LISTENING_WITHIN {
            let last = text.lines().find(|line| line.starts_with("error: "));
            anyhow::bail!(
                "the {name} did not start: {} (see {})",
                last.unwrap_or("it says nothing"),
                log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Environment variables by name.
type Variables = Vec<(String, String)>;

fn variables(control: &Control) -> anyhow::Result<Variables> {
    let mut variables = vec![("POINTSMAN_STORE".to_owned(), control.store.clone())];
    for (variable, key) in control.secrets() {
        let secret = gateway::key(key).map_err(BadInput::new)?;
        variables.push((variable.to_owned(), secret));
    }
    Ok(variables)
}
