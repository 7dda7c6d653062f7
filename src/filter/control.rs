//! The control plane from inside Envoy: decisions out, policy snapshots in, on the root context's
//! tick. Requests only append to a buffer and read the snapshot in use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, Status};

use super::metrics::{count, counter};
use crate::config::{self, Config};
use crate::control::{Answer, Buffer, DecisionId, Live, Missing, Signer, asked};
use crate::decision::Decision;
use crate::metrics;
use crate::policy::bandit::{EVERYTHING, MAX_SNAPSHOT_BYTES, SegmentId, Snapshot, segment_id};
use crate::prompt::Prompt;

/// A call that was not answered by then counts as failed, and its decisions go again.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Decisions,
    Rewards,
    Policy,
}

/// A reward is a ninth as long as a decision.
const REWARDS_SHARE: usize = 8;
/// How often a write is tried when another worker was faster.
const ATTEMPTS: usize = 3;

/// What the requests of one configuration share of the control plane.
pub(super) struct Control {
    config: config::Control,
    /// Whether the bandit decides; otherwise decisions are only told.
    bandit: bool,
    targets: Vec<String>,
    /// By policy of the configuration.
    segments: Vec<SegmentId>,
    pub(super) signer: Signer,
    live: RefCell<Live>,
    buffer: RefCell<Buffer>,
    /// Rewards that the filter gave by itself.
    rewards: RefCell<Buffer>,
    /// Calls on their way.
    calls: RefCell<HashMap<u32, Call>>,
    etag: RefCell<Option<String>>,
    /// The `etag` of the snapshot that was refused last, so that it is complained of once.
    refused_etag: RefCell<Option<String>>,
    dropped: u32,
    failed: u32,
    loaded: u32,
    refused: u32,
    missing: HashMap<&'static str, u32>,
}

impl Control {
    /// `None` when no control plane is configured.
    pub(super) fn define(config: &Config) -> Result<Option<Self>, Status> {
        let Some(control) = &config.control else { return Ok(None) };
        let mut missing = HashMap::new();
        for reason in Missing::ALL {
            let id = counter(&metrics::bandit_fallback(reason))?;
            missing.insert(reason.name(), id);
        }
        let max_age = config.bandit.map(|bandit| bandit.max_age).unwrap_or_default();
        let targets: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
        Ok(Some(Control {
            signer: Signer::new(&control.key).ok_or(Status::BadArgument)?,
            live: RefCell::new(Live::new(targets.len(), max_age)),
            buffer: RefCell::new(Buffer::new(control.buffer_bytes)),
            rewards: RefCell::new(Buffer::new(control.buffer_bytes / REWARDS_SHARE)),
            calls: RefCell::default(),
            etag: RefCell::default(),
            refused_etag: RefCell::default(),
            dropped: counter(metrics::EVENTS_DROPPED)?,
            failed: counter(metrics::CONTROL_CALLS_FAILED)?,
            loaded: counter(metrics::SNAPSHOTS_LOADED)?,
            refused: counter(metrics::SNAPSHOTS_REFUSED)?,
            missing,
            targets,
            segments: config.policies.iter().map(|policy| segment_id(&policy.name)).collect(),
            bandit: config.bandit.is_some(),
            config: control.clone(),
        }))
    }

    /// The time until the next tick: a quarter more or less than configured, so that a fleet does
    /// not ask all at once.
    pub(super) fn next_tick(&self, uniform: f64) -> Duration {
        self.config.interval.mul_f64(0.75 + 0.5 * uniform)
    }

    /// Lets the bandit decide where it may. Gives the packed context and the snapshot's version
    /// for the record, and why the classifier's decision stands, if it should not.
    pub(super) fn decide(&self, decision: &mut Decision, uniform: f64) -> Told {
        let live = self.live.borrow();
        let Some(context) = live.context(decision) else { return Told::default() };
        let mut told = Told {
            context: Some(crate::record::pack(&context)),
            snapshot: live.version().map(str::to_owned),
            fallback: None,
        };
        let segment = self.segments.get(decision.policy).copied().unwrap_or(EVERYTHING);
        if self.bandit
            && let Err(missing) = live.decide(decision, segment, &context, uniform, Instant::now())
        {
            told.fallback = Some(missing.name());
            if let Some(&id) = self.missing.get(missing.name()) {
                count(id, 1);
            }
        }
        told
    }

    /// Keeps a decision record for the next post.
    pub(super) fn tell(&self, record: &str) {
        if !self.buffer.borrow_mut().push(record.as_bytes()) {
            count(self.dropped, 1);
        }
    }

    /// Whether answers are looked at for what they are worth.
    pub(super) fn judges(&self) -> bool {
        self.config.implicit.is_some()
    }

    /// An answer came to its end: gives it a reward, if its signs say anything.
    pub(super) fn judge(&self, decision_id: &str, answer: &Answer) {
        let implicit = self.config.implicit.as_ref();
        if let Some(reward) = implicit.and_then(|implicit| answer.reward(implicit)) {
            self.reward(decision_id, reward, "implicit");
        }
    }

