use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::super::embedding::Embedder;
use super::super::index::saved::read;
use super::super::key::Digest128;
use super::super::matcher::Calibration;
use super::*;

const PARTITION: Partition = Digest128([9; 16]);

fn tiers() -> Tiers {
    let calibration = Calibration::built_in().unwrap();
    Tiers::new(Matcher::new(Embedder::built_in().unwrap(), calibration), u64::MAX, |_| {})
}

fn text(number: u64) -> String {
    format!("How do I convert {number} miles to kilometers?")
}

fn entry(number: u64, created_ms: u64) -> Arc<Entry> {
    let mut exact = [0; 16];
    exact[..8].copy_from_slice(&number.to_be_bytes());
    Arc::new(Entry {
        exact: Digest128(exact),
        partition: PARTITION,
        question: Some(text(number).into()),
        vector: None,
        content_type: "application/json".into(),
        body: Bytes::from(format!("{number} at {created_ms}")),
        usage: None,
        created_ms,
        expires_ms: u64::MAX,
    })
}

/// The body that serves another wording.
fn near(tiers: &Tiers, number: u64) -> Option<Bytes> {
    let text = text(number).replacen("How do I", "How can I", 1);
    let found = tiers.near(PARTITION, &tiers.question(&text, None));
    found.hit.map(|hit| hit.entry.body.clone())
}

#[test]
fn restored_entries_serve_at_once_and_similar_questions_once_they_are_built() {
    let tiers = tiers();
    tiers.begin(true);
    for number in 1..=3 {
        assert_eq!(tiers.restore(entry(number, 1)), Restored::Kept);
    }
    assert!(tiers.exact(entry(2, 1).exact).is_some());
    assert_eq!(near(&tiers, 2), None);
    let size = tiers.size();
    assert_eq!((size.entries, size.reading, size.pending), (3, true, 3));
    tiers.end();
    tiers.build(|| true);
    assert_eq!(near(&tiers, 2), Some("2 at 1".into()));
    let size = tiers.size();
    assert_eq!((size.entries, size.reading, size.pending), (3, false, 0));
}

#[test]
fn what_happens_while_a_store_is_read_wins_over_what_is_in_it() {
    let tiers = tiers();
    tiers.begin(true);
    tiers.insert(entry(1, 5));
    assert_eq!(tiers.restore(entry(1, 4)), Restored::Known);
    assert_eq!(tiers.restore(entry(2, 4)), Restored::Kept);
    tiers.insert(entry(2, 5));
    tiers.restore(entry(3, 4));
    assert!(tiers.remove(3).is_some() && tiers.remove(4).is_none());
    // Read before they were removed.
    assert_eq!(tiers.restore(entry(3, 4)), Restored::Dropped);
    assert_eq!(tiers.restore(entry(4, 4)), Restored::Dropped);
    // Asked again since.
    tiers.insert(entry(4, 5));
    assert_eq!(tiers.restore(entry(4, 4)), Restored::Known);
    tiers.end();
    tiers.build(|| true);
    for number in [1, 2, 4] {
        let body = Bytes::from(format!("{number} at 5"));
        assert_eq!(
            tiers.exact(entry(number, 5).exact).map(|it| it.body.clone()),
            Some(body.clone())
        );
        assert_eq!(near(&tiers, number), Some(body));
    }
    assert_eq!((tiers.exact(entry(3, 4).exact), near(&tiers, 3)), (None, None));
    // Next time it may come back, as when another replica was asked.
    tiers.begin(true);
    assert_eq!(tiers.restore(entry(3, 4)), Restored::Kept);
}

#[test]
fn what_is_purged_while_a_store_is_read_stays_out() {
    let tiers = tiers();
    tiers.begin(true);
    tiers.restore(entry(1, 1));
    tiers.clear();
    assert_eq!(tiers.restore(entry(1, 1)), Restored::Known);
    assert_eq!(tiers.restore(entry(2, 1)), Restored::Known);
    tiers.insert(entry(3, 2));
    tiers.end();
    tiers.build(|| true);
    assert_eq!((near(&tiers, 1), near(&tiers, 2)), (None, None));
    assert_eq!(near(&tiers, 3), Some("3 at 2".into()));
    assert_eq!(tiers.size().entries, 1);
}

#[test]
fn a_saved_index_gains_what_is_new_and_loses_what_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let before = tiers();
    (1..=9).for_each(|number| before.insert(entry(number, 1)));
    before.save(&path, &[0; 32]).unwrap();

    let after = tiers();
    after.begin(true);
    for number in 3..=12 {
        after.restore(entry(number, 1));
    }
    after.end();
    let saved = read(&path, &[0; 32]).unwrap();
    assert!(!after.take_over(saved));
    assert_eq!(after.index.len(), 7, "two are gone");
    assert_eq!(near(&after, 5), Some("5 at 1".into()), "before it is built");
    assert_eq!(after.size().pending, 10);
    after.build(|| true);
    assert_eq!(after.index.len(), 10);
    assert_eq!(near(&after, 12), Some("12 at 1".into()));

    // Most of it is gone: another one is built.
    let late = tiers();
    late.begin(true);
    for number in 9..=12 {
        late.restore(entry(number, 1));
    }
    late.end();
    let saved = read(&path, &[0; 32]).unwrap();
    assert!(!late.take_over(saved));
    assert!(late.index.is_empty());
}

#[test]
fn building_ends_when_it_is_asked_to_and_leaves_out_what_was_removed() {
    let tiers = tiers();
    tiers.begin(true);
    let count = 2 * CHUNK as u64;
    for number in 0..count {
        tiers.restore(entry(number, number));
    }
    tiers.end();
    tiers.remove(count - 1);
    let once = AtomicBool::new(true);
    tiers.build(|| once.swap(false, Ordering::Relaxed));
    assert_eq!(tiers.index.len(), CHUNK - 1);
    assert!(tiers.index.contains(PARTITION, count - 2), "the newest first");
    assert_eq!(tiers.size().pending, CHUNK as u64);
}
