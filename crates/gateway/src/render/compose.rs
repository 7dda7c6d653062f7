//! The deployment in containers.

use serde_json::{Value, json};

use super::{Files, Place, RenderError, documents, xds};
use crate::arguments;
use crate::file::{Gateway, Key};

/// Where the rendered files are in the containers.
const INSIDE: &str = "/etc/pointsman";

const ABOUT: &str = "\
#
#   docker compose up
#
# Envoy with the filter, and caches and control plane where the file has them, from published images.
# Keys come from the environment of `docker compose`, or are mounted from where the file has them.
# Only the owner may read rendered files, so Envoy runs as that user: POINTSMAN_USER, 1000:1000 unless
# it says otherwise.
";

/// `docker-compose.yaml`, and what Envoy reads there; the module belongs next to them, as
/// `pointsman.wasm`. `envoy` is the version of Envoy's image.
///
/// # Errors
///
/// Only faults of the templates.
pub fn compose(gateway: &Gateway, place: &Place, envoy: &str) -> Result<Files, RenderError> {
    let published = gateway.listen;
    let inside = inside(gateway);
    let wasm = format!("{INSIDE}/pointsman.wasm");
    let place =
        Place { wasm: &wasm, directory: INSIDE, keys: None, unique: false, ..place.clone() };
    let mut files = xds(&inside, &place)?;
    let keys: Vec<&Key> = gateway.providers.iter().filter_map(|it| it.key.as_ref()).collect();
    let variables = keys.iter().filter_map(|key| match key {
        Key::Env(name) => Some(name.clone()),
        Key::File(_) => None,
    });
    let mounted = keys.iter().filter_map(|key| match key {
        Key::File(path) => Some(format!("{path}:{path}:ro")),
        Key::Env(_) => None,
    });
    let volumes: Vec<String> = std::iter::once(format!("./:{INSIDE}:ro")).chain(mounted).collect();
    let usual = json!({"restart": "unless-stopped", "read_only": true,
                       "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]});
    let service = |more: Value| {
        let mut service = usual.clone();
        for (name, value) in more.as_object().into_iter().flatten() {
            service[name] = value.clone();
        }
        service
    };
    let mut services = json!({"envoy": service(json!({
        "image": format!("envoyproxy/envoy:v{envoy}"),
        "user": "${POINTSMAN_USER:-1000:1000}",
        "command": ["envoy", "-c", format!("{INSIDE}/bootstrap.yaml"), "--disable-hot-restart",
                    "--concurrency", "2", "--file-flush-interval-msec", "1000"],
        "environment": variables.collect::<Vec<_>>(),
        "volumes": volumes,
        "ports": [format!("{published}:{}", published.port())],
    }))});
    let own = format!("ghcr.io/pointsman/pointsman:{}", env!("CARGO_PKG_VERSION"));
    let mut kept = json!({});
    if let Some(cache) = &inside.cache {
        let store = cache.store.clone().unwrap_or_else(|| "/var/lib/pointsman/cache".to_owned());
        services["cache"] = service(json!({
            "image": own, "command": arguments::cache(&inside, cache, Some("envoy")),
            "environment": {"POINTSMAN_CACHE_STORE": store},
            "volumes": ["cache:/var/lib/pointsman"],
        }));
        kept["cache"] = json!({});
    }
    if let Some(control) = &inside.control {
        let mut environment = json!({"POINTSMAN_STORE": control.store});
        for (name, key) in control.secrets() {
            if let Key::Env(variable) = key {
                environment[name] = format!("${{{variable}:?is not set}}").into();
            }
        }
        services["control"] = service(json!({
            "image": own, "command": arguments::serve(&inside, control), "environment": environment,
            "working_dir": "/var/lib/pointsman", "volumes": ["control:/var/lib/pointsman"],
        }));
        kept["control"] = json!({});
    }
    if let Some(capture) = &inside.capture {
        // Prompts go there, so it listens to nobody but Envoy: on the loopback interface of both.
        services["capture"] = service(json!({
            "image": own, "command": arguments::capture(capture), "network_mode": "service:envoy",
            "working_dir": "/var/lib/pointsman", "volumes": ["capture:/var/lib/pointsman"],
        }));
        kept["capture"] = json!({});
    }
    let compose = json!({"services": services, "volumes": kept});
    files.insert("docker-compose.yaml".to_owned(), documents(ABOUT, &[compose])?);
    Ok(files)
}

/// The same where each process has a network address of its own.
fn inside(gateway: &Gateway) -> Gateway {
    let mut gateway = gateway.clone();
    gateway.listen.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
    if let Some(cache) = &mut gateway.cache {
        cache.listen.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        cache.host = Some("cache".to_owned());
    }
    if let Some(control) = &mut gateway.control {
        control.listen.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        control.host = Some("control".to_owned());
    }
    gateway
}
