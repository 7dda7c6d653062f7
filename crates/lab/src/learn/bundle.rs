//! The model directory: `model.onnx`, `manifest.json`, `golden.jsonl`, `CARD.md`.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::model::Model;
use super::provenance::{Provenance, TrainedTarget};
use super::{card, to_onnx};
use crate::files::replace_all;
use pointsman_core::classifier::{
    Classifier, Manifest, ManifestTarget, ModelError, Objective, ScoreError,
};
use pointsman_core::features::{self, extract};
use pointsman_core::hex;
use pointsman_core::prompt::{ApiFormat, Prompt, PromptError};

/// Requests whose features and scores every build and host must reproduce: one
/// `{"id", "request"}` per line.
const GOLDEN_REQUESTS: &str = include_str!("golden_requests.jsonl");

/// Why a model directory could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The filter's own loader refuses the model: it must not be shipped.
    #[error(transparent)]
    Refused(#[from] ModelError),
    #[error("golden request {id}: {problem}")]
    Golden { id: String, problem: String },
}

/// Writes a model into `directory`, which is made when it does not exist. All files are
/// complete before the first is renamed, the manifest last: it names the digest of `model.onnx`,
/// which tells a half-replaced directory from a whole one.
///
/// # Errors
///
/// When the loader refuses the model, or a file cannot be written.
pub fn write_model(
    directory: &Path,
    targets: &[TrainedTarget],
    provenance: &Provenance,
) -> Result<Manifest, BundleError> {
    let models: Vec<&Model> = targets.iter().map(|target| &target.trained.model).collect();
    let gain = targets.iter().filter_map(|target| target.gain.as_ref());
    let gain: Vec<&Model> = gain.map(|trained| &trained.model).collect();
    let onnx = to_onnx(&models, &gain);
    let manifest = Manifest {
        format: 1,
        version: hex::encode(&Sha256::digest(&onnx))[..12].to_owned(),
        schema_hash: features::schema_hash(),
        features: features::LEN,
        targets: targets
            .iter()
            .map(|target| ManifestTarget {
                name: target.name.clone(),
                threshold: target.trained.threshold,
                gain_threshold: target.gain.as_ref().map(|trained| trained.threshold),
            })
            .collect(),
        objective: Some(provenance.objective),
        novelty: targets.first().map(|target| target.trained.novelty.clone()),
        training: training(targets, provenance),
    };
    let manifest_json = pretty(&manifest);
    let classifier = Classifier::load(&onnx, manifest_json.as_bytes())?;
    let of_gain = (!gain.is_empty())
        .then(|| Classifier::load_for(&onnx, manifest_json.as_bytes(), Some(Objective::Gain)))
        .transpose()?;
    let golden = golden(&classifier, of_gain.as_ref())?;
    let card = card::render(&manifest, targets, provenance, onnx.len());
    let curve = learning_curve(targets);
    let mut files = vec![
        ("model.onnx", onnx.as_slice()),
        ("golden.jsonl", golden.as_bytes()),
        ("CARD.md", card.as_bytes()),
    ];
    files.extend(curve.as_ref().map(|curve| ("learning-curve.json", curve.as_bytes())));
    files.push(("manifest.json", manifest_json.as_bytes()));
    replace_all(directory, &files)?;
    Ok(manifest)
}

fn training(targets: &[TrainedTarget], provenance: &Provenance) -> Value {
    let target = |target: &TrainedTarget| {
        json!({
            "name": target.name,
            "algorithm": target.trained.algorithm,
            "validation": target.trained.validation,
            "candidates": target.trained.candidates,
            "gain": target.gain.as_ref().map(|trained| json!({
                "algorithm": trained.algorithm,
                "validation": trained.validation,
                "candidates": trained.candidates,
            })),
        })
    };
    json!({
        "seed": provenance.seed,
        "data": provenance.files,
        "gain_data": provenance.gain_files,
        "initial": provenance.initial,
        "targets": targets.iter().map(target).collect::<Vec<_>>(),
    })
}

/// The points of all targets' curves, if there are any.
fn learning_curve(targets: &[TrainedTarget]) -> Option<String> {
    let points = targets.iter().flat_map(|target| {
        target.learning_curve.iter().map(|point| {
            json!({
                "target": target.name, "rows": point.rows, "accuracy": point.accuracy,
                "auroc": point.auroc, "apgr": point.apgr,
            })
        })
    });
    let points: Vec<Value> = points.collect();
    (!points.is_empty()).then(|| format!("{:#}\n", Value::from(points)))
}

fn pretty(manifest: &Manifest) -> String {
    // A manifest is plain data with string keys: it has a JSON form.
    serde_json::to_string_pretty(manifest).unwrap_or_default() + "\n"
}

/// The golden file: requests with features and scores of this very code.
fn golden(classifier: &Classifier, of_gain: Option<&Classifier>) -> Result<String, BundleError> {
    let mut out = String::new();
    for line in GOLDEN_REQUESTS.lines() {
        let mut golden: Value = serde_json::from_str(line)
            .map_err(|error| refuse(line, format!("not JSON: {error}")))?;
        let id = golden["id"].to_string();
        let mut body = golden["request"].to_string().into_bytes();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false)
            .map_err(|error: PromptError| refuse(&id, format!("{error:?}")))?;
        let features = extract(&prompt);
        let engineered: Vec<u8> =
            features.engineered().iter().flat_map(|v| v.to_le_bytes()).collect();
        let scores = |classifier: &Classifier| {
            let scores = classifier.scores(&features);
            scores.map_err(|error: ScoreError| refuse(&id, error.to_string()))
        };
        golden["engineered"] = json!(BASE64.encode(engineered));
        golden["features_digest"] = json!(features.digest());
        golden["scores"] = json!(scores(classifier)?);
        if let Some(of_gain) = of_gain {
            golden["gain"] = json!(scores(of_gain)?);
        }
        out += &format!("{golden}\n");
    }
    Ok(out)
}

fn refuse(id: &str, problem: String) -> BundleError {
    BundleError::Golden { id: id.to_owned(), problem }
}
