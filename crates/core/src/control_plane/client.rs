//! The filter's side of the control plane: decisions and rewards out, policy snapshots in. Requests
//! only append to a buffer and read the snapshot in use; the calls are made on the host's tick.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Buffer, DecisionId, Live, Signer, asked, paths};
use crate::answer::FinishedAnswer;
use crate::config::{self, Config};
use crate::decision::Decision;
use crate::packed;
use crate::policy::bandit::{
    EVERYTHING, MAX_SNAPSHOT_BYTES, SegmentId, Snapshot, SnapshotError, segment_id,
};
use crate::prompt::Prompt;
use crate::reason::FallbackReason;
use crate::sign::Sign;
use crate::telemetry::Sample;

/// A reward is a ninth as long as a decision.
const REWARDS_SHARE: usize = 8;

/// What the client asks of the proxy that runs it.
pub trait Caller {
    /// Now, on a clock that only goes forward.
    fn instant(&self) -> Instant;
    /// Sends a request to a cluster; a token by which the response is known, or `None` when it
    /// cannot be sent. No body for an empty one.
    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8]) -> Option<u32>;
    /// A header of the response at hand by its lower-case name; the status is `:status`. None when
    /// the host gave up waiting.
    fn call_header(&self, name: &str) -> Option<Vec<u8>>;
    /// The first bytes of the response at hand, at most `limit`.
    fn call_body(&self, limit: usize) -> Vec<u8>;
    /// Counts.
    fn measure(&self, sample: Sample);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Decisions,
    Rewards,
    Policy,
}

/// What came of a response.
#[derive(Debug)]
pub enum Answered {
    /// Nothing to talk about.
    Done,
    /// The snapshot of this version is in use.
    Loaded(String),
    /// Another snapshot is refused; said once for each that is.
    Refused(SnapshotError),
    /// The control plane does not have our paths, with its status: it is of another version, or not
    /// a control plane at all. Said once.
    UnknownPath(String),
}

/// What the record says of the bandit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BanditRecord {
    /// The bandit's context, packed ([`packed::pack`]).
    pub context: Option<String>,
    /// Version of the snapshot in use.
    pub snapshot: Option<String>,
    /// Why the classifier's decision stands, if it should not.
    pub fallback: Option<FallbackReason>,
}

/// What the requests of one configuration and worker share of the control plane.
#[derive(Debug)]
pub struct Client {
    config: config::ControlPlane,
    /// Whether the bandit decides; otherwise decisions are only recorded.
    bandit: bool,
    targets: Vec<String>,
    /// By policy of the configuration.
    segments: Vec<SegmentId>,
    signer: Signer,
    live: RefCell<Live>,
    decisions: RefCell<Buffer>,
    /// Rewards that the filter gave by itself.
    rewards: RefCell<Buffer>,
    /// Calls that are not answered yet.
    calls: RefCell<HashMap<u32, Call>>,
    etag: RefCell<Option<String>>,
    /// The `etag` of the snapshot that was refused last, so that it is complained of once.
    refused_etag: RefCell<Option<String>>,
    /// Whether it was complained that our paths are unknown.
    unknown_path: Cell<bool>,
}

impl Client {
    /// `None` when the key cannot sign.
    pub fn new(control: &config::ControlPlane, config: &Config) -> Option<Self> {
        let max_age = config.bandit.map(|bandit| bandit.max_age).unwrap_or_default();
        let targets: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
        Some(Client {
            signer: Signer::new(&control.key)?,
            live: RefCell::new(Live::new(targets.len(), max_age)),
            decisions: RefCell::new(Buffer::new(control.buffer_bytes)),
            rewards: RefCell::new(Buffer::new(control.buffer_bytes / REWARDS_SHARE)),
            calls: RefCell::default(),
            etag: RefCell::default(),
            refused_etag: RefCell::default(),
            unknown_path: Cell::default(),
            targets,
            segments: config.policies.iter().map(|policy| segment_id(&policy.name)).collect(),
            bandit: config.bandit.is_some(),
            config: control.clone(),
        })
    }

    /// The decision ID with its signature.
    pub fn sign(&self, id: &DecisionId) -> String {
        self.signer.sign(id)
    }

    /// Lets the bandit decide where it may; `uniform` is in 0..1.
    pub fn decide(&self, decision: &mut Decision, uniform: f64, now: Instant) -> BanditRecord {
        let live = self.live.borrow();
        let Some(context) = live.context(decision) else { return BanditRecord::default() };
        let mut bandit = BanditRecord {
            context: Some(packed::pack(&context)),
            snapshot: live.version().map(str::to_owned),
            fallback: None,
        };
        let segment = self.segments.get(decision.policy).copied().unwrap_or(EVERYTHING);
        if self.bandit {
            bandit.fallback = live.decide(decision, segment, &context, uniform, now).err();
        }
        bandit
    }

    /// Keeps a decision record for the next post; false when there is no room.
    pub fn record(&self, record: &str) -> bool {
        self.decisions.borrow_mut().push(record.as_bytes())
    }

    /// An answer came to its end: keeps a reward, if its signs say anything; false when there is no
    /// room.
    pub fn judge(&self, decision_id: &str, answer: &FinishedAnswer) -> bool {
        let implicit = self.config.implicit.as_ref();
        match implicit.and_then(|implicit| answer.reward(implicit)) {
            Some(reward) => self.reward(decision_id, reward, "implicit"),
            None => true,
        }
    }

