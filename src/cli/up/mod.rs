//! `pointsman up`: a router in front of real providers, from one file or two model names.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use super::gateway::{self, FILE};
use super::{BadInput, print, shutdown};
use pointsman_core::api::ApiFormat;
use pointsman_core::config::Config;
use pointsman_gateway::file::{AccessLog, Gateway};
use pointsman_gateway::render::Files;

mod deployment;
pub(super) mod envoy;
mod line;
mod printer;
mod process;
mod rollout;
mod sidecars;

use deployment::{Deployment, Directory};
use envoy::{Admin, Found};
use line::Lines;
use printer::Printer;
use process::Process;
use rollout::Outcome;

/// Compiling the module takes seconds, and much longer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(500);

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
    let module = deployment::module(&directory, args.wasm.as_deref())?;
    let deployment = Deployment::new(gateway, &directory, &module);
    deployment.check_keys()?;
    for warning in warnings(&deployment.gateway) {
        report!("warning: {warning}");
    }
    let found = envoy::find(args.envoy_binary.as_deref()).map_err(|(problem, hint)| {
        anyhow::Error::from(Missing { problem, hint })
    })?;
    report!("Envoy {} ({}: {})", found.version, found.by, found.path.display());
    if !found.is_tested() {
        report!("warning: Pointsman is not tested with Envoy {}", found.version);
    }
    if args.dry_run {
        return dry_run(&deployment, &directory, &found);
    }
    check_ports(&deployment.gateway)?;
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

/// What is not on this machine: exit status 1.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Missing {
    problem: String,
    pub(super) hint: String,
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
    if !gateway.listen.ip().is_loopback() {
        warnings.push(format!(
            "{} is open to other machines, and whoever reaches it spends your keys: put \
             authentication in front",
            gateway.listen
        ));
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
    let mut addresses = vec![("listen", gateway.listen), ("admin", gateway.admin)];
    if let Some(cache) = &gateway.cache {
        addresses.push(("cache.listen, for administration", cache.admin()));
        for target in 0..gateway.targets.len() {
            addresses.push(("cache.listen", cache.address(target)));
            addresses.push(("cache.listen, on the way back to Envoy", cache.upstream(target)));
        }
    }
    addresses.extend(gateway.control.as_ref().map(|control| ("control.listen", control.listen)));
    for (field, address) in addresses {
        if let Err(error) = TcpListener::bind(address) {
            let error = BadInput::new(format!("{field}: {address}: {error}"));
            let hint = "stop what uses it, or name another address: in the file, or --listen and --admin";
            return Err(error.hint(hint));
        }
    }
    Ok(())
}

/// A running deployment.
struct Session {
    deployment: Deployment,
    directory: Directory,
    found: Found,
    files: Files,
    admin: Admin,
    printer: Printer,
    // Dropped in this order: who asks ends before who answers.
    envoy: Process,
    sidecars: Vec<Process>,
}

