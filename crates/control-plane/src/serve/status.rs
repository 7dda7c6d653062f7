//! What the threads tell the world: the snapshot, counters, the recent past.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::attribution::{Counts, Lesson};
use super::caches::Forwarded;
use super::line::Stored;
use super::now_ms;
use crate::bandit::{Event, Learners};
use pointsman_core::features::digest_of;
use pointsman_core::policy::bandit::{Component, Snapshot};

/// A snapshot as it is sent.
#[derive(Clone, Debug)]
pub struct Published {
    pub etag: String,
    pub body: String,
}

/// One policy and its share of the traffic of its segment.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// Empty where no segment decides.
    pub segment: String,
    pub version: String,
    pub share: f64,
}

/// An event with the time at which it was noticed.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Names of those that have a learner of their own.
    pub segments: Vec<String>,
    pub snapshot: String,
    pub versions: Vec<Version>,
    pub samples: u64,
    /// Decisions that may still be rewarded; absent where the store does not count them.
    pub waiting: Option<usize>,
    pub lines: Counts,
    pub totals: Bucket,
    pub recent: VecDeque<Bucket>,
    pub events: VecDeque<Dated>,
    /// What the operator should know of the store.
    pub warning: Option<String>,
}

/// Length of a bucket, and how many are kept: two hours.
pub const BUCKET_MS: u64 = 10_000;
pub const BUCKETS: usize = 720;
/// Events that are kept.
const EVENTS: usize = 200;

pub struct Shared {
    published: RwLock<Arc<Published>>,
    status: Mutex<Status>,
    /// What was refused here and is not told to the store yet.
    refused: Mutex<Counts>,
    /// Of this process alone: another replica tells the caches of what it took.
    pub forwarded: Forwarded,
}

