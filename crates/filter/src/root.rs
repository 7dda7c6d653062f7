//! A configuration, shared by all requests of a worker.

use std::rc::Rc;
use std::time::Duration;

use pointsman_core::config::{Config, ConfigErrors, Role, plugin_json};
use pointsman_core::control_plane::{Answered, Client, paths};
use pointsman_core::escalation::{Inspector, Outbox};
use pointsman_core::exchange::{Host, Worker, uniform};
use pointsman_core::target::Edit;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, Status};

use super::host::{Counted, Proxy};
use super::inspect::{Endpoint, Inspected, Replaced, Replacement, warn};
use super::inspector_metrics::InspectorMetrics;
use super::metrics::Metrics;
use super::request::{Request, Rewrite};

/// What the requests of one configuration share at the listener.
pub(super) struct Service {
    pub(super) worker: Worker,
    pub(super) proxy: Proxy,
}

impl Service {
    fn configure(json: &[u8]) -> Result<Self, Vec<String>> {
        let config = Config::from_json(json).map_err(lines)?;
        let worker = Worker::new(config).map_err(|error| vec![error.to_string()])?;
        let model_version = &worker.router.classifier().manifest().version;
        let metrics = Metrics::define(worker.config(), model_version).map_err(undefined)?;
        Ok(Service { worker, proxy: Proxy::new(Counted::Router(metrics)) })
    }
}

fn lines(errors: ConfigErrors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

fn undefined(status: Status) -> Vec<String> {
    vec![format!("metrics cannot be defined: {status:?}")]
}

/// What the requests of one configuration share on the way to a target that takes over.
pub(super) struct Rewriter {
    pub(super) model: Edit,
    pub(super) proxy: Proxy,
}

/// What a configuration makes of the filter.
enum Instance {
    /// At the listener: decides.
    Router(Rc<Service>),
    /// On the way to a model: names it.
    Rewrite(Rc<Rewriter>),
    /// In front of an endpoint: holds answers.
    Hold(Rc<Endpoint>),
    /// In front of a target that is asked in another's place.
    StandIn(Rc<Replacement>),
}

impl Instance {
    fn configure(json: &[u8]) -> Result<Self, Vec<String>> {
        let Some(role) = Role::from_json(json) else {
            return Service::configure(json).map(|service| Instance::Router(Rc::new(service)));
        };
        Ok(match role.map_err(lines)? {
            Role::Rewrite { model } => {
                let proxy = Proxy::new(Counted::Nowhere);
                Instance::Rewrite(Rc::new(Rewriter { model, proxy }))
            }
            Role::Hold { target, escalate } => {
                let metrics = InspectorMetrics::define(&target).map_err(undefined)?;
                let proxy = Proxy::new(Counted::Inspector(metrics));
                let inspector = Inspector::new(target, escalate);
                let inspector = inspector.map_err(|error| vec![error.to_string()])?;
                Instance::Hold(Rc::new(Endpoint::new(inspector, proxy)))
            }
            Role::StandIn { target, capture } => {
                let proxy = Proxy::new(Counted::Nowhere);
                let outbox = capture.map(Outbox::new);
                Instance::StandIn(Rc::new(Replacement { target, proxy, outbox }))
            }
        })
    }
}

/// The root context: one per configuration and worker.
#[derive(Default)]
pub(super) struct Root {
    instance: Option<Instance>,
}

impl Root {
    /// The control plane's client, where there is one, and its host.
    fn control_plane(&self) -> Option<(&Client, &Proxy)> {
        let Some(Instance::Router(service)) = &self.instance else { return None };
        Some((service.worker.control_plane.as_ref()?, &service.proxy))
    }

    /// What is to be captured, where it is, and its host.
    fn outbox(&self) -> Option<(&Outbox, &Proxy)> {
        let Some(Instance::StandIn(replacement)) = &self.instance else { return None };
        Some((replacement.outbox.as_ref()?, &replacement.proxy))
    }

    fn tick_again(&self) {
        if let Some((client, proxy)) = self.control_plane() {
            self.set_tick_period(client.next_tick(uniform(proxy.random())));
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        if let Some((outbox, proxy)) = self.outbox() {
            return warn(outbox.on_response(proxy));
        }
        let Some((client, proxy)) = self.control_plane() else { return };
        match client.on_response(proxy, token, body_size) {
            Answered::Done => {}
            Answered::Loaded(version) => {
                log::info!("pointsman policy snapshot {version} in use");
            }
            Answered::Refused(error) => {
                log::warn!("pointsman policy snapshot refused: {error}");
            }
            Answered::UnknownPath(status) => {
                log::warn!(
                    "pointsman control plane answers {status} to {}: run `pointsman serve` of this \
                     version, {}, and check control.cluster",
                    paths::PREFIX,
                    env!("CARGO_PKG_VERSION")
                );
            }
        }
    }
}

impl RootContext for Root {
    /// Refusing keeps Envoy from starting, or keeps the configuration before over xDS.
    fn on_configure(&mut self, _size: usize) -> bool {
        let json = plugin_json(self.get_plugin_configuration().unwrap_or_default());
        match Instance::configure(&json) {
            Ok(instance) => {
                if let Instance::Router(service) = &instance {
                    let worker = &service.worker;
                    log::info!(
                        "pointsman {} ready: model {}, schema {}, configuration {}",
                        env!("CARGO_PKG_VERSION"),
                        worker.router.classifier().manifest().version,
                        worker.schema_hash(),
                        worker.config().version
                    );
                }
                self.instance = Some(instance);
                self.tick_again();
                true
            }
            Err(errors) => {
                for error in &errors {
                    log::error!("pointsman configuration refused: {error}");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(Instance::Hold(endpoint)) = &self.instance {
            self.set_tick_period(endpoint.tick().unwrap_or_default());
        }
        if let Some((outbox, proxy)) = self.outbox() {
            self.set_tick_period(Duration::ZERO);
            warn(outbox.send(proxy));
        }
        if let Some((client, proxy)) = self.control_plane() {
            client.tick(proxy);
        }
        self.tick_again();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match self.instance.as_ref()? {
            Instance::Router(service) => {
                service.proxy.serves();
                Box::new(Request::new(Rc::clone(service)))
            }
            Instance::Rewrite(rewriter) => Box::new(Rewrite::new(Rc::clone(rewriter))),
            Instance::Hold(endpoint) => Box::new(Inspected::new(Rc::clone(endpoint), context_id)),
            Instance::StandIn(it) => Box::new(Replaced::new(Rc::clone(it))),
        })
    }
}
