//! Bad answers are held in front of their endpoints, and another target is asked instead.
//!
//! One Envoy serves most cases: its targets differ in how they hold, and its models do for each
//! request what the case says.

mod bounds;
mod cached;
mod captured;
mod circles;
mod failing;
mod faults;
mod head;
mod leaving;
mod signs;
mod sound;
mod switches;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use pointsman_core::api::ApiFormat;
use pointsman_testkit::client::{self, Connection, Exchange, Protocol, Response};
use pointsman_testkit::envoy::{Envoy, decision_of};
use pointsman_testkit::gateway::rendered;
use pointsman_testkit::provider::Authority;
use pointsman_testkit::said::{self, says};
use pointsman_testkit::scripted::{Asked, Script, Scripted, marked};
use pointsman_testkit::{RUNTIME, mixed::Mixed};

use crate::Case;
use crate::stage::{Stage, post};

pub fn cases() -> Vec<Case> {
    [
        sound::CASES,
        signs::CASES,
        head::CASES,
        failing::CASES,
        faults::CASES,
        leaving::CASES,
        bounds::CASES,
        circles::CASES,
        switches::CASES,
        cached::CASES,
        captured::CASES,
        &[("of_thousands_of_mixed_requests_none_is_lost_or_answered_twice", mixed)],
    ]
    .concat()
}

pub const CHAT: ApiFormat = ApiFormat::ChatCompletions;

/// A stock phrase of refusal.
pub const REFUSAL: &str = "I'm sorry, but I can't help with that.";

/// An Envoy whose targets hold their answers in different ways, and the models.
pub struct Net {
    envoy: Envoy,
    /// Of all targets but these.
    cheap: Scripted,
    strong: Scripted,
    /// Of `fragile`.
    fragile: Scripted,
    /// Of `fast`, over HTTP/2.
    fast: Scripted,
    next: AtomicU64,
    /// Who has it may change what all cases share.
    alone: Mutex<()>,
    _directory: TempDir,
}

/// How long `narrow` and `hasty` hold an answer.
pub const HELD_FOR: Duration = Duration::from_millis(400);
/// How many bytes `narrow` holds.
pub const NARROW: usize = 4096;
/// Scores from which on `scored` does not hold.
pub const HOLD_BELOW: f64 = 0.5;

/// The targets; each is decided on where a client asks for it, and `scored` otherwise.
fn targets() -> Value {
    let mut targets = json!([
        {"name": "scored", "model": "one/scored",
            "escalate": {"to": "strong", "max_share": 1, "hold_below": HOLD_BELOW}},
        {"name": "cheapest", "model": "one/cheapest", "escalate": {"to": "cheap", "max_share": 1}},
        {"name": "weak", "model": "one/weak", "escalate": {"max_share": 1}},
        {"name": "fragile", "model": "fragile/fragile"},
        {"name": "head", "model": "one/head",
            "escalate": {"to": "strong", "max_share": 1, "hold": "head", "hold_tokens": 16}},
        {"name": "narrow", "model": "one/narrow", "escalate": {"to": "strong", "max_share": 1,
            "hold_bytes": NARROW, "hold_ms": HELD_FOR.as_millis() as u64}},
        {"name": "hasty", "model": "one/hasty", "escalate": {"to": "strong", "max_share": 1,
            "hold_ms": HELD_FOR.as_millis() as u64, "on_timeout": "escalate"}},
        {"name": "picky", "model": "one/picky",
            "escalate": {"to": "strong", "max_share": 1, "signs": ["empty"], "apis": ["chat"]}},
        {"name": "share", "model": "one/share", "escalate": {"to": "strong", "max_share": 0.2}},
        {"name": "never", "model": "one/never", "escalate": {"to": "strong", "max_share": 0}},
        {"name": "several", "endpoints": [{"model": "one/first"}, {"model": "one/second"}],
            "escalate": {"to": "strong", "max_share": 1}},
        {"name": "fast", "model": "fast/fast", "escalate": {"to": "strong", "max_share": 1}},
        {"name": "cheap", "model": "one/cheap", "escalate": {"max_share": 1}},
        {"name": "strong", "model": "strong/strong"},
    ]);
    // Targets of one score need thresholds that fall; nearly every request has the first one's.
    let mut threshold = 0.02;
    for target in targets.as_array_mut().into_iter().flatten().filter(|it| it["name"] != "strong") {
        target["threshold"] = json!(threshold);
        threshold -= 0.001;
    }
    targets
}

/// What a model says when nothing else was chosen.
fn usual(model: &'static str) -> impl Fn(&Asked) -> Script + Send + Sync {
    move |asked| match asked.api() {
        Some(api) => {
            let said = says(format!("It is 4, says the {model} model. Is there more to add up?"));
            Script::of(&said, api, asked.is_streamed())
        }
        None => Script::nothing(404),
    }
}

