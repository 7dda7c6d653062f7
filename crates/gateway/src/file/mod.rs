//! `pointsman.yaml`, strictly read.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use pointsman_core::api::ApiFormat;
use pointsman_core::config::node::{Errors, Fields, Node};
use pointsman_core::config::{Config, ConfigError, ConfigErrors, FIELDS};
use pointsman_core::router::Router;

mod parts;
mod provider;
mod schema;
mod target;

pub use parts::{AccessLog, Cache, Capture, Control, Tenant, Tls};
pub use provider::{Key, Provider, Url};
pub use schema::json_schema;
pub use target::{Endpoint, Target};

/// Fields of the filter that this file has its own for, or that the listener decides.
const NOT_THE_FILTERS: [&str; 4] = ["targets", "control", "path_prefixes", "$schema"];
const OWN_FIELDS: [&str; 11] = [
    "providers",
    "targets",
    "cache",
    "control",
    "capture",
    "listen",
    "tls",
    "admin",
    "metrics",
    "access_log",
    "$schema",
];

/// Where clients connect unless the file says otherwise.
const LISTEN: SocketAddr = parts::loopback(10000);
/// Envoy's admin interface unless the file says otherwise.
const ADMIN: SocketAddr = parts::loopback(9901);
/// Most that the rendered listener can hold back of a body for the filter.
const HELD_BYTES: u64 = 3 << 20;

/// Fields that are the filter's own, with the filter's own meaning.
fn filter_fields() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().filter(|name| !NOT_THE_FILTERS.contains(name))
}

/// What a file says, checked.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Providers that a target names, in the order of the file.
    pub providers: Vec<Provider>,
    /// Names of those that no target names.
    pub unused: Vec<String>,
    /// Cheapest first.
    pub targets: Vec<Target>,
    /// Position of the target that takes what cannot be decided.
    pub default: usize,
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    pub admin: SocketAddr,
    /// Where metrics and readiness are served, without the rest of the admin interface.
    pub metrics: Option<SocketAddr>,
    pub access_log: AccessLog,
    pub cache: Option<Cache>,
    pub control: Option<Control>,
    pub capture: Option<Capture>,
    /// The filter's configuration, but for what [`Control`] adds to it.
    filter: Map<String, Value>,
}

impl Gateway {
    /// Reads a file, YAML or JSON.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn read(text: &str) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        // Without the lines around a mistake: a key may stand there.
        let quiet = serde_saphyr::options! { with_snippet: false };
        let value: Value = match serde_saphyr::from_str_with_options(text, quiet) {
            Ok(value) => value,
            Err(error) => {
                errors.add("", "", format!("neither YAML nor JSON: {error}"));
                return Err(ConfigErrors(errors.0));
            }
        };
        match read(&value, &mut errors) {
            Some(gateway) if errors.0.is_empty() => Ok(gateway),
            _ => Err(ConfigErrors(errors.0.into_iter().map(without_secrets).collect())),
        }
    }

    /// The filter's configuration. A control plane's secrets are in it when they are given.
    pub fn filter(&self, secrets: Option<&ControlSecrets>) -> Value {
        let mut filter = self.filter.clone();
        if let (Some(control), Some(secrets)) = (&self.control, secrets) {
            filter.insert("control".to_owned(), control.filter(secrets));
        }
        Value::Object(filter)
    }

    /// Every address that something of the deployment listens on, by the field that says so.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let mut addresses = vec![("listen", self.listen), ("admin", self.admin)];
        addresses.extend(self.metrics.map(|address| ("metrics", address)));
        addresses.extend(self.control.as_ref().map(|it| ("control.listen", it.listen)));
        addresses.extend(self.capture.as_ref().map(|it| ("capture.listen", it.listen)));
        if let Some(cache) = &self.cache {
            for target in 0..self.targets.len() {
                addresses.push(("cache.listen", cache.address(target)));
                addresses.push(("cache.listen (the way back to Envoy)", cache.upstream(target)));
            }
            addresses.push(("cache.listen (administration)", cache.admin()));
        }
        addresses
    }

    /// The targets that serve an API, in the order in which they replace `target`, itself first: the
    /// one to which its bad answers go; the stronger ones, because a request that was found too hard
    /// for a target stays hard; then the cheaper ones from the strongest on.
    pub fn order(&self, target: usize, api: ApiFormat) -> Vec<usize> {
        let stronger = target..self.targets.len();
        let serves = |at: &usize| self.targets.get(*at).is_some_and(|it| it.apis.contains(&api));
        let mut order: Vec<usize> = stronger.chain((0..target).rev()).filter(serves).collect();
        let to = self.escalates_to(target);
        if let Some(place) = order.iter().position(|at| Some(*at) == to).filter(|it| *it > 1)
            && let Some(to) = order.get(..=place).and_then(|it| it.last().copied())
        {
            order.remove(place);
            order.insert(1, to);
        }
        order
    }

    /// The target that is asked when this one's answer is bad.
    pub fn escalates_to(&self, target: usize) -> Option<usize> {
        let escalate = self.targets.get(target)?.escalate()?;
        match escalate.get("to").and_then(Value::as_str) {
            Some(name) => self.targets.iter().position(|it| it.name == name),
            None => Some(target + 1).filter(|it| *it < self.targets.len()),
        }
    }

    /// Whether bad answers of any target are not sent on.
    pub fn escalates(&self) -> bool {
        self.targets.iter().any(|target| target.escalate().is_some())
    }
}

