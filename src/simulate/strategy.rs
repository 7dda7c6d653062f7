//! Strategies side by side on one stream.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::labelling::{Fitted, Label};
use super::stream::UNKNOWN;
use super::{Drift, Labelling, Pool, Request, Trainer};
use pointsman_control_plane::bandit::{Controller, ControllerOptions, Event, Prior, Sample};
use pointsman_core::features::extract;
use pointsman_core::policy::bandit::{Context, EVERYTHING, Snapshot};
use pointsman_core::prompt::Prompt;
use pointsman_lab::learn::{Algorithm, SparseFeatures};
use pointsman_lab::rules::{HAND_RULES_THRESHOLD, hand_rules};

/// Who decides.
#[derive(Clone, Debug)]
pub enum Strategy {
    AlwaysCheap,
    AlwaysStrong,
    /// Knows the quality of both answers: the upper bound.
    Oracle,
    /// The shipped hand rules.
    Rules,
    /// A frozen classifier against a fixed threshold.
    Classifier {
        threshold: f32,
    },
    /// The shipped hand rules until there are enough labels, then a classifier that is trained on
    /// them, repeatedly.
    Trained {
        labelling: Labelling,
    },
    /// The bandit, from some prior.
    Bandit {
        options: Box<ControllerOptions>,
        prior: Prior,
    },
    /// As [`Strategy::Trained`], with a bandit that starts from the first classifier.
    TrainedBandit {
        labelling: Labelling,
        options: Box<ControllerOptions>,
    },
}

/// A simulation on prompts that are drawn at random, one per second.
#[derive(Clone, Debug)]
pub struct Run<'p> {
    pub pool: &'p Pool,
    pub requests: usize,
    /// λ times the cost of the cheap and the strong target.
    pub penalties: [f32; 2],
    pub drift: Drift,
    /// Requests before the change.
    pub drift_at: usize,
    /// Requests between a decision and its reward.
    pub delay: usize,
    /// Requests between two steps of the control plane.
    pub publish_every: usize,
    pub seed: u64,
}

/// Traffic, and the conditions under which strategies play on it.
#[derive(Clone, Debug)]
pub struct Setting<'p> {
    pub pool: &'p Pool,
    pub requests: &'p [Request],
    /// λ times the cost of the cheap and the strong target.
    pub penalties: [f32; 2],
    pub drift: Drift,
    /// Requests before the change.
    pub drift_at: usize,
    /// Seconds between a decision and its reward.
    pub delay: f64,
    /// Share of the decisions that get a reward.
    pub feedback_share: f64,
    /// Seconds between two steps of the control plane.
    pub publish_every: f64,
    /// Seed of what strategies draw; the traffic is drawn already.
    pub seed: u64,
}

/// What a strategy earned.
#[derive(Clone, Debug, Default)]
pub struct Earned {
    /// Reward less penalty of each request, and less what labelling it costs.
    pub rewards: Vec<f32>,
    /// Sum of the qualities of the answers that were given.
    pub quality: f64,
    pub strong_calls: usize,
    /// Requests that went to the target that earns most.
    pub right: usize,
    pub explored: usize,
    /// Requests that both models answered.
    pub labels: usize,
    pub events: Vec<Event>,
}

/// Plays one strategy on prompts drawn at random. The stream depends on the seed alone, so that
/// strategies can be paired.
pub fn run(setup: &Run, strategy: &Strategy) -> Earned {
    let mut stream = SmallRng::seed_from_u64(setup.seed);
    let requests: Vec<Request> = (0..setup.requests)
        .map(|k| Request { at: k as f64, item: setup.pool.position(&mut stream) })
        .collect();
    let setting = Setting {
        pool: setup.pool,
        requests: &requests,
        penalties: setup.penalties,
        drift: setup.drift,
        drift_at: setup.drift_at,
        delay: setup.delay as f64,
        feedback_share: 1.0,
        publish_every: setup.publish_every as f64,
        seed: setup.seed,
    };
    let mut trainer = Trainer::new(setup.pool, Vec::new(), Algorithm::Trees, setup.penalties);
    play(&setting, strategy, &mut trainer).0
}

