//! The directory of a judge: `model.onnx`, `manifest.json`, `golden.jsonl`, `CARD.md`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::bundle::BundleError;
use super::super::dataset::FileDigest;
use super::super::export::trees;
use super::super::graph::Graph;
use super::super::scaler::CLIP;
use super::super::scores::Metrics;
use super::fit::{Judge, TrainedJudge};
use crate::files::replace_all;
use pointsman_core::acceptance::{
    ANSWER_LEN, AcceptanceManifest, AcceptanceModel, answer_schema_hash, extract,
};
use pointsman_core::hex;

/// Prompts and answers whose vectors and probabilities every build and host must reproduce.
const GOLDEN_ANSWERS: &str = include_str!("golden_answers.jsonl");

/// What a judge was made from.
pub struct AcceptProvenance<'a> {
    pub files: &'a [FileDigest],
    pub seed: u64,
    /// Markdown for the card: where the data is from and under which licences.
    pub notes: Option<&'a str>,
}

/// Writes a judge into `directory`, which is made when it does not exist.
///
/// # Errors
///
/// When the loader refuses the model, or a file cannot be written.
pub fn write_accept_model(
    directory: &Path,
    trained: &TrainedJudge,
    provenance: &AcceptProvenance,
) -> Result<AcceptanceManifest, BundleError> {
    let onnx = to_onnx(&trained.judge);
    let manifest = AcceptanceManifest {
        format: 1,
        version: hex::encode(&Sha256::digest(&onnx))[..12].to_owned(),
        schema_hash: answer_schema_hash(),
        features: ANSWER_LEN,
        accept_below: trained.accept_below,
        training: json!({
            "seed": provenance.seed,
            "data": provenance.files,
            "penalty": trained.penalty,
            "validation": trained.validation,
        }),
    };
    // A manifest is plain data with string keys: it has a JSON form.
    let manifest_json = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    let model = AcceptanceModel::load(&onnx, manifest_json.as_bytes())?;
    let golden = golden(&model)?;
    let card = card(&manifest, trained, provenance, onnx.len());
    replace_all(
        directory,
        &[
            ("model.onnx", onnx.as_slice()),
            ("golden.jsonl", golden.as_bytes()),
            ("CARD.md", card.as_bytes()),
            ("manifest.json", manifest_json.as_bytes()),
        ],
    )?;
    Ok(manifest)
}

/// Encodes a judge: input `features` `f32[1, ANSWER_LEN]`, output `scores` `f32[1, 1]`. The head's
/// weights are folded into its parts.
fn to_onnx(judge: &Judge) -> Vec<u8> {
    let mut graph = Graph::default();
    let (regression_weight, tree_weight) = (judge.head.weights[0], judge.head.weights[1]);
    let offset = judge.head.offset
        + regression_weight * judge.logistic.offset as f32
        + tree_weight * judge.trees.bias;
    let mean = graph.floats("mean", &[1, ANSWER_LEN], &judge.scaler.mean[..ANSWER_LEN]);
    let inverse = &judge.scaler.inverse_deviation[..ANSWER_LEN];
    let inverse = graph.floats("inverse_deviation", &[1, ANSWER_LEN], inverse);
    let centred = graph.node("Sub", "centred", &["features", &mean]);
    let standardised = graph.node("Mul", "standardised", &[&centred, &inverse]);
    let scaled = graph.clip("scaled", &standardised, -CLIP, CLIP);
    let weights: Vec<f32> =
        judge.logistic.weights.iter().map(|weight| *weight as f32 * regression_weight).collect();
    let weights = graph.floats("weights", &[ANSWER_LEN, 1], &weights);
    let offset = graph.floats("offset", &[1, 1], &[offset]);
    let mut logit = graph.node("Gemm", "regression", &[&scaled, &weights, &offset]);
    if !judge.trees.trees.is_empty() {
        logit = trees(&mut graph, "trees", &judge.trees, tree_weight, &logit);
    }
    graph.node("Sigmoid", "scores", &[&logit]);
    graph.encode(("features", ANSWER_LEN), &[("scores", 1)])
}

/// The golden file: prompts and answers with vector and probability of this very code.
fn golden(model: &AcceptanceModel) -> Result<String, BundleError> {
    let refuse = |id: &Value, problem: String| BundleError::Golden { id: id.to_string(), problem };
    let mut out = String::new();
    for line in GOLDEN_ANSWERS.lines() {
        let mut golden: Value = serde_json::from_str(line)
            .map_err(|error| refuse(&Value::Null, format!("not JSON: {error}")))?;
        let text = |name: &str| golden[name].as_str().unwrap_or_default();
        let features = extract(text("prompt"), text("answer"), None);
        let score = model.judge(&features);
        let score = score.map_err(|error| refuse(&golden["id"], error.to_string()))?;
        let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
        golden["features"] = json!(BASE64.encode(bytes));
        golden["probability"] = json!(score);
        out += &format!("{golden}\n");
    }
    Ok(out)
}

fn card(
    manifest: &AcceptanceManifest,
    trained: &TrainedJudge,
    provenance: &AcceptProvenance,
    bytes: usize,
) -> String {
    let mut card = format!(
        "# Judge of answers {}\n\n\
         The probability that the cheap model's answer is good enough, from {ANSWER_LEN} numbers of \
         prompt and answer: a logistic regression and {} trees, {bytes} bytes. Below {:.3} an answer \
         is asked for again, of the strong model.\n\n\
         ## Validation rows\n\n\
         These rows calibrated the judge and chose its threshold.\n\n\
         | cheap model | rows | AUROC | Brier score | calibration error |\n|---|---:|---:|---:|---:|\n",
        manifest.version,
        trained.judge.trees.trees.len(),
        manifest.accept_below,
    );
    let mut row = |name: &str, m: &Metrics| {
        let auroc = m.auroc.map_or("–".to_owned(), |auroc| format!("{auroc:.3}"));
        card += &format!("| {name} | {} | {auroc} | {:.3} | {:.3} |\n", m.n, m.brier, m.ece);
    };
    trained.by_pair.iter().for_each(|(pair, metrics)| row(pair, metrics));
    row("all", &trained.validation);
    card += "\n## Data\n\n| file | train rows | validation rows | SHA-256 |\n|---|---:|---:|---|\n";
    for file in provenance.files {
        card += &format!(
            "| {} | {} | {} | {} |\n",
            file.name, file.train_rows, file.val_rows, file.sha256
        );
    }
    if let Some(notes) = provenance.notes {
        card += &format!("\n{}\n", notes.trim());
    }
    card
}