impl Shared {
    /// Before any traffic.
    pub fn new(learners: &Learners) -> Self {
        let options = learners.options();
        let shared = Shared {
            published: RwLock::new(Arc::new(Published {
                etag: String::new(),
                body: String::new(),
            })),
            status: Mutex::new(Status {
                targets: options.targets.clone(),
                penalties: options.penalties.clone(),
                segments: learners.names(),
                snapshot: String::new(),
                versions: Vec::new(),
                samples: 0,
                waiting: None,
                lines: Counts::default(),
                totals: bucket(now_ms(), options.targets.len()),
                recent: VecDeque::new(),
                events: VecDeque::new(),
                warning: None,
            }),
            refused: Mutex::default(),
            forwarded: Forwarded::default(),
        };
        shared.publish(learners);
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot to send.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends these learners' snapshot from now on.
    pub fn publish(&self, learners: &Learners) {
        self.publish_snapshot(learners.snapshot(), learners.seen());
    }

    /// Sends this snapshot from now on, which was learnt from so many samples.
    pub fn publish_snapshot(&self, snapshot: &Snapshot, samples: u64) {
        {
            let mut status = self.lock();
            status.samples = samples;
            if status.snapshot != snapshot.version {
                status.snapshot.clone_from(&snapshot.version);
            }
            let versions = |segment: &str, components: &[Component]| -> Vec<Version> {
                let version = |it: &Component| Version {
                    segment: segment.to_owned(),
                    version: it.version.clone(),
                    share: it.share,
                };
                components.iter().map(version).collect()
            };
            status.versions = versions("", &snapshot.components);
            for segment in &snapshot.segments {
                status.versions.extend(versions(&segment.name, &segment.components));
            }
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
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) += counts;
    }

    /// What was refused since the last call.
    pub fn take_refused(&self) -> Counts {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the operator on the dashboard and on standard error.
    pub fn warn(&self, warning: String) {
        self.lock().warning = Some(warning);
    }

    /// What the operator should know.
    pub fn warning(&self) -> Option<String> {
        self.lock().warning.clone()
    }

    /// Begin of the last bucket that is known.
    pub fn last_bucket(&self) -> Option<u64> {
        self.lock().recent.back().map(|bucket| bucket.at_ms)
    }

    /// Takes over what a store counted for all replicas: totals, the buckets that changed, events.
    pub fn adopt(
        &self,
        totals: &HashMap<String, f64>,
        changed: Vec<(u64, HashMap<String, f64>)>,
        events: VecDeque<Dated>,
    ) {
        let mut status = self.lock();
        let targets = status.targets.len();
        let number = |name: &str| totals.get(name).map_or(0, |count| *count as u64);
        status.lines = Counts {
            accepted: number("accepted"),
            duplicate: number("duplicate"),
            early: number("early"),
            late: 0,
            forged: number("forged"),
            invalid: number("invalid"),
        };
        status.totals = Bucket::of(status.totals.at_ms, targets, totals);
        for (at_ms, counts) in changed {
            while status.recent.back().is_some_and(|bucket| bucket.at_ms >= at_ms) {
                status.recent.pop_back();
            }
            status.recent.push_back(Bucket::of(at_ms, targets, &counts));
        }
        while status.recent.len() > BUCKETS {
            status.recent.pop_front();
        }
        status.events = events;
    }

    /// Counts a batch: the lines that were accepted, and what followed from all.
    pub fn count(&self, lines: &[&Stored], lessons: &[Lesson], counts: Counts, waiting: usize) {
        let now = now_ms();
        let mut status = self.lock();
        let targets = status.targets.len();
        status.lines += counts;
        status.waiting = Some(waiting);
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
        let label = |result: &str| format!("{{result=\"{result}\"}}");
        let lines = status.lines;
        let results = [
            ("accepted", lines.accepted),
            ("duplicate", lines.duplicate),
            ("early", lines.early),
            ("late", lines.late),
            ("forged", lines.forged),
            ("invalid", lines.invalid),
        ]
        .map(|(result, count)| (label(result), count as f64));
        put("counter", "pointsman_serve_lines_total", "Lines by what became of them.", &results);
        let one = |value: f64| [(String::new(), value)];
        let explored = one(status.totals.explored as f64);
        put("counter", "pointsman_serve_explored_total", "Decisions that explored.", &explored);
        let rewards = one(status.totals.rewards as f64);
        put("counter", "pointsman_serve_rewards_total", "Rewards attributed.", &rewards);
        let sum = one(status.totals.reward_sum);
        put("counter", "pointsman_serve_reward_sum_total", "Sum of rewards.", &sum);
        let waiting = one(status.waiting.map_or(f64::NAN, |waiting| waiting as f64));
        put("gauge", "pointsman_serve_waiting", "Decisions that may be rewarded.", &waiting);
        let samples = one(status.samples as f64);
        put("counter", "pointsman_serve_samples_total", "Samples learnt from.", &samples);
        let Forwarded { sent, failed, dropped } = &self.forwarded;
        let forwarded = [("sent", sent), ("failed", failed), ("dropped", dropped)]
            .map(|(result, count)| (label(result), count.load(Ordering::Relaxed) as f64));
        let name = "pointsman_serve_cache_feedback_total";
        put("counter", name, "Rewards for caches by what became of them.", &forwarded);
        text
    }
}

fn bucket(at_ms: u64, targets: usize) -> Bucket {
    let targets = vec![0; targets];
    Bucket { at_ms, targets, explored: 0, scored: 0, rewards: 0, reward_sum: 0.0 }
}

impl Bucket {
    /// From the names under which a store counts.
    fn of(at_ms: u64, targets: usize, counts: &HashMap<String, f64>) -> Self {
        let sum = |name: &str| counts.get(name).copied().unwrap_or_default();
        let number = |name: &str| sum(name) as u64;
        Bucket {
            at_ms,
            targets: (0..targets).map(|target| number(&format!("target:{target}"))).collect(),
            explored: number("explored"),
            scored: number("scored"),
            rewards: number("rewards"),
            reward_sum: sum("reward_sum"),
        }
    }

    fn add(&mut self, lines: &[&Stored], lessons: &[Lesson]) {
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
