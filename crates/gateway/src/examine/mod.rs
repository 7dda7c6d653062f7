//! Somebody's own Envoy configuration: what the filter needs there and does not find.
//!
//! Looks at a bootstrap file, at files for discovery, or at `/config_dump`: whatever holds HTTP
//! connection managers and clusters, at any depth.

mod order;

use serde_json::Value;

use pointsman_core::config::{Config, plugin_json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Requests fail, or somebody can do what they must not.
    Fault,
    /// It works, and worse than it could.
    Advice,
    /// It cannot be told from here.
    Unknown,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Where, as a JSON pointer.
    pub place: String,
    pub what: String,
}

const MANAGER: &str = "HttpConnectionManager";
const HEADER: &str = "x-pointsman-cluster";
/// What Envoy holds back of a connection unless it is told otherwise.
const USUAL_BUFFER: u64 = 1 << 20;

/// What is wrong with a configuration, and what could be better.
pub fn examine(configuration: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = false;
    let clusters = named_clusters(configuration);
    walk(configuration, String::new(), &mut |place, value| {
        let Some(filter) = pointsman_of(configuration, value) else { return };
        found = true;
        let listener = listener_of(configuration, place);
        examine_manager(place, value, filter, listener, &clusters, &mut findings);
    });
    walk(configuration, String::new(), &mut |place, value| {
        examine_cluster(place, value, &mut findings);
    });
    if !found {
        findings.push(Finding {
            severity: Severity::Fault,
            place: String::new(),
            what: "no HTTP connection manager here has the filter: a wasm filter whose root_id or \
                   name is pointsman"
                .to_owned(),
        });
    }
    findings
}

/// Visits every object with its place.
fn walk<'v>(value: &'v Value, place: String, visit: &mut impl FnMut(&str, &'v Value)) {
    match value {
        Value::Object(map) => {
            visit(&place, value);
            for (name, value) in map {
                walk(
                    value,
                    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")),
                    visit,
                );
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                walk(value, format!("{place}/{at}"), visit);
            }
        }
        _ => {}
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    value.get("@type").and_then(Value::as_str).is_some_and(|it| it.ends_with(kind))
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The filter of a connection manager.
enum Filter<'v> {
    /// The plug-in's configuration.
    Here(&'v Value),
    /// It is discovered, and not in what is looked at.
    Elsewhere,
}

/// The filter in a connection manager; one that only renames a model does not route.
fn pointsman_of<'v>(configuration: &'v Value, manager: &'v Value) -> Option<Filter<'v>> {
    if !is_of(manager, MANAGER) {
        return None;
    }
    let filters = list(manager, "http_filters");
    let here = filters.iter().filter_map(|it| it.pointer("/typed_config/config"));
    if let Some(plugin) = here.into_iter().find(|plugin| is_pointsman(plugin)) {
        return Some(Filter::Here(plugin));
    }
    let discovered = filters.iter().filter(|it| it.get("config_discovery").is_some());
    for name in discovered.filter_map(|it| it.get("name").and_then(Value::as_str)) {
        let mut found = None;
        walk(configuration, String::new(), &mut |_, value| {
            if value.get("name").and_then(Value::as_str) == Some(name) {
                found = value.pointer("/typed_config/config").or(found);
            }
        });
        match found {
            Some(plugin) if is_pointsman(plugin) => return Some(Filter::Here(plugin)),
            None if name == "pointsman" => return Some(Filter::Elsewhere),
            _ => {}
        }
    }
    None
}

fn is_pointsman(plugin: &Value) -> bool {
    let is = |name: &str| plugin.get(name).and_then(Value::as_str) == Some("pointsman");
    (is("root_id") || is("name")) && !text_of(plugin).is_some_and(|it| routes_nothing(&it))
}

/// Whether a configuration is one of an instance between the router and the models.
fn routes_nothing(text: &str) -> bool {
    pointsman_core::config::Role::from_json(text.as_bytes()).is_some()
}

/// The filter's own configuration as JSON text.
fn text_of(plugin: &Value) -> Option<String> {
    let value = plugin.pointer("/configuration/value")?;
    Some(match value {
        Value::String(text) => text.clone(),
        tree => tree.to_string(),
    })
}

/// The listener that a manager belongs to.
fn listener_of<'v>(configuration: &'v Value, place: &str) -> Option<&'v Value> {
    let (listener, _) = place.split_once("/filter_chains/")?;
    configuration.pointer(listener)
}

