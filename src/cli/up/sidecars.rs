//! What stands beside Envoy: caches and the control plane, as children of this program.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::gateway;
use super::deployment::Directory;
use super::process::Process;
use pointsman_core::config::Config;
use pointsman_gateway::file::{Cache, Control, Gateway, Key, Tenant};

const LISTENING_WITHIN: Duration = Duration::from_secs(30);

/// Starts what the file has, and waits until it listens.
pub(super) async fn start(
    gateway: &Gateway,
    directory: &Directory,
) -> anyhow::Result<Vec<Process>> {
    let mut started = Vec::new();
    if let Some(control) = &gateway.control {
        let (arguments, environment) = serve(gateway, control)?;
        started.push(child("control-plane", &arguments, &environment, directory).await?);
    }
    if let Some(cache) = &gateway.cache {
        let store =
            vec![("POINTSMAN_CACHE_STORE".to_owned(), cache.store.clone().unwrap_or_default())];
        started.push(child("cache", &caches(gateway, cache), &store, directory).await?);
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

fn caches(gateway: &Gateway, cache: &Cache) -> Vec<String> {
    let mut arguments = vec!["cache".to_owned()];
    for (at, target) in gateway.targets.iter().enumerate() {
        let upstream = format!("http://{}", cache.upstream(at));
        let listen = cache.address(at).to_string();
        for (flag, value) in
            [("--target", &target.name), ("--upstream", &upstream), ("--listen", &listen)]
        {
            arguments.extend([flag.to_owned(), value.clone()]);
        }
    }
    arguments.extend(["--admin".to_owned(), cache.admin().to_string()]);
    arguments.extend(["--ttl".to_owned(), cache.ttl_seconds.to_string()]);
    arguments.extend(["--memory".to_owned(), cache.memory_mib.to_string()]);
    match &cache.tenant {
        Tenant::Header(header) => arguments.extend(["--tenant-header".to_owned(), header.clone()]),
        Tenant::Credentials => {}
        Tenant::Shared => arguments.push("--anonymous".to_owned()),
    }
    if cache.exact_only {
        arguments.push("--exact-only".to_owned());
    }
    arguments
}

/// Environment variables by name.
type Variables = Vec<(String, String)>;

/// Arguments and variables: secrets are in no argument, which everybody on the machine could read.
fn serve(gateway: &Gateway, control: &Control) -> anyhow::Result<(Vec<String>, Variables)> {
    let filter = Config::from_json(gateway.filter(None).to_string().as_bytes())?;
    let names: Vec<&str> = gateway.targets.iter().map(|it| it.name.as_str()).collect();
    let mut arguments = vec!["serve".to_owned()];
    let listen = control.listen.to_string();
    arguments.extend(["--listen", &listen].map(str::to_owned));
    arguments.extend(["--targets".to_owned(), names.join(",")]);
    if let Some(prices) = filter.prices() {
        // Costs in parts of the dearest target's, for as many tokens in as out.
        let sums: Vec<f64> = prices.iter().map(|price| price.input + price.output).collect();
        let most = sums.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let costs: Vec<String> = sums.iter().map(|sum| format!("{:.4}", sum / most)).collect();
        arguments.extend(["--costs".to_owned(), costs.join(",")]);
    }
    if let Some(thresholds) = thresholds(filter) {
        arguments.extend(["--thresholds".to_owned(), thresholds]);
    }
    // A store's URL may have a password.
    let mut environment = vec![("POINTSMAN_STORE".to_owned(), control.store.clone())];
    let secrets = [
        ("POINTSMAN_KEY", Some(&control.key)),
        ("POINTSMAN_DECIDE_TOKEN", Some(&control.token)),
        ("POINTSMAN_REWARD_TOKEN", control.reward_token.as_ref()),
        ("POINTSMAN_ADMIN_TOKEN", control.admin_token.as_ref()),
    ];
    for (variable, key) in secrets {
        let Some(key): Option<&Key> = key else { continue };
        let secret = gateway::key(key).map_err(super::super::BadInput::new)?;
        environment.push((variable.to_owned(), secret));
    }
    Ok((arguments, environment))
}

/// The main policy's thresholds, for a control plane that cannot know them otherwise.
fn thresholds(filter: Config) -> Option<String> {
    let router = pointsman_core::router::Router::new(filter).ok()?;
    let thresholds = router.thresholds(0);
    let texts: Vec<String> = thresholds.iter().map(ToString::to_string).collect();
    Some(texts.join(",")).filter(|text| !text.is_empty())
}