impl Net {
    pub fn start(binary: &std::path::Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let authority = Authority::new("the test's own")?;
        authority.write(&directory.path().join("ca.pem"))?;
        let identity = authority.issue("localhost")?;
        let (cheap, strong) = (Scripted::start(usual("cheap"))?, Scripted::start(usual("strong"))?);
        let fragile = Scripted::start(usual("fragile"))?;
        let fast = Scripted::start_http2(&identity, usual("fast"))?;
        let names: Vec<Value> =
            targets().as_array().into_iter().flatten().map(|it| it["name"].clone()).collect();
        let file = json!({
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "providers": {
                "one": cheap.provider(),
                "strong": strong.provider(),
                "fragile": fragile.provider(),
                "fast": {"kind": "ollama", "ca": directory.path().join("ca.pem"),
                    "url": format!("https://localhost:{}/v1", fast.address.port())},
            },
            "targets": targets(),
            "override": {"targets": names},
            "response_headers": {"score": true},
        });
        let (_, mut deployment) = rendered(&file.to_string(), directory.path(), "envoy.yaml")?;
        let mut silent = deployment.filter_configuration()?;
        silent["response_headers"]["escalated"] = json!(false);
        deployment.add_listener("silent", &silent.to_string())?;
        let envoy = Envoy::start(binary, &deployment, directory.path())?;
        let (next, alone) = (AtomicU64::new(1), Mutex::default());
        Ok(Self { envoy, cheap, strong, fragile, fast, next, alone, _directory: directory })
    }

    /// Cases share budgets, breakers and switches: each has all of them to itself.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn question(&self, target: &'static str, api: ApiFormat, streamed: bool) -> Question<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let body = said::question(api, &marked(id, "What is 2 + 2?"), streamed);
        let path = format!("/q{id}{}", said::path(api));
        let headers = vec![("x-pointsman-target", target.to_owned())];
        Question { net: self, id, target, api, streamed, body, path, headers }
    }

    /// A question in chat completions.
    fn chat(&self, target: &'static str, streamed: bool) -> Question<'_> {
        self.question(target, CHAT, streamed)
    }

    /// The model that a target asks.
    fn model(&self, target: &str) -> &Scripted {
        match target {
            "fragile" => &self.fragile,
            "fast" => &self.fast,
            "strong" => &self.strong,
            _ => &self.cheap,
        }
    }

    /// One of the filter's counters: its name without `pointsman_`, with its labels.
    fn counter(&self, name: &str) -> Result<u64> {
        let name = format!("wasmcustom.pointsman_{name}");
        let text =
            self.envoy.admin_get(&format!("/stats?filter=^{}$", name.replace('.', r"\.")))?;
        let value = text.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(": "));
        Ok(value.with_context(|| format!("no counter {name}"))?.trim().parse()?)
    }

    fn inspected(&self, target: &str, outcome: &str) -> Result<u64> {
        self.counter(&format!("inspected.target.{target}.outcome.{outcome}"))
    }

    /// Waits until a counter has grown by one: what ends a request comes after its last byte.
    fn wait_for_inspected(&self, target: &str, outcome: &str, before: u64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.inspected(target, outcome)? <= before {
            ensure!(Instant::now() < deadline, "{target} never counted {outcome}");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.inspected(target, outcome)?, before + 1, "{target} {outcome}");
        Ok(())
    }
}

/// A request, known by its number.
struct Question<'n> {
    net: &'n Net,
    id: u64,
    target: &'static str,
    api: ApiFormat,
    streamed: bool,
    body: Value,
    path: String,
    headers: Vec<(&'static str, String)>,
}

