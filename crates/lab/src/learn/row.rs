//! What is kept of one line of a dataset.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use super::group;
use super::line::{self, DatasetLine, ScoredModels};
use super::objective::gain;
use super::reject::Reject;
use super::scores::ScoredOutcome;
use super::soft_label::SoftLabel;
use super::sparse::SparseFeatures;
use super::split::Split;
use crate::rules::hand_rules;
use pointsman_core::classifier::Objective;
use pointsman_core::features::{Features, extract_into, hash64};
use pointsman_core::prompt::{ApiFormat, MAX_BODY_BYTES, MAX_WHOLE_BODY_BYTES, Prompt};

/// A labelled prompt, as features.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: String,
    /// Name of the task or data set it comes from; `""` when the row does not say.
    pub source: String,
    pub split: Split,
    /// Same for near-duplicate prompts: see [`super::group_id`].
    pub group_id: u64,
    pub features: SparseFeatures,
    /// The label: the cheap model's answer is good enough.
    pub cheap_ok: bool,
    /// Quality of the cheap model's answer, 0..=1.
    pub cheap: f32,
    /// Quality of the strong model's answer, 0..=1.
    pub strong: f32,
    /// Score of the shipped rules: see [`hand_rules`].
    pub rules: f32,
    /// How much the row counts in fitting; 1 unless the row says otherwise.
    pub weight: f32,
    /// Scores of models other than these two, 0..=1, by name.
    pub auxiliary_models: BTreeMap<String, f32>,
    /// What is fitted in the place of the label, where a reading or auxiliary models say more than
    /// it does.
    pub soft_label: Option<SoftLabel>,
}

impl Row {
    /// The row's outcome under a score.
    pub fn outcome(&self, score: f32) -> ScoredOutcome {
        ScoredOutcome { score, cheap_ok: self.cheap_ok, cheap: self.cheap, strong: self.strong }
    }
}

/// The request body of a line with its format; a plain-text row becomes a chat of one turn. `None`
/// when the line is not a row.
pub fn body_of(line: &[u8]) -> Option<(ApiFormat, Vec<u8>)> {
    let line = DatasetLine::read(line).ok()?;
    if let Some(request) = line.request {
        return Some((line.format(request).ok()?, request.get().as_bytes().to_vec()));
    }
    let body = json!({"messages": [{"role": "user", "content": line.prompt?}]});
    Some((ApiFormat::ChatCompletions, body.to_string().into_bytes()))
}

/// Turns lines into rows, reusing one feature vector. Of rows with the same ID and source the first
/// counts.
#[derive(Default)]
pub struct RowParser {
    features: Features,
    models: Option<ScoredModels>,
    objective: Objective,
    /// Digests, because there may be hundreds of millions of IDs.
    seen: HashSet<u64>,
}

impl RowParser {
    /// Labels rows for an objective, from two named models instead of `cheap` and `strong` where
    /// there are names.
    pub(super) fn of(models: Option<ScoredModels>, objective: Objective) -> Self {
        RowParser { models, objective, ..RowParser::default() }
    }

    /// Parses one line. `position` names the row when it carries no `id`, `unsplit` is its split
    /// when it carries none; by its question when that is `None`, too.
    pub(super) fn parse(
        &mut self,
        line: &[u8],
        position: &str,
        unsplit: Option<Split>,
    ) -> Result<Row, Reject> {
        let line = DatasetLine::read(line)?;
        let (of_prompt, rules) = self.read_prompt(&line, |prompt, features| {
            (group::prompt_group(prompt), hand_rules(prompt, features))
        })?;
        let source = line.source.as_deref().unwrap_or_default();
        let group_id = match &line.pair {
            Some(pair) => hash64(&[source.as_bytes(), pair.as_bytes()]),
            None => of_prompt,
        };
        let (cheap_ok, cheap, strong) = match &self.models {
            Some(models) => line::compared(&line, models, self.objective)?,
            None => line::labels(&line, self.objective)?,
        };
        let weight = line::in_range("weight", line.weight.unwrap_or(1.0), 0.0, 1e6, "0..=1e6")?;
        Ok(Row {
            id: self.name(&line, position)?,
            auxiliary_models: line.auxiliary_models(self.models.as_ref()),
            // A reading is a probability already: the yes or no made of it says less.
            soft_label: line
                .is_judged()
                .then_some(SoftLabel { sufficient: cheap, gain: gain(cheap, strong) }),
            source: line.source.unwrap_or_default(),
            split: line.split.or(unsplit).unwrap_or_else(|| group::by_group(group_id)),
            group_id,
            features: SparseFeatures::from(&self.features),
            cheap_ok,
            cheap,
            strong,
            rules,
            weight,
        })
    }

