//! Who may do what at the control plane, and what a browser may not be made to do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use pointsman_core::control_plane::paths;
use serde_json::{Value, json};

use crate::control::plane::{ADMIN_TOKEN, KEY, Plane, REWARD_TOKEN, TOKEN, decision, feedback, id};

/// Status and body of a request as it is written here.
fn raw(plane: &Plane, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(plane.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(plane: &Plane, path: &str, headers: &str) -> u16 {
    raw(plane, &format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n")).0
}

fn started() -> (tempfile::TempDir, Plane) {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    (directory, plane)
}

#[test]
fn each_token_does_one_thing() {
    let (_directory, plane) = started();
    let own = json!({"decision_id": id(1), "reward": 0.5, "source": "implicit"}).to_string();
    let tried = [
        (paths::DECISIONS, decision(1, 0, 0.9, 0.7), [200, 401, 401]),
        (paths::FEEDBACK, own, [200, 200, 401]),
        (paths::FEEDBACK, feedback(1, 1.0), [403, 200, 401]),
        (paths::PROMOTE, String::new(), [401, 401, 200]),
        (paths::ROLLBACK, String::new(), [401, 401, 200]),
    ];
    for (path, body, expected) in tried {
        let status = |token| plane.try_post(path, token, &body).unwrap().0;
        assert_eq!([TOKEN, REWARD_TOKEN, ADMIN_TOKEN].map(status), expected, "{path} {body}");
    }
    // What one of a filter's posts may not do is not done at all.
    let mixed = [json!({"decision_id": id(2), "reward": 0.5, "source": "asked_again"}).to_string()];
    let mixed = [&mixed[..], &[feedback(3, 1.0)]].concat().join("\n");
    assert_eq!(plane.try_post(paths::FEEDBACK, TOKEN, &mixed).unwrap().0, 403);
    let counts = plane.accepted(paths::FEEDBACK, &feedback(2, 0.5));
    assert_eq!(counts["early"], 1, "{counts}");
}

#[test]
fn one_token_for_everything_still_works_and_says_that_it_should_not() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    // The option of the version before, too.
    let plane = Plane::start_bare(&["--state", state.to_str().unwrap(), "--token", TOKEN]);
    assert!(plane.log.iter().any(|line| line.contains("--token is deprecated")), "{:?}", plane.log);
    for (path, body, expected) in [
        (paths::DECISIONS, decision(1, 0, 0.9, 0.7), 200),
        (paths::FEEDBACK, feedback(1, 1.0), 200),
        (paths::ROLLBACK, String::new(), 409),
    ] {
        assert_eq!(plane.try_post(path, TOKEN, &body).unwrap().0, expected, "{path}");
    }
    assert!(state.is_file());
}

#[test]
fn nobody_can_do_what_no_token_is_given_for() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let arguments = ["--store", state.to_str().unwrap(), "--decide-token", TOKEN];
    let plane = Plane::start_bare(&arguments);
    for path in [paths::PROMOTE, paths::ROLLBACK] {
        for token in ["", TOKEN, REWARD_TOKEN, ADMIN_TOKEN] {
            assert_eq!(plane.try_post(path, token, "").unwrap().0, 401, "{path} {token}");
        }
    }
    assert_eq!(plane.try_post(paths::FEEDBACK, "", &feedback(1, 1.0)).unwrap().0, 401);
}

#[test]
fn the_paths_of_the_version_before_say_what_to_do() {
    let (_directory, plane) = started();
    for path in paths::ALL {
        let old = path.strip_prefix(paths::PREFIX).unwrap();
        // As a filter of that version asks: under the name of its cluster, without a content type.
        for method in ["GET", "POST"] {
            let (status, body) = raw(
                &plane,
                &format!(
                    "{method} {old} HTTP/1.1\r\nhost: pointsman_control\r\nconnection: close\r\n\
                     authorization: Bearer {TOKEN}\r\ncontent-length: 0\r\n\r\n"
                ),
            );
            assert_eq!(status, 410, "{old}");
            let body: Value = serde_json::from_str(&body).unwrap();
            assert!(body["error"].as_str().unwrap().contains(path), "{body}");
            assert!(body["hint"].as_str().unwrap().contains("filters"), "{body}");
        }
    }
    let warning = plane.status()["warning"].as_str().unwrap().to_owned();
    assert!(warning.contains("replace filters of the version before"), "{warning}");
    // A path of a provider is none of ours.
    assert_eq!(plane.get("/v1/chat/completions").0, 404);
}

#[test]
fn a_name_that_was_bound_to_loopback_reads_nothing() {
    let (_directory, plane) = started();
    let paths = ["/", "/metrics", paths::STATUS, paths::POLICY];
    for path in paths {
        for foreign in ["host: evil.example\r\n", "host: evil.example:8088\r\n", ""] {
            let status = get(&plane, path, foreign);
            assert!(status == 421 || status == 400, "{path} {foreign:?}: {status}");
        }
        for ours in ["host: localhost\r\n", "host: 127.0.0.1:8088\r\n", "host: [::1]\r\n"] {
            assert_eq!(get(&plane, path, ours), 200, "{path} {ours:?}");
        }
        // A filter asks under the name of its cluster.
        let filter = format!("host: pointsman_control\r\nauthorization: Bearer {TOKEN}\r\n");
        assert_eq!(get(&plane, path, &filter), 200, "{path}");
    }
    assert_eq!(get(&plane, "/healthz", "host: a-probe\r\n"), 200);
}

#[test]
fn a_page_of_somebody_else_posts_nothing() {
    let (_directory, plane) = started();
    let post = |headers: &[(&str, &str)]| {
        let headers: Vec<(&str, String)> =
            headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let token = [("authorization", format!("Bearer {TOKEN}"))];
        let all = [&token[..], &headers[..]].concat();
        plane.try_post_with(paths::DECISIONS, &all, &decision(1, 0, 0.9, 0.7)).unwrap().0
    };
    let own = format!("http://{}", plane.address);
    for foreign in ["http://evil.example", "null", "http://localhost"] {
        assert_eq!(post(&[("origin", foreign)]), 403, "{foreign}");
    }
    for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(post(&[("content-type", form)]), 415, "{form}");
    }
    assert_eq!(plane.status()["totals"]["targets"], json!([0, 0]));
    assert_eq!(post(&[("origin", &own), ("content-type", "application/json")]), 200);
}

