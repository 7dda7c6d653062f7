//! What the templates are filled with.

use minijinja::Error;
use serde::Serialize;
use serde_json::{Value, json};

use pointsman_core::api::ApiFormat;

use super::xds::with;
use super::{Place, RenderError};
use crate::file::{AccessLog, Control, Endpoint, Gateway, Key, Provider, Target, Tls};
use crate::kind::Authentication;

/// Headers by which somebody could say who they are.
const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

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
    apis: Vec<Api>,
    variants: Vec<Variant>,
    counts: Vec<Beside>,
    besides: Vec<Beside>,
    lists: Vec<List>,
    groups: Vec<Group>,
    endpoints: Vec<EndpointView>,
    caches: Vec<CacheView>,
    control: Option<Process>,
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

/// An API as the listener's routes know it.
#[derive(Serialize)]
struct Api {
    name: &'static str,
    path: &'static str,
    /// Where requests go that nothing decides; `None` when no target serves the API.
    cluster: Option<String>,
}

/// A target that is replaced by others in one API than in the rest, or by fewer than another is.
#[derive(Serialize)]
struct Variant {
    target: String,
    /// `None` for all other APIs.
    path: Option<&'static str>,
    cluster: String,
    retries: usize,
}

#[derive(Clone, Serialize)]
struct Beside {
    provider: String,
    path: String,
    cluster: String,
    /// Whether the provider is of Anthropic's kind.
    anthropic: bool,
    /// Only for clients that say that they speak its API.
    spoken: bool,
}

#[derive(PartialEq, Serialize)]
struct List {
    name: String,
    clusters: Vec<String>,
}

/// Endpoints that share a target's requests.
#[derive(Serialize)]
struct Group {
    name: String,
    target: String,
    endpoints: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    id: String,
    weight: u64,
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

#[derive(Serialize)]
struct EndpointView {
    id: String,
    target: String,
    provider: String,
    model: String,
    host: String,
    port: u16,
    discovery: &'static str,
    authority: String,
    tls: Option<EndpointTls>,
    passthrough: bool,
    remove: Vec<String>,
    headers: Vec<Header>,
    routes: Vec<Route>,
    query: Option<Query>,
    key: Option<KeyHeader>,
    signature: Option<Signature>,
}

#[derive(Serialize)]
struct EndpointTls {
    sni: Option<String>,
    name: String,
    san: &'static str,
    ca: String,
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: String,
    action: &'static str,
}

#[derive(Serialize)]
struct Route {
    path: String,
    rewritten: String,
}

#[derive(Serialize)]
struct Query {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct KeyHeader {
    header: &'static str,
    prefix: &'static str,
}

#[derive(Serialize)]
struct Signature {
    service: &'static str,
    region: String,
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

/// Where an API is, as a pattern for the whole path: whatever stands before it may be a gateway's, as
/// the filter has it.
const fn path_of(api: ApiFormat) -> &'static str {
    match api {
        ApiFormat::ChatCompletions => ".*/(chat/completions)/*",
        // Behind anything but `chat`; Envoy's patterns cannot look behind themselves.
        ApiFormat::Completions => concat!(
            "(?:.*/(?:[^/]{0,3}|[^/]{5,}|[^c/][^/]{3}|c[^h/][^/]{2}|ch[^a/][^/]|cha[^t/]))?",
            "/(completions)/*"
        ),
        ApiFormat::Responses => ".*/(responses)/*",
        ApiFormat::Messages => ".*/v1/(messages)/*",
    }
}

const APIS: [(&str, ApiFormat); 4] = ApiFormat::NAMES;

fn group_of(target: &Target) -> String {
    format!("{}-endpoints", target.name)
}

/// An endpoint's name: its target's, with a number from the second on.
fn endpoint_id(target: &Target, at: usize) -> String {
    match at {
        0 => format!("{}-model", target.name),
        at => format!("{}-model-{}", target.name, at + 1),
    }
}

fn member_of(target: &Target, at: usize) -> String {
    format!("{}-only", endpoint_id(target, at))
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
            filter: serde_json::to_string_pretty(&filter).unwrap_or_default(),
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
            apis: APIS.into_iter().map(|(name, api)| api_view(gateway, name, api)).collect(),
            variants,
            counts: counts(gateway),
            besides: besides(gateway),
            lists,
            groups: targets.iter().flat_map(groups).collect(),
            endpoints: targets
                .iter()
                .flat_map(|target| {
                    target.endpoints.iter().enumerate().filter_map(|(at, endpoint)| {
                        let provider = gateway.providers.get(endpoint.provider)?;
                        Some(endpoint_view(target, at, endpoint, provider, place))
                    })
                })
                .collect(),
            caches: caches(gateway),
            control: control.map(|control: &Control| Process {
                host: control.host.clone().unwrap_or_else(|| control.listen.ip().to_string()),
                discovery: discovery(control.host.is_none()),
                port: control.listen.port(),
            }),
        };
        let tenant = filter.get("tenant_header").and_then(Value::as_str);
        let view = view.without(tenant);
        if place.unique { view.with_unique_names() } else { view }
    }

