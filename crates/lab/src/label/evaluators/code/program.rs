//! Programs in answers, and what requests say of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::regex;

/// Constants that inputs are derived from.
const MAX_CONSTANTS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    JavaScript,
    Rust,
    C,
}

/// A program taken from an answer.
#[derive(Debug)]
pub struct Program {
    pub language: Language,
    pub source: String,
}

/// The longest fenced program of an answer, in a language that can be run.
pub fn find(answer: &str) -> Option<Program> {
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

/// Whether it is a program, and not only functions.
pub fn has_main(program: &Program) -> bool {
    static MAIN: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^\s*(?:(?:pub )?(?:async )?fn|int|void)\s+main\s*\("));
    MAIN.is_match(&program.source)
}

/// The assertions that a request gives: statements of Python, expressions of JavaScript.
pub fn assertions(question: &str, language: Language) -> Vec<String> {
    static PYTHON: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t>]*(assert\s[^\n]+)$"));
    static JAVASCRIPT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^[ \t]*console\.assert\(([^\n]+)\);?\s*$"));
    match language {
        Language::Python => {
            PYTHON.captures_iter(question).map(|found| found[1].to_owned()).collect()
        }
        Language::JavaScript => {
            JAVASCRIPT.captures_iter(question).map(|found| found[1].to_owned()).collect()
        }
        Language::Rust | Language::C => Vec::new(),
    }
}

/// The function to compare: one that both define, best one that the request names; then the last,
/// because helpers come first.
pub fn shared_function(strong: &Program, cheap: &Program, question: &str) -> Option<String> {
    let shared: Vec<String> = {
        let others: BTreeSet<String> = functions(cheap).into_iter().collect();
        functions(strong).into_iter().filter(|name| others.contains(name)).collect()
    };
    let named = shared.iter().find(|name| question.contains(name.as_str()));
    named.or(shared.last()).cloned()
}

fn functions(program: &Program) -> Vec<String> {
    static PYTHON: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?m)^(?:(?:async )?def (\w+)\s*\(|(\w+)(?:\s*:[^=\n]+)?\s*=\s*lambda\b)")
    });
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

/// Numbers and strings that stand in the programs and the request: branches depend on them.
pub fn constants(texts: &[&str]) -> Vec<Value> {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?:^|[^\w.])(\d{1,9}(?:\.\d{1,6})?)\b"));
    static STRING: LazyLock<Regex> =
        LazyLock::new(|| regex(r#""([^"\\\n]{1,24})"|'([^'\\\n]{1,24})'"#));
    let mut found: Vec<Value> = Vec::new();
    for text in texts {
        let numbers = NUMBER.captures_iter(text).filter_map(|it| serde_json::from_str(&it[1]).ok());
        let strings = STRING
            .captures_iter(text)
            .filter_map(|it| Some(it.get(1).or(it.get(2))?.as_str().into()));
        for value in numbers.take(MAX_CONSTANTS).chain(strings.take(MAX_CONSTANTS)) {
            if !found.contains(&value) {
                found.push(value);
            }
        }
    }
    found
}