impl Question<'_> {
    /// Has more fields.
    fn with(mut self, fields: &Value) -> Self {
        for (name, value) in fields.as_object().into_iter().flatten() {
            self.body[name] = value.clone();
        }
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The target's own model answers this.
    fn answered_with(self, script: Script) -> Self {
        self.net.model(self.target).choose(self.id, script);
        self
    }

    /// The target's own model refuses.
    fn refused(self) -> Self {
        let script = Script::of(&says(REFUSAL), self.api, self.streamed);
        self.answered_with(script)
    }

    /// Another target's model answers this.
    fn then_with(self, target: &str, script: Script) -> Self {
        self.net.model(target).choose(self.id, script);
        self
    }

    fn request(&self) -> Result<Request<client::Body>> {
        let mut request = post(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Ok(request.body(client::whole(Bytes::from(self.body.to_string())))?)
    }

    fn send(&self) -> Result<Response> {
        self.send_over(Protocol::Http1)
    }

    fn send_over(&self, protocol: Protocol) -> Result<Response> {
        let sent = client::exchange(self.net.envoy.listener, protocol, self.request()?);
        sent.with_context(|| self.path.clone())
    }

    /// The same on a connection that is there, and so through its worker.
    fn send_on(&self, connection: &mut Connection) -> Result<Response> {
        RUNTIME.block_on(connection.exchange(self.request()?))
    }

    /// Sends it and waits for the answer's head.
    fn begin(&self) -> Result<Exchange> {
        client::begin(self.net.envoy.listener, Protocol::Http1, self.request()?)
    }

    /// What a model says when nothing else was chosen.
    fn usual_of(&self, target: &str) -> Bytes {
        self.net.model(target).usual(&self.path, &self.body).bytes()
    }

    /// How often the models of both have been asked.
    fn counts(&self, other: &str) -> (usize, usize) {
        (self.net.model(self.target).count(self.id), self.net.model(other).count(self.id))
    }

    /// The answer is the target's own, and nothing is said of it; nobody else was asked.
    fn assert_passed(&self, response: &Response, bytes: &[u8]) {
        let what = &self.path;
        assert_eq!(response.status, 200, "{what}: {:?}", text(&response.body));
        assert!(response.body == bytes, "{what}: {:?}", text(&response.body));
        assert_eq!(response.header("x-pointsman-escalated"), None, "{what}");
        assert_eq!(response.header("x-pointsman-kept"), None, "{what}");
        self.assert_marks_are_hidden(response);
        let own = if self.target == "strong" { (1, 1) } else { (1, 0) };
        assert_eq!(self.counts("strong"), own, "{what}");
    }

    /// The answer is that of `other`, marked with the sign of the one that was not sent on; each was
    /// asked once.
    fn assert_escalated_to(&self, other: &str, response: &Response, sign: &str) {
        let what = format!("{} {sign}", self.path);
        assert_eq!(response.status, 200, "{what}: {:?}", text(&response.body));
        let body = text(&response.body);
        assert!(response.body == self.usual_of(other), "{what}: {body:?}");
        assert_eq!(response.header("x-pointsman-escalated"), Some(sign), "{what}");
        assert_eq!(response.header("x-pointsman-kept"), None, "{what}");
        assert_eq!(response.header("x-pointsman-target"), Some(self.target), "{what}");
        self.assert_marks_are_hidden(response);
        assert_eq!(self.counts(other), (1, 1), "{what}");
    }

    fn assert_escalated(&self, response: &Response, sign: &str) {
        self.assert_escalated_to("strong", response, sign);
    }

    /// The bad answer was sent on, for this reason.
    fn assert_kept(&self, response: &Response, bytes: &[u8], why: &str) {
        let what = &self.path;
        assert_eq!(response.status, 200, "{what}: {:?}", text(&response.body));
        assert!(response.body == bytes, "{what}: {:?}", text(&response.body));
        assert_eq!(response.header("x-pointsman-kept"), Some(why), "{what}");
        assert_eq!(response.header("x-pointsman-escalated"), None, "{what}");
        assert_eq!(response.header("x-pointsman-target"), Some(self.target), "{what}");
        self.assert_marks_are_hidden(response);
        assert_eq!(self.net.model(self.target).count(self.id), 1, "{what}");
    }

    /// What instances of the filter say to each other is for nobody else.
    fn assert_marks_are_hidden(&self, response: &Response) {
        for name in ["x-pointsman-hold", "x-pointsman-held-events", "x-pointsman-given-back"] {
            assert_eq!(response.header(name), None, "{}: {name}", self.path);
            for model in [&self.net.cheap, &self.net.strong, &self.net.fragile, &self.net.fast] {
                let asked = model.asked(self.id);
                let seen = asked.as_ref().and_then(|asked| asked.header(name));
                assert_eq!(seen, None, "{}: {name}", self.path);
            }
        }
    }

    /// The decision record of the request.
    fn record(&self) -> Result<Value> {
        decision_of(&self.net.envoy.access_log_line(|line| line["path"] == self.path.as_str())?)
    }
}

/// The beginning of a body, for messages.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned()
}

fn mixed(stage: &Stage) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mixed = Mixed::start(&stage.binary, directory.path())?;
    let counts = mixed.send(4000, 8)?;
    assert_eq!(counts.escalated, 800);
    mixed.reconcile()
}

/// Runs a case on the stage's own net, which no other case uses meanwhile.
fn on_net(stage: &Stage, case: impl FnOnce(&Net) -> Result<()>) -> Result<()> {
    let net: Arc<Net> = stage.net()?;
    let _alone = net.alone();
    case(&net)
}