    /// A question comes, to be decided on with this id. If it was asked a short while ago, that
    /// counts against the answer then.
    pub(super) fn asked(&self, prompt: &Prompt, who: Option<&[u8]>, id: &str, now: u32) {
        let asked_again = self.config.implicit.as_ref().and_then(|it| it.asked_again);
        let Some((seconds, reward)) = asked_again else { return };
        let (Some(key), Some(id)) = (asked::key(prompt, who), self.signer.verify(id)) else {
            return;
        };
        if let Some(before) = remember(key, &id, now, now.saturating_add(seconds)) {
            self.reward(&self.signer.sign(&before), reward, "asked_again");
        }
    }

    fn reward(&self, decision_id: &str, reward: f32, source: &str) {
        let line =
            format!(r#"{{"decision_id":"{decision_id}","reward":{reward},"source":"{source}"}}"#);
        if !self.rewards.borrow_mut().push(line.as_bytes()) {
            count(self.dropped, 1);
        }
    }

    /// Posts what waits and looks for a new snapshot.
    pub(super) fn tick(&self) {
        let on_its_way = |call: Call| self.calls.borrow().values().any(|other| *other == call);
        for (call, path, buffer) in [
            (Call::Decisions, "/v1/decisions", &self.buffer),
            (Call::Rewards, "/v1/feedback", &self.rewards),
        ] {
            let mut buffer = buffer.borrow_mut();
            if !on_its_way(call)
                && let Some(batch) = buffer.post()
                && !self.call(call, "POST", path, None, batch)
            {
                buffer.retry();
            }
        }
        if self.bandit && !on_its_way(Call::Policy) {
            let etag = self.etag.borrow().clone();
            self.call(Call::Policy, "GET", "/v1/policy", etag.as_deref(), &[]);
        }
    }

    fn call(&self, call: Call, method: &str, path: &str, etag: Option<&str>, body: &[u8]) -> bool {
        let authorization = format!("Bearer {}", self.config.token);
        let mut headers = vec![
            (":method", method),
            (":path", path),
            (":authority", self.config.cluster.as_str()),
            ("authorization", authorization.as_str()),
        ];
        headers.extend(etag.map(|etag| ("if-none-match", etag)));
        let body = (!body.is_empty()).then_some(body);
        // The host says BadArgument for an unknown cluster and InternalFailure when it cannot
        // send; the SDK panics on nothing else that Envoy answers.
        match hostcalls::dispatch_http_call(&self.config.cluster, headers, body, vec![], TIMEOUT) {
            Ok(token) => {
                self.calls.borrow_mut().insert(token, call);
                true
            }
            Err(_) => {
                count(self.failed, 1);
                false
            }
        }
    }

    /// A call was answered, or given up by the host: then there is no status.
    pub(super) fn answered(&self, token: u32, body_size: usize) {
        let Some(call) = self.calls.borrow_mut().remove(&token) else { return };
        let header = |name: &str| {
            hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten()
        };
        let status = header(":status").unwrap_or_default();
        let buffer = if call == Call::Rewards { &self.rewards } else { &self.buffer };
        match (call, status.as_slice()) {
            (Call::Decisions | Call::Rewards, b"200") => buffer.borrow_mut().confirm(),
            // The batch itself is to blame: it would be refused for ever.
            (Call::Decisions | Call::Rewards, b"400" | b"403" | b"413") => {
                buffer.borrow_mut().confirm();
                count(self.failed, 1);
            }
            (Call::Decisions | Call::Rewards, _) => {
                buffer.borrow_mut().retry();
                count(self.failed, 1);
            }
            (Call::Policy, b"304") => self.live.borrow_mut().confirm(Instant::now()),
            (Call::Policy, b"200") => {
                let etag = header("etag").and_then(|etag| String::from_utf8(etag).ok());
                self.load(etag, body_size);
            }
            (Call::Policy, _) => count(self.failed, 1),
        }
    }

    fn load(&self, etag: Option<String>, size: usize) {
        let size = size.min(MAX_SNAPSHOT_BYTES + 1);
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size);
        let body = body.ok().flatten().unwrap_or_default();
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        match Snapshot::read(&body, &targets) {
            Ok(snapshot) => {
                log::info!("pointsman policy snapshot {} in use", snapshot.version);
                self.live.borrow_mut().replace(snapshot, Instant::now());
                *self.etag.borrow_mut() = etag;
                count(self.loaded, 1);
            }
            Err(error) => {
                count(self.refused, 1);
                let mut last = self.refused_etag.borrow_mut();
                if last.is_none() || *last != etag {
                    log::warn!("pointsman policy snapshot refused: {error}");
                }
                *last = Some(etag.unwrap_or_default());
            }
        }
    }
}

/// Remembers a question in the data that all workers share; gives the decision of the same one
/// before. A worker that is always overtaken gives up: a reward is lost, no request.
fn remember(key: u64, id: &DecisionId, now: u32, end: u32) -> Option<DecisionId> {
    let name = format!("pointsman.asked.{}", asked::place(key));
    for _ in 0..ATTEMPTS {
        let Ok((place, version)) = hostcalls::get_shared_data(&name) else { return None };
        let (before, place) = asked::swap(&place.unwrap_or_default(), key, id, now, end);
        if hostcalls::set_shared_data(&name, Some(&place), version).is_ok() {
            return before;
        }
    }
    None
}

/// What the record says of the bandit.
#[derive(Default)]
pub(super) struct Told {
    pub(super) context: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) fallback: Option<&'static str>,
}
