//! The deployment in a gateway of Istio's or Envoy Gateway's: the same listeners and clusters, added
//! to the Envoy that is there.

use serde_json::{Map, Value, json};

use super::{Files, NOTE, Place, RenderError};
use crate::file::Gateway;

/// What is added to an Envoy.
struct Parts {
    /// What only a bootstrap can hold: internal listeners, labels of metrics, runtime.
    bootstrap: Value,
    listeners: Vec<Value>,
    clusters: Vec<Value>,
}

impl Parts {
    fn of(files: &Files) -> Result<Self, RenderError> {
        let text = files.get("envoy.yaml").map(String::as_str).unwrap_or_default();
        let mut tree: Value =
            serde_saphyr::from_str(text).map_err(|error| RenderError::Tree(error.to_string()))?;
        let mut take = |pointer: &str| match tree.pointer_mut(pointer).map(Value::take) {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        let listeners = take("/static_resources/listeners");
        let clusters = take("/static_resources/clusters");
        let kept = ["bootstrap_extensions", "layered_runtime", "stats_config"];
        let kept = kept
            .map(|name| (name.to_owned(), tree.get_mut(name).map(Value::take).unwrap_or_default()));
        Ok(Parts { bootstrap: Value::Object(Map::from_iter(kept)), listeners, clusters })
    }
}

/// The same without what stands in front of Envoy's admin interface: gateways have their own.
fn own_admin(gateway: &Gateway) -> Gateway {
    let mut gateway = gateway.clone();
    gateway.metrics = None;
    gateway
}

/// Resources as YAML documents.
pub(super) fn documents(about: &str, resources: &[Value]) -> Result<String, RenderError> {
    let mut text = format!("{NOTE}\n{about}");
    for (at, resource) in resources.iter().enumerate() {
        if at > 0 {
            text.push_str("---\n");
        }
        let resource = serde_saphyr::to_string(resource)
            .map_err(|error| RenderError::Tree(error.to_string()))?;
        text.push_str(&resource);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

/// Files that say where keys are, as a resource to mount at `PLACE/secrets`.
fn config_map(files: &Files, namespace: &str) -> Option<Value> {
    let secrets: Map<String, Value> = files
        .iter()
        .filter_map(|(name, text)| {
            Some((name.strip_prefix("secrets/")?.to_owned(), text.as_str().into()))
        })
        .collect();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
                     "metadata": {"name": "pointsman-secrets", "namespace": namespace},
                     "data": secrets.clone()});
    (!secrets.is_empty()).then_some(map)
}

const ISTIO: &str = "\
# For an Istio ingress gateway: everything is added to its Envoy, on a port of its own. Mount the module
# (an image or a volume), the ConfigMap below as secrets/, and the keys that it names; open the port in
# the gateway's Service; restart the gateway once, because a bootstrap is read at the start. For the
# filter's metrics, annotate the pod: sidecar.istio.io/statsInclusionPrefixes: wasmcustom
";

const ENVOY_GATEWAY: &str = "\
# For Envoy Gateway: everything is added to its Envoy, on a port of its own, which the Service opens.
# Patch policies must be switched on (extensionApis.enableEnvoyPatchPolicy). What is not here: how the
# module gets into the pod, and the keys that secrets/ names.
";

/// `envoyfilter.yaml`: an `EnvoyFilter`, and a `ConfigMap` where there are keys.
///
/// # Errors
///
/// Only faults of the templates.
pub fn istio(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let files = super::envoy(&own_admin(gateway), place)?;
    let parts = Parts::of(&files)?;
    let patch = |kind: &str, operation: &str, value: Value| {
        json!({"applyTo": kind, "match": {"context": "GATEWAY"},
               "patch": {"operation": operation, "value": value}})
    };
    let clusters = parts.clusters.into_iter().map(|it| patch("CLUSTER", "ADD", it));
    let listeners = parts.listeners.into_iter().map(|it| patch("LISTENER", "ADD", it));
    // Istio's own bootstrap has internal listeners and an admin layer; lists are added to, and a
    // second of either is refused.
    let mut bootstrap = parts.bootstrap;
    if let Some(fields) = bootstrap.as_object_mut() {
        fields.remove("bootstrap_extensions");
    }
    if let Some(layers) =
        bootstrap.pointer_mut("/layered_runtime/layers").and_then(Value::as_array_mut)
    {
        layers.retain(|layer| layer.get("admin_layer").is_none());
    }
    let patches: Vec<Value> = std::iter::once(patch("BOOTSTRAP", "MERGE", bootstrap))
        .chain(clusters)
        .chain(listeners)
        .collect();
    let filter = json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "pointsman", "namespace": "istio-system"},
        "spec": {"workloadSelector": {"labels": {"istio": "ingressgateway"}}, "configPatches": patches},
    });
    let resources: Vec<Value> =
        std::iter::once(filter).chain(config_map(&files, "istio-system")).collect();
    Ok(Files::from([("envoyfilter.yaml".to_owned(), documents(ISTIO, &resources)?)]))
}

