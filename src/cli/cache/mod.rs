//! `pointsman cache`: the caching proxy in front of a target's model.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use clap::Subcommand;
use clap::builder::RangedU64ValueParser;

use super::{BadInput, args, shutdown, with_causes};
use pointsman_cache::{
    Calibration, Complete, Embedder, Event, Limits, Matcher, Options, Server, ServerError,
    StoreLocation, TargetOptions, Trust, serve,
};

mod audit;
mod calibrate;
mod embeddings;

/// Serve a target from a semantic cache in front of its model
///
/// An OpenAI- and Anthropic-compatible reverse proxy. The same request gets the same bytes again; a
/// question that means the same gets the earlier answer; everything else goes to the model. For
/// several targets in one process, repeat --target, --upstream and --listen. Targets share no
/// answers.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    Calibrate(calibrate::Args),
    Audit(audit::Args),
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Calibrate(args)) => calibrate::run(&args),
        Some(Command::Audit(args)) => audit::run(&args),
        None => run_server(args.serve),
    }
}

/// Of KiB or MiB, so that their bytes can be counted.
const MOST_UNITS: u64 = 1 << 40;
/// Holds `--store`, whose URL may hold a password.
const VARIABLE: &str = "POINTSMAN_CACHE_STORE";

#[derive(clap::Args)]
struct Serve {
    /// Name of the target
    #[arg(long, required = true, value_name = "NAME")]
    target: Vec<String>,
    /// URL of the target's model
    #[arg(long, required = true, value_name = "URL")]
    upstream: Vec<String>,
    /// Address to serve the target on
    #[arg(long, required = true, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Address to serve /metrics, /pointsman/v1/purge and /pointsman/v1/feedback on; off by default
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Time to live of an answer, in seconds
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    ttl: u64,
    /// Memory for the entries of each target, in MiB; the least recently used are evicted
    #[arg(long, default_value_t = 512, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(..=MOST_UNITS))]
    memory: u64,
    /// Largest request body to cache, in KiB; larger ones pass through
    #[arg(long, default_value_t = 1024, value_name = "KIB",
          value_parser = RangedU64ValueParser::<usize>::new().range(..=MOST_UNITS))]
    max_body: usize,
    /// Largest answer to cache, in KiB
    #[arg(long, default_value_t = 1024, value_name = "KIB",
          value_parser = RangedU64ValueParser::<usize>::new().range(..=MOST_UNITS))]
    max_answer: usize,
    /// Highest temperature to cache; requests without a temperature are cached
    #[arg(long, default_value_t = 0.7, allow_negative_numbers = true, value_parser = args::amount)]
    max_temperature: f64,
    /// Also cache requests with tools
    #[arg(long)]
    tools: bool,
    /// Match identical requests only, without the semantic tier
    #[arg(long)]
    exact_only: bool,
    /// Calibration file from `pointsman cache calibrate`; the built-in calibration when omitted
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Header that names the tenant, set by a trusted proxy; credentials distinguish tenants when
    /// omitted
    #[arg(long, value_name = "NAME")]
    tenant_header: Option<HeaderName>,
    /// Also cache requests without credentials; such clients share their answers
    #[arg(long)]
    anonymous: bool,
    /// Header that neither tells clients apart nor changes an answer, besides the known ones; repeat
    /// for several
    #[arg(long, value_name = "NAME")]
    ignore_header: Vec<HeaderName>,
    /// PEM file of certificate authorities to trust in addition to the built-in ones; the one that
    /// SSL_CERT_FILE names when omitted
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Persist entries in a directory, one file per target, or in a Redis or Valkey that replicas
    /// share: redis://[user:password@]host:port/database
    #[arg(long, value_name = "DIR|URL", env = VARIABLE, hide_env_values = true)]
    store: Option<String>,
    /// Save the index of similar questions in a directory, one file per target, so that a restart
    /// need not build it; the directory of --store when omitted
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    #[command(flatten)]
    embeddings: embeddings::Args,
}

