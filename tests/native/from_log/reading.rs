//! Rows as people have them: other formats, other encodings, no split, ids twice.

use std::fs;
use std::path::Path;

use pointsman_core::config::Config;
use pointsman_core::features::extract;
use pointsman_core::prompt::{ApiFormat, Prompt};
use pointsman_core::router::Router;
use serde_json::{Value, json};

use crate::from_log::{SAMPLE, path, run, stderr, stdout};

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let file = directory.join(name);
    fs::write(&file, bytes).unwrap();
    path(&file).to_owned()
}

/// The labelled rows of the sample, each changed.
fn rows(mut change: impl FnMut(usize, &mut Value)) -> String {
    let text = fs::read_to_string(SAMPLE.labelled()).unwrap();
    let changed = text.lines().enumerate().map(|(number, line)| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        change(number, &mut row);
        format!("{row}\n")
    });
    changed.collect()
}

fn evaluate(data: &str, more: &[&str]) -> (Value, String) {
    let model = SAMPLE.model();
    let arguments = ["evaluate", "--data", data, "--model", path(&model), "--json"];
    let output = run(&[&arguments[..], more].concat(), b"");
    assert!(output.status.success(), "{}", stderr(&output));
    (serde_json::from_slice(&output.stdout).unwrap(), stderr(&output))
}

#[test]
fn rows_that_were_held_out_are_measured_whatever_their_split_is_called() {
    let directory = tempfile::tempdir().unwrap();
    let all = rows(|_, _| ()).lines().count();
    let named = |name: &str| {
        let text = rows(|_, row| row["split"] = json!(name));
        write(directory.path(), &format!("{name}.jsonl"), text)
    };
    for name in ["test", "val"] {
        let (object, said) = evaluate(&named(name), &[]);
        assert_eq!(object["n"], all);
        assert!(said.contains(&format!("{all} of {all} rows measured")), "{said}");
        assert_eq!(evaluate(&named(name), &["--split", name]).0, object);
    }
    let model = SAMPLE.model();
    let train = named("train");
    let refused = run(&["evaluate", "--data", &train, "--model", path(&model), "--json"], b"");
    assert_eq!(refused.status.code(), Some(2));
    let calibrate = ["calibrate", "--quality", "0.9", "--json", "--model", path(&model), "--data"];
    let answer = stdout(&[&calibrate[..], &[&named("test")]].concat(), b"");
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["rows"], all);
}

#[test]
fn rows_without_a_split_are_held_out_unless_the_model_was_trained_on_their_file() {
    let directory = tempfile::tempdir().unwrap();
    let all = rows(|_, _| ()).lines().count();
    let trained_on = SAMPLE.labelled();
    let (object, said) = evaluate(path(&trained_on), &[]);
    let (val, _) = evaluate(path(&trained_on), &["--split", "val"]);
    assert_eq!(object, val);
    let n = object["n"].as_u64().unwrap() as usize;
    assert!(n < all / 2 && said.contains(&format!("{n} of {all} rows measured")), "{said}");
    // The same rows in another file are other rows, as far as anybody can know.
    let others = write(directory.path(), "others.jsonl", rows(|_, _| ()) + "\n");
    assert_eq!(evaluate(&others, &[]).0["n"], all);
}

