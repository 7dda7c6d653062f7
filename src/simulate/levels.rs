//! Strategies at traffic levels: from a thousand requests in a period to a million.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rayon::prelude::*;
use serde::Serialize;

use super::{
    Drift, Earned, Labelling, Pool, Request, Setting, Strategy, Trace, Trainer, play, repeated,
};
use pointsman_control_plane::bandit::{ControllerOptions, Event, Prior};
use pointsman_lab::learn::Algorithm;

/// What is simulated at every level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelOptions {
    /// Requests in the period.
    pub levels: Vec<usize>,
    /// Runs, each with its own traffic.
    pub seeds: u64,
    /// Seconds that the traffic of any level takes.
    pub period: f64,
    /// Share of the requests that repeat an earlier prompt.
    pub repeat_share: f64,
    /// λ: reward that a call of the strong target costs.
    pub lambda: f32,
    /// Price of the cheap target, as a share of the strong one's.
    pub cheap_price: f32,
    /// What happens in the middle of the period, in the runs with a change.
    pub drift: Drift,
    /// Share of the requests that are labelled.
    pub label_share: f64,
    /// Labels of the first training.
    pub first_labels: usize,
    /// Share of the decisions that get a reward.
    pub feedback_share: f64,
    /// Seconds between a decision and its reward.
    pub delay: f64,
    /// Seconds between two steps of the control plane.
    pub publish_every: f64,
    /// The kind of classifier that is trained.
    pub algorithm: Algorithm,
}

impl Default for LevelOptions {
    fn default() -> Self {
        LevelOptions {
            levels: vec![1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
            seeds: 6,
            period: 30.0 * 86_400.0,
            repeat_share: 0.3,
            lambda: 0.2,
            cheap_price: 0.04,
            drift: Drift::Swap,
            label_share: 0.02,
            first_labels: 100,
            feedback_share: 0.2,
            delay: 600.0,
            publish_every: 3600.0,
            algorithm: Algorithm::Trees,
        }
    }
}

impl LevelOptions {
    /// λ times the cost of each target.
    pub fn penalties(&self) -> [f32; 2] {
        [self.lambda * self.cheap_price, self.lambda]
    }

    /// Labels and trainings.
    pub fn labelling(&self) -> Labelling {
        Labelling { share: self.label_share, first: self.first_labels }
    }
}

/// A mean over the seeds with its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Mean {
    pub mean: f64,
    pub error: f64,
}

impl Mean {
    /// Of one value a seed; the error of a single one is 0.
    pub fn of(values: &[f64]) -> Mean {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Mean { mean, error: (squares / (n - 1.0).max(1.0) / n).sqrt() }
    }
}

/// What a strategy earned at a level, in means over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    pub strategy: &'static str,
    pub drift: Drift,
    pub requests: usize,
    /// Quality less λ times cost, labelling included, per request.
    pub reward: Mean,
    /// `reward` less what always the strong target earns on the same requests.
    pub gain: Mean,
    /// Share of the requests that went where they earn most.
    pub accuracy: Mean,
    /// Mean quality of the answers, 0..=1.
    pub quality: Mean,
    pub strong_share: Mean,
    /// Share of the requests that tried another target than the best known.
    pub explored_share: f64,
    pub labels: f64,
    /// What the bandit's controller did in the first run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// Names of the strategies, as [`Level::strategy`] has them.
pub const STRATEGIES: [&str; 7] = [
    "classifier",
    "classifier and bandit",
    "bandit",
    "rules",
    "always cheap",
    "always strong",
    "oracle",
];
/// How many of [`STRATEGIES`] train a classifier: the first.
const TRAINED: usize = 2;

/// Plays every strategy at every level, without and with a change in the middle. `done` is called
/// after each run of one seed at one level.
pub fn levels(
    pool: &Pool,
    trace: &Trace,
    options: &LevelOptions,
    done: impl Fn() + Sync,
) -> Vec<Level> {
    let seeds: Vec<u64> = (0..options.seeds).collect();
    let runs: Vec<Vec<Level>> =
        seeds.par_iter().map(|&seed| of_seed(pool, trace, options, seed, &done)).collect();
    let count = runs.first().map_or(0, Vec::len);
    (0..count).map(|k| over_seeds(runs.iter().map(|run| &run[k]))).collect()
}

