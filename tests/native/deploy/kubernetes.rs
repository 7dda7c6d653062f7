//! Kubernetes resources against the types that crates have for their kinds. A type refuses missing
//! and unknown fields, values of another type and names outside an enumeration. It does not know
//! the patterns and ranges of strings and numbers.

use k8s_openapi::api::core::v1::ConfigMap;
use kcr_gateway_networking_k8s_io::v1::gateways::Gateway;
use kcr_networking_istio_io::v1alpha3::envoyfilters::EnvoyFilter;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with a resource. `None` if no type has its API version and kind.
pub fn check(resource: &Value) -> Option<Result<(), String>> {
    let is =
        |version: &str, kind: &str| resource["apiVersion"] == version && resource["kind"] == kind;
    if is("v1", "ConfigMap") {
        Some(read::<ConfigMap>(resource))
    } else if is("networking.istio.io/v1alpha3", "EnvoyFilter") {
        Some(read::<EnvoyFilter>(resource))
    } else if is("gateway.networking.k8s.io/v1", "Gateway") {
        Some(read::<Gateway>(resource))
    } else {
        None
    }
}

fn read<T: DeserializeOwned>(resource: &Value) -> Result<(), String> {
    let mut unknown = Vec::new();
    serde_ignored::deserialize::<_, _, T>(resource, |path| unknown.push(path.to_string()))
        .map_err(|error| error.to_string())?;
    // The two that were just compared are not fields of all types.
    unknown.retain(|path| path != "apiVersion" && path != "kind");
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("unknown fields: {}", unknown.join(", "))),
    }
}

/// Fields of Envoy Gateway's own kinds, for which no crate has types: those that are used here, from
/// the API reference of Envoy Gateway 1.5
/// (<https://gateway.envoyproxy.io/v1.5/api/extension_types/>). Compared by hand, and only by name.
pub const ENVOY_GATEWAY: [(&str, &[&str]); 10] = [
    ("/spec", &["targetRef", "type", "jsonPatches", "bootstrap", "provider"]),
    ("/spec/targetRef", &["group", "kind", "name"]),
    ("/spec/jsonPatches/0", &["type", "name", "operation"]),
    ("/spec/jsonPatches/0/operation", &["op", "path", "value"]),
    ("/spec/bootstrap", &["type", "value"]),
    ("/spec/provider", &["type", "kubernetes"]),
    ("/spec/provider/kubernetes", &["envoyService", "envoyDeployment"]),
    ("/spec/provider/kubernetes/envoyService", &["patch"]),
    ("/spec/provider/kubernetes/envoyService/patch", &["type", "value"]),
    ("/spec/provider/kubernetes/envoyDeployment", &["pod", "container"]),
];