fn named_clusters(configuration: &Value) -> Vec<String> {
    let mut names = Vec::new();
    walk(configuration, String::new(), &mut |_, value| {
        let is_cluster = value.get("load_assignment").is_some()
            || value.get("cluster_type").is_some()
            || value.get("lb_policy").is_some()
            || is_of(value, "Cluster");
        if let Some(name) = value.get("name").and_then(Value::as_str).filter(|_| is_cluster) {
            names.push(name.to_owned());
        }
    });
    names
}

fn examine_manager(
    place: &str,
    manager: &Value,
    filter: Filter,
    listener: Option<&Value>,
    clusters: &[String],
    findings: &mut Vec<Finding>,
) {
    let mut add = |severity, what: String| {
        findings.push(Finding { severity, place: place.to_owned(), what });
    };
    if let Filter::Here(plugin) = filter {
        examine_plugin(plugin, listener, clusters, &mut add);
    } else {
        let what =
            "the filter is discovered: look at its file as well, or at the running Envoy (--admin)";
        add(Severity::Unknown, what.to_owned());
    }
    order::examine(manager, &mut add);
    if !drops_the_clients_header(manager) {
        add(
            Severity::Fault,
            format!(
                "a client can choose its own cluster: remove {HEADER} in early_header_mutation_extensions \
             (a header_mutation filter comes too late, because the route is chosen before it)"
            ),
        );
    }
    if manager.pointer("/http2_protocol_options/initial_stream_window_size").is_none() {
        let what = "http2_protocol_options.initial_stream_window_size is not set: HTTP/2 clients may \
                    have 16 MiB held back for each stream";
        add(Severity::Advice, what.to_owned());
    }
    let logs = manager.get("access_log").map(Value::to_string).unwrap_or_default();
    if !logs.contains("wasm.pointsman:") {
        let what = "no access log has the decision: %FILTER_STATE(wasm.pointsman:PLAIN)%";
        add(Severity::Advice, what.to_owned());
    }
    match manager.get("route_config") {
        Some(routes) => examine_routes(&format!("{place}/route_config"), routes, findings),
        None => findings.push(Finding {
            severity: Severity::Unknown,
            place: place.to_owned(),
            what: "routes come from elsewhere (rds): look at them by --admin, or with their file"
                .to_owned(),
        }),
    }
}

/// What is said of the plug-in itself.
fn examine_plugin(
    plugin: &Value,
    listener: Option<&Value>,
    clusters: &[String],
    add: &mut impl FnMut(Severity, String),
) {
    if plugin.get("allow_on_headers_stop_iteration") != Some(&Value::Bool(true)) {
        let what = "allow_on_headers_stop_iteration: true is missing in the plug-in's config: requests \
                    would hang, because the body never reaches the filter";
        add(Severity::Fault, what.to_owned());
    }
    if plugin.get("failure_policy").and_then(Value::as_str) != Some("FAIL_RELOAD") {
        let what = "failure_policy: FAIL_RELOAD is missing in the plug-in's config: after a failure of \
                    the module every request would get 503, or pass it by";
        add(Severity::Advice, what.to_owned());
    }
    let config = text_of(plugin).map(|text| Config::from_json(&plugin_json(text.into_bytes())));
    let config = match config {
        Some(Ok(config)) => Some(config),
        Some(Err(errors)) => {
            for error in errors.0 {
                add(Severity::Fault, format!("the filter's configuration: {error}"));
            }
            None
        }
        None => {
            add(Severity::Fault, "the filter has no configuration".to_owned());
            None
        }
    };
    if let Some(config) = &config {
        for target in &config.targets {
            if !clusters.is_empty() && !clusters.contains(&target.cluster) {
                add(
                    Severity::Fault,
                    format!(
                        "target {}: there is no cluster {} here: its requests would get 503",
                        target.name, target.cluster
                    ),
                );
            }
        }
        let held = config.hold_bytes as u64;
        let buffer = listener
            .and_then(|it| it.get("per_connection_buffer_limit_bytes")?.as_u64())
            .unwrap_or(USUAL_BUFFER);
        if buffer < held {
            add(
                Severity::Fault,
                format!(
                    "per_connection_buffer_limit_bytes is {buffer}, and the filter holds back {held} bytes \
                 (body.hold_bytes): long prompts over HTTP/1 would get 413"
                ),
            );
        }
    }
}