/// Plays one strategy on given traffic; returns what it earned, and the policy it ended with.
pub fn play(setting: &Setting, strategy: &Strategy, trainer: &mut Trainer) -> (Earned, Learned) {
    let mut earned = Earned::default();
    earned.rewards.reserve(setting.requests.len());
    let mut player = Player::new(strategy, setting, trainer);
    for (k, request) in setting.requests.iter().enumerate() {
        let item = &setting.pool.items[request.item];
        let drift = if k < setting.drift_at { Drift::None } else { setting.drift };
        let quality = drift.apply(item);
        let worth = [0, 1].map(|target| quality[target] - setting.penalties[target]);
        let labelled = player.learner.as_mut().is_some_and(|learner| learner.learn(drift));
        let target = player.choose(request, quality, &mut earned);
        // Labelling costs the other model's call.
        let label_cost = if labelled { setting.penalties[1 - target] } else { 0.0 };
        earned.labels += usize::from(labelled);
        earned.strong_calls += target;
        earned.right += usize::from(worth[target] >= worth[1 - target]);
        earned.quality += f64::from(quality[target]);
        earned.rewards.push(worth[target] - label_cost);
    }
    (earned, player.learned())
}

/// The policy that a strategy ended with: it decides on any prompt, and does not learn.
#[derive(Clone, Debug)]
pub struct Learned {
    otherwise: Otherwise,
    model: Option<Arc<Fitted>>,
    snapshot: Option<Snapshot>,
}

/// What a strategy can see of a new prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub features: SparseFeatures,
    /// Whether a shipped hand rule asks for the strong target.
    pub rules_strong: bool,
}

impl Seen {
    /// Reads a prompt of one turn.
    pub fn of(text: &str) -> Seen {
        let prompt = Prompt::from_text(text);
        let features = extract(&prompt);
        Seen {
            rules_strong: hand_rules(&prompt, &features) < HAND_RULES_THRESHOLD,
            features: SparseFeatures::from(&features),
        }
    }
}

impl Learned {
    /// The target of a prompt; `uniform` in 0..1 is what a bandit draws with. The oracle, which
    /// cannot know a new prompt, asks the strong model.
    pub fn target(&self, seen: &Seen, uniform: f64) -> usize {
        let score = self.model.as_ref().map(|model| model.score(&seen.features));
        if let Some(snapshot) = &self.snapshot {
            let score = score.unwrap_or(UNKNOWN);
            let context = Context::new(2).of_engineered(seen.features.engineered(), &[score]);
            if let Some(draw) = snapshot.choose(EVERYTHING, &context, &[true; 2], uniform) {
                return draw.target;
            }
        }
        if let (Some(score), Some(model)) = (score, &self.model) {
            return usize::from(score < model.threshold);
        }
        match self.otherwise {
            Otherwise::Threshold(threshold) => usize::from(UNKNOWN < threshold),
            Otherwise::Rules => usize::from(seen.rules_strong),
            Otherwise::Oracle => 1,
        }
    }
}

/// A strategy at work. Its parts decide in this order: online, learner, otherwise.
struct Player<'a, 'p, 't> {
    setting: &'a Setting<'p>,
    otherwise: Otherwise,
    learner: Option<Learner<'a, 't>>,
    /// Options of a bandit that waits for the first classifier.
    waiting: Option<Box<ControllerOptions>>,
    online: Option<Online>,
}

#[derive(Clone, Copy, Debug)]
enum Otherwise {
    Threshold(f32),
    Rules,
    Oracle,
}

impl<'a, 'p, 't> Player<'a, 'p, 't> {
    fn new(strategy: &Strategy, setting: &'a Setting<'p>, trainer: &'a mut Trainer<'t>) -> Self {
        let mut player = Player {
            setting,
            otherwise: Otherwise::Rules,
            learner: None,
            waiting: None,
            online: None,
        };
        match strategy {
            Strategy::AlwaysCheap => player.otherwise = Otherwise::Threshold(f32::NEG_INFINITY),
            Strategy::AlwaysStrong => player.otherwise = Otherwise::Threshold(f32::INFINITY),
            Strategy::Oracle => player.otherwise = Otherwise::Oracle,
            Strategy::Rules => {}
            Strategy::Classifier { threshold } => {
                player.otherwise = Otherwise::Threshold(*threshold);
            }
            Strategy::Trained { labelling } => {
                player.learner = Some(Learner::new(*labelling, setting, trainer));
            }
            Strategy::Bandit { options, prior } => {
                player.online = Some(Online::new(options, prior.clone(), setting));
            }
            Strategy::TrainedBandit { labelling, options } => {
                player.learner = Some(Learner::new(*labelling, setting, trainer));
                player.waiting = Some(options.clone());
            }
        }
        player
    }

