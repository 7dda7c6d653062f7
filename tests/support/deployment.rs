//! The documented deployment, `envoy/envoy.yaml`, adapted for one run.
//!
//! The file is changed as a tree and not as text, so that a test which no longer finds what it
//! changes fails instead of running something else.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Envoy's bootstrap configuration as a JSON tree.
#[derive(Clone)]
pub struct Deployment {
    tree: Value,
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

impl Deployment {
    /// `envoy/envoy.yaml` with this module, and with ports that the system picks.
    pub fn documented(wasm: &Path) -> Result<Self> {
        let path = super::root().join("envoy/envoy.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let tree = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        let mut deployment = Self { tree };
        deployment.set("/admin/address/socket_address/port_value", json!(0))?;
        deployment
            .set("/static_resources/listeners/0/address/socket_address/port_value", json!(0))?;
        deployment.set_plugin("vm_config/code/local/filename", json!(wasm))?;
        Ok(deployment)
    }

    /// Sends the cluster `name` to `address`.
    pub fn set_upstream(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let clusters = self
            .tree
            .pointer_mut("/static_resources/clusters")
            .and_then(Value::as_array_mut)
            .context("envoy.yaml has no clusters")?;
        let endpoint = clusters
            .iter_mut()
            .find(|cluster| cluster["name"] == name)
            .and_then(|cluster| {
                cluster.pointer_mut(
                    "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address",
                )
            })
            .with_context(|| format!("envoy.yaml has no cluster {name} with an endpoint"))?;
        *endpoint = json!({"address": address.ip().to_string(), "port_value": address.port()});
        Ok(())
    }

    /// Adds the cluster `name`, at `address`.
    pub fn add_cluster(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let clusters = self
            .tree
            .pointer_mut("/static_resources/clusters")
            .and_then(Value::as_array_mut)
            .context("envoy.yaml has no clusters")?;
        let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
        clusters.push(json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": {"socket_address": socket}}}]}]}
        }));
        Ok(())
    }

    /// The filter's own configuration, parsed.
    pub fn filter_configuration(&self) -> Result<Value> {
        let text = self
            .tree
            .pointer(&plugin("configuration/value"))
            .and_then(Value::as_str)
            .context("envoy.yaml has no filter configuration")?;
        serde_json::from_str(text).context("the filter configuration in envoy.yaml")
    }

    /// Replaces the filter's own configuration, which may be anything but right.
    pub fn set_filter_configuration(&mut self, text: &str) -> Result<()> {
        self.set_plugin("configuration/value", json!(text))
    }

    /// Lets request trailers of HTTP/1 through, which Envoy drops by default, so that the filter
    /// sees them on both protocols.
    pub fn enable_http1_trailers(&mut self) -> Result<()> {
        let manager = self.tree.pointer_mut(MANAGER).context("envoy.yaml has no HTTP manager")?;
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        Ok(())
    }

    /// The bootstrap configuration as JSON, which Envoy reads as it reads YAML.
    pub fn to_json(&self) -> String {
        self.tree.to_string()
    }

    fn set_plugin(&mut self, field: &str, value: Value) -> Result<()> {
        self.set(&plugin(field), value)
    }

    fn set(&mut self, pointer: &str, value: Value) -> Result<()> {
        let place = self
            .tree
            .pointer_mut(pointer)
            .with_context(|| format!("envoy.yaml has no {pointer}"))?;
        *place = value;
        Ok(())
    }
}

fn plugin(field: &str) -> String {
    format!("{MANAGER}/http_filters/0/typed_config/config/{field}")
}
