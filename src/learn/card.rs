//! `CARD.md`: what people should know before they trust a model.

use std::fmt::Write;

use super::bundle::Provenance;
use super::metrics::Metrics;
use super::train::Trained;
use crate::classifier::Manifest;
use crate::features::{CHAR_BUCKETS, ENGINEERED, WORD_BUCKETS};

/// The card, in Markdown.
pub(super) fn render(
    manifest: &Manifest,
    trained: &Trained,
    provenance: &Provenance,
    bytes: usize,
) -> String {
    let mut out = String::new();
    let threshold = trained.threshold;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "# Model {version}\n\n\
         Predicts whether the cheap model's answer to a prompt is good enough. A request whose \
         score reaches the threshold {threshold:.3} goes to the cheap model, every other one to \
         the strong model.\n\n\
         | | |\n|---|---|\n\
         | algorithm | {algorithm} |\n\
         | input | `features` f32[1, {length}]: {ENGINEERED} engineered, {WORD_BUCKETS} hashed word \
         and {CHAR_BUCKETS} hashed character n-grams |\n\
         | output | `scores` f32[1, 1]: probability that the cheap answer is good enough |\n\
         | feature schema | {schema} |\n\
         | file | ONNX opset 13, {bytes} bytes |\n\
         | seed | {seed} |\n\n",
        version = manifest.version,
        algorithm = trained.algorithm,
        length = manifest.features,
        schema = manifest.schema_hash,
        seed = provenance.seed,
    );
    out += "## Data\n\n";
    out += "Fitted on the train rows; candidates, calibration and threshold were chosen on the \
            validation rows. Near-duplicate questions never fall on both sides.\n\n";
    out += "| file | train rows | validation rows | SHA-256 |\n|---|---:|---:|---|\n";
    for file in provenance.files {
        let _ = writeln!(
            out,
            "| {} | {} | {} | `{:.16}…` |",
            file.name, file.train_rows, file.val_rows, file.sha256
        );
    }
    if let Some(notes) = provenance.notes {
        let _ = write!(out, "\n{}\n", notes.trim());
    }
    out += "\n## Quality on validation rows\n\n";
    out += "These rows also served to choose, so the figures flatter slightly. Positive class: the \
            strong model is required. APGR: mean share of the quality gap between the two models \
            that is recovered over all shares of strong calls. CPT: share of strong calls that \
            recovers so much of the gap.\n\n";
    out += "| router | rows | accuracy | AUROC | APGR | CPT 50 | CPT 80 |\n\
            |---|---:|---:|---:|---:|---:|---:|\n";
    out += &row("this model", &trained.validation);
    for (name, metrics) in &trained.baselines {
        out += &row(name, metrics);
    }
    let interval = trained.validation.auroc_ci95.unwrap_or_default();
    let _ = writeln!(
        out,
        "\n95 % interval of the AUROC: {:.3} to {:.3}. Brier score {:.3}, expected calibration \
         error {:.3}.",
        interval[0], interval[1], trained.validation.brier, trained.validation.ece
    );
    out += "\nWithin each source, where the kind of task gives nothing away:\n\n\
            | source | rows | accuracy | AUROC | APGR | CPT 50 | CPT 80 |\n\
            |---|---:|---:|---:|---:|---:|---:|\n";
    for (source, metrics) in &trained.by_source {
        out += &row(source, metrics);
    }
    out += "\n## Intended use\n\n\
            A first router between a cheap and a strong model, until there are labels of one's own \
            traffic: a few hundred of them make a better model than this one. Retrain with \
            `pointsman train`, measure with `pointsman evaluate`.\n\n\
            ## Limits\n\n\
            - What is learnt is mostly which kind of task a prompt is, and how often the cheap model \
            fails on that kind. On kinds of task that are not in the data it is no better than \
            chance.\n\
            - The labels compare two particular models; other pairs fail on other prompts.\n\
            - The data is English almost throughout and holds single questions; conversations, \
            tools and images are hardly represented.\n\
            - The score says nothing about safety, and must not be used to judge people.\n";
    out
}

fn row(name: &str, m: &Metrics) -> String {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let share =
        |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{:.1} %", v * 100.0));
    format!(
        "| {name} | {} | {:.3} | {} | {} | {} | {} |\n",
        m.n,
        m.accuracy,
        number(m.auroc),
        number(m.apgr),
        share(m.cpt50),
        share(m.cpt80)
    )
}