    /// For how many seconds a question counts against the answer before, and the reward of that.
    pub fn asked_again(&self) -> Option<(u32, f32)> {
        self.config.implicit.as_ref().and_then(|it| it.asked_again)
    }

    /// What a question is known by, and the decision that is made on it.
    pub fn question(&self, prompt: &Prompt, caller: u64, id: &str) -> Option<(u64, DecisionId)> {
        Some((asked::key(prompt, caller)?, self.signer.verify(id)?))
    }

    /// Keeps a reward for the next post; false when there is no room.
    pub fn reward(&self, decision_id: &str, reward: f32, source: &str) -> bool {
        let line =
            format!(r#"{{"decision_id":"{decision_id}","reward":{reward},"source":"{source}"}}"#);
        self.rewards.borrow_mut().push(line.as_bytes())
    }

    /// Keeps the reward of a bad answer, which is nothing, with its sign as the record has it: `what`
    /// is `escalated` or `kept`. False when there is no room.
    pub fn bad_answer(&self, decision_id: &str, what: &str, sign: Sign) -> bool {
        let sign = sign.name();
        let line = format!(
            r#"{{"decision_id":"{decision_id}","reward":0,"source":"implicit","{what}":"{sign}"}}"#
        );
        self.rewards.borrow_mut().push(line.as_bytes())
    }

    /// The time until the next tick: a quarter more or less than configured, so that a fleet does
    /// not ask all at once; `uniform` is in 0..1.
    pub fn next_tick(&self, uniform: f64) -> Duration {
        self.config.interval.mul_f64(0.75 + 0.5 * uniform)
    }

    /// Posts what waits and looks for a new snapshot.
    pub fn tick(&self, host: &impl Caller) {
        let unanswered = |call: Call| self.calls.borrow().values().any(|other| *other == call);
        for (call, path, buffer) in [
            (Call::Decisions, paths::DECISIONS, &self.decisions),
            (Call::Rewards, paths::FEEDBACK, &self.rewards),
        ] {
            let mut buffer = buffer.borrow_mut();
            if !unanswered(call)
                && let Some(batch) = buffer.post()
                && !self.call(host, call, "POST", path, None, batch)
            {
                buffer.retry();
            }
        }
        if self.bandit && !unanswered(Call::Policy) {
            let etag = self.etag.borrow().clone();
            self.call(host, Call::Policy, "GET", paths::POLICY, etag.as_deref(), &[]);
        }
    }

    fn call(
        &self,
        host: &impl Caller,
        call: Call,
        method: &str,
        path: &str,
        etag: Option<&str>,
        body: &[u8],
    ) -> bool {
        let authorization = format!("Bearer {}", self.config.token);
        let mut headers = vec![
            (":method", method),
            (":path", path),
            (":authority", self.config.cluster.as_str()),
            ("authorization", authorization.as_str()),
        ];
        headers.extend(etag.map(|etag| ("if-none-match", etag)));
        headers.extend((!body.is_empty()).then_some(("content-type", paths::NDJSON)));
        match host.call(&self.config.cluster, headers, body) {
            Some(token) => {
                self.calls.borrow_mut().insert(token, call);
                true
            }
            None => {
                host.measure(Sample::ControlCallFailed);
                false
            }
        }
    }

    /// A call was answered, or given up by the host: then there is no status.
    pub fn on_response(&self, host: &impl Caller, token: u32, body_size: usize) -> Answered {
        let Some(call) = self.calls.borrow_mut().remove(&token) else { return Answered::Done };
        let status = host.call_header(":status").unwrap_or_default();
        let buffer = if call == Call::Rewards { &self.rewards } else { &self.decisions };
        match (call, status.as_slice()) {
            (Call::Decisions | Call::Rewards, b"200") => buffer.borrow_mut().confirm(),
            // The batch itself is to blame: it would be refused forever.
            (Call::Decisions | Call::Rewards, b"400" | b"403" | b"413") => {
                buffer.borrow_mut().confirm();
                host.measure(Sample::ControlCallFailed);
            }
            (Call::Decisions | Call::Rewards, _) => {
                buffer.borrow_mut().retry();
                host.measure(Sample::ControlCallFailed);
            }
            (Call::Policy, b"304") => self.live.borrow_mut().confirm(host.instant()),
            (Call::Policy, b"200") => return self.load(host, body_size),
            (Call::Policy, _) => host.measure(Sample::ControlCallFailed),
        }
        match status.as_slice() {
            b"404" | b"410" if !self.unknown_path.replace(true) => {
                Answered::UnknownPath(String::from_utf8_lossy(&status).into_owned())
            }
            _ => Answered::Done,
        }
    }

    fn load(&self, host: &impl Caller, size: usize) -> Answered {
        let etag = host.call_header("etag").and_then(|etag| String::from_utf8(etag).ok());
        let body = host.call_body(size.min(MAX_SNAPSHOT_BYTES + 1));
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        match Snapshot::read(&body, &targets) {
            Ok(snapshot) => {
                let version = snapshot.version.clone();
                self.live.borrow_mut().replace(snapshot, host.instant());
                *self.etag.borrow_mut() = etag;
                host.measure(Sample::SnapshotLoaded);
                Answered::Loaded(version)
            }
            Err(error) => {
                host.measure(Sample::SnapshotRefused);
                let mut last = self.refused_etag.borrow_mut();
                let is_new = last.is_none() || *last != etag;
                *last = Some(etag.unwrap_or_default());
                if is_new { Answered::Refused(error) } else { Answered::Done }
            }
        }
    }
}