/// What the filter signs decisions and asks the control plane with.
#[derive(Clone)]
pub struct ControlSecrets {
    pub key: String,
    pub token: String,
}

impl ControlSecrets {
    /// Stands in for the secrets where a configuration is only checked.
    fn checked() -> Self {
        let stand_in = "0123456789abcdef".to_owned();
        ControlSecrets { key: stand_in.clone(), token: stand_in }
    }
}

fn read(value: &Value, errors: &mut Errors) -> Option<Gateway> {
    let known: Vec<&str> = OWN_FIELDS.into_iter().chain(filter_fields()).collect();
    let root = Node { path: String::new(), value }.object(&known, errors)?;
    let mut providers = provider::read_all(root.field("providers"), errors);
    let mut targets = match root.field("targets") {
        Some(node) => target::read_all(&node, &mut providers, errors),
        None => {
            errors.add("targets", "", "is required: the targets, cheapest first");
            Vec::new()
        }
    };
    provider::check_all(&providers, errors);
    let unused = keep_used(&mut providers, &mut targets);
    let listen = parts::address_or(root.field("listen"), LISTEN, errors);
    let admin = parts::address_or(root.field("admin"), ADMIN, errors);
    let metrics = root.field("metrics").and_then(|node| parts::address(&node, errors));
    let tls = root.field("tls").and_then(|node| parts::read_tls(&node, errors));
    let access_log = root.field("access_log").and_then(|node| AccessLog::read(&node, errors));
    let cache = root.field("cache").and_then(|node| {
        let used = targets.iter().flat_map(|target| &target.endpoints);
        let passthrough = used
            .filter_map(|endpoint| providers.get(endpoint.provider))
            .all(|provider| provider.passthrough);
        Cache::read(&node, passthrough, errors)
    });
    let control = root.field("control").and_then(|node| Control::read(&node, errors));
    let capture = root.field("capture").and_then(|node| {
        if targets.iter().all(|target| target.escalate().is_none()) {
            node.refuse("needs a target with \"escalate\": what is captured is escalated", errors);
        }
        Capture::read(&node, errors)
    });
    let filter = filter(&root, &targets, cache.as_ref());
    check_filter(&filter, control.as_ref(), errors);
    let default = root.field("default").and_then(|node| node.value.as_str());
    let last = targets.len().saturating_sub(1);
    let default = targets.iter().position(|target| Some(target.name.as_str()) == default);
    let gateway = Gateway {
        providers,
        unused,
        default: default.unwrap_or(last),
        listen: listen?,
        admin: admin?,
        metrics,
        tls,
        access_log: access_log.unwrap_or_default(),
        cache,
        control,
        capture,
        filter,
        targets,
    };
    check_addresses(&gateway, errors);
    Some(gateway)
}

/// No two may listen on one port; every address of a machine is one that 0.0.0.0 means.
fn check_addresses(gateway: &Gateway, errors: &mut Errors) {
    let addresses = gateway.addresses();
    for (at, (field, address)) in addresses.iter().enumerate() {
        let overlaps = |(_, other): &&(&str, SocketAddr)| {
            let all = address.ip().is_unspecified() || other.ip().is_unspecified();
            address.port() != 0
                && other.port() == address.port()
                && (all || other.ip() == address.ip())
        };
        if let Some((other, _)) = addresses.iter().take(at).find(overlaps) {
            errors.add(field, address.to_string(), format!("must differ from {other}"));
        }
    }
}

