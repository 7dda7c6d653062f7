//! Requests beside a model's API that name a model all the same, such as counts of tokens.
//!
//! They are not decided on: they go to the default target, which must know the model they name.

use crate::api::ApiFormat;
use crate::header;
use crate::scope;
use crate::target::Edit;
use crate::telemetry::Sample;

use super::body::{self, Written};
use super::{Exchange, Flow, Host, Worker};

impl Exchange {
    /// Sends such a request to the default target; it waits for its body.
    pub(super) fn begin_beside(&mut self, worker: &Worker, host: &impl Host, ended: bool) -> Flow {
        let config = worker.config();
        if let Some(target) = config.targets.get(config.default) {
            host.set_request_header(header::CLUSTER, Some(&target.cluster));
            host.reroute();
        }
        let header = |name: &str| host.request_header(name);
        self.beside = scope::unreadable(&header, ended).is_none();
        if self.beside {
            return Flow::Pause;
        }
        if !ended {
            host.measure(Sample::NotRewritten);
        }
        Flow::Continue
    }

    /// `size` bytes of its body are here, all when it has `ended`.
    pub(super) fn on_body_beside(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) -> Flow {
        let config = worker.config();
        if !ended && body::is_to_wait(host, config, size) {
            return Flow::Pause;
        }
        self.beside = false;
        let path = host.request_header(":path").unwrap_or_default();
        let edits = ApiFormat::beside_path(&path).and_then(|api| {
            let edits = config.targets.get(config.default)?.edits.of(api);
            edits.iter().find(|edit| edit.field == "model")
        });
        let edits: &[Edit] = edits.map_or(&[], std::slice::from_ref);
        match body::edit(host, edits, size, ended) {
            Some(Written::Beginning(stream)) => self.stream = Some(stream),
            Some(Written::Not) => host.measure(Sample::NotRewritten),
            Some(Written::Whole) | None => {}
        }
        Flow::Continue
    }
}
