//! Envoy's configuration for a deployment.

use std::collections::BTreeMap;

use crate::file::{ControlSecrets, Gateway};

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
    /// The control plane's secrets; without them the filter has no `control`.
    pub control: Option<ControlSecrets>,
}

/// Where Debian has its certificate authorities; other systems in [`CA_FILES`].
pub const CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Files by their names below the output's directory.
pub type Files = BTreeMap<String, String>;

pub use kubernetes::{envoy_gateway, istio};

/// A fault of this crate's own templates.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("template: {0}")]
    Template(#[from] minijinja::Error),
    #[error("what was rendered is no YAML: {0}")]
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
    files.insert("envoy.yaml".to_owned(), templates::render("envoy.yaml", &view.with_filter()?)?);
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

/// A file for each key: it names the variable or the file that the key is in, and has no key itself.
fn secrets(gateway: &Gateway, place: &Place) -> Result<Files, RenderError> {
    let mut files = Files::new();
    for provider in &gateway.providers {
        let Some(key) = &provider.key else { continue };
        let kept = place.keys.map(|directory| format!("{directory}/{}.key", provider.name));
        let secret = view::Secret::of(&provider.name, key, kept);
        let text = templates::render("secret.yaml", &secret)?;
        files.insert(format!("secrets/{}.yaml", provider.name), text);
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