fn drops_the_clients_header(manager: &Value) -> bool {
    let extensions = list(manager, "early_header_mutation_extensions").iter();
    let mut mutations = extensions.flat_map(|it| {
        it.pointer("/typed_config/mutations").and_then(Value::as_array).into_iter().flatten()
    });
    mutations.any(|it| it.get("remove").and_then(Value::as_str) == Some(HEADER))
}

fn examine_routes(place: &str, routes: &Value, findings: &mut Vec<Finding>) {
    let mut decided = Vec::new();
    let mut others = false;
    for host in list(routes, "virtual_hosts") {
        for route in list(host, "routes") {
            let named = route.pointer("/route/cluster_header").and_then(Value::as_str);
            if named.is_some_and(|it| it.eq_ignore_ascii_case(HEADER)) {
                decided.push((host, route));
            } else {
                others = true;
            }
        }
    }
    let mut add = |severity, what: &str| {
        let place = place.to_owned();
        findings.push(Finding { severity, place, what: what.to_owned() });
    };
    if decided.is_empty() {
        add(
            Severity::Fault,
            "no route has cluster_header: x-pointsman-cluster: decisions take no effect",
        );
    } else if !others {
        add(
            Severity::Fault,
            "there is no route without the header: what the filter lets pass would get 404",
        );
    }
    for (host, route) in decided {
        let headers = route.pointer("/match/headers").and_then(Value::as_array);
        let needs = headers.is_some_and(|all| {
            all.iter().any(|it| it.get("name").and_then(Value::as_str) == Some(HEADER))
        });
        if !needs {
            add(
                Severity::Fault,
                "the route with cluster_header does not ask for the header (present_match): requests \
                 without it would get 503",
            );
        }
        if route.pointer("/route/timeout").is_none() {
            add(
                Severity::Fault,
                "the route has no timeout: 0s: answers are cut off after 15 seconds",
            );
        }
        let retries = route.pointer("/route/retry_policy").or_else(|| host.get("retry_policy"));
        if retries.is_none() {
            add(
                Severity::Advice,
                "the route has no retry_policy: a failing target fails its requests",
            );
        }
        let removed = [route, host, routes].iter().any(|it| {
            list(it, "request_headers_to_remove").iter().any(|name| name.as_str() == Some(HEADER))
        });
        if !removed {
            add(
                Severity::Advice,
                "the provider sees x-pointsman-cluster: request_headers_to_remove",
            );
        }
    }
}

/// A cluster that sends to a port of TLS in plain text.
fn examine_cluster(place: &str, cluster: &Value, findings: &mut Vec<Finding>) {
    let plain = cluster.get("transport_socket").is_none()
        && cluster.get("transport_socket_matches").is_none();
    let Some(endpoints) = cluster.get("load_assignment").filter(|_| plain) else { return };
    let mut tls_port = false;
    walk(endpoints, String::new(), &mut |_, value| {
        tls_port |= value.get("port_value").and_then(Value::as_u64) == Some(443);
    });
    if tls_port {
        let name = cluster.get("name").and_then(Value::as_str).unwrap_or_default();
        findings.push(Finding {
            severity: Severity::Fault,
            place: place.to_owned(),
            what: format!(
                "cluster {name} sends prompts and keys in plain text to port 443: it has no transport_socket"
            ),
        });
    }
}

#[cfg(test)]
mod tests;
