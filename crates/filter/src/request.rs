//! One request: the proxy's callbacks to the exchange.

use std::rc::Rc;

use pointsman_core::exchange::{Exchange, Flow, Passage};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::root::{Rewriter, Service};

pub(super) fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}

/// A request at the listener: decided on.
pub(super) struct Request {
    service: Rc<Service>,
    exchange: Exchange,
}

impl Request {
    pub(super) fn new(service: Rc<Service>) -> Self {
        Request { service, exchange: Exchange::default() }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Service { worker, proxy } = &*self.service;
        action(self.exchange.on_request_headers(worker, proxy, ended))
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        let Service { worker, proxy } = &*self.service;
        action(self.exchange.on_request_body(worker, proxy, size, ended))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let Service { worker, proxy } = &*self.service;
        action(self.exchange.on_request_trailers(worker, proxy))
    }

    fn on_http_response_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Service { worker, proxy } = &*self.service;
        self.exchange.on_response_headers(worker, proxy, ended);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ended: bool) -> Action {
        let Service { worker, proxy } = &*self.service;
        self.exchange.on_response_body(worker, proxy, size, ended);
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.exchange.on_response_trailers();
        Action::Continue
    }

    fn on_log(&mut self) {
        let Service { worker, proxy } = &*self.service;
        self.exchange.on_end(worker, proxy);
    }
}

/// A request on the way to a target that takes over from another.
pub(super) struct Rewrite {
    rewriter: Rc<Rewriter>,
    passage: Passage,
}

impl Rewrite {
    pub(super) fn new(rewriter: Rc<Rewriter>) -> Self {
        Rewrite { rewriter, passage: Passage::default() }
    }
}

impl Context for Rewrite {}

impl HttpContext for Rewrite {
    fn on_http_request_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Rewriter { model, proxy } = &*self.rewriter;
        action(self.passage.on_request_headers(proxy, model, ended))
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        let Rewriter { model, proxy } = &*self.rewriter;
        action(self.passage.on_request_body(proxy, model, size, ended))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let Rewriter { model, proxy } = &*self.rewriter;
        action(self.passage.on_request_trailers(proxy, model))
    }
}
