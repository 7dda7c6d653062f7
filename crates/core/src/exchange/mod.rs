//! One request and its answer: the order in which everything happens to it.
//!
//! ```text
//! headers ─► in scope? ─► body ─► prompt ─► decision ─► route, body, record ─► answer ─► reward
//! ```
//!
//! [`Exchange`] is a pure state machine: what it reads of the proxy and does to it are calls on a
//! [`Host`]. The filter, `pointsman explain` and the tests run this one.

use std::time::Instant;

use crate::config::Mode;
use crate::control_plane::BanditRecord;
use crate::decision::Decision;
use crate::header;
use crate::packed;
use crate::policy::{RequestContext, StateOwner};
use crate::prompt::{ApiFormat, Prompt};
use crate::reason::{FallbackReason, Source};
use crate::record::{self, Record};
use crate::rewrite::Stream;
use crate::scope::{self, InScope, Pass, Scope};
use crate::telemetry::Sample;

mod answer;
mod beside;
mod body;
mod held;
mod host;
pub mod memory;
mod offline;
mod origin;
mod passage;
mod response;
#[cfg(test)]
mod tests;
mod unread;
mod worker;

use answer::Answer;
use body::{Read, Written};
pub use host::Host;
pub use offline::OfflineHost;
pub use origin::Origin;
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

/// One request with its answer.
#[derive(Debug)]
pub struct Exchange {
    stage: Stage,
    /// Who asked, and in which format, when an answer of a model is to come.
    asked: Option<Asked>,
    /// What the rest of the body passes through.
    stream: Option<Stream>,
    /// It passes to the default target, and waits for its body.
    beside: bool,
    answer: Option<Answer>,
    /// The decision record, when the answer may be held back on its way.
    held: Option<String>,
    /// The target decided on gave a bad answer: its worth is known.
    bad: bool,
}

/// Of a question that was decided on.
#[derive(Clone, Copy, Debug)]
struct Asked {
    format: ApiFormat,
    caller: u64,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            stage: Stage::Passed(None),
            asked: None,
            stream: None,
            beside: false,
            answer: None,
            held: None,
            bad: false,
        }
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
        if worker.escalates && host.request_header(header::HOLD).is_some() {
            host.set_request_header(header::HOLD, None);
        }
        let header = |name: &str| host.request_header(name);
        let route = |name: &str| host.route_metadata(name);
        if self.follow_path(worker, host) {
            return Flow::Continue;
        }
        let scope = match Scope::of(worker.config(), &header, &route, ended) {
            Scope::InScope(scope) => scope,
            Scope::Passes(why) => {
                if why == Pass::Skipped {
                    host.set_request_header(header::TARGET, None);
                }
                host.measure(Sample::Passed(why));
                host.set_record(&record::of_pass(why));
                self.stage = Stage::Passed(Some(why));
                let beside = why == Pass::Beside;
                return if beside {
                    self.begin_beside(worker, host, ended)
                } else {
                    Flow::Continue
                };
            }
        };
        if scope.misdirected {
            host.measure(Sample::Misdirected);
        }
        if let Some(reason) = scope.unreadable {
            self.settle_unread(worker, host, scope, reason);
            return Flow::Continue;
        }
        self.stage = Stage::AwaitingBody(scope);
        Flow::Pause
    }

    /// A request for something that a target's provider keeps goes there, undecided.
    fn follow_path(&mut self, worker: &Worker, host: &impl Host) -> bool {
        let config = worker.config();
        let Some(owner) = origin::owner_by_path(config, host) else { return false };
        let mode = scope::mode(config, &|name| host.route_metadata(name));
        if mode == Mode::Off {
            return false;
        }
        let started = host.instant();
        let decision = worker.router.follow(StateOwner::Target(owner), None);
        let (id, bandit) = (worker.decision_id(host), BanditRecord::default());
        let decided = Decided { decision, id, mode, bandit, at: host.instant() };
        self.settle(worker, host, decided, Read::default(), started);
        true
    }

    /// More of the request body is here, `size` bytes in all.
    pub fn on_request_body(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) -> Flow {
        if let Some(stream) = &mut self.stream {
            body::pass(host, stream, size, ended);
        }
        if self.beside {
            return self.on_body_beside(worker, host, size, ended);
        }
        let Stage::AwaitingBody(scope) = self.stage else {
            return Flow::Continue;
        };
        if !ended && body::is_to_wait(host, worker.config(), size) {
            return Flow::Pause;
        }
        self.decide_on_body(worker, host, scope, size, ended);
        Flow::Continue
    }

    /// Request trailers are here: with them, no callback for the body sees the end of the stream.
    pub fn on_request_trailers(&mut self, worker: &Worker, host: &impl Host) -> Flow {
        if self.beside {
            return self.on_body_beside(worker, host, usize::MAX, true);
        }
        if let Stage::AwaitingBody(scope) = self.stage {
            // More than is held back would have been decided on before.
            self.decide_on_body(worker, host, scope, usize::MAX, true);
        }
        Flow::Continue
    }

    /// Decides on what is buffered of the body: `size` bytes, or fewer; all there is when it has
    /// `ended`.
    fn decide_on_body(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        scope: InScope,
        size: usize,
        ended: bool,
    ) {
        let started = host.instant();
        let (router, config) = (&worker.router, worker.config());
        let limit = config.bytes_to_read(size, ended);
        let mut buffer = host.request_body(limit);
        let bytes = buffer.len();
        let cut = !ended || (size > limit && size != usize::MAX);
        let id = worker.decision_id(host);
        let origin = Origin::of(config, host, &buffer);
        self.asked = Some(Asked { format: scope.format, caller: origin.identity.caller });
        let mut can_escalate = false;
        let (decision, bandit) = match router.read(scope.format, &mut buffer, cut) {
            Err(error) => {
                let decision = unread::decide(worker, host, scope, origin, error.into());
                (decision, BanditRecord::default())
            }
            Ok(mut prompt) => {
                if cut {
                    prompt.unread_bytes = body::length(host).unwrap_or(size).saturating_sub(bytes);
                }
                let decided = decide(worker, host, &prompt, origin, scope.policy, &id);
                can_escalate = !cut && held::can_escalate(worker, host, &decided.0, &prompt, scope);
                decided
            }
        };
        let target = router.target(&decision);
        let written = target.and_then(|target| body::write(host, scope, target, size, ended));
        let not_rewritten = matches!(written, Some(Written::Not));
        if let Some(Written::Beginning(stream)) = written {
            self.stream = Some(stream);
        }
        let read = Read { bytes, cut, not_rewritten, can_escalate };
        let at = host.instant();
        let decided = Decided { decision, id, mode: scope.mode, bandit, at };
        self.settle(worker, host, decided, read, started);
    }

    /// Puts a decision, which was begun at `started`, into effect: route, record, metrics.
    fn settle(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        decided: Decided,
        read: Read,
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
        let hold = held::token(host, read);
        if *mode == Mode::Route {
            // What only this gateway's clients know is none of the provider's business.
            if let Some(own) = config.sticky.as_ref().and_then(|sticky| sticky.header.as_deref()) {
                host.set_request_header(own, None);
            }
            if let Some(model) = target.model.as_deref().filter(|_| config.rewrite_model) {
                body::name_deployment(host, model);
            }
            if let Some(token) = &hold {
                host.set_request_header(header::HOLD, Some(&token.to_string()));
            }
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
            body_bytes: read.bytes,
            body_cut: read.cut,
            not_rewritten: read.not_rewritten,
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
            body_bytes: read.bytes,
            latency_us,
        });
        read.samples().for_each(|sample| host.measure(sample));
        self.held = hold.map(|_| record);
        self.stage = Stage::Decided(decided);
    }
}