#[test]
fn all_formats_give_the_features_that_the_filter_sees_on_their_path() {
    let config = json!({"targets": [{"name": "cheap", "cluster": "cheap"},
                                    {"name": "strong", "cluster": "strong"}]});
    let router = Router::new(Config::from_json(config.to_string().as_bytes()).unwrap()).unwrap();
    // As clients write them: what comes first in a body comes first in the conversation.
    let bodies = [
        (
            "/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},
                {"role":"user","content":"Why is 2 + 2 = 4?"}],"max_tokens":50}"#,
        ),
        ("/v1/completions", r#"{"model":"m","prompt":"Why is 2 + 2 = 4?","max_tokens":50}"#),
        (
            "/v1/responses",
            r#"{"model":"m","instructions":"Be brief.","input":[{"role":"user","content":
                [{"type":"input_text","text":"Why is 2 + 2 = 4?"}]}],"max_output_tokens":50}"#,
        ),
        (
            "/v1/messages",
            r#"{"system":"Be brief.","model":"m","max_tokens":50,"messages":[
                {"role":"user","content":"Why is 2 + 2 = 4?"},
                {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"add","input":{}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"4"}]}]}"#,
        ),
    ];
    let mut seen = Vec::new();
    for (url, body) in bodies {
        let body = body.replace('\n', " ");
        let format = ApiFormat::of_path(url.as_bytes()).unwrap();
        let decision = router.decide(format, &mut body.clone().into_bytes(), false);
        let mut bytes = body.clone().into_bytes();
        let expected = extract(&Prompt::parse(format, &mut bytes, false).unwrap());
        assert_eq!(decision.context, expected.engineered(), "{url}");
        for row in [
            format!(r#"{{"id":1,"request":{body}}}"#),
            format!(r#"{{"id":1,"path":"{url}?beta=true","request":{body}}}"#),
        ] {
            let line = stdout(&["features", "--hashed"], row.as_bytes());
            let line: Value = serde_json::from_str(&line).unwrap();
            for (feature, value) in
                pointsman_core::features::SCHEMA.iter().zip(expected.engineered())
            {
                assert_eq!(line["features"][feature.name], *value, "{url}: {}", feature.name);
            }
            let buckets = expected.as_slice()[pointsman_core::features::DENSE..].iter().enumerate();
            let filled =
                buckets.filter(|(_, value)| **value != 0.0).map(|(at, value)| (at, *value));
            let printed: Vec<(usize, f32)> =
                serde_json::from_value(line["hashed"].clone()).unwrap();
            assert_eq!(printed, filled.collect::<Vec<_>>(), "{url}");
        }
        seen.push(decision.context);
    }
    assert!(seen[0] != seen[1] && seen[0] != seen[3], "the formats differ in what they say");
    let wrong = r#"{"id":1,"path":"/v1/embeddings","request":{"input":"hi"}}"#;
    let output = run(&["features", "--strict"], wrong.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("-:1: unsupported `path` /v1/embeddings"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("\nhint: "), "{}", stderr(&output));
}

#[test]
fn of_rows_with_the_same_id_the_first_counts_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let text = rows(|_, row| row["split"] = json!("test"));
    let count = text.lines().count();
    let first = text.lines().next().unwrap();
    let data = write(directory.path(), "twice.jsonl", format!("{text}{first}\n"));
    let (object, said) = evaluate(&data, &[]);
    assert_eq!((&object["n"], &object["problems"]["duplicate_id"]), (&json!(count), &json!(1)));
    let place = format!("twice.jsonl:{}: duplicate ID `log-0001`", count + 1);
    assert!(said.contains(&place) && said.contains("1 line was skipped"), "{said}");
    let output = run(&["features", &data], b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), count);
    assert!(stderr(&output).contains(&place), "{}", stderr(&output));
    let (out, model) = (directory.path().join("model"), SAMPLE.model());
    for command in [
        &["features", &data][..],
        &["train", "--data", &data, "--out", path(&out)],
        &["evaluate", "--data", &data, "--model", path(&model)],
        &["calibrate", "--data", &data, "--model", path(&model), "--quality", "0.9"],
    ] {
        let output = run(&[command, &["--strict"]].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let said = stderr(&output);
        assert!(said.contains(&place) && said.contains("\nhint: "), "{command:?}: {said}");
    }
    assert!(!out.exists());
}

#[test]
fn a_byte_order_mark_costs_no_row_and_other_encodings_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let text = rows(|_, row| row["split"] = json!("test"));
    let count = text.lines().count();
    let marked = write(directory.path(), "marked.jsonl", format!("\u{feff}{text}"));
    assert_eq!(evaluate(&marked, &[]).0["n"], count);
    assert_eq!(stdout(&["features", &marked], b"").lines().count(), count);
    let utf16: Vec<u8> =
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let model = SAMPLE.model();
    for (bytes, name) in
        [(&utf16[..], "UTF-16"), (b"\x28\xb5\x2f\xfd\0", "zstd"), (b"PAR1\x15", "Parquet")]
    {
        let file = write(directory.path(), "other", bytes);
        let out = directory.path().join("model");
        for command in [
            &["features", &file][..],
            &["train", "--data", &file, "--out", path(&out)],
            &["evaluate", "--data", &file, "--model", path(&model)],
            &["label", "--no-replay", &file],
            &["estimate", "--log", &file, "--policy", "cheap"],
            &["cache", "calibrate", "--pairs", &file],
            &["import", "--format", "csv", "--cheap", "c", "--strong", "s", &file],
        ] {
            let output = run(command, b"");
            assert_eq!(output.status.code(), Some(2), "{command:?}");
            assert!(stderr(&output).contains(name), "{command:?}: {}", stderr(&output));
        }
    }
}

#[test]
fn what_was_skipped_is_told_by_reason() {
    let directory = tempfile::tempdir().unwrap();
    let text = rows(|number, row| {
        row["split"] = json!("test");
        match number {
            1 => row["label"]["cheap_ok"] = json!(7),
            2 => row["request"] = json!({"model": "m"}),
            3 => *row = json!({"id": "x"}),
            _ => (),
        }
    });
    let data = write(directory.path(), "rows.jsonl", format!("{text}{{\n"));
    let (object, said) = evaluate(&data, &[]);
    let problems = json!({"broken_line": 1, "missing_field": 1, "bad_value": 2});
    assert_eq!(object["problems"], problems);
    for what in [
        "rows.jsonl:2: `cheap_ok` is 7; it must be within 0, 1, false, true",
        "rows.jsonl:3: `request` is not a chat-completions body: no text could be read from it",
        "rows.jsonl:4: neither `request` nor `prompt`",
        "4 lines were skipped",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}
