//! From a log to a router: the command line's later steps, as a user runs them.
mod calibrate;
mod evaluate;
mod explain;
mod formats;
mod golden_chain;
mod output;
mod reading;
mod spark;
mod walkthrough;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Runs `pointsman` with text on standard input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pointsman starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_vec();
    // From a thread: what it says may fill its pipe before it has read everything.
    let writer = std::thread::spawn(move || {
        // A command that does not read its input has not failed.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("pointsman ends");
    writer.join().expect("the input was offered");
    output
}

/// As [`run`], and must succeed; its standard output.
fn stdout(arguments: &[&str], input: &[u8]) -> String {
    let output = run(arguments, input);
    assert!(output.status.success(), "{arguments:?}\n{}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments, b"")).expect("one JSON object")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LOG: &str = "examples/log/log.jsonl";

/// The sample log labelled from its recorded answers, and a small model of it.
struct Sample {
    directory: tempfile::TempDir,
}

impl Sample {
    fn labelled(&self) -> PathBuf {
        self.directory.path().join("labelled.jsonl")
    }

    fn model(&self) -> PathBuf {
        self.directory.path().join("model")
    }
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let sample = Sample { directory: tempfile::tempdir().expect("a directory") };
    let labelled = stdout(&["label", "--no-replay", LOG], b"");
    std::fs::write(sample.labelled(), labelled).expect("the rows");
    let (data, model) = (sample.labelled(), sample.model());
    let train = ["train", "--algorithm", "logistic", "--data", path(&data), "--out", path(&model)];
    stdout(&train, b"");
    sample
});
