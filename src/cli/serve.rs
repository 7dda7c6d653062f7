//! `pointsman serve`: the control plane.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::{BadInput, args, models, shutdown};
use pointsman_control_plane::bandit::{ControllerOptions, Learners, Prior};
use pointsman_control_plane::serve::{Options, ServeError, State, serve};
use pointsman_core::policy::bandit::{Explorer, MAX_SEGMENTS, MAX_SNAPSHOT_BYTES};

/// Run the control plane: take decisions and rewards, learn, publish policies
///
/// The filter posts its decisions here and fetches the policy; anyone who knows how good an answer
/// was posts a reward. All state is in one file, or in Redis for several processes. The dashboard
/// is at `/`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// File that holds all state; created when it does not exist
    #[arg(long, default_value = "pointsman.state", value_name = "FILE")]
    state: PathBuf,
    /// Redis or Valkey that holds all state instead, for any number of processes:
    /// redis://host:port/database
    #[arg(long, value_name = "URL", conflicts_with = "state", env = "POINTSMAN_STORE")]
    store: Option<String>,
    /// Secret that decision IDs are signed with, as in the filter's `control.key`
    #[arg(long, env = "POINTSMAN_KEY", hide_env_values = true)]
    key: String,
    /// Bearer token of posts, as in the filter's `control.token`
    #[arg(long, env = "POINTSMAN_TOKEN", hide_env_values = true)]
    token: String,
    /// Directory with model.onnx and manifest.json, as in the filter; the built-in model when
    /// absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Names of the targets, cheapest first, as in the filter
    #[arg(long, value_delimiter = ',', default_value = "cheap,strong")]
    targets: Vec<String>,
    /// Cost of an answer of each target, in any unit
    #[arg(long, value_delimiter = ',', default_value = "0.04,1")]
    costs: Vec<f32>,
    /// λ: reward that one unit of cost must buy
    #[arg(long, default_value_t = 0.2, allow_negative_numbers = true, value_parser = args::amount)]
    lambda: f64,
    /// Thresholds of all but the strongest target, as in the filter; the model's when omitted
    #[arg(long, value_delimiter = ',')]
    thresholds: Option<Vec<f32>>,
    /// Explorer, as JSON: {"kind": "square_cb", "gamma": 1000}
    #[arg(long, value_parser = args::explorer)]
    explorer: Option<Explorer>,
    /// Policies of the filter's configuration that get a learner of their own; the others share the
    /// global one
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    segments: Vec<String>,
    /// Forgetting time in samples: a sample this old weighs 1/e
    #[arg(long, default_value_t = 50_000.0)]
    memory: f64,
    /// Share of the traffic that tries a new policy first; 0 publishes it at once
    #[arg(long, default_value_t = 0.1)]
    canary: f64,
    /// Reward that the lower bound of a new policy must gain over the current one
    #[arg(long, default_value_t = 0.001)]
    margin: f64,
    /// Publish only what a person promotes
    #[arg(long)]
    manual: bool,
    /// Seconds after its decision during which a reward counts
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    attribution: u64,
    /// Maximum decisions that wait for a reward
    #[arg(long, default_value_t = 1_000_000)]
    pending: usize,
    /// Maximum lines per second
    #[arg(long, default_value_t = 100_000)]
    rate: u32,
    /// Admin address of a cache that rewards for its answers are sent to: http://host:port; repeat
    /// for several
    #[arg(long, value_name = "URL", value_parser = cache)]
    cache: Vec<Uri>,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let classifier = models::load(args.model.as_deref())?;
    let scored = classifier.thresholds();
    let targets = args.targets.len();
    // One score serves any number of targets, by thresholds that only an operator can set.
    let shared = scored.len() == 1 && targets > 2;
    let thresholds = args.thresholds.unwrap_or_else(|| match shared {
        true => Vec::new(),
        false => scored.to_vec(),
    });
    let scores = if shared { targets - 1 } else { scored.len() };
    let counts = [
        ("targets", targets, scores + 1, "the model scores all but the strongest"),
        ("costs", args.costs.len(), targets, "one per target"),
        ("thresholds", thresholds.len(), targets - 1, "one per target but the strongest"),
    ];
    for (flag, found, wanted, rule) in counts {
        if found != wanted {
            let message = format!("--{flag}: {found} given, must be {wanted}");
            return Err(BadInput::new(message).hint(rule).into());
        }
    }
    for (name, secret) in [("key", &args.key), ("token", &args.token)] {
        // The rule of the filter's configuration.
        if secret.len() < 16 || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let error =
                BadInput::new(format!("--{name}: must be at least 16 visible ASCII characters"));
            return Err(error.hint("generate one with: openssl rand -hex 32").into());
        }
    }
    if !(0.0..=0.5).contains(&args.canary) || args.memory.is_nan() || args.memory < 100.0 {
        return Err(
            BadInput::new("--canary: must be 0 to 0.5; --memory: must be at least 100").into()
        );
    }
    let penalties: Vec<f32> = args.costs.iter().map(|cost| args.lambda as f32 * cost).collect();
    let prior = Prior::warm(&thresholds, &penalties);
    let mut controller = ControllerOptions::new(args.targets, penalties);
    controller.explorer = args.explorer.unwrap_or(controller.explorer);
    controller.memory = args.memory;
    controller.canary_share = args.canary;
    controller.margin = args.margin;
    controller.automatic = !args.manual;
    let learners = Learners::new(controller, prior, &args.segments);
    check_segments(&args.segments, learners.largest_snapshot())?;
    let options = Options {
        listen: args.listen,
        state: args.store.map_or(State::File(args.state), State::Redis),
        key: args.key,
        token: args.token,
        attribution: Duration::from_secs(args.attribution),
        pending: args.pending,
        rate: args.rate,
        caches: args.cache,
        learners,
    };
    let ready = |address, warning: Option<String>| {
        if let Some(warning) = warning {
            report!("warning: {warning}");
        }
        report!("listening on http://{address}/");
    };
    serve(&options, shutdown::requested, ready).map_err(|error| match error {
        ServeError::State { error: ref cause, .. } => match cause.hint() {
            Some(hint) => BadInput::new(&error).hint(hint).into(),
            None => BadInput::new(&error).into(),
        },
        ServeError::Redis(_) | ServeError::Listen { .. } => BadInput::new(error).into(),
        error => error.into(),
    })
}

fn cache(url: &str) -> Result<Uri, String> {
    let uri = url.parse::<Uri>().ok();
    let bare = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some()
            && uri.path_and_query().is_none_or(|path| path == "/")
    };
    uri.filter(bare).ok_or_else(|| "not http://host:port".to_owned())
}

fn check_segments(names: &[String], largest: usize) -> Result<(), BadInput> {
    let mut distinct: Vec<&String> = names.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < names.len() || names.iter().any(String::is_empty) {
        return Err(BadInput::new("--segments: must list each name once, and none empty"));
    }
    if names.len() > MAX_SEGMENTS {
        return Err(BadInput::new(format!("--segments: must be at most {MAX_SEGMENTS}")));
    }
    if largest > MAX_SNAPSHOT_BYTES {
        let error =
            format!("a snapshot could have {largest} bytes: must be at most {MAX_SNAPSHOT_BYTES}");
        let hint = "name fewer segments, or choose an explorer that needs no standard errors";
        return Err(BadInput::new(error).hint(hint));
    }
    Ok(())
}
