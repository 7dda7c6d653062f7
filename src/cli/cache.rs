//! `pointsman cache`: the caching proxy in front of a target's model.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use clap::Subcommand;

use super::BadInput;
use pointsman_cache::{
    Calibration, Embedder, Event, Limits, Matcher, Options, Place, Server, ServerError,
    TargetOptions, serve,
};

mod audit;
mod calibrate;
mod embeddings;

/// Serve a target from a cache of its own; misses go to its model
///
/// An OpenAI- and Anthropic-compatible reverse proxy: the same request is answered with the same
/// bytes, a question that means the same with the answer that was given before. Several targets
/// in one process: repeat --target, --upstream and --listen; each is a namespace of its own.
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
    /// Address of /metrics, /v1/purge and /v1/feedback; none unless given
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Seconds that an answer may serve
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    ttl: u64,
    /// Memory for each target's entries, in MiB; the least recently used give way
    #[arg(long, default_value_t = 512, value_name = "MIB")]
    memory: u64,
    /// Largest request body that is read, in KiB; larger ones pass through
    #[arg(long, default_value_t = 1024, value_name = "KIB")]
    max_body: usize,
    /// Largest answer that is kept, in KiB
    #[arg(long, default_value_t = 1024, value_name = "KIB")]
    max_answer: usize,
    /// Highest temperature that is cached; requests without one are
    #[arg(long, default_value_t = 0.7)]
    max_temperature: f64,
    /// Cache requests with tools too
    #[arg(long)]
    tools: bool,
    /// Answer only the very same request
    #[arg(long)]
    exact_only: bool,
    /// What `pointsman cache calibrate` wrote; the built-in calibration when absent
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Header that names the tenant, set by something trusted; without it, credentials tell
    /// tenants apart
    #[arg(long, value_name = "NAME")]
    tenant_header: Option<HeaderName>,
    /// Where entries outlive the process: a directory, in which each target has a file, or a Redis
    /// or Valkey that replicas share, redis://[user:password@]host:port/database
    #[arg(long, value_name = "DIR|URL", env = "POINTSMAN_CACHE_STORE", hide_env_values = true)]
    store: Option<String>,
    #[command(flatten)]
    embeddings: embeddings::Args,
}

fn run_server(args: Serve) -> anyhow::Result<()> {
    let count = args.target.len();
    if args.upstream.len() != count || args.listen.len() != count {
        let message = format!(
            "{count} targets, {} upstreams and {} addresses",
            args.upstream.len(),
            args.listen.len()
        );
        return Err(BadInput::new(message).hint("repeat the three together").into());
    }
    let plain =
        |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if let Some(name) = args.target.iter().find(|name| name.is_empty() || !plain(name)) {
        let error = BadInput::new(format!("{name:?} is no name of a target"));
        return Err(error.hint("letters, digits, '-', '_' and '.'").into());
    }
    let shared = args.store.as_deref().filter(|store| Server::is_url(store)).map(Server::new);
    let shared = shared.transpose().map_err(BadInput::new)?;
    if let (Some(directory), None) = (&args.store, &shared) {
        // A store that cannot be used is a warning, not an end.
        let _ = std::fs::create_dir_all(directory);
    }
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
            store: match (&shared, &args.store) {
                (Some(server), _) => Some(Place::Redis(server.clone())),
                (None, Some(directory)) => {
                    Some(Place::File(Path::new(directory).join(format!("{name}.sqlite"))))
                }
                (None, None) => None,
            },
        };
        (*listen, options)
    });
    let embeddings = args.embeddings.endpoint()?;
    let calibration = read_calibration(args.calibration.as_deref())?;
    let options = Options {
        targets: targets.collect(),
        admin: args.admin,
        matcher: Matcher::new(
            Embedder::built_in()?,
            embeddings::made_for(calibration, embeddings.as_ref())?,
        ),
        embeddings: embeddings.map(Arc::new),
    };
    serve(options, tell).map_err(|error| match error {
        ServerError::Upstream(_) | ServerError::Listen { .. } => BadInput::new(error).into(),
        ServerError::Io(error) => error.into(),
    })
}

fn tell(event: Event) {
    match event {
        Event::Listening(name, address) => tell!("{name}: listening on http://{address}/"),
        Event::Loaded(name, entries) => tell!("{name}: {entries} entries read"),
        Event::NoStore(name, error) => {
            tell!("warning: {name}: entries are kept in memory only: {error}");
        }
    }
}

/// A calibration from a file, or the built-in one.
fn read_calibration(path: Option<&Path>) -> anyhow::Result<Calibration> {
    let Some(path) = path else { return Ok(Calibration::built_in()?) };
    let refused = |error: String| BadInput::new(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    Ok(serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?)
}
