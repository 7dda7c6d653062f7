//! `pointsman.yaml`, rendered, and an Envoy that runs it.

use std::path::Path;

use anyhow::{Context, Result};
use pointsman_gateway::file::Gateway;
use pointsman_gateway::render::{self, CA_FILES, Place};
use serde_json::Value;

use super::deployment::Deployment;
use super::wasm_module;

/// What `pointsman render` makes of a file, written below `directory`.
pub fn rendered(file: &Value, directory: &Path) -> Result<(Gateway, Deployment)> {
    let wasm = wasm_module()?;
    let place = Place {
        wasm: wasm.to_str().context("a path in UTF-8")?,
        directory: directory.to_str().context("a path in UTF-8")?,
        ca: CA_FILES[0],
        keys: None,
        control: None,
        unique: false,
    };
    let gateway = Gateway::read(&file.to_string())?;
    let files = render::envoy(&gateway, &place)?;
    let deployment = Deployment::rendered(&files, directory, "envoy.yaml")?;
    Ok((gateway, deployment))
}
