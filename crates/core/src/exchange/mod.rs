//! One request and its answer: the order in which everything happens to it.
//!
//! ```text
//! headers ─► in scope? ─► body ─► prompt ─► decision ─► route, body, record ─► answer ─► reward
//! ```
//!
//! [`Exchange`] is a pure state machine: what it reads of the proxy and does to it are calls on a
//! [`Host`]. The filter, `pointsman explain` and the tests run this one.

use std::time::Instant;

use crate::answer::FinishedAnswer;
use crate::config::Mode;
use crate::control_plane::BanditRecord;
use crate::decision::Decision;
use crate::header;
use crate::packed;
use crate::policy::RequestContext;
use crate::prompt::Prompt;
use crate::reason::{FallbackReason, Reason};
use crate::record::{self, Record};
use crate::scope::{InScope, Pass, Scope};
use crate::telemetry::Sample;

mod answer;
mod body;
mod host;
pub mod memory;
mod offline;
mod passage;
#[cfg(test)]
mod tests;
mod worker;

use answer::Answer;
pub use host::Host;
pub use offline::OfflineHost;
pub use passage::Passage;
pub use worker::{Worker, uniform};

/// Whether the proxy lets the request go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// Held back, until more of the body is here.
    Pause,
}

/// How far a request has come.
#[derive(Debug)]
enum Stage {
    /// Not in scope, or nothing is known of it: never touched again.
    Passed(Option<Pass>),
    /// Headers are held back until the body is here.
    AwaitingBody(InScope),
    /// On its way.
    Decided(Decided),
}

/// A decision that took effect.
#[derive(Debug)]
pub struct Decided {
    pub decision: Decision,
    /// The decision ID.
    pub id: String,
    pub mode: Mode,
    pub bandit: BanditRecord,
    at: Instant,
}

/// How much of the body is buffered.
#[derive(Clone, Copy)]
struct BodyExtent {
    /// Nothing follows.
    ended: bool,
    /// More than is read.
    cut: bool,
}

/// One request with its answer.
#[derive(Debug)]
pub struct Exchange {
    stage: Stage,
    answer: Option<Answer>,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange { stage: Stage::Passed(None), answer: None }
    }
}

impl Exchange {
    /// The decision, once there is one.
    pub fn decided(&self) -> Option<&Decided> {
        if let Stage::Decided(decided) = &self.stage { Some(decided) } else { None }
    }

    /// Why the request passed untouched, if it did.
    pub fn passed(&self) -> Option<Pass> {
        if let Stage::Passed(why) = self.stage { why } else { None }
    }

    /// Request headers are here; `ended` says that no body follows.
    pub fn on_request_headers(&mut self, worker: &Worker, host: &impl Host, ended: bool) -> Flow {
        // A client must not steer by a header that only this filter may set, whatever the mode.
        if host.request_header(header::CLUSTER).is_some() {
            host.set_request_header(header::CLUSTER, None);
        }
        let header = |name: &str| host.request_header(name);
        let route = |name: &str| host.route_metadata(name);
        let scope = match Scope::of(worker.config(), &header, &route, ended) {
            Scope::InScope(scope) => scope,
            Scope::Passes(why) => {
                if why == Pass::Skipped {
                    host.set_request_header(header::TARGET, None);
                }
                host.measure(Sample::Passed(why));
                host.set_record(&record::of_pass(why));
                self.stage = Stage::Passed(Some(why));
                return Flow::Continue;
            }
        };
        if scope.misdirected {
            host.measure(Sample::Misdirected);
        }
        if let Some(reason) = scope.unreadable {
            let started = host.instant();
            let decision = worker.router.fall_back(reason);
            let (id, bandit) = (worker.decision_id(host), BanditRecord::default());
            let at = host.instant();
            let decided = Decided { decision, id, mode: scope.mode, bandit, at };
            self.settle(worker, host, decided, 0, started);
            return Flow::Continue;
        }
        self.stage = Stage::AwaitingBody(scope);
        Flow::Pause
    }

    /// More of the request body is here, `size` bytes in all.
    pub fn on_request_body(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) -> Flow {
        let Stage::AwaitingBody(scope) = self.stage else {
            return Flow::Continue;
        };
        let limit = worker.config().max_body_bytes;
        if !ended && size < limit {
            return Flow::Pause;
        }
        self.decide_on_body(worker, host, scope, BodyExtent { ended, cut: size > limit });
        Flow::Continue
    }

