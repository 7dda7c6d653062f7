//! Programs that want to pass without doing the job, or to do something else.

use std::fs;
use std::process::Stdio;

use pointsman_lab::label::evaluators::sandbox::Sandbox;
use pointsman_lab::label::evaluators::{Evaluator, Pair};
use pointsman_lab::label::{ModelAnswer, Request};
use serde_json::{Value, json};

use crate::label::run::{pointsman, stderr};

fn answer(language: &str, source: &str) -> ModelAnswer {
    ModelAnswer::from_text(format!("```{language}\n{source}\n```"))
}

/// The quality of a program; `None` where the tool or the isolation is missing.
fn quality(language: &str, tool: &str, question: &str, strong: &str, cheap: &str) -> Option<f64> {
    let sandbox = Sandbox::new();
    let installed = std::process::Command::new(tool).arg("--version").output().is_ok();
    if sandbox.check().is_err() || !installed {
        assert!(std::env::var_os("CI").is_none(), "no namespaces, or no {tool}");
        eprintln!("skipped: no namespaces, or no {tool}");
        return None;
    }
    let request = Request::from_recorded(json!(question)).expect("a request");
    let (strong, cheap) = (answer(language, strong), answer(language, cheap));
    let pair = Pair { request: &request, strong: &strong, cheap: &cheap };
    Some(Evaluator::Code.score(&pair, &sandbox).expect("a score"))
}

#[test]
fn a_python_program_passes_only_by_doing_the_job() {
    let question =
        "Write triple(n).\nassert triple(2) == 6\nassert triple(-1) == -3\nassert triple(0) == 0";
    let strong = "def triple(n):\n    return 3 * n";
    for (cheap, expected) in [
        ("def triple(n):\n    return n + n + n", 1.0),
        ("def triple(n: int) -> int:\n    print('tripling')\n    return sum([n, n, n])", 1.0),
        ("import sys\ndef triple(n):\n    sys.exit(0)", 0.0),
        ("import sys\nsys.exit(0)\ndef triple(n):\n    return 0", 0.0),
        ("import os\ndef triple(n):\n    os._exit(0)", 0.0),
        ("import os\nos._exit(0)\ndef triple(n):\n    return 3", 0.0),
        (
            "class Any(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\ndef triple(n):\n    return Any(1)",
            0.0,
        ),
        (
            "class Any:\n    def __eq__(self, other):\n        return True\n    def __repr__(self):\n        return '6'\ndef triple(n):\n    return Any()",
            0.0,
        ),
        ("import builtins\nbuiltins.bool = lambda value: True\ndef triple(n):\n    return 1", 0.0),
        (
            "import sys\nsys.modules['__main__'].show = lambda value, depth=6: '6'\ndef triple(n):\n    return 1",
            0.0,
        ),
        (
            "import sys\nsys.modules['__main__'].write = lambda *fields: None\ndef triple(n):\n    return 1",
            0.0,
        ),
        ("def triple(n):\n    return {2: 6, -1: -3, 0: 0}[n]", 0.0),
        ("def triple(n):\n    if n > 100:\n        return 0\n    return 3 * n", 0.0),
        ("def triple(n):\n    return 3 * n if n != 7777 else 0", 0.0),
        (
            "import threading\ndef triple(n):\n    threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()\n    return 3",
            0.0,
        ),
        ("raise SystemExit\ndef triple(n):\n    return 3", 0.0),
        (
            "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ndef triple(n):\n    while True: pass",
            0.0,
        ),
        ("def triple(n):\n    raise AssertionError", 0.0),
    ] {
        let Some(found) = quality("python", "python3", question, strong, cheap) else { return };
        assert_eq!(found, expected, "{cheap}");
    }
}

#[test]
fn branches_are_tried_on_both_sides() {
    let question = "Write a function shipping(weight: int) -> int.";
    let strong =
        "def shipping(weight: int) -> int:\n    if weight > 20:\n        return 15\n    return 5";
    for (cheap, expected) in [
        ("def shipping(weight):\n    return 15 if weight >= 21 else 5", 1.0),
        ("def shipping(weight):\n    return 15 if weight >= 20 else 5", 0.0),
        ("def shipping(weight):\n    return 5", 0.0),
    ] {
        let Some(found) = quality("python", "python3", question, strong, cheap) else { return };
        assert_eq!(found, expected, "{cheap}");
    }
}