/// `pointsman.yaml`: a `Gateway`, an `EnvoyPatchPolicy`, an `EnvoyProxy`, and a `ConfigMap` where there
/// are keys.
///
/// # Errors
///
/// Only faults of the templates.
pub fn envoy_gateway(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let files = super::envoy(&own_admin(gateway), place)?;
    let parts = Parts::of(&files)?;
    let add = |kind: &str, value: Value| {
        json!({"type": format!("type.googleapis.com/envoy.config.{kind}"), "name": value["name"].clone(),
               "operation": {"op": "add", "path": "", "value": value}})
    };
    let clusters = parts.clusters.into_iter().map(|it| add("cluster.v3.Cluster", it));
    let listeners = parts.listeners.into_iter().map(|it| add("listener.v3.Listener", it));
    let patches: Vec<Value> = clusters.chain(listeners).collect();
    let metadata = json!({"name": "pointsman", "namespace": "default"});
    let policy = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy", "metadata": metadata,
        "spec": {"targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "llm"},
                 "type": "JSONPatch", "jsonPatches": patches},
    });
    let bootstrap = serde_saphyr::to_string(&parts.bootstrap)
        .map_err(|error| RenderError::Tree(error.to_string()))?;
    let port = gateway.listen.port();
    let service = json!({"patch": {"type": "StrategicMerge", "value": {"spec": {"ports": [
        {"name": "pointsman", "port": port, "targetPort": port, "protocol": "TCP"}]}}}});
    let mounted = config_map(&files, "default").map(|_| {
        json!({"pod": {"volumes": [{"name": "pointsman-secrets", "configMap": {"name": "pointsman-secrets"}}]},
               "container": {"volumeMounts": [{"name": "pointsman-secrets",
                             "mountPath": format!("{}/secrets", place.directory), "readOnly": true}]}})
    });
    let mut kubernetes = json!({"envoyService": service});
    if let Some(mounted) = mounted {
        kubernetes["envoyDeployment"] = mounted;
    }
    let proxy = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata,
        "spec": {"bootstrap": {"type": "Merge", "value": bootstrap},
                 "provider": {"type": "Kubernetes", "kubernetes": kubernetes}},
    });
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "llm", "namespace": "default"},
        "spec": {"gatewayClassName": "eg",
                 "infrastructure": {"parametersRef": {"group": "gateway.envoyproxy.io",
                                    "kind": "EnvoyProxy", "name": "pointsman"}},
                 "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    });
    let resources: Vec<Value> =
        [class, policy, proxy].into_iter().chain(config_map(&files, "default")).collect();
    Ok(Files::from([("pointsman.yaml".to_owned(), documents(ENVOY_GATEWAY, &resources)?)]))
}
