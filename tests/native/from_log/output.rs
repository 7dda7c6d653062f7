//! Where the output goes wrong, and files that are not there.

use std::fs::{self, File, OpenOptions};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::from_log::{LOG, SAMPLE, path, root, run, stderr, stdout};

/// What the commands read, in a directory.
struct Inputs {
    directory: tempfile::TempDir,
}

impl Inputs {
    fn new() -> Self {
        let inputs = Inputs { directory: tempfile::tempdir().unwrap() };
        let file = |name: &str, text: String| {
            fs::write(inputs.directory.path().join(name), text).unwrap();
        };
        let rows = fs::read_to_string(SAMPLE.labelled()).unwrap();
        let grade = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            format!("{}\n", json!({"id": row["id"], "cheap_ok": true}))
        };
        file("grades.jsonl", rows.lines().map(grade).collect());
        file("set.csv", "prompt,c,s\n".to_owned() + &"Why?,0,1\n".repeat(2000));
        let pair = |n: usize| {
            let (a, b) = (format!("What is the capital of country {n}?"), "How do I bake bread?");
            let b = if n.is_multiple_of(2) { a.clone() } else { format!("{b} ({n})") };
            format!(
                "{}\n",
                json!({"text_a": a, "text_b": b, "label": usize::from(n.is_multiple_of(2))})
            )
        };
        file("pairs.jsonl", (0..400).map(pair).collect());
        let context = pointsman_core::packed::pack(&[1.0; 3]);
        let decision = |n: usize| {
            let id = n.to_string();
            let target = if n.is_multiple_of(2) { "cheap" } else { "strong" };
            let record = json!({"decision_id": id, "source": "bandit", "target": target,
                "propensity": 0.5, "context": context});
            format!("{record}\n{}\n", json!({"decision_id": id, "reward": (n % 3) as f64 / 2.0}))
        };
        file("decisions.ndjson", (0..200).map(decision).collect());
        inputs
    }

    fn path(&self, name: &str) -> String {
        path(&self.directory.path().join(name)).to_owned()
    }

    /// Every command that writes its result to standard output.
    fn commands(&self) -> Vec<Vec<String>> {
        let (rows, model) = (SAMPLE.labelled(), SAMPLE.model());
        let of_model = format!("--model {} --data {}", path(&model), path(&rows));
        let trained = self.path("trained");
        [
            "schema".to_owned(),
            "explain examples/log/request.json".to_owned(),
            "explain --json examples/log/request.json".to_owned(),
            format!("features {LOG}"),
            format!("label --no-replay {LOG}"),
            format!("label --audit {} {}", self.path("grades.jsonl"), path(&rows)),
            format!("label --json --audit {} {}", self.path("grades.jsonl"), path(&rows)),
            format!("import --format csv --cheap c --strong s {}", self.path("set.csv")),
            format!("train --algorithm logistic --json --out {trained} --data {}", path(&rows)),
            format!("evaluate {of_model}"),
            format!("evaluate --json {of_model}"),
            format!("evaluate --rows {of_model}"),
            format!("calibrate --quality 0.9 {of_model}"),
            format!("calibrate --quality 0.9 --json {of_model}"),
            format!("calibrate --quality 0.9 --config-only {of_model}"),
            format!("estimate --policy cheap --log {}", self.path("decisions.ndjson")),
            format!("estimate --json --policy cheap --log {}", self.path("decisions.ndjson")),
            format!("simulate --requests 200 --seeds 1 {of_model}"),
            format!("cache calibrate --false-hits 0.5 --pairs {}", self.path("pairs.jsonl")),
            "cache audit --pairs 8".to_owned(),
            "cache audit --pairs 8 --json".to_owned(),
        ]
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .into()
    }
}

fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in Inputs::new().commands() {
        let (reader, writer) = std::io::pipe().unwrap();
        // Nobody reads: as `| head` after its last line.
        drop(reader);
        let output = command(&arguments).stdout(writer).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("error") && !said.contains("panicked"), "{arguments:?}: {said}");
        // Nor has one that does not listen lost anything.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(&arguments).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_that_says_so_once() {
    for arguments in Inputs::new().commands() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(&arguments).stdout(full).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.matches("No space left on device").count(), 1, "{arguments:?}: {said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_bad_input_to_every_command_and_named_once() {
    let (rows, model) = (SAMPLE.labelled(), SAMPLE.model());
    let (rows, model) = (path(&rows), path(&model));
    for arguments in [
        &["features", "/no/where"][..],
        &["label", "--no-replay", "/no/where"],
        &["label", "--no-replay", "/no/where", "--out", "/tmp/pointsman-never"],
        &["label", "--audit", "/no/where", rows],
        &["label", "--audit", rows, "/no/where"],
        &["import", "--format", "csv", "--cheap", "c", "--strong", "s", "/no/where"],
        &["train", "--data", "/no/where", "--out", "/tmp/pointsman-never"],
        &["evaluate", "--data", "/no/where"],
        &["evaluate", "--data", rows, "--model", "/no/where"],
        &["calibrate", "--data", "/no/where", "--model", model, "--quality", "0.9"],
        &["explain", "/no/where"],
        &["estimate", "--log", "/no/where", "--policy", "cheap"],
        &["simulate", "--data", "/no/where"],
        &["cache", "calibrate", "--pairs", "/no/where"],
        &["cache", "audit", "--calibration", "/no/where"],
    ] {
        let output = run(arguments, b"");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.matches("No such file or directory").count(), 1, "{arguments:?}: {said}");
    }
}

#[test]
fn a_model_that_cannot_be_written_is_refused_before_it_is_fitted() {
    let rows = SAMPLE.labelled();
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("model");
    for out in [file.path(), &below] {
        let output = run(&["train", "--data", path(&rows), "--out", path(out)], b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).starts_with("error: --out "), "{}", stderr(&output));
    }
}

#[test]
fn training_is_summed_up_in_one_object() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("rows.jsonl");
    fs::write(&data, fs::read_to_string(SAMPLE.labelled()).unwrap() + "{\n").unwrap();
    let model = directory.path().join("model");
    let train = ["train", "--algorithm", "logistic", "--data", path(&data), "--json", "--out"];
    let text = stdout(&[&train[..], &[path(&model)]].concat(), b"");
    let summary: Value = serde_json::from_str(&text).unwrap();
    let manifest: Value = serde_json::from_reader(File::open(model.join("manifest.json")).unwrap())
        .expect("the manifest");
    assert_eq!(summary["version"], manifest["version"]);
    assert_eq!(summary["data"], manifest["training"]["data"]);
    let target = &summary["targets"][0];
    assert_eq!(target["validation"], manifest["training"]["targets"][0]["validation"]);
    assert_eq!(target["problems"], json!({"broken_line": 1}));
}

#[test]
fn an_import_skips_and_names_bad_rows_and_never_leaves_a_part() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("rows.jsonl");
    let csv = b"\xef\xbb\xbfprompt,c,s\nWhy?,0,1\nHow?,x,1\nWho?,1,1\n";
    let import = ["import", "--format", "csv", "--cheap", "c", "--strong", "s"];
    let to_file = [&import[..], &["--out", path(&out), "--json"]].concat();
    let output = run(&[&to_file[..], &["--strict"]].concat(), csv);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("-:3: column `c`: `x`"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
    let summary: Value = serde_json::from_str(&stdout(&to_file, csv)).unwrap();
    let expected = json!({"rows": 2, "cheap_ok": 1, "skipped": 1, "problems": {"bad_value": 1}});
    assert_eq!(summary, expected);
    assert_eq!(fs::read_to_string(&out).unwrap(), stdout(&[&import[..], &["-"]].concat(), csv));
}
