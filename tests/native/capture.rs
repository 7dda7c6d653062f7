//! `pointsman capture`: from what a filter posts to labels.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use pointsman_core::control_plane::paths;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SECRET: &str = "sk-4f2a9c";

/// A running sink; dropping it kills it.
struct Capture {
    child: Child,
    address: SocketAddr,
    agent: ureq::Agent,
    /// What it says once it listens.
    said: Option<JoinHandle<String>>,
}

impl Capture {
    fn start(out: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["capture", "--listen", "127.0.0.1:0", "--out"])
            .arg(out)
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("{first}")).trim_end_matches('/');
        let address = address.parse().unwrap();
        let said = std::thread::spawn(move || {
            lines.map_while(Result::ok).map(|line| line + "\n").collect::<String>()
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Capture { child, address, agent, said: Some(said) }
    }

    /// Status and body of a post.
    fn post(&self, pair: &Value) -> (u16, String) {
        let json = [("content-type", "application/json")];
        self.send(paths::CAPTURES, &json, &pair.to_string()).unwrap()
    }

    /// The same with other headers; `None` when it hangs up.
    fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, String)> {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), text))
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("http://{}{path}", self.address)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// Ends it in good order; what it said after it began to listen.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.said.take().unwrap().join().unwrap()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pair(id: &str, sign: &str, path: &str, question: &str, answers: [(bool, String); 2]) -> Value {
    let request = json!({"model": "auto", "max_tokens": 64,
        "messages": [{"role": "user", "content": question}]});
    let [cheap, strong] = answers.map(|(events, body)| json!({"events": events, "body": body}));
    json!({"id": id, "path": path, "sign": sign, "cheap_target": "cheap",
        "strong_target": "strong", "request": request.to_string(),
        "cheap_response": cheap, "response": strong})
}

const CHAT: &str = "/v1/chat/completions";

