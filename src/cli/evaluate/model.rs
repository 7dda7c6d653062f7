//! The model that is measured.

use std::path::Path;

use crate::cli::BadInput;
use crate::cli::args::ObjectiveArg;
use crate::cli::models::load_for;
use pointsman_core::classifier::{Classifier, Objective};
use pointsman_core::features::Features;
use pointsman_lab::evaluate::{ScoredRow, Scorer};
use pointsman_lab::learn::Row;

/// A model and what a report says about it.
pub(super) struct Model {
    pub(super) classifier: Classifier,
    /// What it is measured by.
    pub(super) objective: Objective,
    /// Position of the target that is measured.
    target: usize,
    pub(super) scorer: Scorer,
}

impl Model {
    /// A model with its scores for an objective, or for its own.
    pub(super) fn load(
        directory: Option<&Path>,
        name: Option<&str>,
        asked: Option<ObjectiveArg>,
    ) -> anyhow::Result<Model> {
        let (classifier, objective) = load_for(directory, asked)?;
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
        let threshold = classifier.thresholds().get(target).copied().unwrap_or(0.5);
        let scorer = Scorer { version: manifest.version.clone(), threshold };
        Ok(Model { classifier, objective, target, scorer })
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
        Ok(ScoredRow { previous, ..scored(of(self)?, row) })
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
pub(in crate::cli) fn scored(score: f32, row: &Row) -> ScoredRow {
    ScoredRow {
        id: row.id.clone(),
        source: row.source.clone(),
        score,
        cheap_ok: row.cheap_ok,
        cheap: row.cheap,
        strong: row.strong,
        rules: row.rules,
        previous: None,
    }
}
