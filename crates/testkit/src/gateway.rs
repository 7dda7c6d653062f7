//! `pointsman.yaml`, rendered, and an Envoy that runs it.

use std::path::Path;

use anyhow::{Context, Result};
use pointsman_gateway::file::Gateway;
use pointsman_gateway::render::{self, CA_FILES, Place};

use super::deployment::Deployment;
use super::wasm_module;

/// What `pointsman render` makes of a file, written below `directory`: `envoy.yaml`, or with another
/// name of `start`, the files that Envoy watches, which begin with it.
pub fn rendered(text: &str, directory: &Path, start: &str) -> Result<(Gateway, Deployment)> {
    let wasm = wasm_module()?;
    let place = Place {
        wasm: wasm.to_str().context("a path in UTF-8")?,
        directory: directory.to_str().context("a path in UTF-8")?,
        ca: CA_FILES[0],
        keys: None,
        control: None,
        unique: false,
    };
    let gateway = Gateway::read(text)?;
    let files = match start {
        "envoy.yaml" => render::envoy(&gateway, &place)?,
        _ => render::xds(&gateway, &place)?,
    };
    let deployment = Deployment::rendered(&files, directory, start)?;
    Ok((gateway, deployment))
}