    /// Request trailers are here: with them, no callback for the body sees the end of the stream.
    pub fn on_request_trailers(&mut self, worker: &Worker, host: &impl Host) -> Flow {
        if let Stage::AwaitingBody(scope) = self.stage {
            // More than the limit would have been decided on before.
            self.decide_on_body(worker, host, scope, BodyExtent { ended: true, cut: false });
        }
        Flow::Continue
    }

    /// Decides on what is buffered of the body.
    fn decide_on_body(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        scope: InScope,
        extent: BodyExtent,
    ) {
        let started = host.instant();
        let (router, config) = (&worker.router, worker.config());
        let mut body = host.request_body(config.max_body_bytes);
        let body_bytes = body.len();
        let id = worker.decision_id(host);
        let read = router.read(scope.format, &mut body, extent.cut || !extent.ended);
        let (decision, bandit) = match read {
            Err(error) => (router.fall_back(error.into()), BanditRecord::default()),
            Ok(prompt) => decide(worker, host, &prompt, scope.policy, &id),
        };
        if scope.mode == Mode::Route
            && let Some(target) = router.target(&decision).filter(|it| !it.edits.is_empty())
        {
            body::rewrite(host, target, config.max_body_bytes, extent.ended && !extent.cut);
        }
        let at = host.instant();
        let decided = Decided { decision, id, mode: scope.mode, bandit, at };
        self.settle(worker, host, decided, body_bytes, started);
    }

    /// Puts a decision, which was begun at `started`, into effect: route, record, metrics.
    fn settle(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        decided: Decided,
        body_bytes: usize,
        started: Instant,
    ) {
        let config = worker.config();
        let Decided { decision, id, mode, bandit, at } = &decided;
        let Some(target) = worker.router.target(decision) else {
            return;
        };
        let latency_us =
            u64::try_from(at.saturating_duration_since(started).as_micros()).unwrap_or(u64::MAX);
        if !config.client.targets.is_empty() {
            host.set_request_header(header::TARGET, None);
        }
        if *mode == Mode::Route {
            host.set_request_header(header::CLUSTER, Some(&target.cluster));
            host.reroute();
        }
        let record = Record {
            ts: u64::try_from(host.since_epoch().as_millis()).unwrap_or(0),
            decision_id: id,
            policy_version: &config.version,
            model_version: &worker.router.classifier().manifest().version,
            schema_hash: worker.schema_hash(),
            mode: mode.name(),
            target: &target.name,
            cluster: &target.cluster,
            source: decision.source().name(),
            reason: config.reason_name(decision.reason),
            policy: config.policies.get(decision.policy).map_or("", |policy| &policy.name),
            score: decision.score,
            threshold: decision.threshold,
            propensity: decision.propensity,
            features: packed::pack(&decision.context),
            context: bandit.context.as_deref(),
            snapshot: bandit.snapshot.as_deref(),
            bandit_fallback: bandit.fallback.map(FallbackReason::name),
            body_bytes,
            prompt_tokens_estimate: decision.prompt_tokens_estimate,
            latency_us,
        };
        let record = record.to_json();
        host.set_record(&record);
        if let Some(client) = &worker.control_plane
            && !client.record(&record)
        {
            host.measure(Sample::EventDropped);
        }
        host.measure(Sample::Decided {
            target: decision.target,
            reason: decision.reason,
            score: decision.score,
            body_bytes,
            latency_us,
        });
        self.stage = Stage::Decided(decided);
    }

