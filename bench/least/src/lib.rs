//! The least that a filter which routes by the body can do: hold the headers until the body is here,
//! copy the body into the VM, set the route's header, go on. It decides nothing.
//!
//! What it costs is the floor under every filter of this kind, whatever it computes.
#![cfg(target_arch = "wasm32")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }
}

struct Request;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, ended: bool) -> Action {
        if ended { Action::Continue } else { Action::Pause }
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        if !ended {
            return Action::Pause;
        }
        // The host copies the body into the VM; looking at its ends keeps the copy from being dropped.
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let is_json = body.first() == Some(&b'{') && body.last() == Some(&b'}');
        let target = if is_json { "cheap" } else { "strong" };
        self.set_http_request_header("x-pointsman-cluster", Some(target));
        Action::Continue
    }
}
