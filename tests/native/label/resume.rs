//! Killed at any moment, nothing paid is lost or paid again.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::label::run::{Case, cheap_sum, summary, sums};
use crate::label::upstream::{Reply, Upstream};

const ROWS: u64 = 400;
const CONCURRENCY: usize = 8;
const KILLS: usize = 10;
const ANSWER_AFTER: Duration = Duration::from_millis(20);

/// The keys of the whole lines of a journal.
fn keys(case: &Case) -> Vec<String> {
    let text = fs::read_to_string(case.path("out.jsonl.journal")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let key =
        |line: &str| serde_json::from_str::<Value>(line).expect("a whole line")["key"].clone();
    whole.lines().map(|line| key(line).as_str().expect("a key").to_owned()).collect()
}

#[test]
fn killed_ten_times_the_output_is_the_same_and_nothing_is_paid_twice() {
    let upstream = Upstream::start(ANSWER_AFTER, |question, _| Reply::Text(cheap_sum(question)));
    let concurrency = CONCURRENCY.to_string();
    let arguments = ["--json", "--concurrency", &concurrency];

    let undisturbed = Case::new(&sums(ROWS));
    let begun = Instant::now();
    summary(&undisturbed.label(&upstream.url(), &arguments).output().expect("runs"));
    let expected = fs::read(undisturbed.out()).expect("the output");
    let calls_undisturbed = upstream.calls().len();
    assert_eq!(calls_undisturbed as u64, ROWS);
    // What the machine takes besides waiting for answers: the first call comes after it at the latest.
    let waiting = ANSWER_AFTER * (ROWS / CONCURRENCY as u64) as u32;
    // No more than makes the run end before it is killed ten times.
    let start = begun.elapsed().saturating_sub(waiting).min(Duration::from_millis(150));

    let case = Case::new(&sums(ROWS));
    let mut paid = BTreeSet::new();
    for kill in 0..KILLS {
        let mut child = case.label(&upstream.url(), &arguments).spawn().expect("starts");
        // Moments from before the first call to deep inside the run.
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let early = [Duration::from_millis(3), start / 2];
        let moments = [early[0], after(8), after(20), after(35), early[1], after(50)];
        let later = [after(28), Duration::from_millis(20), after(40), after(23)];
        thread::sleep([&moments[..], &later].concat()[kill]);
        child.kill().expect("SIGKILL");
        child.wait().expect("ends");
        let now = keys(&case);
        let now_set: BTreeSet<String> = now.iter().cloned().collect();
        assert_eq!(now.len(), now_set.len(), "a call was written twice");
        assert!(now_set.is_superset(&paid), "a written call was lost");
        assert!(!case.out().exists(), "an unfinished run left something that looks finished");
        paid = now_set;
    }
    assert!(
        !paid.is_empty() && (paid.len() as u64) < ROWS,
        "{} calls: kills too early",
        paid.len()
    );
    // The last line is torn, as a power cut would leave it.
    let journal = case.path("out.jsonl.journal");
    let mut bytes = fs::read(&journal).expect("the journal");
    bytes.extend_from_slice(b"{\"key\":\"00");
    fs::write(&journal, bytes).expect("the journal");

    let last = summary(&case.label(&upstream.url(), &arguments).output().expect("runs"));
    assert_eq!(fs::read(case.out()).expect("the output"), expected);
    assert_eq!(last["calls"]["reused"], paid.len());
    assert_eq!(last["calls"]["made"], ROWS as usize - paid.len());
    let extra = upstream.calls().len() - calls_undisturbed - ROWS as usize;
    assert!(extra <= KILLS * CONCURRENCY, "{extra} calls beyond those in flight when killed");
}

#[test]
fn a_finished_run_is_repeated_for_nothing() {
    let upstream = Upstream::start(Duration::ZERO, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(30));
    summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    let first = fs::read(case.out()).expect("the output");
    // Another evaluator asks for no new answers either.
    summary(&case.label(&upstream.url(), &["--json", "--evaluator", "f1"]).output().expect("runs"));
    assert_ne!(fs::read(case.out()).expect("the output"), first);
    let again = summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    assert_eq!(fs::read(case.out()).expect("the output"), first);
    assert_eq!((upstream.calls().len(), &again["calls"]["made"]), (30, &0.into()));
}

#[test]
fn whatever_happens_to_the_journal_the_rows_are_the_same() {
    let upstream = Upstream::start(Duration::ZERO, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(12));
    summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    let expected = fs::read(case.out()).expect("the output");
    let path = case.path("out.jsonl.journal");
    let whole = fs::read(&path).expect("the journal");
    let text = String::from_utf8(whole.clone()).expect("UTF-8");
    let (first, rest) = text.split_once('\n').expect("lines");
    let utf16: Vec<u8> = "\u{feff}x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, journal) in [
        ("NUL bytes", [first.as_bytes(), b"\n\0\0\0\0\n", rest.as_bytes()].concat()),
        ("UTF-16", [first.as_bytes(), b"\n", &utf16, rest.as_bytes()].concat()),
        ("half a line", [&first.as_bytes()[..20], b"\n", rest.as_bytes()].concat()),
        ("CRLF", text.replace('\n', "\r\n").into_bytes()),
        ("blank lines", text.replace('\n', "\n\n").into_bytes()),
        ("an overlong NUL", [&whole[..], b"{\"key\": \"\xc0\x80\"}\n"].concat()),
        ("everything twice", [&whole[..], &whole].concat()),
        ("a long line", ["x".repeat(1 << 20).as_bytes(), b"\n", &whole].concat()),
    ] {
        fs::write(&path, journal).expect("written");
        fs::remove_file(case.out()).expect("removed");
        summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
        assert_eq!(fs::read(case.out()).expect("the output"), expected, "{name}");
    }
}
