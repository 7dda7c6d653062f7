//! One request of a log.

use std::borrow::Cow;

use pointsman_core::policy::{choose, step};
use pointsman_core::target::TargetSet;
use serde::Deserialize;
use serde_json::Value;

use super::UNNAMED;

/// A request that was decided on.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) target: usize,
    pub(super) source: String,
    /// The score, where it alone decided.
    pub(super) decided_by: Option<f32>,
    pub(super) prompt_tokens: f64,
    pub(super) route: String,
    pub(super) tenant: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Decided(Box<Request>),
    /// Not decided on, and why.
    Passed(String),
}

impl Request {
    /// The target under a threshold of the cheapest target, from which those of the others fall in
    /// equal steps, as the filter has it.
    pub(super) fn under(&self, threshold: f32, targets: usize) -> usize {
        let Some(score) = self.decided_by else { return self.target };
        let count = targets - 1;
        let thresholds: Vec<f32> = (0..count).map(|place| step(threshold, place, count)).collect();
        let chosen = choose(&vec![score; count], &thresholds, TargetSet::first(targets));
        chosen.map_or(self.target, |choice| choice.target)
    }
}

/// The decision record.
#[derive(Deserialize)]
struct Record<'r> {
    passed: Option<String>,
    #[serde(borrow)]
    target: Option<Cow<'r, str>>,
    source: Option<String>,
    score: Option<f32>,
    prompt_tokens_estimate: Option<f64>,
}

/// Reads a line of an access log, whose `decision` is a record as text or as an object, or a record
/// by itself.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read(line: &[u8], targets: &[String], tenant: Option<&str>) -> Result<Line, String> {
    let entry: Value =
        serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    let record = match entry.get("decision") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) => return Ok(Line::Passed("filter_not_run".to_owned())),
        Some(record) => record.to_string(),
        None => entry.to_string(),
    };
    let record: Record = serde_json::from_str(&record)
        .map_err(|error| format!("its decision is not a record: {error}"))?;
    if let Some(why) = record.passed {
        return Ok(Line::Passed(why));
    }
    let name = record.target.ok_or("it has no decision")?;
    let target = targets
        .iter()
        .position(|target| *target == name)
        .ok_or_else(|| format!("target \"{name}\" is none of {}", targets.join(", ")))?;
    let source = record.source.ok_or("its decision has no source")?;
    // The bandit drew where the classifier would have decided.
    let scored = source == "classifier" || source == "bandit";
    let text = |field: &str| {
        entry.get(field).and_then(Value::as_str).filter(|it| !it.is_empty()).unwrap_or(UNNAMED)
    };
    Ok(Line::Decided(Box::new(Request {
        target,
        decided_by: record.score.filter(|_| scored),
        source,
        prompt_tokens: record.prompt_tokens_estimate.unwrap_or_default(),
        route: text("route").to_owned(),
        tenant: tenant.map_or(UNNAMED, text).to_owned(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line, String> {
        let targets = ["small", "medium", "large"].map(str::to_owned);
        read(line.as_bytes(), &targets, Some("team"))
    }

    #[test]
    fn a_record_is_read_as_text_as_an_object_and_by_itself() {
        let record =
            r#"{"target":"medium","source":"classifier","score":0.5,"prompt_tokens_estimate":7}"#;
        let text = serde_json::to_string(record).unwrap();
        let expected = |route: &str, team: &str| {
            Ok(Line::Decided(Box::new(Request {
                target: 1,
                source: "classifier".to_owned(),
                decided_by: Some(0.5),
                prompt_tokens: 7.0,
                route: route.to_owned(),
                tenant: team.to_owned(),
            })))
        };
        assert_eq!(parse(record), expected("-", "-"));
        assert_eq!(
            parse(&format!(r#"{{"route":"chat","team":"a","decision":{record}}}"#)),
            expected("chat", "a")
        );
        assert_eq!(
            parse(&format!(r#"{{"route":"chat","team":null,"decision":{text}}}"#)),
            expected("chat", "-")
        );
    }

    #[test]
    fn what_is_no_decision_is_named() {
        assert_eq!(
            parse(r#"{"decision":"{\"passed\":\"skipped\"}"}"#),
            Ok(Line::Passed("skipped".to_owned()))
        );
        assert_eq!(parse(r#"{"decision":null}"#), Ok(Line::Passed("filter_not_run".to_owned())));
        for (line, problem) in [
            ("{", "not JSON"),
            (r#"{"decision":"none"}"#, "not a record"),
            (r#"{"status":"200"}"#, "no decision"),
            (r#"{"target":"other","source":"rule"}"#, "none of small, medium, large"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
    }

    #[test]
    fn thresholds_fall_in_equal_steps_and_move_only_what_a_score_decided() {
        let request = |score: Option<f32>| Request {
            target: 2,
            source: String::new(),
            decided_by: score,
            prompt_tokens: 0.0,
            route: String::new(),
            tenant: String::new(),
        };
        assert_eq!(request(Some(0.8)).under(0.8, 3), 0);
        assert_eq!(request(Some(0.79)).under(0.8, 3), 1);
        assert_eq!(request(Some(0.39)).under(0.8, 3), 2);
        assert_eq!(request(None).under(0.0, 3), 2);
    }
}