fn completion(text: &str) -> (bool, String) {
    let answer = json!({"choices": [{"index": 0,
        "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    (false, answer.to_string())
}

/// A stream of two pieces of text.
fn events(first: &str, rest: &str) -> (bool, String) {
    let event = |delta: Value, finish: Option<&str>| {
        let event = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {event}\n\n")
    };
    let said = [first, rest].map(|text| event(json!({"content": text}), None)).concat();
    (true, said + &event(json!({}), Some("stop")) + "data: [DONE]\n\n")
}

fn message(text: &str) -> (bool, String) {
    let answer = json!({"type": "message", "role": "assistant", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text}]});
    (false, answer.to_string())
}

fn pointsman(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_filters_post_is_labelled_without_a_call() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("pairs.jsonl");
    let capture = Capture::start(&out, &["--redact", "sk-[0-9a-z]+"]);
    assert_eq!(capture.get("/healthz"), (200, "ok\n".to_owned()));
    let key = format!("My key is {SECRET}. The capital of France?");
    let declined = "I'm sorry, I can't help with that.";
    let posted = [
        pair("json", "schema_mismatch", CHAT, "Hi.", [completion("{}"), completion("Hello!")]),
        pair(
            "events",
            "unlikely",
            CHAT,
            "How many are 4 + 4?",
            [events("The answer", " is 8."), events("####", " 8")],
        ),
        pair("secret", "refusal", "/v1/messages", &key, [message(declined), message("Paris")]),
        pair(
            "cut",
            "unfinished",
            CHAT,
            &key,
            [(false, r#"{"choices": [{"#.to_owned()), events(&SECRET[..4], &SECRET[4..])],
        ),
    ];
    for pair in &posted {
        assert_eq!(capture.post(pair), (204, String::new()), "{pair}");
    }
    let (_, metrics) = capture.get("/metrics");
    assert!(metrics.contains("\npointsman_capture_pairs_total 4\n"), "{metrics}");
    let bytes = fs::metadata(&out).unwrap().len();
    assert!(metrics.contains(&format!("\npointsman_capture_bytes {bytes}\n")), "{metrics}");
    assert_eq!(capture.stop(), "", "it talks of no pair");

    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&out).unwrap();
    assert!(!kept.contains("4f2a9c"), "{kept}");
    let kept = rows(&kept);
    assert_eq!(kept[1]["response"]["choices"][0]["message"]["content"], "#### 8");
    let asked = "My key is [redacted]. The capital of France?";
    assert_eq!(kept[2]["request"]["messages"][0]["content"], asked);
    assert_eq!(kept[3]["response"]["choices"][0]["message"]["content"], "[redacted]");
    assert_eq!(
        (&kept[0]["source"], &kept[3]["cheap_response"]),
        (&"escalation".into(), &Value::Null)
    );

    let file = out.to_str().unwrap();
    let output = pointsman(&["label", "--no-replay", file]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("4 rows labelled, 1 good enough"), "{said}");
    let labelled = rows(&String::from_utf8_lossy(&output.stdout));
    let labels = labelled.iter().map(|row| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ok = row["label"]["cheap_ok"].as_bool().unwrap();
        (text(&row["id"]), text(&row["label"]["evaluator"]), text(&row["sign"]), ok)
    });
    let expected = [
        ("json", "sign", "schema_mismatch", false),
        ("events", "numeric", "unlikely", true),
        ("secret", "f1", "refusal", false),
        ("cut", "sign", "unfinished", false),
    ];
    let expected = expected.map(|(id, evaluator, sign, ok)| {
        (id.to_owned(), evaluator.to_owned(), sign.to_owned(), ok)
    });
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    assert_eq!(labelled[0]["scores"], json!({"cheap": 0.0, "strong": 1.0}));
    assert_eq!(labelled[2]["path"], "/v1/messages");

    // With --out, it is the same.
    let rows_out = directory.path().join("rows.jsonl");
    let more = ["--json", "--out", rows_out.to_str().unwrap()];
    let output = pointsman(&[&["label", "--no-replay", file][..], &more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["evaluators"]["sign"]["rows"], 2, "{summary}");
    assert_eq!(summary["calls"]["made"], 0);
    assert_eq!(rows(&fs::read_to_string(&rows_out).unwrap()), labelled);
}

#[test]
fn it_goes_on_in_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("pairs.jsonl");
    for id in ["first", "second"] {
        let capture = Capture::start(&out, &[]);
        let pair = pair(id, "empty", CHAT, "Hi.", [completion(""), completion("Hello!")]);
        assert_eq!(capture.post(&pair).0, 204);
        // Of the file that it writes, nobody else can be another writer.
        let other =
            pointsman(&["capture", "--listen", "127.0.0.1:0", "--out", out.to_str().unwrap()]);
        assert_eq!(other.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&other.stderr).contains("another process writes"));
        capture.stop();
    }
    let kept = rows(&fs::read_to_string(&out).unwrap());
    assert_eq!(kept.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn what_is_not_a_pair_is_refused_without_a_word_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("pairs.jsonl");
    let capture = Capture::start(&out, &[]);
    let good = pair("a", "empty", CHAT, "Hi.", [completion(""), completion("Hello!")]);
    let with = |field: &str, value: &str| {
        let mut pair = good.clone();
        pair[field] = value.into();
        pair
    };
    for (pair, expected) in [
        (json!({"id": "a"}), "sign is missing: must be the name of a sign"),
        (with("sign", "odd"), "sign = \\\"odd\\\": must be the name of a sign"),
        (with("sign", "a secret text"), "sign = text: must be the name of a sign"),
        (with("request", "a secret text"), "request: must hold a JSON object"),
        (with("response", "a secret text"), "response.events is missing: must be true or false"),
    ] {
        let (status, answer) = capture.post(&pair);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains(expected), "{answer}");
        assert!(!answer.contains("secret text"), "{answer}");
    }
    let json = ("content-type", "application/json");
    let body = good.to_string();
    for (path, headers, expected) in [
        ("/pointsman/v1/other", &[json][..], 404),
        ("/", &[json], 404),
        ("/metrics", &[json], 405),
        (paths::CAPTURES, &[("content-type", "text/plain")], 415),
        (paths::CAPTURES, &[("content-type", "application/x-www-form-urlencoded")], 415),
        (paths::CAPTURES, &[json, ("origin", "http://127.0.0.1:8090")], 403),
    ] {
        assert_eq!(capture.send(path, headers, &body).unwrap().0, expected, "{path} {headers:?}");
    }
    assert_eq!(capture.get(paths::CAPTURES).0, 405);
    // It hangs up before it has read everything, which may be all that the client sees.
    let refused = capture.send(paths::CAPTURES, &[json], &" ".repeat((4 << 20) + 1));
    assert!(refused.is_none_or(|(status, _)| status == 413));
    let (_, metrics) = capture.get("/metrics");
    for (reason, count) in [("invalid", 4), ("not_json", 1), ("no_answer", 0), ("too_large", 1)] {
        let line = format!("pointsman_capture_dropped_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(metrics.contains("pointsman_capture_pairs_total 0\n"), "{metrics}");
    assert_eq!(capture.stop(), "");
    assert_eq!(fs::read(&out).unwrap(), b"");
}

#[test]
fn a_full_file_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::start(&directory.path().join("pairs.jsonl"), &["--max-bytes", "99"]);
    let pair = pair("a", "empty", CHAT, "Hi.", [completion(""), completion("Hello!")]);
    for _ in 0..3 {
        let (status, answer) = capture.post(&pair);
        assert_eq!(
            (status, answer.as_str()),
            (507, r#"{"error":"the file is full: at most 99 bytes are written"}"#)
        );
    }
    let (_, metrics) = capture.get("/metrics");
    assert!(metrics.contains("dropped_total{reason=\"full\"} 3\n"), "{metrics}");
    let said = capture.stop();
    assert_eq!((said.lines().count(), said.matches("full").count()), (1, 1), "{said}");
}

#[test]
fn it_starts_only_where_prompts_are_safe() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let open = path("open.jsonl");
    fs::write(&open, "").unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o640)).unwrap();
    let (good, below) = (path("pairs.jsonl"), path("none/pairs.jsonl"));
    for (arguments, message, hint) in [
        (&["--listen", "127.0.0.1:0"][..], "--out <FILE>", ""),
        (&["--listen", "0.0.0.0:0", "--out", &good], "must be a loopback address", "127.0.0.1"),
        (&["--listen", "[::]:0", "--out", &good], "must be a loopback address", "127.0.0.1"),
        (&["--out", &open], "mode 640: must be its owner's alone", "hint: chmod 600 /"),
        (&["--out", &below], "No such file or directory", "hint: create the directory"),
        (&["--out", "/dev/null"], "must be a regular file", ""),
        (&["--out", &good, "--redact", "sk-["], "'sk-['", "unclosed character class"),
        (&["--out", &good, "--redact", "x*"], "'x*'", "must not match the empty text"),
    ] {
        let output = pointsman(&[&["capture"][..], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(message) && said.contains(hint), "{arguments:?}: {said}");
    }
    assert!(!Path::new(&good).exists(), "nothing is left");
}
