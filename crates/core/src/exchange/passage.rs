//! The way to a target that takes over from another: the body is given its model's name.

use crate::api::ApiFormat;
use crate::rewrite::Stream;
use crate::scope;
use crate::target::Edit;

use super::body::{self, Written};
use super::{Flow, Host};

/// One request, which the router has let pass before.
#[derive(Debug, Default)]
pub struct Passage {
    /// Headers are held back until the beginning of the body is here.
    reading: bool,
    /// What the rest of a long body passes through.
    stream: Option<Stream>,
}

/// How much of a body is held back: a longer one passes by, and is renamed in its beginning.
const HELD_BYTES: usize = 64 * 1024;

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
        self.reading =
            header(":path").is_some_and(names_model) && scope::unreadable(&header, ended).is_none();
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
        if let Some(stream) = &mut self.stream {
            body::pass(host, stream, size, ended);
        }
        if self.reading && !ended && size < HELD_BYTES {
            return Flow::Pause;
        }
        self.rewrite(host, model, size, ended);
        Flow::Continue
    }

    /// Request trailers are here: with them, no callback for the body sees the end of the stream.
    pub fn on_request_trailers(&mut self, host: &impl Host, model: &Edit) -> Flow {
        self.rewrite(host, model, usize::MAX, true);
        Flow::Continue
    }

    /// Replaces the model's name in the body, of which at most `size` bytes are here: all when it
    /// has `ended`.
    fn rewrite(&mut self, host: &impl Host, model: &Edit, size: usize, ended: bool) {
        if !std::mem::take(&mut self.reading) {
            return;
        }
        if let Some(Written::Beginning(stream)) =
            body::edit(host, std::slice::from_ref(model), size, ended)
        {
            self.stream = Some(stream);
        }
    }
}
