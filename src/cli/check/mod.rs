//! `pointsman check`: a deployment before it runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::gateway::{self, FILE};
use super::up::envoy::{self, Admin};
use super::up::warnings;
use super::{BadInput, open_error, print};
use pointsman_gateway::Kind;
use pointsman_gateway::examine::{Finding, Severity, examine};
use pointsman_gateway::file::{Gateway, Provider};
use pointsman_gateway::render::{self, Place};

mod tls;

/// Check a deployment: its file, its keys, its providers, and what Envoy says of it
///
/// Everything is checked, and every fault named. Nothing is sent to a provider but a TLS handshake,
/// unless --online asks each with its key, by a call that costs nothing.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The deployment
    #[arg(long, default_value = FILE, value_name = "FILE")]
    file: PathBuf,
    /// Examine somebody's own Envoy configuration instead, YAML or JSON: what the filter needs there
    #[arg(long = "envoy", value_name = "FILE", conflicts_with_all = ["file", "online", "admin"])]
    configuration: Option<PathBuf>,
    /// The same of an Envoy that runs, by its admin interface: http://127.0.0.1:9901
    #[arg(long, value_name = "URL", conflicts_with_all = ["file", "online"])]
    admin: Option<String>,
    /// Ask each provider with its key: GET /models, or whatever costs nothing there
    #[arg(long)]
    online: bool,
    /// The Envoy to ask; func-e's, the one on PATH, or one in .envoy/ when omitted
    #[arg(long, value_name = "FILE")]
    envoy_binary: Option<PathBuf>,
    /// The filter's module, in the place of the one inside this program
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Print one JSON object for each check
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(serde::Serialize)]
struct Check {
    what: String,
    /// `None` where it could not be looked at.
    ok: Option<bool>,
    found: String,
}

impl Check {
    fn of(what: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = Some(result.is_ok());
        Check { what: what.into(), ok, found: result.unwrap_or_else(|why| why) }
    }

