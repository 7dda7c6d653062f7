//! Configuration to [`Router`], shared by all requests of a worker.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::control::Control;
use super::metrics::Metrics;
use super::request::Request;
use super::rewrite::{self, Passage};
use crate::config::{Config, Rewrite, plugin_json};
use crate::features;
use crate::policy::health::Watch;
use crate::router::Router;

/// What the requests of one configuration share.
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) metrics: Metrics,
    pub(super) control: Option<Control>,
    pub(super) watch: Watch,
    pub(super) schema_hash: String,
    identity: RandomState,
    decisions: Cell<u64>,
}

impl Service {
    fn configure(json: &[u8]) -> Result<Self, Vec<String>> {
        let config = Config::from_json(json)
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let router = Router::new(config).map_err(|error| vec![error.to_string()])?;
        let model_version = &router.classifier().manifest().version;
        let metrics = Metrics::define(router.config(), model_version)
            .map_err(|status| vec![format!("metrics cannot be defined: {status:?}")])?;
        let control = Control::define(router.config())
            .map_err(|status| vec![format!("metrics cannot be defined: {status:?}")])?;
        Ok(Service {
            watch: Watch::new(router.config().targets.len()),
            router,
            metrics,
            control,
            schema_hash: features::schema_hash(),
            identity: RandomState::new(),
            decisions: Cell::new(0),
        })
    }

    /// A fresh decision id: 128 bits as hex digits, unpredictable and unique in practice; with a
    /// control plane, signed.
    pub(super) fn decision_id(&self) -> String {
        let number = self.decisions.get();
        self.decisions.set(number.wrapping_add(1));
        let [high, low] = [0_u8, 1].map(|half| self.identity.hash_one((number, half)));
        let id = (u128::from(high) << 64) | u128::from(low);
        match &self.control {
            Some(control) => control.signer.sign(&id.to_be_bytes()),
            None => format!("{id:032x}"),
        }
    }

    /// A number in 0..1 that no client can predict.
    pub(super) fn uniform(&self) -> f64 {
        let number = self.decisions.get();
        self.decisions.set(number.wrapping_add(1));
        // 53 bits, as many as the fraction of an `f64` holds.
        (self.identity.hash_one((number, 2_u8)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What a configuration makes of the filter.
enum Role {
    /// At the listener: decides.
    Router(Rc<Service>),
    /// On the way to another target: names the model.
    Rewrite(Rc<rewrite::Service>),
}

impl Role {
    fn configure(json: &[u8]) -> Result<Self, Vec<String>> {
        match Rewrite::from_json(json) {
            Some(Ok(rewrite)) => Ok(Role::Rewrite(Rc::new(rewrite::Service::new(rewrite)))),
            Some(Err(errors)) => Err(errors.0.iter().map(ToString::to_string).collect()),
            None => Service::configure(json).map(|service| Role::Router(Rc::new(service))),
        }
    }
}

/// The root context: one a configuration and worker.
#[derive(Default)]
pub(super) struct Root {
    role: Option<Role>,
}

impl Root {
    /// The service and its control plane, where there is one.
    fn control(&self) -> Option<(&Service, &Control)> {
        let Some(Role::Router(service)) = &self.role else { return None };
        Some((service, service.control.as_ref()?))
    }

    fn tick_again(&self) {
        if let Some((service, control)) = self.control() {
            self.set_tick_period(control.next_tick(service.uniform()));
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        if let Some((_, control)) = self.control() {
            control.answered(token, body_size);
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
                    log::info!(
                        "pointsman {} ready: model {}, schema {}, configuration {}",
                        env!("CARGO_PKG_VERSION"),
                        service.router.classifier().manifest().version,
                        service.schema_hash,
                        service.router.config().version
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
        if let Some((_, control)) = self.control() {
            control.tick();
        }
        self.tick_again();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match self.role.as_ref()? {
            Role::Router(service) => {
                service.metrics.serves();
                Box::new(Request::new(Rc::clone(service)))
            }
            Role::Rewrite(service) => Box::new(Passage::new(Rc::clone(service))),
        })
    }
}
