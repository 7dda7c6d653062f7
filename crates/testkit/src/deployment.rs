//! The documented deployment, `envoy/envoy.yaml`, adapted for one run.
//!
//! The file is changed as a tree and not as text, so that a test which no longer finds what it
//! changes fails instead of running something else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Envoy's bootstrap configuration as a JSON tree.
#[derive(Clone)]
pub struct Deployment {
    tree: Value,
    /// What Envoy's environment has besides this process's.
    environment: Vec<(String, String)>,
}

/// Where a listener has its HTTP manager.
const LISTENERS_MANAGER: &str = "/filter_chains/0/filters/0/typed_config";
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

impl Deployment {
    /// `envoy/envoy.yaml` with this module, and with ports that the system picks.
    pub fn documented(wasm: &Path) -> Result<Self> {
        let path = super::root().join("envoy/envoy.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let tree = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        let mut deployment = Self::of(tree);
        deployment.set("/admin/address/socket_address/port_value", json!(0))?;
        deployment
            .set("/static_resources/listeners/0/address/socket_address/port_value", json!(0))?;
        deployment.set_plugin("vm_config/code/local/filename", json!(wasm))?;
        Ok(deployment)
    }

    /// `deploy/xds`, the same as files that Envoy watches: copied into `directory`, with this
    /// module, ports that the system picks, and each cluster sent to its address.
    pub fn watched(
        wasm: &Path,
        directory: &Path,
        upstreams: &[(&str, SocketAddr)],
    ) -> Result<(Self, Watched)> {
        let read = |name: &str| -> Result<Value> {
            let path = super::root().join("deploy/xds").join(name);
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let text = text.replace("deploy/xds", &directory.display().to_string());
            serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
        };
        let mut start = Self::of(read("bootstrap.yaml")?);
        start.set("/admin/address/socket_address/port_value", json!(0))?;
        let mut clusters = read("clusters.yaml")?;
        for (name, address) in upstreams {
            let list = clusters["resources"].as_array_mut().context("no clusters")?;
            redirect(list, name, *address)?;
        }
        let mut listener = read("listeners.yaml")?;
        listener["resources"][0]["address"]["socket_address"]["port_value"] = json!(0);
        let mut filter = read("filter.yaml")?;
        set(&mut filter, &format!("{WATCHED_PLUGIN}/vm_config/code/local/filename"), json!(wasm))?;
        let watched = Watched { directory: directory.to_owned(), filter, listener };
        watched.replace("clusters.yaml", &clusters)?;
        watched.replace("listeners.yaml", &watched.listener)?;
        watched.replace("filter.yaml", &watched.filter)?;
        Ok((start, watched))
    }

    /// Rendered files, written below `directory`, of which Envoy starts with `start`.
    pub fn rendered(
        files: &BTreeMap<String, String>,
        directory: &Path,
        start: &str,
    ) -> Result<Self> {
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
            std::fs::write(path, text)?;
        }
        let text = files.get(start).with_context(|| format!("{start} is not rendered"))?;
        Ok(Self::of(serde_saphyr::from_str(text).with_context(|| start.to_owned())?))
    }

    fn of(tree: Value) -> Self {
        Self { tree, environment: Vec::new() }
    }

