//! Kubernetes resources against the types that crates have for their kinds. A type refuses missing
//! and unknown fields, values of another type and names outside an enumeration. It does not know
//! the patterns and ranges of strings and numbers; of those, only a route's timeouts are checked.
use std::sync::LazyLock;

use kcr_extensions_istio_io::v1alpha1::wasmplugins::WasmPlugin;
use kcr_gateway_networking_k8s_io::v1::httproutes::HttpRoute;
use kcr_networking_istio_io::v1::virtualservices::VirtualService;
use kcr_networking_istio_io::v1alpha3::envoyfilters::EnvoyFilter;
use kcr_telemetry_istio_io::v1::telemetries::Telemetry;
use kube::Resource;
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with a resource. `None` if no type has its API version and kind.
pub fn check(resource: &Value) -> Option<Result<(), String>> {
    read(resource, |_: &WasmPlugin| Ok(()))
        .or_else(|| read(resource, |_: &VirtualService| Ok(())))
        .or_else(|| read(resource, |_: &EnvoyFilter| Ok(())))
        .or_else(|| read(resource, |_: &Telemetry| Ok(())))
        .or_else(|| read(resource, timeouts))
}

/// `rule` is what the type itself does not say.
fn read<T>(
    resource: &Value,
    rule: impl FnOnce(&T) -> Result<(), String>,
) -> Option<Result<(), String>>
where
    T: DeserializeOwned + Resource<DynamicType = ()>,
{
    let same = resource["apiVersion"] == *T::api_version(&()) && resource["kind"] == *T::kind(&());
    same.then(|| {
        let mut unknown = Vec::new();
        let typed: T = serde_ignored::deserialize(resource, |path| unknown.push(path.to_string()))
            .map_err(|error| error.to_string())?;
        // The two that were just compared are not fields of the types.
        unknown.retain(|path| path != "apiVersion" && path != "kind");
        if !unknown.is_empty() {
            return Err(format!("unknown fields: {}", unknown.join(", ")));
        }
        rule(&typed)
    })
}

/// A duration's pattern in the Gateway API (GEP-2257). The type has plain strings.
static DURATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^([0-9]{1,5}(h|m|s|ms)){1,4}$").unwrap());

fn timeouts(route: &HttpRoute) -> Result<(), String> {
    let timeouts = route.spec.rules.iter().flatten().filter_map(|rule| rule.timeouts.as_ref());
    let mut durations = timeouts.flat_map(|it| it.request.iter().chain(&it.backend_request));
    match durations.find(|text| !DURATION.is_match(text)) {
        Some(text) => Err(format!("not a duration: {text}")),
        None => Ok(()),
    }
}
