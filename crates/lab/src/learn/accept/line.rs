//! One row with the answers of two models.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::super::group;
use super::super::line::in_range;
use super::super::reject::Reject;
use super::super::split::Split;
use pointsman_core::acceptance::{ANSWER_LEN, LogProbabilities, extract};

/// The fields that are read; others may be there.
#[derive(Deserialize)]
struct AnswerLine<'a> {
    id: Option<Value>,
    source: Option<String>,
    split: Option<Split>,
    #[serde(borrow)]
    prompt: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cheap_answer: Option<Cow<'a, str>>,
    cheap_model: Option<String>,
    strong_model: Option<String>,
    cheap: Option<f64>,
    strong: Option<f64>,
    /// Of the cheap answer's tokens, natural logarithms.
    cheap_logprobs: Option<Vec<f32>>,
}

/// A prompt with the cheap model's answer, as the numbers that it is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerRow {
    pub id: String,
    /// `""` when the row does not say.
    pub source: String,
    pub split: Split,
    /// Same for near-duplicate prompts.
    pub group_id: u64,
    /// Names of the models; `""` when the row does not say.
    pub cheap_model: String,
    pub strong_model: String,
    /// `f32[ANSWER_LEN]`.
    pub features: [f32; ANSWER_LEN],
    /// Qualities of the two answers, 0..=1.
    pub cheap: f32,
    pub strong: f32,
    /// The routing model's score of the prompt; 0.5 where none was asked.
    pub router: f32,
}

impl AnswerRow {
    /// The label: the cheap answer is good enough.
    pub fn cheap_ok(&self) -> bool {
        self.cheap >= 0.5
    }

    /// Parses one line. `position` names the row when it carries no `id`, `unsplit` is its split when
    /// it carries none; by its question when that is `None`, too. `router` scores the prompt.
    pub(super) fn parse(
        line: &[u8],
        position: &str,
        unsplit: Option<Split>,
        router: impl FnOnce(&str) -> f32,
    ) -> Result<AnswerRow, Reject> {
        let text = std::str::from_utf8(line).map_err(|_| Reject::NotUtf8)?;
        let line: AnswerLine =
            serde_json::from_str(text).map_err(|error| Reject::Json(error.to_string()))?;
        let prompt = line.prompt.ok_or(Reject::NoField("prompt"))?;
        if prompt.trim().is_empty() {
            return Err(Reject::EmptyPrompt);
        }
        let answer = line.cheap_answer.ok_or(Reject::NoField("cheap_answer"))?;
        let grade = |name, value: Option<f64>| {
            in_range(name, value.ok_or(Reject::NoField(name))?, 0.0, 1.0, "0..=1")
        };
        let (cheap, strong) = (grade("cheap", line.cheap)?, grade("strong", line.strong)?);
        let log_probabilities = line.cheap_logprobs.as_deref().and_then(summary);
        let group_id = group::group_id(&prompt);
        Ok(AnswerRow {
            id: match line.id {
                Some(Value::String(id)) => id,
                Some(Value::Null) | None => position.to_owned(),
                Some(other) => other.to_string(),
            },
            source: line.source.unwrap_or_default(),
            split: line.split.or(unsplit).unwrap_or_else(|| group::by_group(group_id)),
            group_id,
            cheap_model: line.cheap_model.unwrap_or_default(),
            strong_model: line.strong_model.unwrap_or_default(),
            features: extract(&prompt, &answer, log_probabilities),
            cheap,
            strong,
            router: router(&prompt),
        })
    }
}

/// Mean and least of some log-probabilities; `None` where there are none.
fn summary(tokens: &[f32]) -> Option<LogProbabilities> {
    let least = tokens.iter().copied().reduce(f32::min)?;
    Some(LogProbabilities { mean: tokens.iter().sum::<f32>() / tokens.len() as f32, least })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<AnswerRow, Reject> {
        AnswerRow::parse(line.as_bytes(), "f:1", None, |_| 0.5)
    }

    #[test]
    fn a_row_without_an_id_is_named_by_its_place_and_split_by_its_question() {
        let row = parse(r#"{"prompt":"2+2?","cheap_answer":"4","cheap":1,"strong":0.5}"#).unwrap();
        assert_eq!((row.id.as_str(), row.cheap_ok(), row.strong), ("f:1", true, 0.5));
        let split =
            r#"{"id":7,"split":"val","prompt":"2+2?","cheap_answer":"4","cheap":0,"strong":1}"#;
        let row = parse(split).unwrap();
        assert_eq!((row.id.as_str(), row.split, row.cheap_ok()), ("7", Split::Val, false));
    }

    #[test]
    fn rows_that_cannot_be_used_say_which_field_and_why() {
        for (line, expected) in [
            (r#"{"cheap_answer":"4","cheap":1,"strong":1}"#, Reject::NoField("prompt")),
            (r#"{"prompt":"a","cheap":1,"strong":1}"#, Reject::NoField("cheap_answer")),
            (r#"{"prompt":" ","cheap_answer":"4","cheap":1,"strong":1}"#, Reject::EmptyPrompt),
            (r#"{"prompt":"a","cheap_answer":"","strong":1}"#, Reject::NoField("cheap")),
            (r#"{"prompt":"a","cheap_answer":"","cheap":1}"#, Reject::NoField("strong")),
            (
                r#"{"prompt":"a","cheap_answer":"4","cheap":2,"strong":1}"#,
                Reject::OutOfRange { field: "cheap", value: 2.0, rule: "0..=1" },
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), expected, "{line}");
        }
        let split = r#"{"split":"x","prompt":"a","cheap_answer":"4","cheap":1,"strong":1}"#;
        assert!(parse(split).unwrap_err().to_string().contains("unknown variant `x`"));
        assert!(matches!(parse("{"), Err(Reject::Json(_))));
    }
}
