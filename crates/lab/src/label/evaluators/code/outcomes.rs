//! What functions of two programs make of the same arguments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::sandbox::{Job, Sandbox};
use super::program::{Language, Program};

const PYTHON_HARNESS: &str = include_str!("harness.py");
const NODE_HARNESS: &str = include_str!("harness.js");

/// What both programs are asked.
#[derive(Debug)]
pub struct Shape {
    pub function: Option<String>,
    pub statements: Vec<String>,
    pub constants: Vec<Value>,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Different,
    /// The strong program accepts none of the inputs.
    Nothing,
}

/// A call of a function, or an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// The types of the arguments; for an assertion whether it holds.
    types: String,
    value: String,
    /// The arguments after the call.
    arguments: String,
}

impl Outcome {
    fn failed(&self) -> bool {
        self.value.starts_with("error")
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    shape: Value,
    tests: Vec<Outcome>,
    calls: Vec<Outcome>,
    /// The harness came to its end.
    whole: bool,
}

impl Outcomes {
    /// Runs a program with all inputs, in a process of its own: one must not see or change the
    /// other. `shape` is how the strong one is called.
    fn of(program: &Program, asked: &Shape, shape: &Value, sandbox: &Sandbox) -> Option<Self> {
        let mark = format!("{:032x}", rand::random::<u128>());
        let request = json!({"mark": mark, "function": asked.function, "shape": shape,
            "statements": asked.statements, "constants": asked.constants})
        .to_string();
        let python = program.language == Language::Python;
        let (answer, harness, text) = match python {
            true => ("answer.py", "harness.py", PYTHON_HARNESS),
            false => ("answer.js", "harness.js", NODE_HARNESS),
        };
        let files =
            [(answer, program.source.as_str()), (harness, text), ("request.json", &request)];
        let command: &[&str] = match python {
            true => &["python3", "-I", "harness.py"],
            false => &["node", "--max-old-space-size=256", "harness.js"],
        };
        let run = Sandbox::in_directory(&files, |directory| {
            sandbox.run(&Job { directory, program: command, stdin: "", keep: None })
        })?;
        let mut lines = run.stdout.lines().filter_map(|line| line.strip_prefix(&mark));
        let mut outcomes =
            Outcomes { shape: serde_json::from_str(lines.next()?).ok()?, ..Outcomes::default() };
        for line in lines {
            let fields: Vec<&str> = line.split('\u{2}').collect();
            let outcome = |types: &str, value: &str, arguments: &str| Outcome {
                types: types.into(),
                value: value.into(),
                arguments: arguments.into(),
            };
            match fields[..] {
                ["end"] => outcomes.whole = true,
                ["test", holds, value] => outcomes.tests.push(outcome(holds, value, "")),
                [types, value, arguments] => outcomes.calls.push(outcome(types, value, arguments)),
                _ => {}
            }
        }
        Some(outcomes)
    }
}

/// Compares two programs on all inputs that the strong one accepts.
///
/// A function is only meant for some types. Calls with types that either function mostly rejects
/// prove nothing and do not count. Of arguments that a call changes only those are compared that are
/// its only result.
pub fn compare(strong: &Program, cheap: &Program, asked: &Shape, sandbox: &Sandbox) -> Verdict {
    if asked.function.is_none() && asked.statements.is_empty() {
        return Verdict::Nothing;
    }
    let Some(strong) = Outcomes::of(strong, asked, &Value::Null, sandbox).filter(|it| it.whole)
    else {
        return Verdict::Nothing;
    };
    let accepted = accepted(&strong.calls);
    // An assertion that the strong program fails proves nothing.
    let holding: Vec<usize> = (0..strong.tests.len())
        .filter(|&test| strong.tests[test].types == "True" && !strong.tests[test].failed())
        .collect();
    if accepted.is_empty() && holding.is_empty() {
        return Verdict::Nothing;
    }
    let Some(cheap) = Outcomes::of(cheap, asked, &strong.shape, sandbox).filter(|it| it.whole)
    else {
        return Verdict::Different;
    };
    let returns = strong
        .calls
        .iter()
        .any(|call| !call.failed() && !matches!(call.value.as_str(), "None" | "undefined"));
    let same = |a: &Outcome, b: Option<&Outcome>| {
        b.is_some_and(|b| a.value == b.value && (returns || a.arguments == b.arguments))
    };
    let tests = holding.iter().all(|&test| same(&strong.tests[test], cheap.tests.get(test)));
    // The request's own assertions say what the function is for.
    let rejected = if holding.is_empty() { rejected(&cheap.calls) } else { Vec::new() };
    let compared: Vec<usize> = accepted
        .into_iter()
        .filter(|&call| !rejected.contains(&strong.calls[call].types.as_str()))
        .collect();
    let calls = compared.iter().all(|&call| same(&strong.calls[call], cheap.calls.get(call)));
    // Whatever the cheap function rejects, it must be good for something.
    let any = !compared.is_empty() || !holding.is_empty();
    if tests && calls && any { Verdict::Same } else { Verdict::Different }
}

/// Types of arguments on which a function mostly fails.
fn rejected(calls: &[Outcome]) -> Vec<&str> {
    let mut by_types: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for call in calls {
        let (failed, all) = by_types.entry(&call.types).or_default();
        *failed += usize::from(call.failed());
        *all += 1;
    }
    by_types.retain(|_, (failed, all)| 2 * *failed > *all);
    by_types.into_keys().collect()
}

fn accepted(calls: &[Outcome]) -> Vec<usize> {
    let rejected = rejected(calls);
    (0..calls.len())
        .filter(|&call| !calls[call].failed() && !rejected.contains(&calls[call].types.as_str()))
        .collect()
}