/// Decides on a prompt: where its conversation went before, the router, the bandit's draw.
fn decide(
    worker: &Worker,
    host: &impl Host,
    prompt: &Prompt,
    origin: Origin,
    policy: usize,
    id: &str,
) -> (Decision, BanditRecord) {
    let (router, config) = (&worker.router, worker.config());
    let header = |name: &str| host.request_header(name);
    let mut context = RequestContext {
        header: &header,
        policy,
        identity: origin.identity,
        history: origin.history,
        state: origin.state,
        unavailable: worker.health.unavailable(host.since_epoch().as_secs()),
        ..RequestContext::default()
    };
    // What an agent asks for itself has instructions of its own, so nothing of it is in a prefix cache;
    // it comes under the session's name, often first, and must not choose the session's target.
    let sticky = config.sticky.as_ref().filter(|_| !prompt.is_housekeeping());
    let conversation =
        sticky.and_then(|sticky| Some((sticky, router.conversation(prompt, &context)?)));
    context.previous =
        conversation.and_then(|(sticky, key)| memory::recall(host, sticky, key, &config.targets));
    let mut decision = router.decide_prompt(prompt, &context);
    let mut bandit = BanditRecord::default();
    if let Some(client) = &worker.control_plane {
        let random = host.random();
        bandit = client.decide(&mut decision, uniform(random), host.instant());
        if let Some((seconds, again)) = client.asked_again()
            && let Some((key, this)) = client.question(prompt, origin.identity.caller, id)
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
    // What one request needs, or its client wants for once, is no choice to hold on to.
    let is_choice = !matches!(decision.source(), Source::Gate | Source::Override);
    let chosen = router.target(&decision).filter(|_| is_choice);
    if let (Some((sticky, key)), Some(target)) = (conversation, chosen) {
        memory::remember(host, sticky, key, target);
    }
    (decision, bandit)
}