    /// Features of one line, which need not be labelled; returns its id.
    pub fn prompt(&mut self, line: &[u8], position: &str) -> Result<String, Reject> {
        let line = DatasetLine::read(line)?;
        self.read_prompt(&line, |_, _| ())?;
        self.name(&line, position)
    }

    /// The row's id, or where it is.
    fn name(&mut self, line: &DatasetLine, position: &str) -> Result<String, Reject> {
        let Some(id) = line.id() else { return Ok(position.to_owned()) };
        let mut hasher = DefaultHasher::new();
        (line.source.as_deref().unwrap_or_default(), &id).hash(&mut hasher);
        if self.seen.insert(hasher.finish()) { Ok(id) } else { Err(Reject::DuplicateId(id)) }
    }

    /// Features of the line that was parsed last.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Fills `self.features` from the row's text; returns what `look` makes of the text and them.
    fn read_prompt<T>(
        &mut self,
        line: &DatasetLine,
        look: impl FnOnce(&Prompt, &Features) -> T,
    ) -> Result<T, Reject> {
        let read = |prompt: &Prompt| {
            extract_into(prompt, &mut self.features);
            look(prompt, &self.features)
        };
        match (line.request, &line.prompt) {
            (Some(request), _) => {
                let format = line.format(request)?;
                let request = request.get().as_bytes();
                // As the filter reads it: the whole, or of a longer one the beginning.
                let truncated = request.len() > MAX_WHOLE_BODY_BYTES;
                let length = if truncated { MAX_BODY_BYTES } else { request.len() };
                let mut body = request[..length].to_vec();
                let prompt = Prompt::parse(format, &mut body, truncated)
                    .map_err(|error| Reject::Request { format, error })?;
                Ok(read(&prompt))
            }
            (None, Some(text)) if text.trim().is_empty() => Err(Reject::EmptyPrompt),
            (None, Some(text)) => Ok(read(&Prompt::from_text(cut(text, MAX_BODY_BYTES)))),
            (None, None) => Err(Reject::NoText),
        }
    }
}

