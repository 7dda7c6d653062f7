//! What the templates are filled with.

use minijinja::Error;
use serde::Serialize;
use serde_json::{Value, json};

use pointsman_core::identity::CREDENTIALS;

use super::templates::render;
use super::{NOTE, Place};
use crate::file::{AccessLog, Control, Gateway, Key, Target, Tls};

mod endpoint;
mod lists;
mod side_endpoints;

use endpoint::{EndpointView, endpoint_view};
use lists::{
    APIS, Api, Group, List, StandIn, Variant, api_view, group_of, groups, lists, retries, stand_ins,
};
use side_endpoints::{SideEndpoint, counts, side_endpoints};

#[derive(Serialize)]
pub(super) struct View {
    note: String,
    wasm: String,
    directory: String,
    secrets: String,
    filter: String,
    admin: Address,
    listen: Address,
    metrics: Option<Address>,
    tls: Option<ListenerTls>,
    log: Option<Log>,
    failures: Option<Log>,
    /// Attempts after the first, at most.
    retries: usize,
    /// Whether bad answers of any target are not sent on.
    escalates: bool,
    apis: Vec<Api>,
    variants: Vec<Variant>,
    counts: Vec<SideEndpoint>,
    side_endpoints: Vec<SideEndpoint>,
    lists: Vec<List>,
    groups: Vec<Group>,
    stand_ins: Vec<StandIn>,
    endpoints: Vec<EndpointView>,
    caches: Vec<CacheView>,
    control: Option<Process>,
    capture: Option<Address>,
}

#[derive(Serialize)]
struct Address {
    ip: String,
    port: u16,
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Address { ip: address.ip().to_string(), port: address.port() }
    }
}

/// Where Envoy finds a process of ours.
#[derive(Serialize)]
struct Process {
    host: String,
    discovery: &'static str,
    port: u16,
}

#[derive(Serialize)]
struct ListenerTls {
    certificate: String,
    key: String,
}

#[derive(Clone, Serialize)]
struct Log {
    name: &'static str,
    r#type: &'static str,
    path: Option<String>,
}

#[derive(Serialize)]
struct CacheView {
    name: String,
    target: String,
    endpoints: String,
    /// Where it is, and whether that is a name.
    host: String,
    discovery: &'static str,
    port: u16,
    /// How long a health check may take.
    patience: &'static str,
    /// Where its way back begins.
    ip: String,
    upstream_port: u16,
}

/// A key's file: where the key is.
#[derive(Serialize)]
pub(super) struct Secret {
    name: String,
    source: String,
}

impl Secret {
    /// `kept` is a copy of the key's file.
    pub(super) fn of(name: &str, key: &Key, kept: Option<String>) -> Self {
        let source = match key {
            Key::Env(variable) => json!({"environment_variable": variable}),
            Key::File(path) => json!({"filename": kept.unwrap_or_else(|| path.clone())}),
        };
        Secret { name: name.to_owned(), source: source.to_string() }
    }
}

