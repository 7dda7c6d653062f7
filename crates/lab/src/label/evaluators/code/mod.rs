//! Do two programs do the same?
//!
//! Nothing that a program says of itself counts. It only gets inputs, and what it makes of them is
//! compared here with what the strong program makes of them.

mod outcomes;
mod program;

use std::sync::LazyLock;

use regex::Regex;

use super::sandbox::{Job, Run, Sandbox};
use super::{Pair, Unscorable, regex};
use outcomes::{Shape, Verdict, compare};
use program::{Language, Program, has_main};

/// 1 when both programs give the same on every input, otherwise 0; also 0 when the cheap program is
/// missing, in another language, does not compile or ends early. Inputs are the assertions and
/// examples of the request, and arguments derived from them and from the constants of both programs,
/// which lie on both sides of their branches; standard inputs for whole programs.
///
/// # Errors
/// The strong program cannot be run here, fails, or nothing can be compared.
pub fn score(pair: &Pair, sandbox: &Sandbox) -> Result<f64, Unscorable> {
    let strong = program::find(&pair.strong.text)
        .ok_or(Unscorable("the strong answer contains no program in a supported language"))?;
    sandbox.check()?;
    let built = Built::build(&strong, sandbox)
        .ok_or(Unscorable("the strong program does not compile here"))?;
    let Some(cheap) = program::find(&pair.cheap.text) else { return Ok(0.0) };
    if cheap.language != strong.language {
        return Ok(0.0);
    }
    let Some(cheap_built) = Built::build(&cheap, sandbox) else { return Ok(0.0) };
    let question = pair.request.text();
    if matches!(strong.language, Language::Python | Language::JavaScript) {
        let shape = Shape {
            function: program::shared_function(&strong, &cheap, &question),
            statements: program::assertions(&question, strong.language),
            constants: program::constants(&[&strong.source, &cheap.source, &question]),
        };
        match compare(&strong, &cheap, &shape, sandbox) {
            Verdict::Same => return Ok(1.0),
            Verdict::Different => return Ok(0.0),
            Verdict::Nothing => {}
        }
    }
    match same_outputs(&built, &cheap_built, &question, sandbox) {
        Some(true) => Ok(1.0),
        Some(false) => Ok(0.0),
        None => Err(Unscorable("the strong program has no output to compare")),
    }
}

/// Whether an answer holds a program that can be run.
pub fn applies(answer: &str) -> bool {
    program::find(answer).is_some()
}

/// A program that compiled, or parsed.
struct Built<'a> {
    program: &'a Program,
    directory: tempfile::TempDir,
}

impl<'a> Built<'a> {
    fn build(program: &'a Program, sandbox: &Sandbox) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("pointsman-").tempdir().ok()?;
        let run = |file: &str, command: &[&str], keep: Option<&str>| {
            std::fs::write(directory.path().join(file), &program.source).ok()?;
            let job = Job { directory: directory.path(), program: command, stdin: "", keep };
            sandbox.run(&job).filter(|run| run.ok)
        };
        let has_main = has_main(program);
        match program.language {
            Language::Python => {
                let parse = "import ast,sys; ast.parse(open('main.py').read())";
                run("main.py", &["python3", "-I", "-c", parse], None)
            }
            Language::JavaScript => run("main.js", &["node", "--check", "main.js"], None),
            Language::Rust => {
                let kind = if has_main { "--crate-type=bin" } else { "--crate-type=lib" };
                let command = [
                    "rustc",
                    "--edition=2021",
                    "-Awarnings",
                    "-Ccodegen-units=1",
                    "-o",
                    "main",
                    kind,
                    "main.rs",
                ];
                run("main.rs", &command, Some("main"))
            }
            Language::C if has_main => {
                run("main.c", &["gcc", "-w", "-o", "main", "main.c", "-lm"], Some("main"))
            }
            Language::C => run("main.c", &["gcc", "-w", "-c", "-o", "main", "main.c"], None),
        }?;
        Some(Built { program, directory })
    }

    /// Runs the whole program.
    fn execute(&self, stdin: &str, sandbox: &Sandbox) -> Option<Run> {
        let program: &[&str] = match self.program.language {
            Language::Python => &["python3", "-I", "main.py"],
            Language::JavaScript => &["node", "--max-old-space-size=256", "main.js"],
            Language::Rust | Language::C if has_main(self.program) => &["./main"],
            Language::Rust | Language::C => return None,
        };
        sandbox.run(&Job { directory: self.directory.path(), program, stdin, keep: None })
    }
}

/// Whether both programs write the same for every standard input; `None` when the strong one fails
/// on all of them, or writes nothing.
fn same_outputs(strong: &Built, cheap: &Built, question: &str, sandbox: &Sandbox) -> Option<bool> {
    let (mut compared, mut same) = (0, true);
    let mut silent = true;
    for input in inputs(question) {
        let Some(expected) = strong.execute(&input, sandbox).filter(|run| run.ok) else { continue };
        silent &= expected.stdout.trim().is_empty();
        compared += 1;
        let lines = |text: &str| -> Vec<String> {
            text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
        };
        let actual = cheap.execute(&input, sandbox);
        same &= actual.is_some_and(|run| run.ok && lines(&run.stdout) == lines(&expected.stdout));
        if !same && !silent {
            break;
        }
    }
    (compared > 0 && !silent).then_some(same)
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
        let changed: Vec<String> = given.iter().flat_map(|input| changed(input)).collect();
        return given.into_iter().chain(changed).collect();
    }
    ["", "5\n", "3\n1 2 3\n", "hello world\n", "2\n7\n11\n"].map(String::from).to_vec()
}

/// A line of numbers, each one larger, and in the other order: the output that the request shows for
/// the sample does not fit them.
fn changed(input: &str) -> Vec<String> {
    let numbers: Option<Vec<i64>> =
        input.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers {
        Some(mut numbers) if input.trim_end().lines().count() == 1 => {
            let line = |numbers: &[i64]| {
                let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
                words.join(" ") + "\n"
            };
            let larger: Vec<i64> = numbers.iter().map(|number| number.saturating_add(1)).collect();
            numbers.reverse();
            vec![line(&larger), line(&numbers)]
        }
        _ => Vec::new(),
    }
}
