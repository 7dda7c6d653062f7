//! What was changed in Redis by something else than ours, and what the version before left there.

use ::redis::{Connection, cmd};
use pointsman_core::control_plane::paths;
use pointsman_testkit::redis::Redis;
use serde_json::Value;

use crate::control::plane::{Plane, decision, feedback};

const STATE: &str = "{pointsman}:state";
const UPDATES: &str = "{pointsman}:lessons";

fn get(connection: &mut Connection) -> Vec<u8> {
    cmd("GET").arg(STATE).query(connection).unwrap()
}

fn set(connection: &mut Connection, state: &[u8]) {
    cmd("SET").arg(STATE).arg(state).exec(connection).unwrap();
}

/// Teaches one sample.
fn teach(plane: &Plane, number: u32) {
    plane.accepted(paths::DECISIONS, &decision(number, 0, 0.9, 0.7));
    plane.accepted(paths::FEEDBACK, &feedback(number, 0.5));
}

fn wait_for_samples(plane: &Plane, samples: u64) {
    plane.wait_for("it is learnt", |status: &Value| status["samples"] == samples);
}

/// A Redis in which two samples were learnt, and nobody leads.
fn taught() -> Option<(Redis, Vec<u8>)> {
    let server = Redis::start()?;
    let plane = Plane::replica(&server.url());
    (0..2).for_each(|number| teach(&plane, number));
    wait_for_samples(&plane, 2);
    assert!(plane.terminate());
    let state = get(&mut server.connect());
    Some((server, state))
}

fn warning(status: &Value) -> &str {
    status["warning"].as_str().unwrap_or_default()
}

#[test]
fn a_damaged_state_is_neither_led_from_nor_overwritten() {
    let Some((server, state)) = taught() else { return };
    let mut connection = server.connect();
    let digit = state.len() / 2;
    let mut flipped = state.clone();
    flipped[digit] ^= 1;
    let cut = &state[..state.len() - 5];
    for (damaged, samples) in [(cut, 3), (&flipped[..], 4), (&b""[..], 5)] {
        set(&mut connection, damaged);
        let plane = Plane::replica(&server.url());
        let policy = plane.policy(None);
        let status = plane.wait_for("it refuses to lead", |status: &Value| {
            warning(status).contains("{pointsman}:state: it is damaged")
        });
        assert!(warning(&status).contains("restore Redis from a backup"), "{status}");
        teach(&plane, samples);
        plane.wait_for("its reward waits", |status: &Value| {
            status["totals"]["rewards"].as_u64() == Some(u64::from(samples))
        });
        assert_eq!(get(&mut connection), damaged, "it is as it was");
        assert_eq!(plane.policy(None), policy, "and so is the policy");
        // Once it is mended, all that waited is learnt.
        set(&mut connection, &state);
        wait_for_samples(&plane, 3);
        plane.wait_for("it warns no more", |status: &Value| !warning(status).contains("damaged"));
    }
}

#[test]
fn a_state_that_is_gone_while_its_policy_is_there_is_not_begun_anew() {
    let Some((server, state)) = taught() else { return };
    let mut connection = server.connect();
    cmd("DEL").arg(STATE).exec(&mut connection).unwrap();
    let plane = Plane::replica(&server.url());
    plane.wait_for("it refuses to lead", |status: &Value| warning(status).contains("is missing"));
    // The operator decides to start again.
    cmd("DEL").arg(STATE).arg("{pointsman}:snapshot").exec(&mut connection).unwrap();
    plane.wait_for("it leads", |status: &Value| !warning(status).contains("missing"));
    teach(&plane, 9);
    wait_for_samples(&plane, 1);
    assert_ne!(get(&mut connection), state);
}

#[test]
fn a_state_of_the_version_before_is_led_from() {
    let Some((server, state)) = taught() else { return };
    let mut connection = server.connect();
    // That version's has no digest.
    let text = String::from_utf8(state).unwrap();
    let (_, rest) = text.split_once("\",").unwrap();
    set(&mut connection, format!("{{{rest}").as_bytes());
    let plane = Plane::replica(&server.url());
    teach(&plane, 9);
    wait_for_samples(&plane, 3);
    assert!(get(&mut connection).starts_with(b"{\"digest\":"));
}

#[test]
fn an_update_that_was_changed_teaches_nothing_and_is_reported() {
    let Some(server) = Redis::start() else { return };
    let mut connection = server.connect();
    {
        let plane = Plane::replica(&server.url());
        teach(&plane, 1);
        wait_for_samples(&plane, 1);
    }
    let entries: ::redis::streams::StreamRangeReply =
        cmd("XRANGE").arg(UPDATES).arg("-").arg("+").query(&mut connection).unwrap();
    let good: Vec<u8> = entries.ids[0].get("l").unwrap();
    let checksum: String = entries.ids[0].get("c").unwrap();
    let mut other = good.clone();
    // The reward: another possible one.
    other[5..9].copy_from_slice(&0.25_f32.to_le_bytes());
    let mut impossible = good.clone();
    impossible[5..9].copy_from_slice(&6.8e37_f32.to_le_bytes());
    let mut add = |bytes: &[u8], checksum: Option<&str>| {
        let mut add = cmd("XADD");
        add.arg(UPDATES).arg("*").arg("l").arg(bytes);
        if let Some(checksum) = checksum {
            add.arg("c").arg(checksum);
        }
        add.exec(&mut connection).unwrap();
    };
    add(&other, Some(checksum.as_str()));
    add(&impossible, None);
    add(&good[..20], None);
    // As the version before writes them.
    add(&good, None);
    let plane = Plane::replica(&server.url());
    wait_for_samples(&plane, 2);
    let status = plane.wait_for("it is reported", |status: &Value| {
        warning(status).contains("3 entries are damaged")
    });
    assert_eq!(status["samples"], 2, "{status}");
}
