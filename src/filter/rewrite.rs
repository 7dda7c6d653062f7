//! The filter on the way to a target that takes over from another: the body names its model.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType};

use super::route;
use crate::config;
use crate::prompt::ApiFormat;
use crate::rewrite::{self, Edit};
use crate::scope;

/// What the requests on one way share.
pub(super) struct Service {
    model: Edit,
}

impl Service {
    pub(super) fn new(rewrite: config::Rewrite) -> Self {
        Service { model: rewrite.model }
    }
}

/// One request, which the router has let pass before.
pub(super) struct Passage {
    service: Rc<Service>,
    /// Headers are held back until the body is here.
    reading: bool,
}

impl Passage {
    pub(super) fn new(service: Rc<Service>) -> Self {
        Passage { service, reading: false }
    }

    /// Replaces the model's name in the body, of which at most `size` bytes are here: all.
    fn rewrite(&mut self, size: usize) {
        self.reading = false;
        let Ok(Some(body)) = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size) else {
            return;
        };
        let edits = std::slice::from_ref(&self.service.model);
        let Some(rewritten) = rewrite::splice(&body, edits, true) else { return };
        // With the old length, the upstream would wait for bytes, or take some for a new request.
        self.set_http_request_header("content-length", Some(&rewritten.len().to_string()));
        self.set_http_request_body(0, body.len(), &rewritten);
    }
}

impl Context for Passage {}

impl HttpContext for Passage {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        // Other requests than the router's name models that it knows nothing of.
        let ours = route::header(":path").is_some_and(|path| ApiFormat::of_path(&path).is_some())
            && scope::unreadable(&route::header, end_of_stream).is_none();
        self.reading = ours;
        if self.reading { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.reading {
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        self.rewrite(size);
        Action::Continue
    }

    /// With trailers the body callback never sees the end of the stream.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if self.reading {
            self.rewrite(usize::MAX);
        }
        Action::Continue
    }
}
