//! `pointsman serve`: the control plane.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use http::Uri;

use super::{BadInput, args, models, shutdown};
use pointsman_control_plane::bandit::{ControllerOptions, Learners, Prior};
use pointsman_control_plane::serve::{Event, Options, ServeError, State, Tokens, serve};
use pointsman_core::config::{NAME_RULE, TARGETS, is_name, is_secret};
use pointsman_core::policy::bandit::{Explorer, MAX_SEGMENTS, MAX_SNAPSHOT_BYTES};

/// A hundred years: what a window of attribution is at most.
const MOST_SECONDS: u64 = 100 * 365 * 86_400;
/// Where the state is when nothing says where.
const STORE: &str = "pointsman.state";
/// Holds `--store`, whose URL may hold a password.
const VARIABLE: &str = "POINTSMAN_STORE";

/// Run the control plane: take decisions and rewards, learn, publish policies
///
/// The filter posts its decisions here and fetches the policy; anyone who knows how good an answer
/// was posts a reward. All state is in one file, or in Redis for several processes. The dashboard
/// is at `/`. There is a token each for filters, for those who reward, and for those who promote and
/// roll back: nobody can do what no token is given for.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where all state is: a file, created when it does not exist, or a Redis or Valkey for any
    /// number of processes: redis://[user:password@]host:port/database
    #[arg(
        long,
        default_value = STORE,
        value_name = "FILE|URL",
        env = VARIABLE,
        hide_env_values = true
    )]
    store: String,
    /// The same, a file only: the name of --store before it took files
    #[arg(long, value_name = "FILE", conflicts_with = "store", hide = true)]
    state: Option<String>,
    /// Secret that decision IDs are signed with, as in the filter's `control.key`
    #[arg(long, env = "POINTSMAN_KEY", hide_env_values = true)]
    key: String,
    #[command(flatten)]
    tokens: TokenArgs,
    /// Directory with model.onnx and manifest.json, as in the filter; the built-in model when
    /// absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Names of the targets, cheapest first, as in the filter
    #[arg(long, value_delimiter = ',', default_value = "cheap,strong")]
    targets: Vec<String>,
    /// Cost of an answer of each target, in any unit
    #[arg(long, value_delimiter = ',', default_value = "0.04,1", allow_negative_numbers = true,
          value_parser = args::narrow(args::amount))]
    costs: Vec<f32>,
    /// λ: reward that one unit of cost must buy
    #[arg(long, default_value_t = 0.2, allow_negative_numbers = true, value_parser = args::amount)]
    lambda: f64,
    /// Thresholds of all but the strongest target, as in the filter; the model's when omitted
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true,
          value_parser = args::narrow(args::share))]
    thresholds: Option<Vec<f32>>,
    /// Explorer, as JSON: {"kind": "square_cb", "gamma": 1000}
    #[arg(long, value_parser = args::explorer)]
    explorer: Option<Explorer>,
    /// Policies of the filter's configuration that get a learner of their own; the others share the
    /// global one
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    segments: Vec<String>,
    /// Forgetting time in samples: a sample this old weighs 1/e
    #[arg(long, default_value_t = 50_000.0, allow_negative_numbers = true, value_parser = memory)]
    memory: f64,
    /// Share of the traffic that tries a new policy first; 0 publishes it at once
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true, value_parser = canary)]
    canary: f64,
    /// Reward that the lower bound of a new policy must gain over the current one
    #[arg(long, default_value_t = 0.001, allow_negative_numbers = true,
          value_parser = args::amount)]
    margin: f64,
    /// Publish only what a person promotes
    #[arg(long)]
    manual: bool,
    /// Seconds after its decision during which a reward counts
    #[arg(long, default_value_t = 3600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    attribution: u64,
    /// Maximum decisions that wait for a reward
    #[arg(long, default_value_t = 1_000_000,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pending: usize,
    /// Maximum lines per second
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Admin address of a cache that rewards for its answers are sent to: http://host:port; repeat
    /// for several
    #[arg(long, value_name = "URL", value_parser = cache)]
    cache: Vec<Uri>,
}

