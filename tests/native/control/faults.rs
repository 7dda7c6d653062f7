//! Whatever ends the process: nothing that was acknowledged is lost, nothing counts twice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::control::plane::{Plane, decision, feedback, token_for};

const BATCH: u32 = 50;

fn batch(number: u32, line: impl Fn(u32) -> String) -> String {
    (number * BATCH..(number + 1) * BATCH).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut acknowledged = 0;
    for life in 0..4 {
        let plane = Plane::start(&state, &[]);
        // A client without an answer sends again: from the last acknowledged batch, minus one.
        let begin = acknowledged;
        let next = AtomicU32::new(begin);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.load(Ordering::Relaxed);
                    let decisions = batch(number, |n| decision(n, 0, 0.9, 0.7));
                    let rewards = batch(number, |n| feedback(n, 0.5));
                    let mut posts = [
                        ("/pointsman/v1/decisions", &decisions),
                        ("/pointsman/v1/feedback", &rewards),
                    ];
                    // In the third life rewards come before their decisions.
                    posts.rotate_left(usize::from(life == 2));
                    let both = posts.iter().all(|(path, body)| {
                        plane
                            .try_post(path, token_for(path), body)
                            .is_some_and(|(status, _)| status == 200)
                    });
                    if !both {
                        return;
                    }
                    next.fetch_add(1, Ordering::Relaxed);
                }
            });
            while next.load(Ordering::Relaxed) < begin + 40 {
                std::thread::yield_now();
            }
            plane.kill();
            stop.store(true, Ordering::Relaxed);
        });
        acknowledged = next.load(Ordering::Relaxed);
    }
    let plane = Plane::start(&state, &[]);
    // Everything again, and a bit more, as a filter that lost its answers would.
    for number in 0..=acknowledged {
        plane.accepted("/pointsman/v1/decisions", &batch(number, |n| decision(n, 0, 0.9, 0.7)));
        plane.accepted("/pointsman/v1/feedback", &batch(number, |n| feedback(n, 0.5)));
    }
    let expected = (acknowledged + 1) * BATCH;
    let status = plane.wait_for("all is learnt", |status| status["samples"] == expected);
    let lines = &status["lines"];
    let accepted = lines["accepted"].as_u64().unwrap();
    // What was acknowledged before is known, so that only the last batches can be new.
    assert!(accepted <= u64::from(2 * 2 * BATCH), "{lines}");
}

#[test]
fn what_was_acknowledged_before_a_long_stop_is_learnt_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &["--attribution", "1"]);
    let posts = [
        ("/pointsman/v1/decisions", batch(0, |n| decision(n, 0, 0.9, 0.7))),
        ("/pointsman/v1/feedback", batch(0, |n| feedback(n, 0.5))),
        // Rewards that come before their decisions.
        ("/pointsman/v1/feedback", batch(1, |n| feedback(n, 1.0))),
        ("/pointsman/v1/decisions", batch(1, |n| decision(n, 1, 0.1, 0.4))),
    ];
    for (path, body) in &posts {
        plane.accepted(path, body);
    }
    plane.kill();
    drop(plane);
    // Longer than a decision waits for its reward.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let plane = Plane::start(&state, &["--attribution", "1"]);
    plane.wait_for("all is learnt", |status| status["samples"] == 2 * BATCH);
}

#[test]
fn an_orderly_end_saves_what_was_learnt() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &[]);
    plane.accepted("/pointsman/v1/decisions", &batch(0, |n| decision(n, 0, 0.9, 0.7)));
    plane.accepted("/pointsman/v1/feedback", &batch(0, |n| feedback(n, 0.5)));
    assert!(plane.terminate());
    let plane = Plane::start(&state, &[]);
    assert_eq!(plane.status()["samples"], BATCH);
    let counts = plane.accepted("/pointsman/v1/feedback", &batch(0, |n| feedback(n, 0.5)));
    assert_eq!(counts["duplicate"], BATCH);
}

#[test]
fn a_state_file_of_another_policy_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    assert!(Plane::start(&state, &[]).terminate());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["serve", "--listen", "127.0.0.1:0", "--lambda", "0.7", "--state"])
        .arg(&state)
        .args(["--key", "0123456789abcdef", "--token", "0123456789abcdef"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("other targets, penalties or features"), "{said}");
}