#[test]
fn a_javascript_program_passes_only_by_doing_the_job() {
    let question =
        "Write triple.\nconsole.assert(triple(2) === 6);\nconsole.assert(triple(-1) === -3);";
    let strong = "function triple(n) { return 3 * n; }";
    for (cheap, expected) in [
        ("const triple = (n) => n + n + n;", 1.0),
        ("function triple(n) { require('process').exit(0); }", 0.0),
        ("require('process').exit(0); function triple(n) { return 1; }", 0.0),
        ("console.assert = () => {}; function triple(n) { return 1; }", 0.0),
        ("function triple(n) { return { valueOf() { return 6; } }; }", 0.0),
        ("function triple(n) { return n === 2 ? 6 : -3; }", 0.0),
        ("function triple(n) { while (true) {} }", 0.0),
    ] {
        let Some(found) = quality("js", "node", question, strong, cheap) else { return };
        assert_eq!(found, expected, "{cheap}");
    }
}

#[test]
fn a_whole_program_that_ends_early_passes_nothing() {
    let question = "Read a number and print its square.\n\nInput:\n4\n\nOutput:\n16\n";
    let strong = "n = int(input())\nprint(n * n)";
    for (cheap, expected) in [
        ("print(int(input()) ** 2)", 1.0),
        ("print(16)", 0.0),
        ("import sys\nsys.exit(0)", 0.0),
        ("import os\nos._exit(0)", 0.0),
    ] {
        let Some(found) = quality("python", "python3", question, strong, cheap) else { return };
        assert_eq!(found, expected, "{cheap}");
    }
}

#[test]
fn queries_that_would_fill_the_memory_find_nothing() {
    let question =
        "CREATE TABLE t (a INTEGER);\nINSERT INTO t VALUES (1), (2), (3), (4);\nAll rows?";
    let request = Request::from_recorded(json!(question)).expect("a request");
    let score = |strong: &str, cheap: &str| {
        let (strong, cheap) = (ModelAnswer::from_text(strong), ModelAnswer::from_text(cheap));
        let pair = Pair { request: &request, strong: &strong, cheap: &cheap };
        Evaluator::Sql.score(&pair, &Sandbox::new())
    };
    for bomb in [
        "SELECT zeroblob(900000000) FROM t, t AS u",
        "SELECT zeroblob(1000000) FROM t, t AS b, t AS c, t AS d",
        "SELECT hex(zeroblob(500000)) || a FROM t, t AS b, t AS c",
        "SELECT group_concat(hex(zeroblob(400000))) FROM t, t AS b",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, zeroblob(1000) FROM n",
        "WITH RECURSIVE n(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM n) SELECT x FROM n",
    ] {
        assert_eq!(score("SELECT a FROM t", bomb), Ok(0.0), "{bomb}");
        assert!(score(bomb, "SELECT a FROM t").is_err(), "{bomb}");
    }
}

/// A machine without namespaces: `unshare` fails.
fn without_namespaces(more: &[&str]) -> (Vec<Value>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log.jsonl");
    let row = |id: &str, source: &str| {
        json!({"id": id, "request": "Write double(n).\nassert double(2) == 4",
            "response": format!("```python\n{source}\n```"),
            "cheap_response": format!("```python\n{source}\n```")})
    };
    let source = "def double(n):\n    return 2 * n";
    let number =
        json!({"id": "n", "request": "How many?", "response": "#### 4", "cheap_response": "4"});
    fs::write(&log, format!("{}\n{}\n{number}\n", row("a", source), row("b", source)))
        .expect("the log");
    let mut command = pointsman();
    command.args(["label", "--no-replay"]).arg(&log).args(more).stdout(Stdio::piped());
    // A user namespace in which no further one is permitted.
    let mut inside = std::process::Command::new("unshare");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\"";
    inside
        .args(["-r", "sh", "-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    let output = inside.output().expect("runs");
    let rows = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    (rows, stderr(&output))
}

#[test]
fn without_isolation_no_program_is_run_unless_somebody_insists() {
    let possible = std::process::Command::new("unshare").args(["-r", "true"]).status();
    let python = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !possible.is_ok_and(|status| status.success()) || !python {
        eprintln!("skipped: no namespaces, or no python3");
        return;
    }
    let (rows, said) = without_namespaces(&[]);
    assert_eq!(rows.len(), 1, "{said}");
    assert_eq!(
        (&rows[0]["id"], rows[0]["label"]["evaluator"].as_str()),
        (&"n".into(), Some("numeric"))
    );
    assert!(said.contains("unscorable 2") && said.contains("cannot be isolated"), "{said}");
    assert_eq!(said.matches("--unsandboxed").count(), 1, "{said}");
    let (rows, said) = without_namespaces(&["--unsandboxed"]);
    assert_eq!(rows.len(), 3, "{said}");
    assert!(said.contains("without isolation"), "{said}");
}