/// Bearer tokens, each for one thing.
#[derive(clap::Args)]
struct TokenArgs {
    /// Bearer token of the filters, as in their `control.token`: post decisions, and the rewards
    /// that filters give by themselves
    #[arg(long, env = "POINTSMAN_DECIDE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    decide_token: Option<String>,
    /// Bearer token of those who post rewards
    #[arg(long, env = "POINTSMAN_REWARD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    reward_token: Option<String>,
    /// Bearer token of those who promote and roll back
    #[arg(long, env = "POINTSMAN_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    admin_token: Option<String>,
    /// Deprecated: one token for all three
    #[arg(long, env = "POINTSMAN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl TokenArgs {
    fn named(&self) -> [(&'static str, &Option<String>); 4] {
        [
            ("--decide-token", &self.decide_token),
            ("--reward-token", &self.reward_token),
            ("--admin-token", &self.admin_token),
            ("--token", &self.token),
        ]
    }

    fn check(&self) -> Result<(), BadInput> {
        if self.decide_token.is_none() && self.token.is_none() {
            let error = BadInput::new("--decide-token: missing, so no filter can post decisions");
            return Err(error.hint("generate one with: openssl rand -hex 32"));
        }
        let given =
            || self.named().into_iter().filter_map(|(name, token)| Some((name, token.as_ref()?)));
        for (name, token) in given() {
            check_secret(name, token)?;
            if let Some((other, _)) = given().find(|it| it.0 != name && it.1 == token) {
                let error = BadInput::new(format!("{name}: must differ from {other}"));
                return Err(
                    error.hint("whoever has a token can do what it allows: give each its own")
                );
            }
        }
        if self.token.is_some() {
            report!(
                "warning: --token is deprecated, because it decides, rewards, promotes and rolls \
                 back: use --decide-token, --reward-token and --admin-token"
            );
        }
        Ok(())
    }

    fn into_tokens(self) -> Tokens {
        let all = |own: Option<String>| own.into_iter().chain(self.token.clone()).collect();
        Tokens {
            decide: all(self.decide_token),
            reward: all(self.reward_token),
            administer: all(self.admin_token),
        }
    }
}

fn check_secret(name: &str, secret: &str) -> Result<(), BadInput> {
    if !is_secret(secret) {
        let error = BadInput::new(format!("{name}: must be at least 16 visible ASCII characters"));
        return Err(error.hint("generate one with: openssl rand -hex 32"));
    }
    Ok(())
}

/// A file or a server, told apart as `pointsman cache` does.
fn store(store: &str) -> Result<State, BadInput> {
    let file = match args::store(store, "file")? {
        args::Store::Redis(url) => return Ok(State::Redis(url)),
        args::Store::Path(file) => file,
    };
    if file.is_dir() {
        let error = BadInput::new(format!("--store: {}: must be a file", file.display()));
        return Err(error.hint("name a file in this directory, such as pointsman.state"));
    }
    Ok(State::File(file))
}

/// The same of the former option, which never named a server.
fn state_file(text: &str) -> Result<State, BadInput> {
    match store(text) {
        Ok(State::File(file)) => Ok(State::File(file)),
        _ => Err(BadInput::new("--state: must be a file").hint("use --store")),
    }
}

fn check_targets(names: &[String]) -> Result<(), BadInput> {
    if !TARGETS.contains(&names.len()) {
        let (least, most) = (TARGETS.start(), TARGETS.end());
        let found = names.len();
        return Err(BadInput::new(format!("--targets: {found} given, must be {least} to {most}")));
    }
    for (at, name) in names.iter().enumerate() {
        if !is_name(name) {
            return Err(BadInput::new(format!("--targets: {name:?}: {NAME_RULE}")));
        }
        if names[..at].contains(name) {
            return Err(BadInput::new(format!("--targets: {name:?}: must be unique")));
        }
    }
    Ok(())
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    check_targets(&args.targets)?;
    check_secret("--key", &args.key)?;
    args.tokens.check()?;
    let state = match &args.state {
        Some(file) => state_file(file)?,
        None => store(args::given_store(Some(args.store), VARIABLE).as_deref().unwrap_or(STORE))?,
    };
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
    let penalties: Vec<f32> = args.costs.iter().map(|cost| args.lambda as f32 * cost).collect();
    if penalties.iter().any(|penalty| !penalty.is_finite()) {
        let message = format!("--lambda: times --costs must be at most {}", f32::MAX);
        return Err(BadInput::new(message).into());
    }
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
        state,
        key: args.key,
        tokens: args.tokens.into_tokens(),
        attribution: Duration::from_secs(args.attribution),
        pending: args.pending,
        rate: args.rate,
        caches: args.cache,
        learners,
    };
    let report = |event: Event| match event {
        Event::Listening(address) => report!("listening on http://{address}/"),
        Event::Warning(warning) => report!("warning: {warning}"),
    };
    serve(&options, shutdown::requested, report).map_err(|error| match &error {
        ServeError::State { error: cause, .. } => match cause.hint() {
            Some(hint) => BadInput::new(&error).hint(hint).into(),
            None => BadInput::new(&error).into(),
        },
        ServeError::Redis(_) | ServeError::Listen { .. } => BadInput::new(&error).into(),
        ServeError::Key | ServeError::Io(_) => error.into(),
    })
}

fn memory(text: &str) -> Result<f64, String> {
    args::number(text, |samples| samples >= 100.0, "must be a number, 100 or more")
}

fn canary(text: &str) -> Result<f64, String> {
    args::number(text, |share| (0.0..=0.5).contains(&share), "must be from 0 to 0.5")
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
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        // No policy of a filter's configuration can have it.
        return Err(BadInput::new(format!("--segments: {name:?}: {NAME_RULE}")));
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