/// The means over seeds of what one strategy earned at one level.
fn over_seeds<'a>(runs: impl Iterator<Item = &'a Level> + Clone) -> Level {
    let mean = |of: fn(&Level) -> f64| Mean::of(&runs.clone().map(of).collect::<Vec<f64>>());
    let first = runs.clone().next();
    Level {
        strategy: first.map_or("", |level| level.strategy),
        drift: first.map_or(Drift::None, |level| level.drift),
        requests: first.map_or(0, |level| level.requests),
        reward: mean(|level| level.reward.mean),
        gain: mean(|level| level.gain.mean),
        accuracy: mean(|level| level.accuracy.mean),
        quality: mean(|level| level.quality.mean),
        strong_share: mean(|level| level.strong_share.mean),
        explored_share: mean(|level| level.explored_share).mean,
        labels: mean(|level| level.labels).mean,
        events: first.map_or(Vec::new(), |level| level.events.clone()),
    }
}

fn of_seed(
    pool: &Pool,
    trace: &Trace,
    options: &LevelOptions,
    seed: u64,
    done: &impl Fn(),
) -> Vec<Level> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let [asked, labelled] = pool.halves(&mut rng);
    let most = options.levels.iter().copied().max().unwrap_or(0);
    let prompts = repeated(&asked, most, options.repeat_share, &mut rng);
    let mut trainer = Trainer::new(pool, labelled, options.algorithm, options.penalties());
    let mut levels = Vec::new();
    for &requests in &options.levels {
        let arrivals = trace.arrivals(requests.min(prompts.len()), options.period);
        let traffic: Vec<Request> =
            arrivals.iter().zip(&prompts).map(|(&at, &item)| Request { at, item }).collect();
        for drift in [Drift::None, options.drift] {
            let setting = Setting {
                pool,
                requests: &traffic,
                penalties: options.penalties(),
                drift,
                drift_at: traffic.len() / 2,
                delay: options.delay,
                feedback_share: options.feedback_share,
                publish_every: options.publish_every,
                seed,
            };
            levels.extend(of_setting(&setting, options, &mut trainer));
        }
        done();
    }
    levels
}

fn of_setting(setting: &Setting, options: &LevelOptions, trainer: &mut Trainer) -> Vec<Level> {
    let played = |names: &[&'static str], trainer: &mut Trainer| -> Vec<Level> {
        let of = |name: &&'static str| {
            level(name, setting, play(setting, &strategy(name, options), trainer).0)
        };
        names.iter().map(of).collect()
    };
    // Those that train share what was trained; the others need no trainer.
    let (trained, others) = STRATEGIES.split_at(TRAINED);
    let mut none = Trainer::new(setting.pool, Vec::new(), options.algorithm, setting.penalties);
    let (mut levels, others) =
        rayon::join(|| played(trained, trainer), || played(others, &mut none));
    levels.extend(others);
    let base = levels
        .iter()
        .find(|level| level.strategy == "always strong")
        .map_or(0.0, |level| level.reward.mean);
    levels
        .into_iter()
        .map(|level| {
            let gain = Mean { mean: level.reward.mean - base, error: 0.0 };
            Level { gain, ..level }
        })
        .collect()
}

fn level(strategy: &'static str, setting: &Setting, earned: Earned) -> Level {
    let n = earned.rewards.len().max(1) as f64;
    let share = |count: usize| Mean { mean: count as f64 / n, error: 0.0 };
    let reward: f64 = earned.rewards.iter().map(|reward| f64::from(*reward)).sum();
    Level {
        strategy,
        drift: setting.drift,
        requests: earned.rewards.len(),
        reward: Mean { mean: reward / n, error: 0.0 },
        gain: Mean::default(),
        accuracy: share(earned.right),
        quality: Mean { mean: earned.quality / n, error: 0.0 },
        strong_share: share(earned.strong_calls),
        explored_share: earned.explored as f64 / n,
        labels: earned.labels as f64,
        events: earned.events,
    }
}

/// The strategy of a name of [`STRATEGIES`].
pub(super) fn strategy(name: &str, options: &LevelOptions) -> Strategy {
    let targets = vec!["cheap".to_owned(), "strong".to_owned()];
    let controller =
        move || Box::new(ControllerOptions::new(targets, options.penalties().to_vec()));
    let labelling = options.labelling();
    match name {
        "always cheap" => Strategy::AlwaysCheap,
        "always strong" => Strategy::AlwaysStrong,
        "rules" => Strategy::Rules,
        "classifier" => Strategy::Trained { labelling },
        "bandit" => Strategy::Bandit { options: controller(), prior: Prior::cold(2) },
        "classifier and bandit" => Strategy::TrainedBandit { labelling, options: controller() },
        _ => Strategy::Oracle,
    }
}