    fn unknown(what: impl Into<String>, why: impl Into<String>) -> Self {
        Check { what: what.into(), ok: None, found: why.into() }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(configuration) = own_configuration(args)? {
        return finish(&own(&configuration), args.json);
    }
    let gateway = gateway::read(&args.file)?;
    let mut checks = vec![Check::of(args.file.display().to_string(), Ok(summary(&gateway)))];
    for provider in &gateway.providers {
        check_provider(provider, args.online, &mut checks);
    }
    if gateway.control.is_some() {
        let secrets = gateway::control_secrets(&gateway);
        let found = secrets.map(|_| "found".to_owned()).map_err(|error| error.to_string());
        checks.push(Check::of("control key and token", found));
    }
    for warning in warnings(&gateway) {
        checks.push(Check::of("advice", Ok(warning)));
    }
    checks.push(check_envoy(args, &gateway));
    finish(&checks, args.json)
}

/// Prints what was found; a fault is a failure.
fn finish(checks: &[Check], json: bool) -> anyhow::Result<()> {
    for check in checks {
        if json {
            print(serde_json::to_string(check)?)?;
        } else {
            let sign = match check.ok {
                Some(true) => "ok",
                Some(false) => "FAULT",
                None => "unknown",
            };
            print(format_args!("{sign:<8} {}: {}", check.what, check.found))?;
        }
    }
    let faults = checks.iter().filter(|check| check.ok == Some(false)).count();
    match faults {
        0 => Ok(()),
        1 => anyhow::bail!("1 fault"),
        faults => anyhow::bail!("{faults} faults"),
    }
}

/// The configuration that is somebody's own: a file's, or a running Envoy's.
fn own_configuration(args: &Args) -> anyhow::Result<Option<Value>> {
    if let Some(path) = &args.configuration {
        let text = std::fs::read_to_string(path).map_err(open_error(path))?;
        // Several documents, as Kubernetes has them, are looked at together.
        let read = |text: &str| serde_saphyr::from_str::<Value>(text);
        let trees = text.split("\n---\n").map(read).collect::<Result<Vec<Value>, _>>();
        let trees = trees.map_err(|error| {
            BadInput::new(format!("{}: neither YAML nor JSON: {error}", path.display()))
        })?;
        return Ok(Some(trees.into()));
    }
    let Some(url) = &args.admin else { return Ok(None) };
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let text = Admin::new(address.to_owned()).get("/config_dump").map_err(|error| {
        anyhow::anyhow!("no answer from Envoy's admin interface at {address}: {error}")
    })?;
    Ok(Some(serde_json::from_str(&text)?))
}

fn own(configuration: &Value) -> Vec<Check> {
    let found = examine(configuration);
    if found.is_empty() {
        return vec![Check::of("configuration", Ok("has all that the filter needs".to_owned()))];
    }
    let check = |it: Finding| {
        let place = if it.place.is_empty() { "configuration".to_owned() } else { it.place };
        match it.severity {
            Severity::Fault => Check::of(place, Err(it.what)),
            Severity::Advice => Check::of(place, Ok(format!("advice: {}", it.what))),
            Severity::Unknown => Check::unknown(place, it.what),
        }
    };
    found.into_iter().map(check).collect()
}

fn summary(gateway: &Gateway) -> String {
    let targets: Vec<&str> = gateway.targets.iter().map(|it| it.name.as_str()).collect();
    format!("targets {}; prices as of {}", targets.join(", "), pointsman_gateway::models_date())
}

fn check_provider(provider: &Provider, online: bool, checks: &mut Vec<Check>) {
    let name = |what: &str| format!("{} {what}", provider.name);
    let key = provider.key.as_ref().map(gateway::key);
    match (&key, provider.passthrough) {
        (Some(result), _) => {
            let result = result.clone().map(|_| "found".to_owned());
            checks.push(Check::of(name("key"), result));
        }
        (None, true) => checks.push(Check::of(name("key"), Ok("the client's own".to_owned()))),
        (None, false) if provider.kind == Kind::Bedrock => {
            checks.push(Check::unknown(
                name("key"),
                "requests are signed by Envoy, with AWS credentials",
            ));
        }
        (None, false) => checks.push(Check::of(name("key"), Ok("none is sent".to_owned()))),
    }
    let url = &provider.url;
    if url.tls {
        let ca = provider.ca.clone().unwrap_or_else(gateway::ca_file);
        checks.push(Check::of(name("certificate"), tls::handshake(url, Path::new(&ca))));
    } else {
        checks
            .push(Check::of(name("address"), tls::connect(url).map(|it| format!("{it} answers"))));
    }
    if online {
        checks.push(ask(provider, key.and_then(Result::ok)));
    }
}

/// A call that costs nothing.
fn ask(provider: &Provider, key: Option<String>) -> Check {
    let what = format!("{} API", provider.name);
    let facts = provider.kind.facts();
    if provider.passthrough {
        return Check::unknown(what, "only the clients' own keys go there");
    }
    let Some(probe) = facts.probe else {
        return Check::unknown(what, "it has no call that costs nothing");
    };
    let mut url = format!("{}/{probe}", provider.url.text());
    if provider.kind == Kind::Azure {
        url.push_str(&format!("?api-version={}", provider.api_version));
    }
    let ca = provider.ca.clone().unwrap_or_else(gateway::ca_file);
    let agent = match tls::agent(Path::new(&ca), Duration::from_secs(20)) {
        Ok(agent) => agent,
        Err(why) => return Check::of(what, Err(why)),
    };
    let mut request = agent.get(&url);
    for (name, value) in facts.headers {
        request = request.header(*name, *value);
    }
    for (name, value) in &provider.headers {
        request = request.header(name, value);
    }
    if let (Some((header, prefix)), Some(key)) = (facts.key_header(), key) {
        request = request.header(header, format!("{prefix}{key}"));
    }
    Check::of(
        what,
        match request.call() {
            Ok(answer) if answer.status().is_success() => {
                Ok(format!("GET {url}: {}", answer.status()))
            }
            Ok(answer) => Err(format!("GET {url}: {}", answer.status())),
            Err(error) => Err(format!("GET {url}: {error}")),
        },
    )
}

fn check_envoy(args: &Args, gateway: &Gateway) -> Check {
    let what = "Envoy";
    let found = match envoy::find(args.envoy_binary.as_deref()) {
        Ok(found) => found,
        Err((problem, hint)) => return Check::of(what, Err(format!("{problem}; {hint}"))),
    };
    let validated = || -> anyhow::Result<Result<(), String>> {
        let directory = tempfile::tempdir()?;
        let module = gateway::module(directory.path(), args.wasm.as_deref())?;
        let (wasm, folder) = (module.display().to_string(), directory.path().display().to_string());
        let ca = gateway::ca_file();
        // What is missing has been said.
        let control = gateway::control_secrets(gateway).ok().flatten();
        let place =
            Place { wasm: &wasm, directory: &folder, ca: &ca, keys: None, unique: false, control };
        for (name, text) in render::envoy(gateway, &place)? {
            gateway::replace(&directory.path().join(name), &text)?;
        }
        envoy::validate(&found, &directory.path().join("envoy.yaml"), &[])
    };
    let tested =
        if found.is_tested() { "" } else { ", a version that Pointsman is not tested with" };
    let result = match validated() {
        Ok(result) => result,
        Err(error) => Err(format!("{error:#}")),
    };
    Check::of(what, result.map(|()| format!("{} accepts it{tested}", found.version)))
}
