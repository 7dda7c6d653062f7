//! The interface of the control plane.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::control::plane::{KEY, Plane, REWARD_TOKEN, TOKEN, decision, feedback, id};
use pointsman_core::control_plane::Signer;
use pointsman_core::policy::bandit::{Context, EVERYTHING, Snapshot, segment_id};

#[test]
fn a_policy_is_sent_once_and_then_only_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    assert_eq!(plane.get("/healthz"), (200, "ok\n".into()));
    let (status, body, etag) = plane.policy(None);
    assert_eq!(status, 200);
    assert!(body.contains("\"version\":\"1\""), "{body}");
    assert_eq!(plane.policy(etag.as_deref()).0, 304);
    assert_eq!(plane.policy(Some("\"other\"")).0, 200);
}

#[test]
fn posts_need_the_token_and_orders_too() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    for path in [
        "/pointsman/v1/decisions",
        "/pointsman/v1/feedback",
        "/pointsman/v1/promote",
        "/pointsman/v1/rollback",
    ] {
        for token in ["", "another token", &TOKEN[1..]] {
            assert_eq!(plane.try_post(path, token, "{}").unwrap().0, 401, "{path} {token}");
        }
    }
    assert_eq!(plane.status()["totals"]["targets"], serde_json::json!([0, 0]));
}

#[test]
fn rewards_may_be_early_doubled_or_missing_and_count_once() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &feedback(1, 1.0))["early"], 1);
    let three: Vec<String> = (1..=3).map(|n| decision(n, 0, 0.9, 0.7)).collect();
    assert_eq!(plane.accepted("/pointsman/v1/decisions", &three.join("\n"))["accepted"], 3);
    assert_eq!(plane.accepted("/pointsman/v1/decisions", &three.join("\n"))["duplicate"], 3);
    let twice = [feedback(2, 0.5), feedback(2, 0.5)].join("\n");
    let counts = plane.accepted("/pointsman/v1/feedback", &twice);
    assert_eq!((&counts["accepted"], &counts["duplicate"]), (&1.into(), &1.into()));
    let status = plane.wait_for("two rewards are learnt", |status| status["samples"] == 2);
    assert_eq!(status["totals"]["rewards"], 2);
    assert_eq!(status["totals"]["reward_sum"], 1.5);
}

#[test]
fn clocks_that_differ_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &["--attribution", "60"]);
    // An Envoy that lives in 1970, and one that is centuries ahead.
    for (number, ts) in [(1, "0"), (2, "9999999999999")] {
        let line = decision(number, 0, 0.9, 0.7).replace("\"ts\":0", &format!("\"ts\":{ts}"));
        assert!(line.contains(ts), "{line}");
        assert_eq!(plane.accepted("/pointsman/v1/decisions", &line)["accepted"], 1);
        assert_eq!(plane.accepted("/pointsman/v1/feedback", &feedback(number, 1.0))["accepted"], 1);
    }
    plane.wait_for("both rewards are learnt", |status| status["samples"] == 2);
}

#[test]
fn a_hundred_thousand_forged_rewards_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &["--rate", "1000000"]);
    plane.accepted("/pointsman/v1/decisions", &decision(1, 0, 0.9, 0.7));
    let stranger = Signer::new("a key that somebody guessed").unwrap();
    let mut rng = SmallRng::seed_from_u64(1);
    let mut refused = 0_u64;
    for batch in 0..20 {
        let lines: Vec<String> = (0..5000)
            .map(|k| {
                let forged = match k % 3 {
                    // A real decision with a tag that is made up, a stranger's, or none.
                    0 => format!("{}.{:024x}", &id(1)[..32], rng.random::<u64>()),
                    1 => stranger.sign(&rng.random()),
                    _ => format!("{:032x}", rng.random::<u128>()),
                };
                format!(r#"{{"decision_id":"{forged}","reward":1}}"#)
            })
            .collect();
        let (status, text) = plane.post("/pointsman/v1/feedback", &lines.join("\n"));
        assert_eq!(status, 403, "batch {batch}: {text}");
        let counts: serde_json::Value = serde_json::from_str(&text).unwrap();
        refused += counts["forged"].as_u64().unwrap();
    }
    assert_eq!(refused, 100_000);
    let counts = plane.accepted("/pointsman/v1/feedback", &feedback(1, 0.25));
    assert_eq!(counts["accepted"], 1, "the real one still counts");
    let status = plane.wait_for("one reward is learnt", |status| status["samples"] == 1);
    assert_eq!(status["lines"]["forged"], 100_000);
    assert_eq!(status["totals"]["reward_sum"], 0.25);
    // The key itself stays inside.
    assert!(!status.to_string().contains(KEY));
}

