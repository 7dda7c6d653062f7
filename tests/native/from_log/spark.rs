//! The PySpark job on Spark's local-cluster mode: the rows of a local run, one by one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::from_log::{LOG, SAMPLE, path, root, stdout};

/// Why Spark cannot run here. On CI it must.
fn missing() -> Option<String> {
    let runs = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !runs(&python(), &["-c", "import pyspark"]) {
        return Some("no pyspark in .venv: run `make venv`".to_owned());
    }
    if !runs(Path::new("java"), &["-version"]) {
        return Some("no Java: on Debian, apt-get install default-jre-headless".to_owned());
    }
    None
}

fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

/// The lines of all parts of an output, in the order of the parts.
fn parts(directory: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("part-"));
    files.sort();
    assert!(files.len() >= 2, "one partition proves nothing");
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(str::to_owned).collect()
}

/// Without the order, which a file system's listing and a shuffle of columns decide.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn spark_gives_the_rows_of_a_local_run() {
    if let Some(reason) = missing() {
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (logs, out) = (directory.path().join("logs"), directory.path().join("out"));
    fs::create_dir(&logs).unwrap();
    let log = fs::read_to_string(root().join(LOG)).unwrap();
    let lines: Vec<&str> = log.lines().take(90).collect();
    for (number, part) in lines.chunks(40).enumerate() {
        fs::write(logs.join(format!("{number}.jsonl")), part.join("\n") + "\n").unwrap();
    }
    let model = SAMPLE.model();
    let output = Command::new(python())
        .arg(root().join("tests/native/from_log/spark_run.py"))
        .args([env!("CARGO_BIN_EXE_pointsman"), path(&model), path(&logs), path(&out)])
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("PYSPARK_PYTHON", python())
        .env_remove("SPARK_HOME")
        .current_dir(directory.path())
        .output()
        .expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = lines.join("\n") + "\n";
    let local = |arguments: &[&str], input: &str| -> Vec<String> {
        stdout(arguments, input.as_bytes()).lines().map(str::to_owned).collect()
    };
    let labelled = local(&["label", "--no-replay"], &text);
    assert_eq!(labelled.len(), 90);
    let on_spark = parts(&out.join("labelled"));
    assert_eq!(sorted(on_spark), sorted(labelled.clone()));
    assert_eq!(sorted(parts(&out.join("from_parquet"))), sorted(labelled.clone()));
    let scored =
        local(&["evaluate", "--rows", "--model", path(&model)], &(labelled.join("\n") + "\n"));
    assert_eq!(sorted(parts(&out.join("scored"))), sorted(scored));
    assert_eq!(sorted(parts(&out.join("features"))), sorted(local(&["features"], &text)));
}
