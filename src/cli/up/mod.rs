//! `pointsman up`: a router in front of real providers, from one file or two model names.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde_json::json;

use super::gateway::{self, FILE};
use super::{BadInput, Failed, print, shutdown};
use pointsman_core::api::ApiFormat;
use pointsman_core::config::Config;
use pointsman_gateway::file::{AccessLog, Gateway};

mod deployment;
pub(super) mod envoy;
mod line;
mod printer;
mod process;
mod rollout;
mod session;
mod sidecars;

pub(super) use deployment::runs_in;
use deployment::{Deployment, Directory};
use envoy::Found;
use session::Session;

/// Start Envoy with the filter in front of real providers, from one file or two model names
///
/// Renders Envoy's configuration, starts Envoy with the filter, and caches and control plane when
/// the file has them, waits until all are ready, and prints where to send requests, and then a line
/// for each. When the file changes, the change is rolled out. Ctrl-C ends everything.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The deployment
    #[arg(long, default_value = FILE, value_name = "FILE", conflicts_with = "cheap")]
    file: PathBuf,
    /// Model for most requests, PROVIDER/MODEL, in the place of a file
    #[arg(long, value_name = "MODEL", requires = "strong")]
    cheap: Option<String>,
    /// Model for the rest, PROVIDER/MODEL
    #[arg(long, value_name = "MODEL", requires = "cheap")]
    strong: Option<String>,
    /// Address to listen on, in the place of the file's
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of Envoy's admin interface, in the place of the file's
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Directory for rendered files, copies of keys, and logs
    #[arg(long, default_value = ".pointsman", value_name = "DIR")]
    dir: PathBuf,
    /// The Envoy to start; func-e's, the one on PATH, or one in .envoy/ when omitted
    #[arg(long, alias = "envoy", value_name = "FILE")]
    envoy_binary: Option<PathBuf>,
    /// The filter's module, in the place of the one inside this program
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Envoy's worker threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Start nothing: say what would be started, and what Envoy says of the configuration
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: where to send requests, then the access log
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let gateway = read(args)?;
    let directory = Directory::open(&args.dir)?;
    let module = gateway::module(&directory.path, args.wasm.as_deref())?;
    let deployment = Deployment::new(gateway, &directory, &module);
    deployment.check_keys()?;
    for warning in warnings(&deployment.gateway) {
        report!("warning: {warning}");
    }
    let found = envoy::find(args.envoy_binary.as_deref())
        .map_err(|(message, hint)| Failed { message, hint })?;
    report!("Envoy {} ({}: {})", found.version, found.by, found.path.display());
    if !found.is_tested() {
        report!("warning: Pointsman is not tested with Envoy {}", found.version);
    }
    if args.dry_run {
        return dry_run(&deployment, &directory, &found);
    }
    check_ports(&deployment.gateway)?;
    directory.forget_keys();
    let problems = deployment.copy_keys(&directory);
    if let Some(problem) = problems.first() {
        return Err(BadInput::new(problem).into());
    }
    let files = deployment.files()?;
    for (name, text) in &files {
        gateway::replace(&directory.file(name), text)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asked = std::pin::pin!(shutdown::requested()?);
        let started = async {
            let sidecars = sidecars::start(&deployment.gateway, &directory).await?;
            Session::start(args, deployment, directory, found, files, sidecars).await
        };
        let session = tokio::select! {
            () = &mut asked => return Ok(()),
            session = started => session?,
        };
        session.serve(args, asked).await
    })
}

/// The deployment that the arguments name.
fn read(args: &Args) -> anyhow::Result<Gateway> {
    let mut gateway = match (&args.cheap, &args.strong) {
        (Some(cheap), Some(strong)) => {
            let targets = json!({"targets": [
                {"name": "cheap", "model": cheap}, {"name": "strong", "model": strong}
            ]});
            gateway::parse(&targets.to_string(), "--cheap and --strong")?
        }
        _ => gateway::read(&args.file)?,
    };
    gateway.listen = args.listen.unwrap_or(gateway.listen);
    gateway.admin = args.admin.unwrap_or(gateway.admin);
    Ok(gateway)
}