fn run_server(args: Serve) -> anyhow::Result<()> {
    let count = args.target.len();
    if args.upstream.len() != count || args.listen.len() != count {
        let message = format!(
            "got {count} targets, {} upstreams and {} addresses",
            args.upstream.len(),
            args.listen.len()
        );
        return Err(BadInput::new(message)
            .hint("repeat --target, --upstream and --listen together, once per target")
            .into());
    }
    let plain =
        |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if let Some(name) = args.target.iter().find(|name| name.is_empty() || !plain(name)) {
        let error = BadInput::new(format!("invalid target name {name:?}"));
        return Err(error.hint("use letters, digits, '-', '_' and '.'").into());
    }
    let store = Store::read(args.store)?;
    if let Some(directory) = &args.index {
        if store.is_none() {
            return Err(BadInput::new("--index needs --store").into());
        }
        make_private(directory);
    }
    let trust = trust(args.upstream_ca.as_deref())?;
    let targets = args.target.iter().zip(&args.upstream).zip(&args.listen);
    let targets = targets.map(|((name, upstream), listen)| {
        let options = TargetOptions {
            name: name.clone(),
            upstream: upstream.clone(),
            semantic: !args.exact_only,
            limits: Limits { max_temperature: args.max_temperature, tools: args.tools },
            ttl: Duration::from_secs(args.ttl),
            max_bytes: args.memory << 20,
            max_body_bytes: args.max_body << 10,
            max_answer_bytes: args.max_answer << 10,
            tenant_header: args.tenant_header.clone(),
            anonymous: args.anonymous,
            ignored_headers: args.ignore_header.clone(),
            store: store.as_ref().map(|store| store.of(name)),
            index: args
                .index
                .as_deref()
                .or(store.as_ref().and_then(Store::directory))
                .map(|directory| directory.join(format!("{name}.index"))),
        };
        (*listen, options)
    });
    let embeddings = args.embeddings.endpoint(|| Ok(trust.clone()))?;
    let calibration = read_calibration(args.calibration.as_deref())?;
    let options = Options {
        targets: targets.collect(),
        admin: args.admin,
        matcher: Matcher::new(
            Embedder::built_in()?,
            embeddings::made_for(calibration, embeddings.as_ref())?,
        ),
        embeddings: embeddings.map(Arc::new),
        trust,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async { serve(options, report, shutdown::requested()?).await });
    served.map_err(|error| match error {
        ServerError::Upstream(_) | ServerError::Listen { .. } => BadInput::new(error).into(),
        ServerError::Io(error) => error.into(),
    })
}

/// Where the entries of all targets are.
enum Store {
    Directory(PathBuf),
    Redis(Server),
}

impl Store {
    /// Reads the option, and makes the directory.
    fn read(option: Option<String>) -> Result<Option<Self>, BadInput> {
        let Some(store) = args::given_store(option, VARIABLE) else { return Ok(None) };
        Ok(Some(match args::store(&store, "directory")? {
            args::Store::Redis(url) => Store::Redis(Server::new(&url).map_err(BadInput::new)?),
            args::Store::Path(directory) => {
                make_private(&directory);
                Store::Directory(directory)
            }
        }))
    }

    fn directory(&self) -> Option<&Path> {
        match self {
            Store::Directory(directory) => Some(directory),
            Store::Redis(_) => None,
        }
    }

    fn of(&self, target: &str) -> StoreLocation {
        match self {
            Store::Redis(server) => StoreLocation::Redis(server.clone()),
            Store::Directory(directory) => {
                StoreLocation::File(directory.join(format!("{target}.sqlite")))
            }
        }
    }
}

/// Makes a directory, if there is none. One that cannot be used is a warning, reported when a file
/// in it is opened.
fn make_private(directory: &Path) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
}

fn report(event: Event) {
    match event {
        Event::Listening(name, address) => report!("{name}: listening on http://{address}/"),
        Event::Loaded(name, entries) => report!("{name}: loaded {entries} entries"),
        Event::BrokeOff(name, error) => {
            report!("warning: {name}: read only a part of the store: {error}");
        }
        Event::Indexed(name, Complete { entries, built, time }) => {
            let seconds = time.as_secs_f64();
            report!(
                "{name}: indexed {entries} entries in {seconds:.1} s, {built} of them not saved"
            );
        }
        Event::IndexNotUsed(name, path, error) => {
            report!("warning: {name}: building the index again: {}: {error}", path.display());
        }
        Event::IndexNotSaved(name, path, error) => {
            report!("warning: {name}: the index is not saved: {}: {error}", path.display());
        }
        Event::NoStore(name, error) => {
            report!("warning: {name}: keeping entries in memory only: {error}");
        }
        Event::Failed(name, error) => {
            let why = with_causes(anyhow::Chain::new(error));
            report!("warning: {name}: no answer from the upstream: {why}");
            if why.contains("UnknownIssuer") {
                report!("hint: --upstream-ca FILE trusts a certificate authority of your own");
            }
        }
    }
}

/// The built-in authorities, and those in this file or in the one that the environment names.
fn trust(file: Option<&Path>) -> Result<Trust, BadInput> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    Trust::new(file.or(named.as_deref().map(Path::new))).map_err(BadInput::new)
}

/// A calibration from a file, or the built-in one.
fn read_calibration(path: Option<&Path>) -> anyhow::Result<Calibration> {
    let Some(path) = path else { return Ok(Calibration::built_in()?) };
    let refused = |error: String| BadInput::new(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    Ok(serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?)
}
