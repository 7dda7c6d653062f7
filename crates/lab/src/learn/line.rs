//! One line of a dataset as it is written: the fields of both layouts, and what they say.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reject::Reject;
use super::split::Split;
use pointsman_core::classifier::Objective;
use pointsman_core::prompt::ApiFormat;

/// The fields of both layouts: the dataset row, and the flat columns of public routing data.
#[derive(Deserialize)]
pub(super) struct DatasetLine<'a> {
    id: Option<Value>,
    pub(super) source: Option<String>,
    /// Rows that differ in little but what is asked: never apart in cross-validation.
    pub(super) pair: Option<String>,
    pub(super) split: Option<Split>,
    /// As it was sent: in another order of its fields it could be another conversation.
    #[serde(borrow)]
    pub(super) request: Option<&'a RawValue>,
    /// Where the request was sent to, which gives its format.
    path: Option<String>,
    #[serde(borrow)]
    pub(super) prompt: Option<Cow<'a, str>>,
    scores: Option<HashMap<String, Option<f64>>>,
    /// Scores of more models, in public routing data.
    models: Option<HashMap<String, Option<f64>>>,
    strong_model: Option<String>,
    cheap_model: Option<String>,
    label: Option<Label>,
    strong: Option<f64>,
    cheap: Option<f64>,
    cheap_ok: Option<Flag>,
    pub(super) weight: Option<f64>,
}

#[derive(Deserialize)]
struct Label {
    cheap_ok: Option<Flag>,
    quality: Option<f64>,
    evaluator: Option<String>,
}

/// The evaluator of rows that somebody read and judged.
const JUDGED: &str = "judged";

/// `true`/`false` or `1`/`0`.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(f64),
}

impl Flag {
    fn is_set(self) -> Result<bool, Reject> {
        match self {
            Flag::Bool(flag) => Ok(flag),
            Flag::Number(0.0) => Ok(false),
            Flag::Number(1.0) => Ok(true),
            Flag::Number(value) => {
                let rule = "0, 1, false, true";
                Err(Reject::OutOfRange { field: "cheap_ok", value, rule })
            }
        }
    }
}

impl DatasetLine<'_> {
    pub(super) fn read(line: &[u8]) -> Result<DatasetLine<'_>, Reject> {
        let text = std::str::from_utf8(line).map_err(|_| Reject::NotUtf8)?;
        serde_json::from_str(text).map_err(|e| Reject::Json(e.to_string()))
    }

    fn score(&self, model: &str) -> Option<f64> {
        let named = |scores: &Option<HashMap<String, Option<f64>>>| {
            scores.as_ref().and_then(|scores| scores.get(model).copied().flatten())
        };
        named(&self.scores).or_else(|| named(&self.models))
    }

    /// Whether the label is a reader's probability, not an outcome.
    pub(super) fn is_judged(&self) -> bool {
        self.label.as_ref().and_then(|label| label.evaluator.as_deref()) == Some(JUDGED)
    }

    /// Scores of all models but the two that are compared.
    pub(super) fn auxiliary_models(
        &self,
        compared: Option<&ScoredModels>,
    ) -> BTreeMap<String, f32> {
        let pair = match compared {
            Some(models) => [Some(models.cheap.as_str()), Some(models.strong.as_str()), None, None],
            None => {
                let (cheap, strong) = (self.cheap_model.as_deref(), self.strong_model.as_deref());
                [Some("cheap"), Some("strong"), cheap, strong]
            }
        };
        let scores = self.scores.iter().chain(&self.models).flatten();
        let scored = scores.filter_map(|(name, score)| Some((name, (*score)?)));
        scored
            .filter(|(name, score)| {
                !pair.contains(&Some(name.as_str())) && (0.0..=1.0).contains(score)
            })
            .map(|(name, score)| (name.clone(), score as f32))
            .collect()
    }

    /// The row's own name.
    pub(super) fn id(&self) -> Option<String> {
        match self.id.as_ref()? {
            Value::String(id) => Some(id.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    /// The request's format: by its path, otherwise by its shape.
    pub(super) fn format(&self, request: &RawValue) -> Result<ApiFormat, Reject> {
        match &self.path {
            Some(path) => {
                ApiFormat::of_path(path.as_bytes()).ok_or_else(|| Reject::Path(path.clone()))
            }
            None => Ok(ApiFormat::of_body(request.get())),
        }
    }
}

/// The label that two recorded qualities make for an objective.
fn is_cheap_ok(objective: Objective, cheap: f64, strong: f64) -> bool {
    /// Quality from which on an answer is good enough.
    const SATISFIES: f64 = 0.5;
    match objective {
        Objective::Gain => cheap >= strong,
        Objective::Satisfy => cheap >= SATISFIES,
    }
}

/// Names of the models whose scores make the label, where rows hold more than two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoredModels {
    /// The non-strongest target's model.
    pub cheap: String,
    pub strong: String,
}

/// The label and the qualities of both answers; what is missing follows from what is there.
pub(super) fn labels(line: &DatasetLine, objective: Objective) -> Result<(bool, f32, f32), Reject> {
    let label = line.label.as_ref();
    let strong = line.score("strong").or(line.strong);
    let cheap = line.score("cheap").or(line.cheap);
    let flag = label.and_then(|l| l.cheap_ok).or(line.cheap_ok).map(Flag::is_set).transpose()?;
    let quality = label.and_then(|l| l.quality);
    let cheap_ok = match (flag, cheap, strong) {
        // A label of an evaluator or a reader is about the cheap answer alone already; a column of
        // public data compares both.
        (Some(flag), _, _) if objective == Objective::Gain || label.is_some() => flag,
        (_, Some(cheap), Some(strong)) => is_cheap_ok(objective, cheap, strong),
        (Some(flag), _, _) => flag,
        _ => return Err(Reject::NoLabel),
    };
    let strong = in_range("strong", strong.unwrap_or(1.0), 0.0, 1.0, "0..=1")?;
    let cheap = cheap.or(quality).unwrap_or(if cheap_ok { 1.0 } else { 0.0 });
    Ok((cheap_ok, in_range("cheap", cheap, 0.0, 1.0, "0..=1")?, strong))
}

/// The label and the qualities of two named models' answers.
pub(super) fn compared(
    line: &DatasetLine,
    models: &ScoredModels,
    objective: Objective,
) -> Result<(bool, f32, f32), Reject> {
    let score = |model: &String| {
        let score = line.score(model).ok_or_else(|| Reject::NoScore(model.clone()))?;
        in_range("scores", score, 0.0, 1.0, "0..=1")
    };
    let (cheap, strong) = (score(&models.cheap)?, score(&models.strong)?);
    Ok((is_cheap_ok(objective, cheap.into(), strong.into()), cheap, strong))
}

pub(super) fn in_range(
    field: &'static str,
    value: f64,
    low: f64,
    high: f64,
    rule: &'static str,
) -> Result<f32, Reject> {
    if (low..=high).contains(&value) {
        Ok(value as f32)
    } else {
        Err(Reject::OutOfRange { field, value, rule })
    }
}
