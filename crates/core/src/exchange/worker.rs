//! What the requests of one configuration and worker share.

use crate::config::{Config, ControlPlane};
use crate::control_plane::Client;
use crate::decision::Decision;
use crate::features;
use crate::policy::health::Watch;
use crate::router::{Router, RouterError};

use super::Host;

/// The router with what a worker learns while it serves: which targets are down, the bandit's
/// policy, and what is waiting for the control plane.
#[derive(Debug)]
pub struct Worker {
    pub router: Router,
    /// `None` when no control plane is configured.
    pub control_plane: Option<Client>,
    pub(super) health: Watch,
    schema_hash: String,
    /// Whether answers are read for what they cost.
    pub(super) counts_spending: bool,
    /// Whether answers of a target may be held back.
    pub(super) escalates: bool,
}

impl Worker {
    /// Loads the configured model, or the embedded one.
    ///
    /// # Errors
    ///
    /// When the model does not load or does not fit the targets, or the control plane's key cannot
    /// sign.
    pub fn new(config: Config) -> Result<Self, RouterError> {
        let router = Router::new(config)?;
        let config = router.config();
        let client = |control: &ControlPlane| {
            Client::new(control, config).ok_or(RouterError::ControlPlaneKey)
        };
        Ok(Worker {
            control_plane: config.control.as_ref().map(client).transpose()?,
            health: Watch::new(config.targets.len()),
            schema_hash: features::schema_hash(),
            counts_spending: config.prices().is_some(),
            escalates: config.targets.iter().any(|target| target.escalate.is_some()),
            router,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.router.config()
    }

    /// [`features::schema_hash`], computed once.
    pub fn schema_hash(&self) -> &str {
        &self.schema_hash
    }

    /// A fresh decision ID: 128 bits as hex digits, unpredictable and unique in practice; with a
    /// control plane, signed.
    pub(super) fn decision_id(&self, host: &impl Host) -> String {
        let id = (u128::from(host.random()) << 64) | u128::from(host.random());
        match &self.control_plane {
            Some(client) => client.sign(&id.to_be_bytes()),
            None => format!("{id:032x}"),
        }
    }

    /// Whether the bandit should decide, but no control plane can ever give it a policy.
    pub(super) fn lacks_control_plane(&self, decision: &Decision) -> bool {
        self.config().bandit.is_some() && self.control_plane.is_none() && decision.is_drawable()
    }
}

/// A number in 0..1 that no client can predict.
pub fn uniform(random: u64) -> f64 {
    // 53 bits, as many as the fraction of an `f64` holds.
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
