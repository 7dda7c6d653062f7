//! Do two programs do the same?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::sandbox::{Run, Sandbox};
use super::{Pair, Unscorable, regex};

/// Address space of interpreters and compiled programs, in KiB.
const MEMORY_KIB: u64 = 1024 * 1024;
/// The harness that calls a Python function of both answers with derived arguments.
const PYTHON_HARNESS: &str = include_str!("harness.py");
const NODE_HARNESS: &str = include_str!("harness.js");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
    Rust,
    C,
}

/// A program taken from an answer.
#[derive(Debug)]
struct Program {
    language: Language,
    source: String,
}

/// 0 when the cheap program is missing, in another language, or does not compile; otherwise the
/// share of inputs on which both programs give the same output. Inputs are the assertions and
/// examples of the request; without them, arguments for the function that both define, or standard
/// inputs for whole programs.
///
/// # Errors
/// The strong program cannot be run here, fails, or nothing can be compared.
pub fn score(pair: &Pair, sandbox: &Sandbox) -> Result<f64, Unscorable> {
    let strong = program(&pair.strong.text)
        .ok_or(Unscorable("the strong answer contains no program in a supported language"))?;
    let built = Built::build(&strong, sandbox)
        .ok_or(Unscorable("the strong program does not compile here"))?;
    let Some(cheap) = program(&pair.cheap.text) else { return Ok(0.0) };
    if cheap.language != strong.language {
        return Ok(0.0);
    }
    let Some(cheap_built) = Built::build(&cheap, sandbox) else { return Ok(0.0) };
    let question = pair.request.text();
    let assertions = assertions(&question, strong.language);
    if !assertions.is_empty() {
        // An assertion that the strong program fails proves nothing.
        let holding: Vec<&String> =
            assertions.iter().filter(|test| built.holds(test, sandbox)).collect();
        if !holding.is_empty() {
            let passed = holding.iter().filter(|test| cheap_built.holds(test, sandbox)).count();
            return Ok(passed as f64 / holding.len() as f64);
        }
    }
    if let Some(name) = shared_function(&strong, &cheap, &question)
        && let Some(share) = compare_functions(&strong, &cheap, &name, sandbox)
    {
        return Ok(share);
    }
    compare_outputs(&built, &cheap_built, &question, sandbox)
        .ok_or(Unscorable("the strong program has no output to compare"))
}

/// Whether an answer holds a program that can be run.
pub fn applies(answer: &str) -> bool {
    program(answer).is_some()
}

