//! Requests whose answers may be held, next to the model; and those that come in another target's
//! place.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pointsman_core::control_plane::{Caller, paths};
use pointsman_core::escalation::{Inspection, Inspector, StandIn};
use pointsman_core::target::Capture;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::Proxy;
use super::request::action;

/// How exactly the time is measured for which an answer is held.
const TICK: Duration = Duration::from_millis(20);
/// Most bytes of pairs that a worker keeps until they are sent.
const WAITING_BYTES: usize = 4 << 20;

/// What the requests to one endpoint share.
pub(super) struct Endpoint {
    pub(super) inspector: Inspector,
    pub(super) proxy: Proxy,
    /// Answers that are held, with the number of their context.
    held: RefCell<Vec<(u32, Rc<RefCell<Inspection>>)>>,
}

impl Endpoint {
    pub(super) fn new(inspector: Inspector, proxy: Proxy) -> Self {
        Endpoint { inspector, proxy, held: RefCell::default() }
    }

    /// Answers that were held for long enough go on; the time until the next look, if one is
    /// needed.
    pub(super) fn tick(&self) -> Option<Duration> {
        let now = Instant::now();
        let held = self.held.borrow().clone();
        for (context, inspection) in held {
            let due = inspection.borrow().holds_for(&self.inspector, now);
            if due == Some(Duration::ZERO) && hostcalls::set_effective_context(context).is_ok() {
                inspection.borrow_mut().on_timeout(&self.inspector, &self.proxy);
                let _ = hostcalls::resume_http_response();
            }
        }
        let mut held = self.held.borrow_mut();
        held.retain(|(_, it)| it.borrow().holds_for(&self.inspector, now).is_some());
        (!held.is_empty()).then_some(TICK)
    }
}

/// A request next to the model.
pub(super) struct Inspected {
    endpoint: Rc<Endpoint>,
    inspection: Rc<RefCell<Inspection>>,
    context: u32,
}

impl Inspected {
    pub(super) fn new(endpoint: Rc<Endpoint>, context: u32) -> Self {
        Inspected { endpoint, inspection: Rc::default(), context }
    }
}

impl Context for Inspected {}

impl HttpContext for Inspected {
    fn on_http_request_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Endpoint { inspector, proxy, .. } = &*self.endpoint;
        action(self.inspection.borrow_mut().on_request_headers(inspector, proxy, ended))
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        let Endpoint { inspector, proxy, .. } = &*self.endpoint;
        self.inspection.borrow_mut().on_request_body(inspector, proxy, size, ended);
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.inspection.borrow_mut().on_request_trailers(&self.endpoint.inspector);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Endpoint { inspector, proxy, held } = &*self.endpoint;
        let flow = self.inspection.borrow_mut().on_response_headers(inspector, proxy, ended);
        if self.inspection.borrow().holds_for(inspector, Instant::now()).is_some() {
            let mut held = held.borrow_mut();
            if held.is_empty() {
                let _ = hostcalls::set_tick_period(TICK);
            }
            held.push((self.context, Rc::clone(&self.inspection)));
        }
        action(flow)
    }

    fn on_http_response_body(&mut self, size: usize, ended: bool) -> Action {
        let Endpoint { inspector, proxy, .. } = &*self.endpoint;
        action(self.inspection.borrow_mut().on_response_body(inspector, proxy, size, ended))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        let Endpoint { inspector, proxy, .. } = &*self.endpoint;
        action(self.inspection.borrow_mut().on_response_trailers(inspector, proxy))
    }

    fn on_log(&mut self) {
        let Endpoint { inspector, proxy, .. } = &*self.endpoint;
        self.inspection.borrow_mut().on_end(inspector, proxy);
    }
}

/// What the requests share that come in another target's place.
pub(super) struct Replacement {
    pub(super) target: String,
    pub(super) proxy: Proxy,
    /// Where escalated requests are kept with both their answers, where somebody wants them.
    pub(super) pairs: Option<Pairs>,
}

/// Pairs on their way to `pointsman capture`.
pub(super) struct Pairs {
    capture: Capture,
    /// They are sent on the clock's tick: a call that a request makes ends with the request.
    waiting: RefCell<Vec<String>>,
    /// Whether it was complained that nobody takes them.
    complained: Cell<bool>,
}

impl Pairs {
    pub(super) fn new(capture: Capture) -> Self {
        Pairs { capture, waiting: RefCell::default(), complained: Cell::default() }
    }

    fn keep(&self, pair: String) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.iter().map(String::len).sum::<usize>() + pair.len() > WAITING_BYTES {
            return self.complain("more comes than can be sent");
        }
        if waiting.is_empty() {
            let _ = hostcalls::set_tick_period(TICK);
        }
        waiting.push(pair);
    }

    /// Sends what waits.
    pub(super) fn send(&self, proxy: &Proxy) {
        for pair in self.waiting.take() {
            let cluster = self.capture.cluster.as_str();
            let headers = vec![
                (":method", "POST"),
                (":path", paths::CAPTURES),
                (":authority", cluster),
                ("content-type", "application/json"),
            ];
            if proxy.call(cluster, headers, pair.as_bytes()).is_none() {
                self.complain("the cluster cannot be asked");
            }
        }
    }

    /// `pointsman capture` has answered, or did not.
    pub(super) fn on_response(&self, proxy: &Proxy) {
        match proxy.call_header(":status") {
            Some(status) if status.starts_with(b"2") => self.complained.set(false),
            Some(status) => {
                self.complain(&format!("it answers {}", String::from_utf8_lossy(&status)));
            }
            None => self.complain("it does not answer"),
        }
    }

    fn complain(&self, what: &str) {
        if !self.complained.replace(true) {
            let cluster = &self.capture.cluster;
            log::warn!("pointsman capture at {cluster}: {what}; escalated requests are not kept");
        }
    }
}

/// A request that may come in another target's place.
pub(super) struct Replaced {
    replacement: Rc<Replacement>,
    stand_in: StandIn,
}

impl Replaced {
    pub(super) fn new(replacement: Rc<Replacement>) -> Self {
        Replaced { replacement, stand_in: StandIn::default() }
    }
}

impl Context for Replaced {}

impl HttpContext for Replaced {
    fn on_http_request_headers(&mut self, _count: usize, _ended: bool) -> Action {
        let Replacement { proxy, pairs, .. } = &*self.replacement;
        self.stand_in.on_request_headers(proxy, pairs.as_ref().map(|pairs| &pairs.capture));
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        self.stand_in.on_request_body(&self.replacement.proxy, size, ended);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _ended: bool) -> Action {
        let Replacement { target, proxy, .. } = &*self.replacement;
        action(self.stand_in.on_response_headers(proxy, target))
    }

    fn on_http_response_body(&mut self, size: usize, ended: bool) -> Action {
        let Replacement { target, proxy, pairs } = &*self.replacement;
        let pair = self.stand_in.on_response_body(proxy, target, size, ended);
        if let Some((pairs, pair)) = pairs.as_ref().zip(pair) {
            pairs.keep(pair);
        }
        Action::Continue
    }
}