    /// Response headers are here; `ended` says that no body follows.
    pub fn on_response_headers(&mut self, worker: &Worker, host: &impl Host, ended: bool) {
        let Stage::Decided(Decided { decision, id, mode, .. }) = &self.stage else {
            return;
        };
        let config = worker.config();
        let judged = worker.judges_answers();
        let reads = judged || worker.counts_spending;
        if (reads || config.health.is_some())
            && let Some(status) = answer::status(host)
        {
            // Where only Envoy routes, the target decided on has most likely not answered.
            let routed = (*mode == Mode::Route).then_some(decision.target);
            let target = answer::answering(host, &config.targets).or(routed);
            if reads {
                self.answer = Some(Answer::begin(host, status, target, judged, ended));
            }
            if let (Some(health), Some(target)) = (&config.health, target) {
                worker.health.answered(health, target, status, host.since_epoch().as_secs());
            }
        }
        let shown = config.response_headers;
        let Some(target) = worker.router.target(decision) else {
            return;
        };
        let score = decision.score.map(|score| score.to_string());
        for (show, name, value) in [
            (shown.target, header::TARGET, Some(target.name.as_str())),
            (shown.source, header::SOURCE, Some(decision.source().name())),
            (shown.reason, header::REASON, Some(config.reason_name(decision.reason))),
            (shown.score, header::SCORE, score.as_deref()),
            (shown.decision_id, header::DECISION_ID, Some(id.as_str())),
        ] {
            if let Some(value) = value.filter(|_| show) {
                host.set_response_header(name, value);
            }
        }
    }

    /// `size` more bytes of the response body pass by.
    pub fn on_response_body(&mut self, host: &impl Host, size: usize, ended: bool) {
        if let Some(answer) = &mut self.answer {
            answer.pass(host, size, ended);
        }
    }

    /// Response trailers pass by.
    pub fn on_response_trailers(&mut self) {
        self.answer.iter_mut().for_each(Answer::finish);
    }

    /// The exchange is over, or the client went away.
    pub fn on_end(&mut self, worker: &Worker, host: &impl Host) {
        let Some(answer) = self.answer.take() else { return };
        if let Some(target) = answer.charged().filter(|_| worker.counts_spending) {
            host.measure(Sample::Answered { target, usage: answer.usage() });
        }
        self.judge(worker, host, &answer);
    }

    /// Tells the control plane what a complete answer is worth by its own signs.
    fn judge(&self, worker: &Worker, host: &impl Host, answer: &Answer) {
        let (Stage::Decided(decided), Some(client)) = (&self.stage, &worker.control_plane) else {
            return;
        };
        let Some(status) = answer.complete(decided.decision.target) else { return };
        let price = worker.router.target(&decided.decision).and_then(|target| target.price);
        let finished = FinishedAnswer {
            status,
            took: host.instant().saturating_duration_since(decided.at),
            cost: price.zip(answer.usage()).map(|(price, usage)| price.of(usage)),
            outcome: answer.outcome(),
        };
        if !client.judge(&decided.id, &finished) {
            host.measure(Sample::EventDropped);
        }
    }
}

/// Decides on a prompt: where its conversation went before, the router, the bandit's draw.
fn decide(
    worker: &Worker,
    host: &impl Host,
    prompt: &Prompt,
    policy: usize,
    id: &str,
) -> (Decision, BanditRecord) {
    let (router, config) = (&worker.router, worker.config());
    let header = |name: &str| host.request_header(name);
    let mut context = RequestContext {
        header: &header,
        policy,
        unavailable: worker.health.unavailable(host.since_epoch().as_secs()),
        ..RequestContext::default()
    };
    let sticky = config.sticky.as_ref();
    let conversation = sticky.map(|sticky| (sticky, router.conversation(prompt, &context)));
    context.previous =
        conversation.and_then(|(sticky, key)| memory::recall(host, sticky, key, &config.targets));
    let mut decision = router.decide_prompt(prompt, &context);
    let mut bandit = BanditRecord::default();
    if let Some(client) = &worker.control_plane {
        let random = host.random();
        bandit = client.decide(&mut decision, uniform(random), host.instant());
        if let Some((seconds, again)) = client.asked_again()
            && let Some((key, this)) = client.question(prompt, header("authorization"), id)
            && let Some(before) = memory::asked(host, key, &this, seconds)
            && !client.reward(&client.sign(&before), again, "asked_again")
        {
            host.measure(Sample::EventDropped);
        }
    } else if worker.lacks_control_plane(&decision) {
        bandit.fallback = Some(FallbackReason::NoSnapshot);
    }
    if let Some(reason) = bandit.fallback {
        host.measure(Sample::BanditFallback(reason));
    }
    // Where it goes while its target is down is not a choice to hold on to.
    let chosen = router.target(&decision).filter(|_| decision.reason != Reason::Health);
    if let (Some((sticky, key)), Some(target)) = (conversation, chosen) {
        memory::remember(host, sticky, key, target);
    }
    (decision, bandit)
}
