//! The control plane from inside Envoy: decisions out, policy snapshots in, on the root context's
//! tick. Requests only append to a buffer and read the snapshot in use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, Status};

use super::metrics::{count, counter};
use crate::config::{self, Config};
use crate::control::{Buffer, Live, Missing, Signer};
use crate::decision::Decision;
use crate::metrics;
use crate::policy::bandit::{MAX_SNAPSHOT_BYTES, Snapshot};

/// A call that was not answered by then counts as failed, and its decisions go again.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Decisions,
    Policy,
}

/// What the requests of one configuration share of the control plane.
pub(super) struct Control {
    config: config::Control,
    targets: Vec<String>,
    pub(super) signer: Signer,
    live: RefCell<Live>,
    buffer: RefCell<Buffer>,
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
        let targets: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
        Ok(Some(Control {
            signer: Signer::new(&control.key).ok_or(Status::BadArgument)?,
            live: RefCell::new(Live::new(targets.len(), control.max_age)),
            buffer: RefCell::new(Buffer::new(control.buffer_bytes)),
            calls: RefCell::default(),
            etag: RefCell::default(),
            refused_etag: RefCell::default(),
            dropped: counter(metrics::EVENTS_DROPPED)?,
            failed: counter(metrics::CONTROL_CALLS_FAILED)?,
            loaded: counter(metrics::SNAPSHOTS_LOADED)?,
            refused: counter(metrics::SNAPSHOTS_REFUSED)?,
            missing,
            targets,
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
        if self.config.bandit
            && let Err(missing) = live.decide(decision, &context, uniform, Instant::now())
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

    /// Posts what waits and looks for a new snapshot.
    pub(super) fn tick(&self) {
        let on_its_way = |call: Call| self.calls.borrow().values().any(|other| *other == call);
        if !on_its_way(Call::Decisions) {
            let mut buffer = self.buffer.borrow_mut();
            if let Some(batch) = buffer.post()
                && !self.call(Call::Decisions, "POST", "/v1/decisions", None, batch)
            {
                buffer.retry();
            }
        }
        if self.config.bandit && !on_its_way(Call::Policy) {
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
        match (call, status.as_slice()) {
            (Call::Decisions, b"200") => self.buffer.borrow_mut().confirm(),
            // The batch itself is to blame: it would be refused for ever.
            (Call::Decisions, b"400" | b"413") => {
                self.buffer.borrow_mut().confirm();
                count(self.failed, 1);
            }
            (Call::Decisions, _) => {
                self.buffer.borrow_mut().retry();
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

/// What the record says of the bandit.
#[derive(Default)]
pub(super) struct Told {
    pub(super) context: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) fallback: Option<&'static str>,
}
