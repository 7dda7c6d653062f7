//! Model directories.

use std::path::Path;

use super::BadInput;
use pointsman_core::classifier::Classifier;

/// The model of a directory; the built-in one without.
pub(super) fn load(directory: Option<&Path>) -> anyhow::Result<Classifier> {
    let Some(directory) = directory else {
        return Classifier::embedded().map_err(|error| anyhow::anyhow!("built-in model: {error}"));
    };
    let (onnx, manifest) = files(directory)?;
    Classifier::load(&onnx, &manifest)
        .map_err(|error| BadInput::new(format!("{}: {error}", directory.display())).into())
}

/// `model.onnx` and `manifest.json` of a model's directory.
pub(super) fn files(directory: &Path) -> Result<(Vec<u8>, Vec<u8>), BadInput> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|error| {
            BadInput::new(format!("{}: {error}", path.display()))
                .hint("pass a directory written by `pointsman train --out`")
        })
    };
    Ok((read("model.onnx")?, read("manifest.json")?))
}
