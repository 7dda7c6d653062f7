//! What the threads tell the world: the snapshot, counters, the recent past.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::Serialize;

use super::attribution::{Counts, Lesson};
use super::line::Stored;
use super::now_ms;
use crate::bandit::{Controller, Event};
use crate::features::digest_of;

/// A snapshot as it is sent.
#[derive(Clone, Debug)]
pub struct Published {
    pub etag: String,
    pub body: String,
}

/// One policy and its share of the traffic.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    pub version: String,
    pub share: f64,
}

/// An event with the time at which it was noticed.
#[derive(Clone, Debug, Serialize)]
pub struct Dated {
    pub at_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// Ten seconds of traffic.
#[derive(Clone, Debug, Serialize)]
pub struct Bucket {
    pub at_ms: u64,
    /// Decisions of each target.
    pub targets: Vec<u64>,
    pub explored: u64,
    /// Decisions that the classifier or the bandit made.
    pub scored: u64,
    pub rewards: u64,
    pub reward_sum: f64,
}

/// All that the dashboard shows.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub targets: Vec<String>,
    /// λ times the cost of each target.
    pub penalties: Vec<f32>,
    pub snapshot: String,
    pub versions: Vec<Version>,
    pub samples: u64,
    pub waiting: usize,
    pub lines: Counts,
    pub totals: Bucket,
    pub recent: VecDeque<Bucket>,
    pub events: VecDeque<Dated>,
}

/// Length of a bucket, and how many are kept: two hours.
const BUCKET_MS: u64 = 10_000;
const BUCKETS: usize = 720;
/// Events that are kept.
const EVENTS: usize = 200;

pub struct Shared {
    published: RwLock<Arc<Published>>,
    status: Mutex<Status>,
}

impl Shared {
    /// Before any traffic.
    pub fn new(controller: &Controller) -> Self {
        let options = controller.options();
        let shared = Shared {
            published: RwLock::new(Arc::new(Published {
                etag: String::new(),
                body: String::new(),
            })),
            status: Mutex::new(Status {
                targets: options.targets.clone(),
                penalties: options.penalties.clone(),
                snapshot: String::new(),
                versions: Vec::new(),
                samples: 0,
                waiting: 0,
                lines: Counts::default(),
                totals: bucket(now_ms(), options.targets.len()),
                recent: VecDeque::new(),
                events: VecDeque::new(),
            }),
        };
        shared.publish(controller);
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot to send.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends this controller's snapshot from now on.
    pub fn publish(&self, controller: &Controller) {
        let snapshot = controller.snapshot();
        {
            let mut status = self.lock();
            status.samples = controller.seen();
            if status.snapshot != snapshot.version {
                status.snapshot.clone_from(&snapshot.version);
            }
            let version = |c: &crate::policy::bandit::Component| Version {
                version: c.version.clone(),
                share: c.share,
            };
            status.versions = snapshot.components.iter().map(version).collect();
        }
        let body = snapshot.to_json();
        let etag = format!("\"{}\"", digest_of(body.as_bytes()));
        if self.published().etag != etag {
            let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
            *published = Arc::new(Published { etag, body });
        }
    }

    /// Keeps events for people.
    pub fn record(&self, events: Vec<Event>) {
        let mut status = self.lock();
        for event in events {
            status.events.push_back(Dated { at_ms: now_ms(), event });
            if status.events.len() > EVENTS {
                status.events.pop_front();
            }
        }
    }

    /// Counts what never reached the log.
    pub fn refuse(&self, counts: Counts) {
        self.lock().lines += counts;
    }

    /// Counts a batch.
    pub fn count(&self, lines: &[Stored], lessons: &[Lesson], counts: Counts, waiting: usize) {
        let now = now_ms();
        let mut status = self.lock();
        let targets = status.targets.len();
        status.lines += counts;
        status.waiting = waiting;
        if status.recent.back().is_none_or(|bucket| now >= bucket.at_ms + BUCKET_MS) {
            status.recent.push_back(bucket(now - now % BUCKET_MS, targets));
            if status.recent.len() > BUCKETS {
                status.recent.pop_front();
            }
        }
        let Status { totals, recent, .. } = &mut *status;
        for bucket in recent.back_mut().into_iter().chain([totals]) {
            bucket.add(lines, lessons);
        }
    }

    /// The present state as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.lock()).unwrap_or_default()
    }

    /// The present state in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let status = self.lock();
        let mut text = String::new();
        let mut put = |kind: &str, name: &str, help: &str, values: &[(String, f64)]| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let decisions: Vec<(String, f64)> = status
            .targets
            .iter()
            .zip(&status.totals.targets)
            .map(|(name, count)| (format!("{{target=\"{name}\"}}"), *count as f64))
            .collect();
        put("counter", "pointsman_serve_decisions_total", "Decisions taken in.", &decisions);
        let lines = status.lines;
        let results = [
            ("accepted", lines.accepted),
            ("duplicate", lines.duplicate),
            ("early", lines.early),
            ("late", lines.late),
            ("forged", lines.forged),
            ("invalid", lines.invalid),
        ]
        .map(|(result, count)| (format!("{{result=\"{result}\"}}"), count as f64));
        put("counter", "pointsman_serve_lines_total", "Lines by what became of them.", &results);
        let one = |value: f64| [(String::new(), value)];
        let explored = one(status.totals.explored as f64);
        put("counter", "pointsman_serve_explored_total", "Decisions that explored.", &explored);
        let rewards = one(status.totals.rewards as f64);
        put("counter", "pointsman_serve_rewards_total", "Rewards attributed.", &rewards);
        let sum = one(status.totals.reward_sum);
        put("counter", "pointsman_serve_reward_sum_total", "Sum of rewards.", &sum);
        let waiting = one(status.waiting as f64);
        put("gauge", "pointsman_serve_waiting", "Decisions that may be rewarded.", &waiting);
        let samples = one(status.samples as f64);
        put("counter", "pointsman_serve_samples_total", "Samples learnt from.", &samples);
        text
    }
}

fn bucket(at_ms: u64, targets: usize) -> Bucket {
    let targets = vec![0; targets];
    Bucket { at_ms, targets, explored: 0, scored: 0, rewards: 0, reward_sum: 0.0 }
}

impl Bucket {
    fn add(&mut self, lines: &[Stored], lessons: &[Lesson]) {
        for line in lines {
            if let Stored::Decision { target, explored, context, .. } = line {
                if let Some(count) = self.targets.get_mut(usize::from(*target)) {
                    *count += 1;
                }
                self.explored += u64::from(*explored);
                self.scored += u64::from(!context.is_empty());
            }
        }
        for lesson in lessons {
            match lesson {
                Lesson::Learn { sample, .. } => {
                    self.rewards += 1;
                    self.reward_sum += f64::from(sample.reward);
                }
                Lesson::Correct { sample, reward } => {
                    self.reward_sum += f64::from(reward - sample.reward);
                }
            }
        }
    }
}
