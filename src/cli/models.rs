//! Model directories.

use std::path::Path;

use super::BadInput;
use super::args::ObjectiveArg;
use pointsman_core::classifier::{Classifier, Objective};

/// The model of a directory; the built-in one without.
pub(super) fn load(directory: Option<&Path>) -> anyhow::Result<Classifier> {
    read(directory, None)
}

/// A model, and the question that it is to be measured by. Asked for one, the model answers with the
/// scores that it has for it, else with its first ones; otherwise its own question counts.
pub(super) fn load_for(
    directory: Option<&Path>,
    asked: Option<ObjectiveArg>,
) -> anyhow::Result<(Classifier, Objective)> {
    let asked = asked.map(Objective::from);
    let classifier = read(directory, asked).or_else(|_| load(directory))?;
    let objective = asked.or(classifier.objective()).unwrap_or_default();
    Ok((classifier, objective))
}

fn read(directory: Option<&Path>, objective: Option<Objective>) -> anyhow::Result<Classifier> {
    let Some(directory) = directory else {
        return Classifier::embedded_for(objective)
            .map_err(|error| anyhow::anyhow!("built-in model: {error}"));
    };
    let (onnx, manifest) = files(directory)?;
    Classifier::load_for(&onnx, &manifest, objective)
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