impl Session {
    async fn start(
        args: &Args,
        deployment: Deployment,
        directory: Directory,
        found: Found,
        files: Files,
        sidecars: Vec<Process>,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        report!("starting Envoy: compiling the filter takes some seconds");
        let log = directory.file("logs/envoy.log");
        let arguments: Vec<OsString> = [
            "--config-path".into(),
            directory.file("bootstrap.yaml").into_os_string(),
            "--disable-hot-restart".into(),
            "--concurrency".into(),
            args.workers.to_string().into(),
            "--log-level".into(),
            "warning".into(),
            // A line is printed when its request is over; by default it waits for up to 10 s.
            "--file-flush-interval-msec".into(),
            "100".into(),
        ]
        .into();
        let environment = deployment.environment();
        let (mut envoy, stdout) =
            Process::start("envoy", &found.path, &arguments, &environment, &log, true)?;
        let lines = Lines::new(targets(&deployment.gateway));
        let printer = Printer::start(stdout, lines, args.json);
        let admin = Admin::new(deployment.gateway.admin.to_string());
        let failed = |why: &str| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            anyhow::anyhow!("{why}: {} (all of it is in {})", envoy::last_error(&text), log.display())
        };
        loop {
            if envoy.ended().is_some() {
                return Err(failed("Envoy ended before it was ready"));
            }
            // Ready is not enough: Envoy is, too, when it has refused all that it should serve.
            match admin.took_all() {
                Some(false) => return Err(failed("Envoy refuses the configuration")),
                Some(true) if admin.is_ready() => break,
                _ => {}
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(failed("Envoy is not ready after 90 s"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        report!("ready after {:.1} s", begun.elapsed().as_secs_f64());
        Ok(Session { deployment, directory, found, files, admin, printer, envoy, sidecars })
    }

    /// Until somebody asks for the end, or something ends by itself.
    async fn serve(
        mut self,
        args: &Args,
        mut asked: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<()> {
        announce(&self.deployment.gateway, args.json)?;
        let mut look = tokio::time::interval(LOOK);
        let mut seen = Seen::of(&args.file);
        let mut told: Vec<String> = Vec::new();
        // Envoy takes seconds to look at a change. Requests are told of meanwhile.
        let mut change: Option<JoinHandle<RolledOut>> = None;
        loop {
            tokio::select! {
                () = &mut asked => break,
                rolled = async { change.as_mut()?.await.ok() }, if change.is_some() => {
                    change = None;
                    rolled.into_iter().for_each(|rolled| self.finish_change(args, rolled));
                }
                _ = look.tick() => {
                    self.check_alive()?;
                    let problems = self.deployment.copy_keys(&self.directory);
                    for problem in problems.iter().filter(|it| !told.contains(it)) {
                        report!("warning: {problem}; the key that was read before is in use");
                    }
                    told = problems;
                    let now = Seen::of(&args.file);
                    if args.cheap.is_none() && change.is_none() && now != seen {
                        seen = now;
                        change = self.begin_change(args);
                    }
                }
            }
        }
        report!("ending");
        self.admin.quit();
        // What Envoy says last are the requests that it ended with.
        drop(self.envoy);
        self.printer.finish();
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        let all = std::iter::once(&mut self.envoy).chain(&mut self.sidecars);
        for process in all {
            if let Some(status) = process.ended() {
                let log = self.directory.file(&format!("logs/{}.log", process.name));
                anyhow::bail!("{} ended by itself, {status}: see {}", process.name, log.display());
            }
        }
        Ok(())
    }

    /// The file has changed: what it says is rolled out, if it can be.
    fn begin_change(&mut self, args: &Args) -> Option<JoinHandle<RolledOut>> {
        let new = match self.changed(args) {
            Ok(new) => new,
            Err(why) => {
                report!("error: {why}; the old deployment serves on");
                return None;
            }
        };
        let (old, path) = (self.files.clone(), self.directory.path.clone());
        let (found, admin) = (self.found.clone(), self.admin.clone());
        Some(tokio::task::spawn_blocking(move || {
            let outcome = rollout::roll_out(&new, &old, &path, &found, &admin);
            (new, outcome)
        }))
    }

    /// The new deployment, if its file is right, its keys are there, and it needs no new start.
    fn changed(&self, args: &Args) -> Result<Deployment, String> {
        let name = args.file.display();
        let gateway = read(args).map_err(|error| format!("{error:#}"))?;
        let old = &self.deployment.gateway;
        let fixed = [
            ("admin", gateway.admin != old.admin),
            ("cache", gateway.cache != old.cache),
            ("control", gateway.control != old.control),
        ];
        if let Some((field, _)) = fixed.iter().find(|(_, changed)| *changed) {
            return Err(format!("{name}: {field} cannot change while running: start again"));
        }
        let module = deployment::module(&self.directory, args.wasm.as_deref());
        let module = module.map_err(|error| format!("{error:#}"))?;
        let new = Deployment::new(gateway, &self.directory, &module);
        new.check_keys().map_err(|error| error.to_string())?;
        // Envoy reads variables when it starts, and has only those that it was started with.
        let known = self.deployment.environment();
        let added = new.environment().into_iter().find(|it| !known.contains(it));
        if let Some((variable, _)) = added {
            return Err(format!(
                "{name}: {variable} is new, and Envoy has only the variables of its start: start \
                 again, or put the key into a file"
            ));
        }
        new.copy_keys(&self.directory).first().map_or(Ok(()), |problem| Err(problem.clone()))?;
        Ok(new)
    }

    /// Says what Envoy said of a change.
    fn finish_change(&mut self, args: &Args, (new, outcome): RolledOut) {
        let name = args.file.display();
        match outcome {
            Ok((Outcome::Unchanged, _)) => report!("{name}: nothing changes"),
            Ok((Outcome::Accepted(changed), files)) => {
                report!("{name}: accepted by Envoy ({})", changed.join(", "));
                self.printer.set_targets(targets(&new.gateway));
                self.deployment = new;
                self.files = files;
            }
            Err(why) => report!("error: {name}: {why}; the old deployment serves on"),
        }
    }
}

/// A deployment that was rolled out, and what came of it.
type RolledOut = (Deployment, Result<(Outcome, Files), String>);

/// When a file was last changed, and its size: `None` while it is not there.
#[derive(PartialEq)]
struct Seen(Option<(std::time::SystemTime, u64)>);

impl Seen {
    fn of(path: &Path) -> Self {
        let data = std::fs::metadata(path).ok();
        Seen(data.and_then(|data| Some((data.modified().ok()?, data.len()))))
    }
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
        return print(json!({"ready": base, "openai_base_url": openai, "anthropic_base_url": anthropic}));
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