impl View {
    pub(super) fn of(gateway: &Gateway, place: &Place) -> Self {
        let targets = &gateway.targets;
        let (lists, variants) = lists(gateway);
        let retries = lists.iter().map(|list| retries(&list.clusters)).max().unwrap_or(0);
        let log = |path: Option<String>| Log {
            name: if path.is_some() {
                "envoy.access_loggers.file"
            } else {
                "envoy.access_loggers.stdout"
            },
            r#type: if path.is_some() {
                "file.v3.FileAccessLog"
            } else {
                "stream.v3.StdoutAccessLog"
            },
            path,
        };
        let log = match &gateway.access_log {
            AccessLog::Stdout => Some(log(None)),
            AccessLog::File(path) => Some(log(Some(path.clone()))),
            AccessLog::Off => None,
        };
        let filter = gateway.filter(place.control.as_ref());
        let control = gateway.control.as_ref().filter(|_| place.control.is_some());
        let view = View {
            note: NOTE.to_owned(),
            wasm: place.wasm.to_owned(),
            directory: place.directory.to_owned(),
            secrets: format!("{}/secrets", place.directory),
            filter: readable(&filter),
            admin: gateway.admin.into(),
            listen: gateway.listen.into(),
            metrics: gateway.metrics.map(Into::into),
            tls: gateway.tls.as_ref().map(|tls: &Tls| ListenerTls {
                certificate: tls.certificate.clone(),
                key: tls.key.clone(),
            }),
            failures: log.clone(),
            log,
            retries,
            escalates: gateway.escalates(),
            apis: APIS.into_iter().map(|(name, api)| api_view(gateway, name, api)).collect(),
            variants,
            counts: counts(gateway),
            side_endpoints: side_endpoints(gateway),
            lists,
            groups: targets.iter().flat_map(groups).collect(),
            stand_ins: stand_ins(gateway),
            endpoints: targets
                .iter()
                .enumerate()
                .flat_map(|(number, target)| {
                    target.endpoints.iter().enumerate().filter_map(move |(at, endpoint)| {
                        let provider = gateway.providers.get(endpoint.provider)?;
                        let view = endpoint_view(target, at, endpoint, provider, place);
                        Some(EndpointView { hold: hold(gateway, number), ..view })
                    })
                })
                .collect(),
            caches: caches(gateway),
            control: control.map(|control: &Control| Process {
                host: control.host.clone().unwrap_or_else(|| control.listen.ip().to_string()),
                discovery: discovery(control.host.is_none()),
                port: control.listen.port(),
            }),
            capture: gateway.capture.as_ref().map(|it| it.listen.into()),
        };
        let tenant = filter.get("tenant_header").and_then(Value::as_str);
        let view = view.without(tenant);
        if place.unique { view.with_unique_names() } else { view }
    }

    /// The same, where providers do not see the header that names the caller. Credentials have been
    /// seen to.
    fn without(mut self, header: Option<&str>) -> Self {
        if let Some(header) = header.filter(|it| !CREDENTIALS.contains(it)) {
            for endpoint in &mut self.endpoints {
                if !endpoint.remove.iter().any(|it| it == header) {
                    endpoint.remove.push(header.to_owned());
                }
            }
        }
        self
    }

    /// The same, with a digest of what it says in each endpoint's name.
    fn with_unique_names(mut self) -> Self {
        for endpoint in &mut self.endpoints {
            let said = serde_json::to_vec(&endpoint).unwrap_or_default();
            let digest = pointsman_core::features::digest_of(&said);
            let named = format!("{}-{}", endpoint.id, digest.get(..8).unwrap_or_default());
            let members = self.groups.iter_mut().flat_map(|group| &mut group.endpoints);
            members.filter(|it| it.id == endpoint.id).for_each(|it| it.id.clone_from(&named));
            endpoint.id = named;
        }
        self
    }

    /// The values, and what templates make of them: the parts that other templates are made of.
    /// `filter` is how the filter stands in its connection manager.
    pub(super) fn with_parts(&self, filter: &str) -> Result<Value, Error> {
        let mut values = serde_json::to_value(self).map_err(|error| {
            Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
        })?;
        for (name, template) in [
            ("main_filter", filter),
            ("manager", "manager.yaml"),
            ("routes", "routes.yaml"),
            ("endpoint_listeners", "endpoints.yaml"),
            ("listeners", "listeners.yaml"),
            ("clusters", "clusters.yaml"),
            ("process", "process.yaml"),
            ("head", "head.yaml"),
            ("stats", "stats.yaml"),
        ] {
            values[name] = render(template, &values)?.trim_end().into();
        }
        Ok(values)
    }
}

/// What the filter in front of a target's endpoints reads, when it holds answers.
fn hold(gateway: &Gateway, target: usize) -> Option<String> {
    let at = gateway.targets.get(target)?;
    let mut escalate = at.escalate()?.clone();
    let to = gateway.targets.get(gateway.escalates_to(target)?)?;
    escalate.insert("to".to_owned(), to.name.as_str().into());
    Some(json!({"hold": {"target": at.name, "escalate": escalate}}).to_string())
}

fn caches(gateway: &Gateway) -> Vec<CacheView> {
    let Some(cache) = &gateway.cache else { return Vec::new() };
    let view = |(at, target): (usize, &Target)| CacheView {
        name: format!("{}-cache", target.name),
        target: target.name.clone(),
        endpoints: group_of(target),
        host: cache.host.clone().unwrap_or_else(|| cache.listen.ip().to_string()),
        discovery: discovery(cache.host.is_none()),
        ip: cache.listen.ip().to_string(),
        port: cache.address(at).port(),
        // On this machine, a cache that is not there refuses the connection.
        patience: if cache.host.is_some() { "2s" } else { "60s" },
        upstream_port: cache.upstream(at).port(),
    };
    gateway.targets.iter().enumerate().map(view).collect()
}

/// The filter's configuration with a line for each field and each target: targets first, the mode
/// last.
fn readable(filter: &Value) -> String {
    let fields: Vec<(&String, &Value)> = filter.as_object().into_iter().flatten().collect();
    let place = |name: &str| match name {
        "targets" => 0,
        "default" => 1,
        "mode" => 3,
        _ => 2,
    };
    let mut ordered = fields;
    ordered.sort_by_key(|(name, _)| place(name));
    let line = |(name, value): &(&String, &Value)| match (name.as_str(), value.as_array()) {
        ("targets", Some(targets)) => {
            let targets: Vec<String> = targets.iter().map(|it| format!("    {it}")).collect();
            format!("  \"targets\": [\n{}\n  ]", targets.join(",\n"))
        }
        _ => format!("  {}: {value}", Value::from(name.as_str())),
    };
    let lines: Vec<String> = ordered.iter().map(line).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// How a host is found. Of a name's addresses one is as good as another.
fn discovery(address: bool) -> &'static str {
    if address { "STATIC" } else { "LOGICAL_DNS" }
}