    fn choose(&mut self, request: &Request, quality: [f32; 2], earned: &mut Earned) -> usize {
        let item = &self.setting.pool.items[request.item];
        let model = self.learner.as_ref().and_then(|learner| learner.model.clone());
        if let Some(model) = &model
            && let Some(options) = self.waiting.take()
        {
            let prior = Prior::warm(&[model.threshold], &self.setting.penalties);
            self.online = Some(Online::new(&options, prior, self.setting));
        }
        if let Some(online) = &mut self.online {
            let context = match &model {
                Some(model) => &model.contexts[request.item],
                None => &item.context,
            };
            if let Some(target) = online.choose(request.at, context, quality, earned) {
                return target;
            }
        }
        if let Some(model) = model {
            return usize::from(model.scores[request.item] < model.threshold);
        }
        match self.otherwise {
            Otherwise::Threshold(threshold) => usize::from(item.score < threshold),
            Otherwise::Rules => usize::from(item.rules_strong),
            Otherwise::Oracle => {
                let [cheap, strong] = self.setting.penalties;
                usize::from(quality[1] - strong > quality[0] - cheap)
            }
        }
    }
}

impl Player<'_, '_, '_> {
    fn learned(self) -> Learned {
        Learned {
            otherwise: self.otherwise,
            model: self.learner.and_then(|learner| learner.model),
            snapshot: self.online.map(|online| online.controller.snapshot().clone()),
        }
    }
}

/// A bandit, with the rewards that are delayed.
struct Online {
    controller: Controller,
    rng: SmallRng,
    late: VecDeque<(f64, Sample)>,
    next_step: f64,
    delay: f64,
    feedback_share: f64,
    publish_every: f64,
}

impl Online {
    fn new(options: &ControllerOptions, prior: Prior, setting: &Setting) -> Self {
        Online {
            controller: Controller::new(options.clone(), prior),
            rng: SmallRng::seed_from_u64(!setting.seed),
            late: VecDeque::new(),
            next_step: 0.0,
            delay: setting.delay,
            feedback_share: setting.feedback_share,
            publish_every: setting.publish_every,
        }
    }

    fn choose(
        &mut self,
        at: f64,
        context: &[f32],
        quality: [f32; 2],
        earned: &mut Earned,
    ) -> Option<usize> {
        while self.late.front().is_some_and(|(due, _)| *due <= at) {
            if let Some((_, sample)) = self.late.pop_front() {
                self.controller.observe(sample, true);
            }
        }
        if at >= self.next_step {
            self.next_step = at + self.publish_every;
            self.controller.step();
            earned.events.extend(self.controller.take_events());
        }
        let uniform = self.rng.random();
        let draw = self.controller.snapshot().choose(EVERYTHING, context, &[true; 2], uniform)?;
        earned.explored += usize::from(draw.explored);
        if self.feedback_share >= 1.0 || self.rng.random_bool(self.feedback_share) {
            let sample = Sample {
                context: context.to_vec(),
                target: draw.target,
                propensity: draw.propensity,
                reward: quality[draw.target],
                segment: EVERYTHING,
            };
            self.late.push_back((at + self.delay, sample));
        }
        Some(draw.target)
    }
}

/// A classifier that is trained while the traffic runs.
struct Learner<'a, 'p> {
    labelling: Labelling,
    trainer: &'a mut Trainer<'p>,
    rng: SmallRng,
    labels: Vec<Label>,
    /// Labels at the last training.
    trained_at: usize,
    model: Option<Arc<Fitted>>,
}

impl<'a, 'p> Learner<'a, 'p> {
    fn new(labelling: Labelling, setting: &Setting, trainer: &'a mut Trainer<'p>) -> Self {
        Learner {
            labelling,
            trainer,
            rng: SmallRng::seed_from_u64(setting.seed.rotate_left(32)),
            labels: Vec::new(),
            trained_at: 0,
            model: None,
        }
    }

    /// Labels one prompt of the traffic, or not; trains when enough labels are new.
    fn learn(&mut self, drift: Drift) -> bool {
        let Some(item) = self.trainer.prompt(self.labels.len()) else { return false };
        if !self.rng.random_bool(self.labelling.share) {
            return false;
        }
        self.labels.push(Label { item, drift });
        let window = self.trainer.window();
        let fresh = self.labels.len() - self.trained_at;
        if self.labels.len() >= self.labelling.first
            && fresh >= self.trained_at.min((window / 2).max(1))
        {
            self.trained_at = self.labels.len();
            let latest = self.labels.len().saturating_sub(window);
            self.model = self.trainer.fit(&self.labels[latest..]).or(self.model.take());
        }
        true
    }
}