/// The longest fenced program of an answer, in a language that can be run.
fn program(answer: &str) -> Option<Program> {
    static FENCE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?ms)^[ \t]*```([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\z)"));
    FENCE
        .captures_iter(answer)
        .filter_map(|found| {
            let source = found[2].to_owned();
            let language = match found[1].to_ascii_lowercase().as_str() {
                "python" | "py" | "python3" => Language::Python,
                "javascript" | "js" | "node" => Language::JavaScript,
                "rust" | "rs" => Language::Rust,
                "c" => Language::C,
                "" => guess(&source)?,
                _ => return None,
            };
            Some(Program { language, source })
        })
        .max_by_key(|program| program.source.len())
}

fn guess(source: &str) -> Option<Language> {
    static SIGNS: LazyLock<[(Regex, Language); 4]> = LazyLock::new(|| {
        [
            (regex(r"(?m)^\s*#include\s*[<\x22]"), Language::C),
            (regex(r"(?m)^\s*(?:pub )?fn \w+.*\{\s*$"), Language::Rust),
            (regex(r"(?m)^\s*(?:def \w+\(.*:|import \w+\s*$|from \w+ import )"), Language::Python),
            (
                regex(r"(?m)^\s*(?:function \w+\(|(?:const|let) \w+ =|console\.log\()"),
                Language::JavaScript,
            ),
        ]
    });
    SIGNS.iter().find(|(sign, _)| sign.is_match(source)).map(|&(_, language)| language)
}

/// A program that compiled, or parsed.
struct Built<'a> {
    program: &'a Program,
    directory: tempfile::TempDir,
}

impl<'a> Built<'a> {
    fn build(program: &'a Program, sandbox: &Sandbox) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("pointsman-").tempdir().ok()?;
        let path = directory.path();
        let run = |file: &str, command: &[&str], memory: u64| {
            std::fs::write(path.join(file), &program.source).ok()?;
            sandbox.run(path, command, "", memory).filter(|run| run.ok)
        };
        let has_main = has_main(program);
        match program.language {
            Language::Python => {
                let parse = "import ast,sys; ast.parse(open('main.py').read())";
                run("main.py", &["python3", "-I", "-c", parse], MEMORY_KIB)
            }
            Language::JavaScript => run("main.js", &["node", "--check", "main.js"], 0),
            Language::Rust => {
                let kind = if has_main { "--crate-type=bin" } else { "--crate-type=lib" };
                let command =
                    ["rustc", "--edition=2021", "-Awarnings", "-o", "main", kind, "main.rs"];
                run("main.rs", &command, 0)
            }
            Language::C if has_main => {
                run("main.c", &["gcc", "-w", "-o", "main", "main.c", "-lm"], 0)
            }
            Language::C => run("main.c", &["gcc", "-w", "-c", "-o", "main", "main.c"], 0),
        }?;
        Some(Built { program, directory })
    }

    /// Runs the program with an assertion appended.
    fn holds(&self, assertion: &str, sandbox: &Sandbox) -> bool {
        let source = format!("{}\n\n{assertion}\n", self.program.source);
        let path = self.directory.path();
        let (file, command, memory): (_, &[&str], _) = match self.program.language {
            Language::Python => ("test.py", &["python3", "-I", "test.py"], MEMORY_KIB),
            Language::JavaScript => {
                ("test.js", &["node", "--max-old-space-size=256", "test.js"], 0)
            }
            Language::Rust | Language::C => return false,
        };
        std::fs::write(path.join(file), source).is_ok()
            && sandbox.run(path, command, "", memory).is_some_and(|run| run.ok)
    }

    /// Runs the whole program.
    fn execute(&self, stdin: &str, sandbox: &Sandbox) -> Option<Run> {
        let path: &Path = self.directory.path();
        let (command, memory): (&[&str], _) = match self.program.language {
            Language::Python => (&["python3", "-I", "main.py"], MEMORY_KIB),
            Language::JavaScript => (&["node", "--max-old-space-size=256", "main.js"], 0),
            Language::Rust | Language::C if has_main(self.program) => (&["./main"], MEMORY_KIB),
            Language::Rust | Language::C => return None,
        };
        sandbox.run(path, command, stdin, memory)
    }
}

fn has_main(program: &Program) -> bool {
    static MAIN: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^\s*(?:(?:pub )?(?:async )?fn|int|void)\s+main\s*\("));
    MAIN.is_match(&program.source)
}

/// The assertions that a request gives.
fn assertions(question: &str, language: Language) -> Vec<String> {
    static PYTHON: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t>]*(assert\s[^\n]+)$"));
    static JAVASCRIPT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^[ \t]*(console\.assert\([^\n]+\);?)\s*$"));
    match language {
        Language::Python => {
            PYTHON.captures_iter(question).map(|found| found[1].to_owned()).collect()
        }
        Language::JavaScript => JAVASCRIPT
            .captures_iter(question)
            // console.assert only prints: make it fail the run.
            .map(|found| found[1].replacen("console.assert", "require('assert').ok", 1))
            .collect(),
        Language::Rust | Language::C => Vec::new(),
    }
}

/// The function to compare: one that both define, best one that the request names; then the last,
/// because helpers come first.
fn shared_function(strong: &Program, cheap: &Program, question: &str) -> Option<String> {
    let shared: Vec<String> = {
        let others: BTreeSet<String> = functions(cheap).into_iter().collect();
        functions(strong).into_iter().filter(|name| others.contains(name)).collect()
    };
    let named = shared.iter().find(|name| question.contains(name.as_str()));
    named.or(shared.last()).cloned()
}

fn functions(program: &Program) -> Vec<String> {
    static PYTHON: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^(?:async )?def (\w+)\s*\("));
    static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?m)^(?:export )?(?:function (\w+)\s*\(|(?:const|let|var) (\w+) = (?:function|\(|\w+ =>))",
        )
    });
    let pattern = match program.language {
        Language::Python => &*PYTHON,
        Language::JavaScript => &*JAVASCRIPT,
        Language::Rust | Language::C => return Vec::new(),
    };
    pattern
        .captures_iter(&program.source)
        .filter_map(|found| found.get(1).or(found.get(2)).map(|name| name.as_str().to_owned()))
        .filter(|name| name != "main")
        .collect()
}

/// What a function did: the types of the arguments and the outcome, for each call.
struct Outcomes {
    count: String,
    calls: Vec<(String, String)>,
}

impl Outcomes {
    /// Calls a function many times, with `count` arguments or as many as it requires. The program
    /// runs in a process of its own: one must not see or change the other.
    fn of(program: &Program, name: &str, count: Option<&str>, sandbox: &Sandbox) -> Option<Self> {
        let python = program.language == Language::Python;
        let files = if python {
            [("answer.py", program.source.as_str()), ("harness.py", PYTHON_HARNESS)]
        } else {
            [("answer.js", program.source.as_str()), ("harness.js", NODE_HARNESS)]
        };
        let mut command = if python {
            vec!["python3", "-I", "harness.py", name]
        } else {
            vec!["node", "--max-old-space-size=256", "harness.js", name]
        };
        command.extend(count);
        let memory = if python { MEMORY_KIB } else { 0 };
        let run = Sandbox::in_directory(&files, |path| sandbox.run(path, &command, "", memory))?;
        let mut lines = run.stdout.lines().filter_map(|line| line.strip_prefix('\u{1}'));
        let count = lines.next()?.to_owned();
        let calls = lines.filter_map(|line| line.split_once('\u{2}'));
        let calls = calls.map(|(types, outcome)| (types.to_owned(), outcome.to_owned())).collect();
        Some(Outcomes { count, calls })
    }

    fn failed(&self, call: usize) -> bool {
        self.calls.get(call).is_none_or(|(_, outcome)| outcome.starts_with("error"))
    }
}

/// The share of derived arguments for which both functions give the same; `None` when the strong
/// one accepts none of them.
///
/// A function is only meant for some types. Calls with types that either function mostly rejects
/// prove nothing and do not count.
fn compare_functions(
    strong: &Program,
    cheap: &Program,
    name: &str,
    sandbox: &Sandbox,
) -> Option<f64> {
    let strong = Outcomes::of(strong, name, None, sandbox)?;
    let Some(cheap) = Outcomes::of(cheap, name, Some(&strong.count), sandbox) else {
        return Some(0.0);
    };
    let mut by_types: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (call, (types, _)) in strong.calls.iter().enumerate() {
        by_types.entry(types).or_default().push(call);
    }
    let mostly_fails = |outcomes: &Outcomes, calls: &[usize]| {
        2 * calls.iter().filter(|&&call| outcomes.failed(call)).count() > calls.len()
    };
    by_types.retain(|_, calls| !mostly_fails(&strong, calls));
    if by_types.is_empty() {
        return None;
    }
    by_types.retain(|_, calls| !mostly_fails(&cheap, calls));
    let accepted: Vec<usize> =
        by_types.into_values().flatten().filter(|&call| !strong.failed(call)).collect();
    let same = accepted.iter().filter(|&&call| cheap.calls.get(call) == strong.calls.get(call));
    Some(same.count() as f64 / accepted.len().max(1) as f64)
}

/// The share of standard inputs for which both programs write the same; `None` when the strong one
/// fails on all of them, or writes nothing.
fn compare_outputs(
    strong: &Built,
    cheap: &Built,
    question: &str,
    sandbox: &Sandbox,
) -> Option<f64> {
    let (mut compared, mut same) = (0, 0);
    let mut silent = true;
    for input in inputs(question) {
        let Some(expected) = strong.execute(&input, sandbox).filter(|run| run.ok) else { continue };
        silent &= expected.stdout.trim().is_empty();
        compared += 1;
        let lines = |text: &str| -> Vec<String> {
            text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
        };
        let actual = cheap.execute(&input, sandbox);
        if actual.is_some_and(|run| run.ok && lines(&run.stdout) == lines(&expected.stdout)) {
            same += 1;
        }
    }
    (compared > 0 && !silent).then(|| f64::from(same) / f64::from(compared))
}

/// Sample inputs of a request; without any, a few of the usual shapes.
fn inputs(question: &str) -> Vec<String> {
    static SAMPLE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?is)(?:sample )?input(?: \d+)?\s*:?\s*\n(?:```\w*\n)?(.*?)(?:```|\n\s*\n|\n(?:sample )?output|\z)",
        )
    });
    let given: Vec<String> = SAMPLE
        .captures_iter(question)
        .map(|found| found[1].trim_end().to_owned() + "\n")
        .filter(|input| !input.trim().is_empty())
        .take(8)
        .collect();
    if !given.is_empty() {
        return given;
    }
    ["", "5\n", "3\n1 2 3\n", "hello world\n", "2\n7\n11\n"].map(String::from).to_vec()
}
