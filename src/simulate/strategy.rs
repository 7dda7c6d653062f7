//! Strategies side by side on one stream.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Drift, Pool};
use crate::bandit::{Controller, ControllerOptions, Event, Prior, Sample};

/// Who decides.
#[derive(Clone, Debug)]
pub enum Strategy {
    AlwaysCheap,
    AlwaysStrong,
    /// The classifier against a fixed threshold.
    Classifier {
        threshold: f32,
    },
    /// The bandit, from some prior.
    Bandit {
        options: Box<ControllerOptions>,
        prior: Prior,
    },
}

/// A simulation.
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

/// What a strategy earned.
#[derive(Clone, Debug, Default)]
pub struct Earned {
    /// Reward less penalty of each request.
    pub rewards: Vec<f32>,
    pub strong_calls: usize,
    pub explored: usize,
    pub events: Vec<Event>,
}

enum Player {
    Fixed(f32),
    Bandit { controller: Box<Controller>, rng: SmallRng, late: VecDeque<(usize, Sample)> },
}

/// Plays one strategy. The stream depends on the seed alone, so that strategies can be paired.
pub fn run(setup: &Run, strategy: &Strategy) -> Earned {
    let mut stream = SmallRng::seed_from_u64(setup.seed);
    let mut player = match strategy {
        Strategy::AlwaysCheap => Player::Fixed(f32::NEG_INFINITY),
        Strategy::AlwaysStrong => Player::Fixed(f32::INFINITY),
        Strategy::Classifier { threshold } => Player::Fixed(*threshold),
        Strategy::Bandit { options, prior } => Player::Bandit {
            controller: Box::new(Controller::new((**options).clone(), prior.clone())),
            rng: SmallRng::seed_from_u64(!setup.seed),
            late: VecDeque::new(),
        },
    };
    let mut earned = Earned::default();
    for request in 0..setup.requests {
        let item = setup.pool.draw(&mut stream);
        let drift = if request < setup.drift_at { Drift::None } else { setup.drift };
        let quality = drift.apply(item);
        let target = match &mut player {
            Player::Fixed(threshold) => usize::from(item.score < *threshold),
            Player::Bandit { controller, rng, late } => {
                while late.front().is_some_and(|(due, _)| *due <= request) {
                    if let Some((_, sample)) = late.pop_front() {
                        controller.observe(sample, true);
                    }
                }
                if request % setup.publish_every == 0 {
                    controller.step();
                    earned.events.extend(controller.take_events());
                }
                let uniform = rng.random();
                let Some(draw) = controller.snapshot().choose(&item.context, &[true; 2], uniform)
                else {
                    continue;
                };
                earned.explored += usize::from(draw.explored);
                let sample = Sample {
                    context: item.context.clone(),
                    target: draw.target,
                    propensity: draw.propensity,
                    reward: quality[draw.target],
                };
                late.push_back((request + setup.delay, sample));
                draw.target
            }
        };
        earned.strong_calls += target;
        earned.rewards.push(quality[target] - setup.penalties[target]);
    }
    earned
}
