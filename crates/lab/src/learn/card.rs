//! `CARD.md`: what people should know before they trust a model.

use std::fmt::Write;

use super::curve::CurvePoint;
use super::provenance::{Provenance, TrainedTarget};
use super::scores::Metrics;
use super::train::Trained;
use pointsman_core::classifier::{Manifest, Objective};
use pointsman_core::features::{CHAR_BUCKETS, ENGINEERED, MEANING, WORD_BUCKETS};

/// The card, in Markdown.
pub(super) fn render(
    manifest: &Manifest,
    targets: &[TrainedTarget],
    provenance: &Provenance,
    bytes: usize,
) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "# Model {version}\n\n\
         Predicts {question}. A request goes to the cheapest target whose score reaches its \
         threshold, and to the strongest when none does.\n\n\
         | | |\n|---|---|\n\
         | input | `features` f32[1, {length}]: {ENGINEERED} engineered, {MEANING} for what the \
         words are about, {WORD_BUCKETS} hashed word and {CHAR_BUCKETS} hashed character n-grams |\n\
         | output | `scores` f32[1, {count}]: probability that it is |\n{second}\
         | feature schema | {schema} |\n\
         | file | ONNX opset 13, {bytes} bytes |\n\
         | seed | {seed} |\n",
        question = match provenance.objective {
            Objective::Satisfy =>
                "whether the answer of a cheaper model to a prompt is good enough",
            Objective::Gain => {
                "whether the answer of a cheaper model to a prompt is as good as a stronger one's"
            }
        },
        second = if targets.iter().any(|target| target.gain.is_some()) {
            "| second output | `gain`, of the same shape: probability that the strongest model's \
             answer would be no better; `policy.objective: gain` routes by it |\n"
        } else {
            ""
        },
        version = manifest.version,
        length = manifest.features,
        count = targets.len(),
        schema = manifest.schema_hash,
        seed = provenance.seed,
    );
    if let Some(initial) = provenance.initial {
        let _ = writeln!(out, "| started from | model {initial} |");
    }
    out += "\n| target | algorithm | threshold |\n|---|---|---:|\n";
    for TrainedTarget { name, trained, gain, .. } in targets {
        let _ = writeln!(out, "| {name} | {} | {:.3} |", trained.algorithm, trained.threshold);
        if let Some(gain) = gain {
            let _ = writeln!(out, "| {name}, gain | {} | {:.3} |", gain.algorithm, gain.threshold);
        }
    }
    out += "\n## Data\n\n";
    out += "Chosen by cross-validation on the train rows, grouped by question, and fitted on all of \
            them.\n\n";
    out += "| file | train rows | validation rows | SHA-256 |\n|---|---:|---:|---|\n";
    for file in provenance.files.iter().chain(provenance.gain_files) {
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
    out += "Early stopping, calibration and threshold used these rows, so the figures flatter \
            slightly. Positive class: the strong model is required. APGR: mean share of the quality \
            gap between the two models that is recovered over all shares of strong calls. CPT: share \
            of strong calls that recovers that much of the gap.\n";
    for target in targets {
        if targets.len() > 1 {
            let _ = write!(out, "\n### {}\n", target.name);
        }
        quality(&mut out, &target.trained);
        curve(&mut out, &target.learning_curve);
        if let Some(gain) = &target.gain {
            out += "\n### The gain\n\n\
                    The second output, on rows that record the quality of both answers.\n";
            quality(&mut out, gain);
        }
    }
    out += "\n## Intended use\n\n\
            A first router between a cheap and a strong model, until there are labels of one's own \
            traffic: a few hundred of them make a better model than this one. Retrain with \
            `pointsman train`, measure with `pointsman evaluate`.\n\n\
            ## Limits\n\n\
            - What is learnt is mostly which kind of task a prompt is, and how often the cheap model \
            fails on that kind. On kinds of task that are not in the data it is no better than \
            chance.\n\
            - Labels from recorded answers compare two particular models; other pairs fail on other \
            prompts. Labels from readings are opinions.\n\
            - Images are hardly represented.\n\
            - The score says nothing about safety, and must not be used to judge people.\n";
    out
}

fn quality(out: &mut String, trained: &Trained) {
    *out += "\n| router | rows | accuracy | AUROC | APGR | CPT 50 | CPT 80 |\n\
            |---|---:|---:|---:|---:|---:|---:|\n";
    *out += &row("this model", &trained.validation);
    for (name, metrics) in &trained.baselines {
        *out += &row(name, metrics);
    }
    let interval = trained.validation.auroc_ci95.unwrap_or_default();
    let _ = writeln!(
        out,
        "\n95 % interval of the AUROC: {:.3} to {:.3}. Brier score {:.3}, expected calibration \
         error {:.3}.",
        interval[0], interval[1], trained.validation.brier, trained.validation.ece
    );
    *out += "\nWithin each source, where the kind of task gives nothing away:\n\n\
            | source | rows | accuracy | AUROC | APGR | CPT 50 | CPT 80 |\n\
            |---|---:|---:|---:|---:|---:|---:|\n";
    for (source, metrics) in &trained.by_source {
        *out += &row(source, metrics);
    }
}

fn curve(out: &mut String, points: &[CurvePoint]) {
    if !points.is_empty() {
        *out += "\nLearning curve, the same plans on fewer train rows:\n\n\
                | train rows | accuracy | AUROC | APGR |\n|---:|---:|---:|---:|\n";
        for point in points {
            let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
            let _ = writeln!(
                out,
                "| {} | {:.3} | {} | {} |",
                point.rows,
                point.accuracy,
                number(point.auroc),
                number(point.apgr)
            );
        }
    }
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
