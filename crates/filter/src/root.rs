//! A configuration, shared by all requests of a worker.

use std::rc::Rc;

use pointsman_core::config::{self, Config, ConfigErrors, Inspect, plugin_json};
use pointsman_core::control_plane::{Answered, Client, paths};
use pointsman_core::escalation::Inspector;
use pointsman_core::exchange::{Host, Worker, uniform};
use pointsman_core::target::Edit;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, Status};

use super::host::{Counted, Proxy};
use super::inspect::{Endpoint, Inspected, Replaced, Replacement};
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
        let config = Config::from_json(json)
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let worker = Worker::new(config).map_err(|error| vec![error.to_string()])?;
        let model_version = &worker.router.classifier().manifest().version;
        let metrics = Metrics::define(worker.config(), model_version).map_err(undefined)?;
        Ok(Service { worker, proxy: Proxy::new(Counted::Router(metrics)) })
    }
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
enum Role {
    /// At the listener: decides.
    Router(Rc<Service>),
    /// On the way to another target: names the model.
    Rewrite(Rc<Rewriter>),
    /// In front of an endpoint: holds answers.
    Hold(Rc<Endpoint>),
    /// In front of a target that is asked in another's place.
    StandIn(Rc<Replacement>),
}

impl Role {
    fn configure(json: &[u8]) -> Result<Self, Vec<String>> {
        let told = |errors: ConfigErrors| -> Vec<String> {
            errors.0.iter().map(ToString::to_string).collect()
        };
        if let Some(inspect) = Inspect::from_json(json) {
            return Role::inspect(inspect.map_err(told)?);
        }
        match config::Rewrite::from_json(json) {
            Some(rewrite) => {
                let config::Rewrite { model } = rewrite.map_err(told)?;
                let proxy = Proxy::new(Counted::Nowhere);
                Ok(Role::Rewrite(Rc::new(Rewriter { model, proxy })))
            }
            None => Service::configure(json).map(|service| Role::Router(Rc::new(service))),
        }
    }

    fn inspect(inspect: Inspect) -> Result<Self, Vec<String>> {
        Ok(match inspect {
            Inspect::Hold { target, escalate } => {
                let metrics = InspectorMetrics::define(&target).map_err(undefined)?;
                let proxy = Proxy::new(Counted::Inspector(metrics));
                let inspector = Inspector::new(target, escalate);
                let inspector = inspector.map_err(|error| vec![error.to_string()])?;
                Role::Hold(Rc::new(Endpoint::new(inspector, proxy)))
            }
            Inspect::StandIn { target } => {
                let proxy = Proxy::new(Counted::Nowhere);
                Role::StandIn(Rc::new(Replacement { target, proxy }))
            }
        })
    }
}

/// The root context: one per configuration and worker.
#[derive(Default)]
pub(super) struct Root {
    role: Option<Role>,
}

impl Root {
    /// The control plane's client, where there is one, and its host.
    fn control_plane(&self) -> Option<(&Client, &Proxy)> {
        let Some(Role::Router(service)) = &self.role else { return None };
        Some((service.worker.control_plane.as_ref()?, &service.proxy))
    }

    fn tick_again(&self) {
        if let Some((client, proxy)) = self.control_plane() {
            self.set_tick_period(client.next_tick(uniform(proxy.random())));
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
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
        match Role::configure(&json) {
            Ok(role) => {
                if let Role::Router(service) = &role {
                    let worker = &service.worker;
                    log::info!(
                        "pointsman {} ready: model {}, schema {}, configuration {}",
                        env!("CARGO_PKG_VERSION"),
                        worker.router.classifier().manifest().version,
                        worker.schema_hash(),
                        worker.config().version
                    );
                }
                self.role = Some(role);
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
        if let Some(Role::Hold(endpoint)) = &self.role {
            self.set_tick_period(endpoint.tick().unwrap_or_default());
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
        Some(match self.role.as_ref()? {
            Role::Router(service) => {
                service.proxy.serves();
                Box::new(Request::new(Rc::clone(service)))
            }
            Role::Rewrite(rewriter) => Box::new(Rewrite::new(Rc::clone(rewriter))),
            Role::Hold(endpoint) => Box::new(Inspected::new(Rc::clone(endpoint), context_id)),
            Role::StandIn(it) => Box::new(Replaced::new(Rc::clone(it))),
        })
    }
}