    /// The same, where providers do not see the header that names the caller. Credentials have been
    /// seen to.
    fn without(mut self, header: Option<&str>) -> Self {
        if let Some(header) = header.filter(|it| !CREDENTIALS.contains(it)) {
            self.endpoints.iter_mut().for_each(|it| it.remove.push(header.to_owned()));
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

    /// The values, and each part of `envoy.yaml`.
    pub(super) fn with_filter(&self) -> Result<Value, RenderError> {
        let mut values = serde_json::to_value(self)
            .map_err(|error| Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()))?;
        values["main_filter"] = super::templates::render("filter.yaml", &values)?.trim_end().into();
        Ok(with(
            &values,
            [
                ("head", "head.yaml"),
                ("stats", "stats.yaml"),
                ("listeners", "listeners.yaml"),
                ("clusters", "clusters.yaml"),
            ],
        )?)
    }
}

const NOTE: &str = "# Made from pointsman.yaml by `pointsman render`: edit that file, and render again.";

fn api_view(gateway: &Gateway, name: &'static str, api: ApiFormat) -> Api {
    let serving = gateway.order(gateway.default, api);
    let target = serving.first().and_then(|at| gateway.targets.get(*at));
    Api { name, path: path_of(api), cluster: target.map(alone) }
}

/// A target without those that replace it: what nobody decided on is not sent elsewhere.
fn alone(target: &Target) -> String {
    format!("{}-alone", target.name)
}

/// The clusters that are asked for a target in an API, one after the other.
fn chain(gateway: &Gateway, at: usize, api: ApiFormat) -> Vec<String> {
    let targets = gateway.order(at, api).into_iter().filter_map(|at| gateway.targets.get(at));
    targets.flat_map(|target| own(gateway, target)).collect()
}

/// The clusters of a target alone.
fn own(gateway: &Gateway, target: &Target) -> Vec<String> {
    let cache = gateway.cache.as_ref().map(|_| format!("{}-cache", target.name));
    // One of several endpoints has failed: each is asked before the next target.
    let several = target.endpoints.len() > 1;
    let members = (0..target.endpoints.len()).filter(|_| several).map(|at| member_of(target, at));
    cache.into_iter().chain([group_of(target)]).chain(members).collect()
}

/// Attempts after the first: with more than there are clusters, Envoy would ask them once more.
fn retries(clusters: &[String]) -> usize {
    clusters.len().saturating_sub(1)
}

/// The lists of clusters by target, and those of single APIs that differ.
fn lists(gateway: &Gateway) -> (Vec<List>, Vec<Variant>) {
    let mut lists: Vec<List> = Vec::new();
    let mut variants = Vec::new();
    let variant = |target: &Target, path, cluster: &str, clusters: &[String]| Variant {
        target: target.name.clone(),
        path,
        cluster: cluster.to_owned(),
        retries: retries(clusters),
    };
    let mut usual = Vec::new();
    for (at, target) in gateway.targets.iter().enumerate() {
        let served = APIS.into_iter().filter(|(_, api)| target.apis.contains(api));
        let mut chains = served.map(|(name, api)| (name, api, chain(gateway, at, api)));
        let Some((_, _, first)) = chains.next() else { continue };
        lists.push(List { name: target.name.clone(), clusters: first.clone() });
        usual.push(variant(target, None, &target.name, &first));
        for (name, api, clusters) in chains.filter(|(_, _, clusters)| *clusters != first) {
            let cluster = format!("{}.{name}", target.name);
            variants.push(variant(target, Some(path_of(api)), &cluster, &clusters));
            lists.push(List { name: cluster, clusters });
        }
    }
    let longest = lists.iter().map(|list| retries(&list.clusters)).max();
    usual.retain(|variant| Some(variant.retries) < longest);
    variants.append(&mut usual);
    for (_, api) in APIS {
        let first = gateway.order(gateway.default, api).first().copied();
        let Some(target) = first.and_then(|at| gateway.targets.get(at)) else { continue };
        if lists.iter().all(|list| list.name != alone(target)) {
            lists.push(List { name: alone(target), clusters: own(gateway, target) });
        }
    }
    (lists, variants)
}

/// What providers have beside the APIs: the default target's first, then the strongest's. A path of
/// several goes to the first, unless the client's SDK says whose API it speaks.
fn besides(gateway: &Gateway) -> Vec<Beside> {
    let all: Vec<Beside> = beside_of(gateway).into_iter().map(|(beside, _)| beside).collect();
    let spoken = all.iter().filter(|it| it.anthropic).map(|it| Beside { spoken: true, ..it.clone() });
    let mixed = all.iter().any(|it| it.anthropic) && all.iter().any(|it| !it.anthropic);
    let (theirs, ours): (Vec<Beside>, Vec<Beside>) = all.iter().cloned().partition(|it| it.anthropic);
    match mixed {
        true => spoken.chain(ours).chain(theirs).collect(),
        false => all,
    }
}

/// Paths beside the APIs that the filter sends to the default target, whose provider does not have
/// them, while another has.
fn counts(gateway: &Gateway) -> Vec<Beside> {
    let all = beside_of(gateway);
    let default = gateway.targets.get(gateway.default).and_then(|it| it.endpoints.first());
    let default = default.and_then(|it| gateway.providers.get(it.provider));
    let mut counts = Vec::new();
    for (known, paths) in COUNTS {
        let has = |(_, beside): &&(Beside, &str)| beside.split('|').any(|it| it == known);
        if let Some((beside, _)) = all.iter().find(has)
            && default.is_some_and(|it| it.name != beside.provider)
        {
            counts.push(Beside {
                provider: beside.provider.clone(),
                path: format!(".*/v1/{paths}/*"),
                cluster: beside.cluster.clone(),
                anthropic: false,
                spoken: false,
            });
        }
    }
    counts
}

/// Paths that the filter knows beside the APIs, as [`crate::kind::Facts::beside`] has them and as
/// patterns.
const COUNTS: [(&str, &str); 2] = [
    ("messages/count_tokens", "messages/count_tokens"),
    ("responses/.+", "responses/(?:input_tokens|compact)"),
];

/// Providers with paths beside the APIs, and these as their kind has them.
fn beside_of(gateway: &Gateway) -> Vec<(Beside, &'static str)> {
    let others = (0..gateway.targets.len()).rev().filter(|at| *at != gateway.default);
    let mut found: Vec<(Beside, &str)> = Vec::new();
    for at in std::iter::once(gateway.default).chain(others) {
        let Some(target) = gateway.targets.get(at) else { continue };
        let Some(endpoint) = target.endpoints.first() else { continue };
        let Some(provider) = gateway.providers.get(endpoint.provider) else { continue };
        let paths = provider.kind.facts().beside;
        if paths.is_empty() || found.iter().any(|(it, _)| it.provider == provider.name) {
            continue;
        }
        let several = target.endpoints.len() > 1;
        let beside = Beside {
            provider: provider.name.clone(),
            path: format!(".*/v1/(?:{paths})/*"),
            cluster: if several { member_of(target, 0) } else { group_of(target) },
            anthropic: provider.kind == crate::Kind::Anthropic,
            spoken: false,
        };
        found.push((beside, paths));
    }
    found
}

fn groups(target: &Target) -> Vec<Group> {
    let members = target.endpoints.iter().enumerate();
    let members = members.map(|(at, it)| Member { id: endpoint_id(target, at), weight: it.weight });
    let all = Group {
        name: group_of(target),
        target: target.name.clone(),
        endpoints: members.collect(),
    };
    let single = (0..target.endpoints.len()).map(|at| Group {
        name: member_of(target, at),
        target: target.name.clone(),
        endpoints: vec![Member { id: endpoint_id(target, at), weight: 1 }],
    });
    let several = target.endpoints.len() > 1;
    std::iter::once(all).chain(single.filter(|_| several)).collect()
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

fn endpoint_view(
    target: &Target,
    at: usize,
    endpoint: &Endpoint,
    provider: &Provider,
    place: &Place,
) -> EndpointView {
    let facts = provider.kind.facts();
    let url = &provider.url;
    let key = match (facts.authentication, &provider.key) {
        (Authentication::Key { header, prefix }, Some(_)) => Some(KeyHeader { header, prefix }),
        _ => None,
    };
    let signature = match facts.authentication {
        Authentication::Signature { service } => {
            Some(Signature { service, region: provider.region.clone() })
        }
        Authentication::Key { .. } => None,
    };
    // Anthropic takes a key in one header, and a subscription's token in the other; so does Azure.
    let own = |name: &str| match facts.authentication {
        Authentication::Key { header, .. } => name == header || name == "authorization",
        Authentication::Signature { .. } => false,
    };
    let removed = |name: &&str| !(provider.passthrough && own(name));
    let usual = facts.headers.iter().map(|(name, value)| Header {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
        action: "ADD_IF_ABSENT",
    });
    let extra = provider.headers.iter().map(|(name, value)| Header {
        name: name.clone(),
        value: value.clone(),
        action: "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    let ip = url.ip();
    let azure = provider.kind == crate::Kind::Azure;
    EndpointView {
        id: endpoint_id(target, at),
        target: target.name.clone(),
        provider: provider.name.clone(),
        model: endpoint.model.clone(),
        host: url.host.clone(),
        port: url.port,
        discovery: discovery(ip.is_some()),
        authority: url.authority(),
        tls: url.tls.then(|| EndpointTls {
            sni: ip.is_none().then(|| url.host.clone()),
            name: url.host.clone(),
            san: if ip.is_some() { "IP_ADDRESS" } else { "DNS" },
            ca: provider.ca.clone().unwrap_or_else(|| place.ca.to_owned()),
        }),
        passthrough: provider.passthrough,
        remove: CREDENTIALS.into_iter().filter(removed).map(str::to_owned).collect(),
        headers: usual.chain(extra).collect(),
        routes: routes(target, endpoint, provider),
        query: azure
            .then(|| Query { name: "api-version", value: provider.api_version.clone() }),
        key,
        signature,
    }
}

/// How a host is found. Of a name's addresses one is as good as another.
fn discovery(address: bool) -> &'static str {
    if address { "STATIC" } else { "LOGICAL_DNS" }
}

/// The paths that an endpoint serves, and what its provider calls them.
fn routes(target: &Target, endpoint: &Endpoint, provider: &Provider) -> Vec<Route> {
    // A backslash begins a group's number in the substitution.
    let prefix = match provider.kind {
        crate::Kind::Azure => {
            let deployment = percent_encoded(&endpoint.model);
            format!("{}/openai/deployments/{deployment}", provider.url.path)
        }
        _ => provider.url.path.clone(),
    };
    let rewritten = format!("{prefix}/\\1");
    let apis = APIS.into_iter().filter(|(_, api)| target.apis.contains(api));
    let apis = apis.map(|(_, api)| path_of(api).to_owned());
    let beside = provider.kind.facts().beside;
    let beside = (!beside.is_empty()).then(|| format!(".*/v1/({beside})/*"));
    let all = apis.chain(beside);
    all.map(|path| Route { path, rewritten: rewritten.clone() }).collect()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