fn serve(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).output().unwrap()
}

/// What is said when the arguments are refused.
fn refused(arguments: &[&str]) -> String {
    let output = serve(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn help_shows_no_secret() {
    let names = [
        "POINTSMAN_STORE",
        "POINTSMAN_KEY",
        "POINTSMAN_TOKEN",
        "POINTSMAN_DECIDE_TOKEN",
        "POINTSMAN_REWARD_TOKEN",
        "POINTSMAN_ADMIN_TOKEN",
    ];
    for flag in ["--help", "-h"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(["serve", flag]);
        for name in names {
            command.env(name, "redis://user:hunter2hunter2hunter2@host");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
    }
}

#[test]
fn tokens_are_long_and_differ() {
    let key = ["--key", KEY];
    let with = |more: &[&str]| refused(&[&key[..], more].concat());
    assert!(with(&[]).contains("--decide-token: missing"));
    assert!(with(&["--decide-token", "short"]).contains("at least 16 visible ASCII"));
    let same = with(&["--decide-token", TOKEN, "--reward-token", TOKEN]);
    assert!(same.contains("must differ") && same.contains("hint: "), "{same}");
    assert!(!same.contains(TOKEN), "{same}");
}

#[test]
fn targets_have_the_names_that_the_filter_allows() {
    let with = |targets: &str| {
        refused(&["--key", KEY, "--decide-token", TOKEN, "--costs", "1,2", "--targets", targets])
    };
    for odd in ["a\"b,c", "a\nb,c", "a b,c", "é,c", ",c", &format!("{},c", "a".repeat(65))] {
        assert!(with(odd).contains("must be 1 to 64 letters"), "{odd:?}");
    }
    assert!(with("cheap,cheap").contains("must be unique"));
    assert!(with("cheap").contains("1 given, must be 2 to 16"));
}

#[test]
fn numbers_are_within_their_range() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let state = ["--key", KEY, "--decide-token", TOKEN, "--store", state.to_str().unwrap()];
    for odd in [
        "--costs=nan,1",
        "--costs=inf,1",
        "--costs=-1,1",
        "--costs=1,1e39",
        "--lambda=nan",
        "--lambda=1e300",
        "--margin=nan",
        "--margin=-1",
        "--margin=inf",
        "--thresholds=2",
        "--thresholds=nan",
        "--thresholds=-0.1",
        "--canary=0.6",
        "--canary=nan",
        "--canary=-0.1",
        "--memory=99",
        "--memory=nan",
        "--memory=inf",
        "--rate=0",
        "--pending=0",
        "--attribution=0",
        "--attribution=18446744073709551615",
    ] {
        let said = refused(&[&state[..], &[odd]].concat());
        let (flag, _) = odd.split_once('=').unwrap();
        assert!(said.contains(flag), "{odd}: {said}");
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was begun");
}

#[test]
fn a_store_is_a_file_or_a_redis_and_nothing_else() {
    for odd in ["http://user:hunter2@host/", "rediss://user:hunter2@host/0", "file:///tmp/state"] {
        let said = refused(&["--key", KEY, "--decide-token", TOKEN, "--store", odd]);
        assert!(said.contains("--store: must be a file") && said.contains("redis://"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    for odd in ["", " ", "redis:/0", "REDISS://h", "unix:/run/redis", "Http://user:hunter2@host/"] {
        let said = refused(&["--key", KEY, "--decide-token", TOKEN, "--store", odd]);
        assert!(said.contains("--store: must be a file, or redis://"), "{odd:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = refused(&["--key", KEY, "--decide-token", TOKEN, "--state", ""]);
    assert!(said.contains("--state: must be a file"), "{said}");
    let said =
        refused(&["--key", KEY, "--decide-token", TOKEN, "--store", "REDIS://127.0.0.1:1/0"]);
    assert!(said.contains("Redis: "), "the scheme is known in any case: {said}");
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let said = refused(&["--key", KEY, "--decide-token", TOKEN, "--store", directory]);
    assert!(said.contains("must be a file") && said.contains("hint: name a file"), "{said}");
}

#[test]
fn a_damaged_state_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &[]);
    plane.accepted(paths::DECISIONS, &decision(1, 0, 0.9, 0.7));
    assert!(plane.terminate());
    let mut bytes = std::fs::read(&state).unwrap();
    // The kind of the logged line, and its ID.
    let needle: Vec<u8> = [1, 1].into_iter().chain([0; 15]).collect();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 4] ^= 1;
    std::fs::write(&state, bytes).unwrap();
    let said =
        refused(&["--key", KEY, "--decide-token", TOKEN, "--store", state.to_str().unwrap()]);
    assert!(said.contains("batch 1 is damaged"), "{said}");
    assert!(said.contains("hint: restore the file from a backup"), "{said}");
}
