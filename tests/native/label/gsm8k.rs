//! A real log: GSM8K questions, two models' recorded answers, known grades.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pointsman_lab::files::Lines;
use serde_json::Value;

use crate::label::run::{pointsman, stderr};
use crate::label::upstream::{Reply, Upstream};

fn logs() -> Option<PathBuf> {
    let logs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/logs");
    if logs.is_dir() {
        return Some(logs);
    }
    eprintln!("skipped: {} is not there", logs.display());
    None
}

fn recorded(logs: &std::path::Path) -> HashMap<String, String> {
    let mut lines = Lines::open(&logs.join("gsm8k_cheap_recorded.jsonl.gz")).expect("opens");
    let mut answers = HashMap::new();
    while let Some((_, bytes, _)) = lines.next_line().expect("readable") {
        let row: Value = serde_json::from_slice(bytes).expect("JSON");
        let text = |field: &str| row[field].as_str().expect("text").to_owned();
        answers.insert(text("prompt"), text("content"));
    }
    answers
}

#[test]
fn numeric_labels_agree_with_the_grades_at_speed() {
    let Some(logs) = logs() else { return };
    let answers = recorded(&logs);
    let upstream = Upstream::start(Duration::from_millis(5), move |question, _| {
        Reply::Text(answers.get(question).expect("a recorded answer").clone())
    });
    let directory = tempfile::tempdir().expect("a directory");
    let label = |evaluator: &str, name: &str| {
        let out = directory.path().join(name);
        let begin = Instant::now();
        let output = pointsman()
            .arg("label")
            .arg(logs.join("gsm8k_strong_log.jsonl.gz"))
            .args(["--cheap-url", &upstream.url(), "--cheap-model", "mixtral-8x7b"])
            .args(["--evaluator", evaluator, "--concurrency", "32", "--out"])
            .arg(&out)
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", stderr(&output));
        (out, begin.elapsed())
    };
    let audit = |labelled: &std::path::Path| -> Value {
        let output = pointsman()
            .args(["label", "--json", "--audit"])
            .arg(logs.join("gsm8k_truth.jsonl.gz"))
            .arg(labelled)
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };

    let (out, elapsed) = label("numeric", "numeric.jsonl");
    let rows = fs::read_to_string(&out).expect("the output").lines().count();
    let rate = rows as f64 / elapsed.as_secs_f64() * 60.0;
    let numeric = audit(&out);
    println!("{rows} rows, {rate:.0} rows/min, {numeric}");
    assert!(rows >= 1080, "{rows}");
    assert!(rate >= 1000.0, "{rate}");
    assert!(numeric["agreement"].as_f64() >= Some(0.97), "{numeric}");

    let (out, _) = label("auto", "auto.jsonl");
    let auto = audit(&out);
    println!("auto: {auto}");
    assert!(
        auto["rows"].as_u64() >= Some(900) && auto["agreement"].as_f64() >= Some(0.97),
        "{auto}"
    );
}