#[test]
fn what_is_too_large_or_too_much_is_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    // A debt that takes over a minute and a half to pay off, however slowly the disk answers.
    let plane = Plane::start(&directory.path().join("state"), &["--rate", "1"]);
    let many: Vec<String> = (0..100).map(|n| decision(n, 0, 0.9, 0.7)).collect();
    plane.accepted("/pointsman/v1/decisions", &many.join("\n"));
    assert_eq!(plane.post("/pointsman/v1/decisions", &decision(101, 0, 0.9, 0.7)).0, 429);
    // It hangs up before it has read everything, which may be all that the client sees.
    let refused = plane.try_post("/pointsman/v1/feedback", REWARD_TOKEN, &" ".repeat(5 << 20));
    assert!(refused.is_none_or(|(status, _)| status == 413));
    assert_eq!(plane.get("/healthz").0, 200);
}

#[test]
fn metrics_are_in_the_text_format_of_prometheus() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    plane.accepted("/pointsman/v1/decisions", &decision(1, 1, 0.9, 0.7));
    let (status, text) = plane.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("pointsman_serve_decisions_total{target=\"strong\"} 1\n"), "{text}");
    assert!(text.contains("pointsman_serve_lines_total{result=\"accepted\"} 1\n"), "{text}");
}

#[test]
fn a_target_that_earns_nothing_loses_its_traffic_through_a_canary() {
    let directory = tempfile::tempdir().unwrap();
    let explorer = r#"{"kind": "epsilon_greedy", "epsilon": 0.1}"#;
    let plane = Plane::start(&directory.path().join("state"), &["--explorer", explorer]);
    let mut rng = SmallRng::seed_from_u64(4);
    let mut number = 0;
    let mut strong_share = 0.0;
    let mut stages = Vec::new();
    for _ in 0..60 {
        let snapshot = plane.snapshot();
        stages.push(snapshot.components.len());
        let (mut decisions, mut rewards, mut strong) = (Vec::new(), Vec::new(), 0);
        for _ in 0..400 {
            number += 1;
            let score = rng.random_range(0.6..1.0);
            let context = Context::new(2).of_engineered(&[], &[score]);
            let draw = snapshot.choose(EVERYTHING, &context, &[true; 2], rng.random()).unwrap();
            strong += draw.target;
            decisions.push(decision(number, draw.target, draw.propensity, score));
            rewards.push(feedback(number, draw.target as f32));
        }
        plane.accepted("/pointsman/v1/decisions", &decisions.join("\n"));
        plane.accepted("/pointsman/v1/feedback", &rewards.join("\n"));
        strong_share = strong as f64 / 400.0;
        if strong_share > 0.9 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    assert!(strong_share > 0.9, "{strong_share}");
    assert!(stages.contains(&2), "no canary: {stages:?}");
    let status = plane.status();
    let promoted: Vec<&str> = status["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["outcome"] == "promoted")
        .map(|event| event["stage"].as_str().unwrap())
        .collect();
    assert_eq!(promoted[..2], ["canary", "full"], "{status}");
    // A person takes it back, and the version before is in force again.
    assert_eq!(plane.post("/pointsman/v1/rollback", "").0, 200);
    let event = plane.status()["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&event["outcome"], &event["note"]), (&"rolled_back".into(), &"by hand".into()));
}

#[test]
fn a_segment_learns_apart_from_the_others_and_can_be_promoted_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let explorer = r#"{"kind": "epsilon_greedy", "epsilon": 0.2}"#;
    let arguments = ["--segments", "tenant-a,tenant-b", "--explorer", explorer];
    let plane = Plane::start(&state, &arguments);
    let mut rng = SmallRng::seed_from_u64(4);
    let own = segment_id("tenant-a");
    let first = plane.snapshot();
    let (mut decisions, mut rewards) = (Vec::new(), Vec::new());
    // The strong target is worth nothing more to this tenant, whatever the classifier says.
    for number in 0..3000 {
        let score = rng.random_range(0.1..0.4);
        let context = Context::new(2).of_engineered(&[], &[score]);
        let draw = first.choose(own, &context, &[true; 2], rng.random()).unwrap();
        let line = decision(number, draw.target, draw.propensity, score);
        decisions.push(line.replacen('{', r#"{"policy":"tenant-a","#, 1));
        rewards.push(feedback(number, 0.9));
    }
    plane.accepted("/pointsman/v1/decisions", &decisions.join("\n"));
    plane.accepted("/pointsman/v1/feedback", &rewards.join("\n"));
    let status = plane.wait_for("a canary for the tenant", |status| {
        status["versions"].as_array().unwrap().iter().any(|it| it["segment"] == "tenant-a")
    });
    assert!(status["events"].as_array().unwrap().iter().all(|it| it["segment"] == "tenant-a"));
    let promote = |segment: &str| {
        plane.post("/pointsman/v1/promote", &format!(r#"{{"segment":"{segment}"}}"#)).0
    };
    assert_eq!(promote("tenant-a"), 200);
    assert_eq!(promote("unknown"), 409);
    assert_eq!(plane.post("/pointsman/v1/promote", r#"{"segment": 1}"#).0, 400);
    let strong = |snapshot: &Snapshot, name: &str| {
        let context = Context::new(2).of_engineered(&[], &[0.2]);
        snapshot.probabilities(segment_id(name), &context, &[true; 2])[1]
    };
    let snapshot = plane.snapshot();
    assert!(strong(&snapshot, "tenant-a") < 0.5, "{snapshot:?}");
    assert!(strong(&snapshot, "tenant-b") > 0.5 && strong(&snapshot, "") > 0.5, "{snapshot:?}");
    // It holds after a restart, too, and the log serves the estimator.
    assert!(plane.terminate());
    let plane = Plane::start(&state, &arguments);
    assert_eq!(plane.snapshot(), snapshot);
    let log = directory.path().join("log.jsonl");
    std::fs::write(&log, [decisions, rewards].concat().join("\n")).unwrap();
    let policy = directory.path().join("policy.json");
    std::fs::write(&policy, snapshot.to_json()).unwrap();
    let estimate = |segment: &str| {
        assert_cmd::Command::cargo_bin("pointsman")
            .unwrap()
            .args(["estimate", "--json", "--segment", segment, "--log"])
            .arg(&log)
            .arg("--policy")
            .arg(&policy)
            .output()
            .unwrap()
    };
    let report: serde_json::Value = serde_json::from_slice(&estimate("tenant-a").stdout).unwrap();
    assert_eq!(report["decisions"], 3000);
    let value = report["policies"][0]["dr"]["value"].as_f64().unwrap();
    assert!(value > report["logged"].as_f64().unwrap() + 0.05, "{report}");
    assert!(!estimate("tenant-b").status.success(), "it has no decisions");
}

#[test]
fn segments_are_bounded_and_named_once() {
    let refused = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["serve", "--key", KEY, "--token", TOKEN, "--segments"])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let names: Vec<String> = (0..17).map(|k| format!("tenant-{k}")).collect();
    assert!(refused(&[&names.join(",")]).contains("at most 16"));
    assert!(refused(&["a,b,a"]).contains("each name once"));
    assert!(refused(&["a b"]).contains("must be 1 to 64 letters"));
}