/// An error without its value where that may be a key which stands in the wrong place.
fn without_secrets(mut error: ConfigError) -> ConfigError {
    let private = ["providers.", "control."].iter().any(|it| error.path.starts_with(it));
    let field = error.path.rsplit('.').next().unwrap_or_default();
    let shown = match field {
        "kind" | "auth" | "region" | "api_version" | "listen" | "interval_ms" | "buffer_bytes" => {
            true
        }
        "url" => !error.value.contains('@'),
        _ => false,
    };
    if private && !shown {
        error.value.clear();
    }
    error
}

/// Leaves out providers that no target names; their names.
fn keep_used(providers: &mut Vec<Provider>, targets: &mut [Target]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut unused = Vec::new();
    for (at, provider) in std::mem::take(providers).into_iter().enumerate() {
        let endpoints = || targets.iter().flat_map(|target| &target.endpoints);
        if !endpoints().any(|endpoint| endpoint.provider == at) {
            unused.push(provider.name);
            continue;
        }
        kept.push((at, provider));
    }
    for endpoint in targets.iter_mut().flat_map(|target| &mut target.endpoints) {
        let place = kept.iter().position(|(at, _)| *at == endpoint.provider);
        endpoint.provider = place.unwrap_or(endpoint.provider);
    }
    providers.extend(kept.into_iter().map(|(_, provider)| provider));
    unused
}

/// The filter's configuration.
fn filter(root: &Fields, targets: &[Target], cache: Option<&Cache>) -> Map<String, Value> {
    let mut filter = Map::new();
    let rewritten = targets.iter().any(|target| target.filter.contains_key("parameters"));
    let named = targets.iter().map(|target| {
        let mut fields = target.filter.clone();
        if let Some(first) = target.endpoints.first().filter(|_| rewritten) {
            fields.insert("model".to_owned(), first.model.as_str().into());
        }
        Value::Object(fields)
    });
    filter.insert("targets".to_owned(), named.collect());
    for (name, value) in [
        ("policy", json!({"preset": "balanced"})),
        ("sticky", json!({})),
        // As much as the listener can hold back.
        ("body", json!({"max_bytes": 524_288, "hold_bytes": 2_097_152})),
    ] {
        filter.insert(name.to_owned(), value);
    }
    if let Some(Tenant::Header(header)) = cache.map(|cache| &cache.tenant) {
        filter.insert("tenant_header".to_owned(), header.as_str().into());
    }
    for name in filter_fields() {
        if let Some(value) = root.map.get(name) {
            filter.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(body) = filter.get_mut("body").and_then(Value::as_object_mut).filter(|_| rewritten)
    {
        body.entry("rewrite_model").or_insert(Value::Bool(true));
    }
    filter
}

/// The filter reads its own part, by its own rules. What it says of the names of targets has been
/// said, and what it says of clusters is nobody's fault.
fn check_filter(filter: &Map<String, Value>, control: Option<&Control>, errors: &mut Errors) {
    let mut filter = filter.clone();
    if let Some(control) = control {
        filter.insert("control".to_owned(), control.filter(&ControlSecrets::checked()));
    }
    for field in ["max_bytes", "hold_bytes"] {
        let bytes = filter.get("body").and_then(|body| body.get(field)?.as_u64());
        if let Some(bytes) = bytes.filter(|bytes| *bytes > HELD_BYTES) {
            let rule =
                format!("must be at most {HELD_BYTES}: the rendered listener holds back no more");
            errors.add(&format!("body.{field}"), bytes.to_string(), rule);
        }
    }
    let filter = Value::Object(filter).to_string();
    let found = match Config::from_json(filter.as_bytes()) {
        Ok(config) => {
            // Some mistakes show only with the model.
            let refused = Router::new(config).err();
            refused.into_iter().for_each(|error| errors.add("", "", error.to_string()));
            return;
        }
        Err(errors) => errors,
    };
    for error in found.0 {
        let known = errors.0.iter().any(|it| it.path == error.path);
        if !known && !error.path.ends_with(".cluster") {
            errors.0.push(error);
        }
    }
}

#[cfg(test)]
mod tests;