/// `text` up to `limit` bytes, never inside a character.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::prompt::PromptError;

    fn parse(line: &str) -> Result<Row, Reject> {
        RowParser::default().parse(line.as_bytes(), "f:1", None)
    }

    #[test]
    fn flat_columns_of_public_data_are_read() {
        let row = parse(
            r#"{"source":"s","id":"7","split":"val","prompt":"hi","strong":1.0,"cheap":0.5,"cheap_ok":0}"#,
        )
        .unwrap();
        assert_eq!((row.id.as_str(), row.source.as_str(), row.split), ("7", "s", Split::Val));
        assert_eq!((row.cheap_ok, row.cheap, row.strong, row.weight), (false, 0.5, 1.0, 1.0));
    }

    #[test]
    fn dataset_row_label_wins_over_comparing_scores() {
        let row = parse(
            r#"{"prompt":"hi","scores":{"cheap":0.9,"strong":1.0},
                "label":{"cheap_ok":true,"quality":0.93,"evaluator":"f1"},"weight":2}"#,
        )
        .unwrap();
        assert_eq!((row.cheap_ok, row.cheap, row.weight), (true, 0.9, 2.0));
        assert_eq!(row.id, "f:1");
    }

    #[test]
    fn scores_alone_make_a_label() {
        let row = parse(r#"{"prompt":"hi","scores":{"cheap":1.0,"strong":1.0}}"#).unwrap();
        assert!(row.cheap_ok);
    }

    #[test]
    fn the_compared_models_are_not_auxiliary() {
        let auxiliary_models =
            |line: &str| parse(line).unwrap().auxiliary_models.into_keys().collect::<Vec<_>>();
        let flat = r#"{"prompt":"hi","strong_model":"l","cheap_model":"s","strong":1,"cheap":0,
            "models":{"l":1,"s":0,"m":0.5,"broken":null}}"#;
        assert_eq!(auxiliary_models(flat), ["m"]);
        let scores = r#"{"prompt":"hi","scores":{"cheap":0,"strong":1,"medium":1,"off":7}}"#;
        assert_eq!(auxiliary_models(scores), ["medium"]);
    }

    #[test]
    fn an_answer_that_satisfies_may_still_be_worse() {
        let parse = |line: &str, objective| {
            RowParser::of(None, objective)
                .parse(line.as_bytes(), "f:1", None)
                .map(|row| row.cheap_ok)
        };
        let both = r#"{"prompt":"hi","cheap":0.6,"strong":1,"cheap_ok":0}"#;
        assert_eq!(parse(both, Objective::Gain), Ok(false));
        assert_eq!(parse(both, Objective::Satisfy), Ok(true));
        let neither = r#"{"prompt":"hi","cheap":0,"strong":0}"#;
        assert_eq!(parse(neither, Objective::Gain), Ok(true));
        assert_eq!(parse(neither, Objective::Satisfy), Ok(false));
        let read = r#"{"prompt":"hi","scores":{"cheap":0.55,"strong":1},
            "label":{"cheap_ok":false,"quality":0.55,"evaluator":"judged"}}"#;
        assert_eq!(parse(read, Objective::Satisfy), Ok(false));
    }

    #[test]
    fn a_reading_is_fitted_as_the_probability_it_is_and_pairs_stay_together() {
        let parse = |id: u32, judged: f64, pair: &str| {
            let line = json!({"id": id, "source": "s", "pair": pair, "prompt": format!("text {id}"),
                "scores": {"cheap": judged, "strong": 1.0},
                "label": {"cheap_ok": judged >= 0.6, "quality": judged, "evaluator": "judged"}});
            RowParser::default().parse(line.to_string().as_bytes(), "f:1", None).unwrap()
        };
        let (easy, hard, other) = (parse(1, 0.9, "p"), parse(2, 0.25, "p"), parse(3, 0.5, "q"));
        assert_eq!(easy.soft_label, Some(SoftLabel { sufficient: 0.9, gain: 0.45 }));
        assert_eq!(easy.group_id, hard.group_id);
        assert_ne!(easy.group_id, other.group_id);
    }

    #[test]
    fn two_of_several_models_are_compared() {
        let line = br#"{"prompt":"hi","scores":{"small":0.5,"large":1},"models":{"medium":1}}"#;
        let parse = |cheap: &str| {
            let models = ScoredModels { cheap: cheap.to_owned(), strong: "large".to_owned() };
            RowParser::of(Some(models), Objective::Gain)
                .parse(line, "f:1", None)
                .map(|row| (row.cheap_ok, row.cheap))
        };
        assert_eq!(parse("small"), Ok((false, 0.5)));
        assert_eq!(parse("medium"), Ok((true, 1.0)));
        assert_eq!(parse("tiny"), Err(Reject::NoScore("tiny".to_owned())));
    }

    #[test]
    fn rows_that_cannot_be_used_say_why() {
        let cases = [
            (r#"{"cheap_ok":1}"#, Reject::NoText),
            (r#"{"prompt":"  ","cheap_ok":1}"#, Reject::EmptyPrompt),
            (r#"{"prompt":"hi"}"#, Reject::NoLabel),
            (r#"{"prompt":"hi","cheap":1.0}"#, Reject::NoLabel),
            (
                r#"{"prompt":"hi","cheap_ok":1,"weight":-1}"#,
                Reject::OutOfRange { field: "weight", value: -1.0, rule: "0..=1e6" },
            ),
            (
                r#"{"prompt":"hi","cheap":3.0,"strong":1.0}"#,
                Reject::OutOfRange { field: "cheap", value: 3.0, rule: "0..=1" },
            ),
            (
                r#"{"prompt":"hi","cheap_ok":7}"#,
                Reject::OutOfRange { field: "cheap_ok", value: 7.0, rule: "0, 1, false, true" },
            ),
            (
                r#"{"request":{"model":"m"},"cheap_ok":1}"#,
                Reject::Request {
                    format: ApiFormat::ChatCompletions,
                    error: PromptError::NoPrompt,
                },
            ),
            (
                r#"{"request":{"messages":[]},"path":"/v1/embeddings","cheap_ok":1}"#,
                Reject::Path("/v1/embeddings".to_owned()),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line).unwrap_err(), expected, "{line}");
        }
        assert!(matches!(parse("{"), Err(Reject::Json(_))));
        assert_eq!(RowParser::default().parse(b"\xff", "f:1", None).unwrap_err(), Reject::NotUtf8);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
