//! Requests whose answers may be held, next to the model; and those that come in another target's
//! place.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pointsman_core::escalation::{Inspection, Inspector, Outbox, StandIn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::Proxy;
use super::request::action;

/// How exactly the time is measured for which an answer is held.
const TICK: Duration = Duration::from_millis(20);

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
    pub(super) outbox: Option<Outbox>,
}

/// Says what an outbox complains of.
pub(super) fn warn(complaint: Option<String>) {
    if let Some(complaint) = complaint {
        log::warn!("pointsman {complaint}");
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
        let Replacement { proxy, outbox, .. } = &*self.replacement;
        self.stand_in.on_request_headers(proxy, outbox.as_ref().map(Outbox::capture));
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
        let Replacement { target, proxy, outbox } = &*self.replacement;
        let pair = self.stand_in.on_response_body(proxy, target, size, ended);
        if let Some((outbox, pair)) = outbox.as_ref().zip(pair) {
            if outbox.is_empty() {
                let _ = hostcalls::set_tick_period(TICK);
            }
            warn(outbox.keep(pair));
        }
        Action::Continue
    }
}
