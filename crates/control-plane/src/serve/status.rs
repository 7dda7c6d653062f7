//! What the threads publish: the snapshot, counters, the recent past.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::caches::Forwarded;
use super::clock::now_ms;
use super::journal::Counts;
use super::line::Stored;
use super::metrics::{self, BadAnswers};
use crate::bandit::{Event, Learners, Update};
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
    /// Empty for the global learner.
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
    /// Decisions that have no reward and may still get one; absent where the store does not count
    /// them.
    pub waiting: Option<usize>,
    pub lines: Counts,
    pub totals: Bucket,
    pub recent: VecDeque<Bucket>,
    pub events: VecDeque<Dated>,
    /// All warnings, one after the other.
    pub warning: Option<String>,
    #[serde(skip)]
    warnings: BTreeMap<Topic, String>,
}

/// What a warning is about: of each topic, the last one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The store forgets, or has left something out.
    Store,
    /// No policy is made of what is learnt.
    Lead,
    /// Updates that could not be read.
    Updates,
    /// Somebody asks for the paths of the version before.
    OldPaths,
}

/// Takes warnings for the operator.
type Report = Box<dyn Fn(&str) + Send + Sync>;

/// Length of a bucket, and how many are kept: two hours.
pub const BUCKET_MS: u64 = 10_000;
pub const BUCKETS: usize = 720;
/// Events that are kept.
const EVENTS: usize = 200;

pub struct Shared {
    published: RwLock<Arc<Published>>,
    status: Mutex<Status>,
    /// What was refused here and is not reported to the store yet.
    refused: Mutex<Counts>,
    /// Of this process alone: each replica forwards the rewards that it took.
    pub forwarded: Forwarded,
    /// The same.
    pub bad_answers: BadAnswers,
    report: Report,
}

impl Shared {
    /// Before any traffic. Each new warning is reported.
    pub fn new(learners: &Learners, report: Report) -> Self {
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
                warnings: BTreeMap::new(),
            }),
            refused: Mutex::default(),
            forwarded: Forwarded::default(),
            bad_answers: BadAnswers::default(),
            report,
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

    /// Sends this snapshot from now on, which was learnt from `samples` samples.
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

    /// Keeps events for the dashboard.
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

    /// Warns the operator, on the dashboard and on standard error.
    pub fn warn(&self, topic: Topic, warning: String) {
        let before = self.set_warning(topic, Some(warning.clone()));
        if before.as_ref() != Some(&warning) {
            (self.report)(&warning);
        }
    }

    /// What a warning was about is over.
    pub fn settle(&self, topic: Topic) {
        self.set_warning(topic, None);
    }

    fn set_warning(&self, topic: Topic, warning: Option<String>) -> Option<String> {
        let mut status = self.lock();
        let before = match warning {
            Some(warning) => status.warnings.insert(topic, warning),
            None => status.warnings.remove(&topic),
        };
        let all: Vec<&str> = status.warnings.values().map(String::as_str).collect();
        status.warning = (!all.is_empty()).then(|| all.join("; "));
        before
    }

    /// Start of the last known bucket, in milliseconds since the Unix epoch.
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
    pub fn count(&self, lines: &[&Stored], updates: &[Update], counts: Counts, waiting: usize) {
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
            bucket.add(lines, updates);
        }
    }

    /// The present state as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.lock()).unwrap_or_default()
    }

    /// The present state in Prometheus' text format.
    pub fn metrics(&self) -> String {
        metrics::page(&self.lock(), &self.forwarded, &self.bad_answers)
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

    fn add(&mut self, lines: &[&Stored], updates: &[Update]) {
        for line in lines {
            if let Stored::Decision { decision, .. } = line {
                if let Some(count) = self.targets.get_mut(usize::from(decision.target)) {
                    *count += 1;
                }
                self.explored += u64::from(decision.explored);
                self.scored += u64::from(!decision.context.is_empty());
            }
        }
        for update in updates {
            match update {
                Update::Learn { sample, .. } => {
                    self.rewards += 1;
                    self.reward_sum += f64::from(sample.reward);
                }
                Update::Correct { sample, reward } => {
                    self.reward_sum += f64::from(reward - sample.reward);
                }
            }
        }
    }
}