    /// Gives Envoy a variable in its environment.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Variables in Envoy's environment besides this process's.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Sends the cluster `name` to `address`.
    pub fn set_upstream(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let clusters = self
            .tree
            .pointer_mut("/static_resources/clusters")
            .and_then(Value::as_array_mut)
            .context("envoy.yaml has no clusters")?;
        redirect(clusters, name, address)
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

    /// Adds the cluster `name`, at `address`, over HTTP/2 as gRPC needs it.
    pub fn add_grpc_cluster(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        self.add_cluster(name, address)?;
        let clusters = self.tree["static_resources"]["clusters"].as_array_mut();
        let cluster = clusters.and_then(|it| it.last_mut()).context("it was added")?;
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"] = json!({options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}}}});
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

    /// Replaces the whole filter by another deployment's, but for the module.
    pub fn set_filter(&mut self, filter: Value, wasm: &Path) -> Result<()> {
        self.set(&format!("{MANAGER}/http_filters/0"), filter)?;
        self.set_plugin("vm_config/code/local/filename", json!(wasm))
    }

    /// The same as a `Struct`, as YAML is written.
    pub fn set_filter_struct(&mut self, configuration: &Value) -> Result<()> {
        let kind = "type.googleapis.com/google.protobuf.Struct";
        self.set_plugin("configuration", json!({"@type": kind, "value": configuration}))
    }

    /// Adds `envoy/opentelemetry.yaml`, with the collector at an address; tags of spans on request.
    pub fn add_opentelemetry(&mut self, collector: SocketAddr, tags: bool) -> Result<()> {
        let path = super::root().join("envoy/opentelemetry.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut parts: Value = serde_saphyr::from_str(&text)?;
        if !tags {
            let tracing = parts["tracing"].as_object_mut().context("no tracing")?;
            // As the file says for versions that cannot do more.
            let url = json!([{"tag": "http.url", "literal": {"value": "-"}}]);
            tracing.insert("custom_tags".to_owned(), url).context("no custom tags")?;
        }
        let manager = self.tree.pointer_mut(MANAGER).context("envoy.yaml has no HTTP manager")?;
        manager["tracing"] = parts["tracing"].take();
        for (whole, part) in [
            (format!("{MANAGER}/access_log"), "access_log"),
            ("/static_resources/clusters".to_owned(), "clusters"),
        ] {
            let more = parts[part].as_array_mut().with_context(|| format!("no {part}"))?;
            let whole = self.tree.pointer_mut(&whole).and_then(Value::as_array_mut);
            whole.with_context(|| format!("envoy.yaml has no {part}"))?.append(more);
        }
        self.set_upstream("otel-collector", collector)
    }

    /// Lets request trailers of HTTP/1 through, which Envoy drops by default, so that the filter
    /// sees them on both protocols.
    pub fn enable_http1_trailers(&mut self) -> Result<()> {
        let manager = self.tree.pointer_mut(MANAGER).context("envoy.yaml has no HTTP manager")?;
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        Ok(())
    }

    /// Adds the listener `name`: the first one, with what `change` makes of its HTTP manager.
    pub fn add_listener_with(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Value) -> Result<()>,
    ) -> Result<()> {
        let listeners = self.listeners()?;
        let mut listener = listeners.first().context("envoy.yaml has no listener")?.clone();
        listener["name"] = json!(name);
        let manager = listener.pointer_mut(LISTENERS_MANAGER);
        change(manager.context("envoy.yaml has no HTTP manager")?)?;
        listeners.push(listener);
        Ok(())
    }

    /// Adds the listener `plain`: the same without the filter, and everything goes to `cheap`.
    pub fn add_plain_listener(&mut self) -> Result<()> {
        self.add_listener_with("plain", |manager| {
            let filters = manager["http_filters"].as_array_mut().context("no HTTP filters")?;
            filters.retain(|filter| filter["name"] != "pointsman");
            let routes = manager["route_config"]["virtual_hosts"][0]["routes"]
                .as_array_mut()
                .context("envoy.yaml has no routes")?;
            routes.retain(|route| route["name"] == "decided");
            let decided = routes.first_mut().context("envoy.yaml has no route")?;
            decided["match"] = json!({"prefix": "/"});
            let action = decided["route"].as_object_mut().context("the route has no action")?;
            action.remove("cluster_header").context("the first route is not the decided one")?;
            action.insert("cluster".to_owned(), json!("cheap"));
            Ok(())
        })
    }

    /// Adds the listener `name`: the same with another configuration of the filter.
    pub fn add_listener(&mut self, name: &str, configuration: &str) -> Result<()> {
        let value = "/http_filters/0/typed_config/config/configuration/value";
        self.add_listener_with(name, |manager| set(manager, value, json!(configuration)))
    }

    /// Takes the access log out of every listener.
    pub fn remove_access_logs(&mut self) -> Result<()> {
        for listener in self.listeners()? {
            if let Some(manager) = listener.pointer_mut(LISTENERS_MANAGER) {
                manager["access_log"] = json!([]);
            }
        }
        Ok(())
    }

    fn listeners(&mut self) -> Result<&mut Vec<Value>> {
        let listeners = self.tree.pointer_mut("/static_resources/listeners");
        listeners.and_then(Value::as_array_mut).context("envoy.yaml has no listeners")
    }

    /// Puts routes in front of those for what the filter has not decided.
    pub fn add_routes(&mut self, routes: Vec<Value>) -> Result<()> {
        let known = self
            .tree
            .pointer_mut(&format!("{MANAGER}/route_config/virtual_hosts/0/routes"))
            .and_then(Value::as_array_mut)
            .context("envoy.yaml has no routes")?;
        let first = known.iter().position(|route| route["name"] == "switched-off");
        let first = first.context("envoy.yaml has no route for what is not decided")?;
        known.splice(first..first, routes);
        Ok(())
    }

    /// Takes away the listener's own protection against forged routing headers.
    pub fn keep_client_route_header(&mut self) -> Result<()> {
        let manager = self.tree.pointer_mut(MANAGER).and_then(Value::as_object_mut);
        let removed = manager.and_then(|it| it.remove("early_header_mutation_extensions"));
        removed.map(drop).context("envoy.yaml does not drop the routing header")
    }

    /// The bootstrap configuration as JSON, which Envoy reads as it reads YAML.
    pub fn to_json(&self) -> String {
        self.tree.to_string()
    }

    fn set_plugin(&mut self, field: &str, value: Value) -> Result<()> {
        self.set(&plugin(field), value)
    }

    fn set(&mut self, pointer: &str, value: Value) -> Result<()> {
        set(&mut self.tree, pointer, value)
    }
}

/// The files that a running Envoy watches. Each change is put in place whole.
pub struct Watched {
    directory: PathBuf,
    filter: Value,
    listener: Value,
}

const WATCHED_PLUGIN: &str = "/resources/0/typed_config/config";

impl Watched {
    /// The filter's own configuration, parsed.
    pub fn filter_configuration(&self) -> Result<Value> {
        let value = self.filter.pointer(&format!("{WATCHED_PLUGIN}/configuration/value"));
        let text = value.and_then(Value::as_str).context("no filter configuration")?;
        Ok(serde_json::from_str(text)?)
    }

    /// Replaces the filter's own configuration, which may be anything but right.
    pub fn set_filter_configuration(&mut self, text: &str) -> Result<()> {
        let value = format!("{WATCHED_PLUGIN}/configuration/value");
        set(&mut self.filter, &value, json!(text))?;
        self.replace("filter.yaml", &self.filter)
    }

    /// Replaces the module.
    pub fn set_module(&mut self, wasm: &Path) -> Result<()> {
        let filename = format!("{WATCHED_PLUGIN}/vm_config/code/local/filename");
        set(&mut self.filter, &filename, json!(wasm))?;
        self.replace("filter.yaml", &self.filter)
    }

    /// Changes the listener's statistics prefix, and so the listener.
    pub fn set_stat_prefix(&mut self, prefix: &str) -> Result<()> {
        let place = "/resources/0/filter_chains/0/filters/0/typed_config/stat_prefix";
        set(&mut self.listener, place, json!(prefix))?;
        self.replace("listeners.yaml", &self.listener)
    }

    /// Envoy looks at a file when another is moved into its place.
    fn replace(&self, name: &str, content: &Value) -> Result<()> {
        let new = self.directory.join(format!("{name}.new"));
        std::fs::write(&new, content.to_string())?;
        Ok(std::fs::rename(new, self.directory.join(name))?)
    }
}

fn redirect(clusters: &mut [Value], name: &str, address: SocketAddr) -> Result<()> {
    let endpoint = clusters
        .iter_mut()
        .find(|cluster| cluster["name"] == name)
        .and_then(|cluster| {
            cluster.pointer_mut(
                "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address",
            )
        })
        .with_context(|| format!("there is no cluster {name} with an endpoint"))?;
    *endpoint = json!({"address": address.ip().to_string(), "port_value": address.port()});
    Ok(())
}

fn set(tree: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let place =
        tree.pointer_mut(pointer).with_context(|| format!("the deployment has no {pointer}"))?;
    *place = value;
    Ok(())
}

fn plugin(field: &str) -> String {
    format!("{MANAGER}/http_filters/0/typed_config/config/{field}")
}
