//! Envoy's configuration for a deployment.

use std::collections::BTreeMap;

use crate::file::{ControlSecrets, Gateway, Provider};

mod compose;
mod kubernetes;
mod templates;
mod view;
mod xds;

/// What a deployment needs to know of the machine that it runs on.
#[derive(Clone)]
pub struct Place<'p> {
    /// The module's file.
    pub wasm: &'p str,
    /// The directory that the rendered files are in, as Envoy is to name it; no slash at the end.
    pub directory: &'p str,
    /// The system's certificate authorities.
    pub ca: &'p str,
    /// The directory of copies of key files, `PROVIDER.key` each, where somebody keeps them; without
    /// it, Envoy reads the files that the deployment names.
    pub keys: Option<&'p str>,
    /// Whether an endpoint that changes gets another name, so that nothing of the old one can be
    /// taken for the new one while both are there.
    pub unique: bool,
    /// The control plane's secrets; without them the filter has no `control`.
    pub control: Option<ControlSecrets>,
}

/// Where systems have their certificate authorities, Debian first.
pub const CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How every rendered file begins.
const NOTE: &str =
    "# Made from pointsman.yaml by `pointsman render`: edit that file, and render again.";

/// Files by their names below the output's directory.
pub type Files = BTreeMap<String, String>;

pub use compose::compose;
use kubernetes::documents;
pub use kubernetes::{envoy_gateway, istio};

/// A fault of this crate's own templates.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("template: {0}")]
    Template(#[from] minijinja::Error),
    #[error("what was rendered cannot be read as YAML: {0}")]
    Tree(String),
}

/// `envoy.yaml`, and a file for each provider's key.
///
/// # Errors
///
/// Only faults of the templates.
pub fn envoy(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let view = view::View::of(gateway, place);
    let mut files = secrets(gateway, place)?;
    files.insert(
        "envoy.yaml".to_owned(),
        templates::render("envoy.yaml", &view.with_parts("filter.yaml")?)?,
    );
    Ok(files)
}

/// The same as files that Envoy watches: `bootstrap.yaml`, `listeners.yaml`, `clusters.yaml`,
/// `filter.yaml`, and a file for each provider's key.
///
/// # Errors
///
/// Only faults of the templates.
pub fn xds(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let view = view::View::of(gateway, place);
    let mut files = secrets(gateway, place)?;
    files.extend(xds::files(&view)?);
    Ok(files)
}

/// The pieces of it for an Envoy that is there already: what goes where is said in each.
///
/// # Errors
///
/// Only faults of the templates.
pub fn fragment(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let values = view::View::of(gateway, place).with_parts("filter.yaml")?;
    let mut files = secrets(gateway, place)?;
    for (name, part, about) in FRAGMENTS {
        let text = values.get(part).and_then(serde_json::Value::as_str).unwrap_or_default();
        files.insert(name.to_owned(), format!("{about}{text}\n"));
    }
    Ok(files)
}

/// The pieces: file, part, and where it belongs.
const FRAGMENTS: [(&str, &str, &str); 7] = [
    (
        "1-process.yaml",
        "process",
        "# Into the bootstrap, at its top level; add to what is there.\n",
    ),
    (
        "2-stats.yaml",
        "stats",
        "# Into the bootstrap, at its top level: labels for the filter's metrics.\n",
    ),
    (
        "3-manager.yaml",
        "manager",
        "# Into your HTTP connection manager. The listener also needs\n\
         # per_connection_buffer_limit_bytes: 4194304, and the virtual host\n\
         # request_body_buffer_limit: 8388608.\n",
    ),
    (
        "4-filter.yaml",
        "main_filter",
        "# First of http_filters, behind those that authenticate clients.\n",
    ),
    (
        "5-routes.yaml",
        "routes",
        "# The routes of your virtual host. The first with cluster_header must stand before any other\n\
         # that could match. The virtual host also needs request_headers_to_remove: [x-pointsman-cluster,\n\
         # x-pointsman-target, accept-encoding].\n",
    ),
    (
        "6-listeners.yaml",
        "endpoint_listeners",
        "# Into static_resources.listeners: one for each endpoint.\n",
    ),
    ("7-clusters.yaml", "clusters", "# Into static_resources.clusters.\n"),
];

/// The name of a provider's key. A `unique` one is another when the provider is elsewhere, or its key
/// is kept elsewhere: so no address gets the key of another while both are there.
pub fn secret_name(provider: &Provider, unique: bool) -> String {
    if !unique {
        return provider.name.clone();
    }
    let said = format!("{} {:?}", provider.url.text(), provider.key);
    let digest = pointsman_core::features::digest_of(said.as_bytes());
    format!("{}-{}", provider.name, digest.get(..8).unwrap_or_default())
}

/// A file for each key: it names the variable or the file that the key is in, and has no key itself.
fn secrets(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let mut files = Files::new();
    for provider in &gateway.providers {
        let Some(key) = &provider.key else { continue };
        let name = secret_name(provider, place.unique);
        let kept = place.keys.map(|directory| format!("{directory}/{name}.key"));
        let text = templates::render("secret.yaml", &view::Secret::of(&name, key, kept))?;
        files.insert(format!("secrets/{name}.yaml"), text);
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
