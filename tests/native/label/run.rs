//! Starting the command, and small logs for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

pub fn pointsman() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command
        .stdin(Stdio::null())
        .env_remove("POINTSMAN_CHEAP_KEY")
        .env_remove("POINTSMAN_JUDGE_KEY");
    command
}

/// A directory with a log in it.
pub struct Case {
    pub directory: TempDir,
}

impl Case {
    pub fn new(log: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("log.jsonl"), log).expect("the log");
        Case { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn out(&self) -> PathBuf {
        self.path("out.jsonl")
    }

    /// `label log.jsonl --out out.jsonl --cheap-url URL …`
    pub fn label(&self, url: &str, more: &[&str]) -> Command {
        let mut command = pointsman();
        command.arg("label").arg(self.path("log.jsonl")).arg("--out").arg(self.out());
        command.args(["--cheap-url", url, "--cheap-model", "cheap-model"]).args(more);
        command
    }

    pub fn rows(&self) -> Vec<Value> {
        rows(&self.out())
    }
}

pub fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("an output");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A log line of one question and its answer.
pub fn line(id: &str, question: &str, answer: &str) -> String {
    let row = json!({"id": id,
        "request": {"model": "strong", "messages": [{"role": "user", "content": question}]},
        "response": {"choices": [{"message": {"role": "assistant", "content": answer},
            "finish_reason": "stop"}]}});
    format!("{row}\n")
}

/// A log of sums, with the strong model always right.
pub fn sums(count: u64) -> String {
    (0..count)
        .map(|n| {
            line(
                &format!("sum-{n}"),
                &format!("How many are {n} + {n}?"),
                &format!("#### {}", 2 * n),
            )
        })
        .collect()
}

/// A cheap model that is right on two of three sums.
pub fn cheap_sum(question: &str) -> String {
    let n: u64 = question.split(' ').nth(3).and_then(|n| n.parse().ok()).expect("a sum");
    format!("The answer is {}.", if n.is_multiple_of(3) { n } else { 2 * n })
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("a summary")
}
