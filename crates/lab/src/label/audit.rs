//! How far can labels be trusted? Compares them with known grades.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::error::LabelError;
use super::lines::each_object;
use crate::files::{Problem, Problems};

/// Agreement of labels with grades.
///
/// The question put to both is: *is the cheap answer equivalent to the strong one?* Grades answer
/// it when at least one of the two answers is right: both right means equivalent, one right means
/// not. When both are wrong, grades cannot tell the same mistake from two mistakes: such rows are
/// counted separately and do not enter the agreement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Audit {
    /// Rows that have a label and a grade that decides.
    pub rows: u64,
    pub agreement: f64,
    /// Of the labels `cheap_ok`, the share that is right.
    pub precision: f64,
    /// Of the equivalent pairs, the share that is labelled `cheap_ok`.
    pub recall: f64,
    /// Cohen's kappa: agreement beyond chance.
    pub kappa: f64,
    pub ok_and_equivalent: u64,
    pub ok_but_not_equivalent: u64,
    pub not_ok_but_equivalent: u64,
    pub not_ok_and_not_equivalent: u64,
    /// Rows on which both answers are graded wrong, by label.
    pub both_wrong_ok: u64,
    pub both_wrong_not_ok: u64,
    /// Labelled rows without a grade.
    pub ungraded: u64,
    /// Ids of the disagreements, the first hundred.
    pub disagreements: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Equivalent,
    Different,
    BothWrong,
}

/// Compares labelled rows with grades: JSONL of `{id, strong_correct, cheap_correct}` or
/// `{id, cheap_ok}`.
///
/// # Errors
/// A file cannot be read, or nothing can be compared.
pub fn audit(
    labelled: &[PathBuf],
    grades: &Path,
    problems: &mut Problems,
) -> Result<Audit, LabelError> {
    let mut by_id: HashMap<String, Grade> = HashMap::new();
    each(grades, problems, |id, value| {
        let flag = |name: &str| match value.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
            _ => None,
        };
        let grade = match (flag("strong_correct"), flag("cheap_correct"), flag("cheap_ok")) {
            (Some(true), Some(true), _) => Grade::Equivalent,
            (Some(false), Some(false), _) => Grade::BothWrong,
            (Some(_), Some(_), _) => Grade::Different,
            (_, _, Some(true)) => Grade::Equivalent,
            (_, _, Some(false)) => Grade::Different,
            _ => return Err("no strong_correct and cheap_correct, and no cheap_ok"),
        };
        by_id.insert(id, grade);
        Ok(())
    })?;
    let mut audit = Audit::default();
    for path in labelled {
        each(path, problems, |id, value| {
            let ok = value.pointer("/label/cheap_ok").and_then(Value::as_bool);
            let ok = ok.ok_or("no label.cheap_ok")?;
            audit.add(id.clone(), ok, by_id.get(&id).copied());
            Ok(())
        })?;
    }
    audit.finish();
    if audit.rows == 0 {
        return Err(LabelError::BadInput(format!(
            "no labelled row has a decisive grade in {}",
            grades.display()
        )));
    }
    Ok(audit)
}

impl Audit {
    fn add(&mut self, id: String, ok: bool, grade: Option<Grade>) {
        let count = match (ok, grade) {
            (_, None) => &mut self.ungraded,
            (true, Some(Grade::BothWrong)) => &mut self.both_wrong_ok,
            (false, Some(Grade::BothWrong)) => &mut self.both_wrong_not_ok,
            (true, Some(Grade::Equivalent)) => &mut self.ok_and_equivalent,
            (false, Some(Grade::Different)) => &mut self.not_ok_and_not_equivalent,
            (true, Some(Grade::Different)) => &mut self.ok_but_not_equivalent,
            (false, Some(Grade::Equivalent)) => &mut self.not_ok_but_equivalent,
        };
        *count += 1;
        let disagrees = matches!(
            (ok, grade),
            (true, Some(Grade::Different)) | (false, Some(Grade::Equivalent))
        );
        if disagrees && self.disagreements.len() < 100 {
            self.disagreements.push(id);
        }
    }

    fn finish(&mut self) {
        let [both, ok_only, equivalent_only, neither] = [
            self.ok_and_equivalent,
            self.ok_but_not_equivalent,
            self.not_ok_but_equivalent,
            self.not_ok_and_not_equivalent,
        ]
        .map(|count| count as f64);
        let all = both + ok_only + equivalent_only + neither;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        self.rows = all as u64;
        self.agreement = share(both + neither, all);
        self.precision = share(both, both + ok_only);
        self.recall = share(both, both + equivalent_only);
        let chance = share((both + ok_only) * (both + equivalent_only), all * all)
            + share((neither + equivalent_only) * (neither + ok_only), all * all);
        self.kappa = share(self.agreement - chance, 1.0 - chance);
    }
}

fn each(
    path: &Path,
    problems: &mut Problems,
    mut visit: impl FnMut(String, &Value) -> Result<(), &'static str>,
) -> Result<(), LabelError> {
    each_object(path, problems, |line, value, problems| {
        let id = match value.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Ok(problems.add(Problem::MissingField, path, line, "no id")?),
        };
        match visit(id, value) {
            Ok(()) => Ok(()),
            Err(what) => Ok(problems.add(Problem::MissingField, path, line, what)?),
        }
    })
}
