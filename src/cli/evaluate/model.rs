//! The model that is measured.

use std::path::Path;

use crate::cli::BadInput;
use crate::cli::models::load;
use pointsman_core::classifier::Classifier;
use pointsman_core::features::Features;
use pointsman_lab::evaluate::{ScoredRow, Scorer, hand_rules};
use pointsman_lab::learn::Row;

/// A model and what a report says about it.
pub(super) struct Model {
    pub(super) classifier: Classifier,
    /// Position of the target that is measured.
    target: usize,
    pub(super) scorer: Scorer,
}

impl Model {
    pub(super) fn load(directory: Option<&Path>, name: Option<&str>) -> anyhow::Result<Model> {
        let classifier = load(directory)?;
        let manifest = classifier.manifest();
        let target = match name {
            None => 0,
            Some(name) => {
                let found = manifest.targets.iter().position(|target| target.name == name);
                found.ok_or_else(|| {
                    let names: Vec<&str> =
                        manifest.targets.iter().map(|target| &*target.name).collect();
                    let known = names.join(", ");
                    BadInput::new(format!("--target {name}: the model scores {known}"))
                })?
            }
        };
        let threshold = manifest.targets.get(target).map_or(0.5, |target| target.threshold);
        let scorer = Scorer { version: manifest.version.clone(), threshold };
        Ok(Model { classifier, target, scorer })
    }

    /// A row under this model and, where there is one, the previous one.
    pub(super) fn score(
        &self,
        previous: Option<&Model>,
        row: &Row,
        features: &Features,
    ) -> anyhow::Result<ScoredRow> {
        let of = |model: &Model| score(&model.classifier, model.target, row, features);
        let previous = previous.map(of).transpose()?;
        Ok(ScoredRow { previous, ..scored(of(self)?, row, features) })
    }
}

/// The score of one target, by position.
pub(in crate::cli) fn score(
    classifier: &Classifier,
    target: usize,
    row: &Row,
    features: &Features,
) -> anyhow::Result<f32> {
    let scores =
        classifier.scores(features).map_err(|error| anyhow::anyhow!("row {}: {error}", row.id))?;
    Ok(scores.get(target).copied().unwrap_or_default())
}

/// A row under a score, without a previous one.
pub(in crate::cli) fn scored(score: f32, row: &Row, features: &Features) -> ScoredRow {
    ScoredRow {
        id: row.id.clone(),
        source: row.source.clone(),
        score,
        cheap_ok: row.cheap_ok,
        cheap: row.cheap,
        strong: row.strong,
        rules: hand_rules(features),
        previous: None,
    }
}
