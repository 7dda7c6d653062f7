//! The way to a target that takes over from another: the body is given its model's name.

use crate::api::ApiFormat;
use crate::rewrite::splice;
use crate::scope;
use crate::target::Edit;

use super::{Flow, Host, body};

/// One request, which the router has let pass before.
#[derive(Debug, Default)]
pub struct Passage {
    /// Headers are held back until the body is here.
    reading: bool,
}

impl Passage {
    /// Request headers are here; `ended` says that no body follows.
    pub fn on_request_headers(&mut self, host: &impl Host, model: &Edit, ended: bool) -> Flow {
        let name = model
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice::<String>(value.as_bytes()).ok());
        if let Some(name) = name {
            body::name_deployment(host, &name);
        }
        let header = |name: &str| host.request_header(name);
        // Requests outside the router's scope name models that it knows nothing of, but for counts of
        // tokens.
        let names_model = |path: Vec<u8>| {
            ApiFormat::of_path(&path).or_else(|| ApiFormat::beside_path(&path)).is_some()
        };
        self.reading = header(":path").is_some_and(names_model)
            && scope::unreadable(&header, ended).is_none();
        if self.reading { Flow::Pause } else { Flow::Continue }
    }

    /// More of the request body is here, `size` bytes in all.
    pub fn on_request_body(
        &mut self,
        host: &impl Host,
        model: &Edit,
        size: usize,
        ended: bool,
    ) -> Flow {
        if !self.reading {
            return Flow::Continue;
        }
        if !ended {
            return Flow::Pause;
        }
        self.rewrite(host, model, size);
        Flow::Continue
    }

    /// Request trailers are here: with them, no callback for the body sees the end of the stream.
    pub fn on_request_trailers(&mut self, host: &impl Host, model: &Edit) -> Flow {
        if self.reading {
            self.rewrite(host, model, usize::MAX);
        }
        Flow::Continue
    }

    /// Replaces the model's name in the body, of which at most `size` bytes are here: all.
    fn rewrite(&mut self, host: &impl Host, model: &Edit, size: usize) {
        self.reading = false;
        let body = host.request_body(size);
        let edits = std::slice::from_ref(model);
        let Ok(Some(rewritten)) = splice(&body, edits) else { return };
        // With the old length, the upstream would wait for bytes, or take some for a new request.
        host.set_request_header("content-length", Some(&rewritten.len().to_string()));
        host.replace_request_body(body.len(), &rewritten);
    }
}