/// What is right, and may not be what was meant.
pub(super) fn warnings(gateway: &Gateway) -> Vec<String> {
    let targets = targets(gateway);
    let without: Vec<&str> =
        targets.iter().filter(|it| it.price.is_none()).map(|it| it.name.as_str()).collect();
    let mut warnings = Vec::new();
    if !without.is_empty() {
        warnings.push(format!(
            "no price is known of {}, so spending and savings are not counted: add price to the target",
            without.join(", ")
        ));
    }
    if !gateway.unused.is_empty() {
        warnings.push(format!("no target names providers {}", gateway.unused.join(", ")));
    }
    for (field, address) in gateway.addresses() {
        if !address.ip().is_loopback() && field != "metrics" {
            warnings.push(format!(
                "{field} = {address}: open to other machines, and whoever reaches it {}",
                match field {
                    "admin" => "can stop Envoy and read its configuration",
                    "control.listen" => "can try its tokens",
                    _ => "spends your keys and reads what providers store: put authentication in front",
                }
            ));
        }
    }
    warnings
}

fn dry_run(deployment: &Deployment, directory: &Directory, envoy: &Found) -> anyhow::Result<()> {
    let problems = deployment.copy_keys(directory);
    for (name, text) in deployment.files()? {
        gateway::replace(&directory.file(&name), &text)?;
        print(directory.file(&name).display())?;
    }
    let whole = directory.file("envoy.yaml");
    gateway::replace(&whole, &deployment.whole()?)?;
    print(whole.display())?;
    if let Some(problem) = problems.first() {
        return Err(BadInput::new(problem).into());
    }
    envoy::validate(envoy, &whole, &deployment.environment())?
        .map_err(|why| anyhow::anyhow!("Envoy refuses the configuration: {why}"))?;
    report!("Envoy accepts the configuration; nothing was started");
    Ok(())
}

/// Each address must be free, or Envoy would say so in a long log.
fn check_ports(gateway: &Gateway) -> Result<(), BadInput> {
    for (field, address) in gateway.addresses() {
        if address.port() == 0 {
            return Err(BadInput::new(format!("{field}: {address}: must name a port")));
        }
        if let Err(error) = TcpListener::bind(address) {
            let error = BadInput::new(format!("{field}: {address}: {error}"));
            let hint =
                "stop what uses it, or name another address: in the file, or --listen and --admin";
            return Err(error.hint(hint));
        }
    }
    Ok(())
}

fn targets(gateway: &Gateway) -> Vec<pointsman_core::target::Target> {
    let filter = gateway.filter(None).to_string();
    Config::from_json(filter.as_bytes()).map(|config| config.targets).unwrap_or_default()
}

/// Where to send requests.
fn announce(gateway: &Gateway, as_json: bool) -> anyhow::Result<()> {
    let mut address = gateway.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if gateway.tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{address}");
    let serves = |api| gateway.targets.iter().any(|target| target.apis.contains(&api));
    let openai = [ApiFormat::ChatCompletions, ApiFormat::Completions, ApiFormat::Responses];
    let openai = openai.into_iter().any(serves).then(|| format!("{base}/v1"));
    let anthropic = serves(ApiFormat::Messages).then(|| base.clone());
    if as_json {
        return print(
            json!({"ready": base, "openai_base_url": openai, "anthropic_base_url": anthropic}),
        );
    }
    if let Some(url) = openai {
        print(format_args!("export OPENAI_BASE_URL={url}"))?;
    }
    if let Some(url) = anthropic {
        print(format_args!("export ANTHROPIC_BASE_URL={url}"))?;
    }
    if gateway.access_log != AccessLog::Stdout {
        report!("no line is printed for requests: access_log is not stdout");
    }
    Ok(())
}
