//! Damage to the file in which a cache keeps its answers.

use std::sync::{Arc, LazyLock};

use pointsman_cache::entry::Entry;
use pointsman_cache::key::Digest128;
use pointsman_cache::store::{Change, File, Store};
use pointsman_core::target::Usage;

use super::damaged;

const ENTRIES: u8 = 5;

fn entry(number: u8) -> Entry {
    Entry {
        exact: Digest128([number; 16]),
        partition: Digest128([9; 16]),
        question: number.is_multiple_of(2).then(|| "What is it?".into()),
        vector: number.is_multiple_of(2).then(|| [-127, 0, number.cast_signed()].into()),
        content_type: "application/json".into(),
        body: vec![b'a' + number; 20].into(),
        usage: (number > 1).then(|| Usage { input: 1, output: u64::from(number) }),
        created_ms: u64::from(number),
        expires_ms: 1_000,
    }
}

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = super::directory();
    let path = directory.path().join("store");
    let mut store = File::open(&path).expect("a new file");
    let entries = (0..ENTRIES).map(|number| Change::Insert(Arc::new(entry(number))));
    store.write(&entries.collect::<Vec<_>>()).expect("a disk");
    drop(store);
    std::fs::read(&path).expect("a file")
});

/// An answer of a damaged file is one that was written, whole.
pub fn store(damage: &[u8]) -> bool {
    let directory = super::directory();
    let path = directory.path().join("store");
    std::fs::write(&path, damaged(&GOOD, damage)).expect("a disk");
    let Ok(store) = File::open(&path) else { return false };
    let mut found = false;
    // What is read before a page that cannot be is kept.
    let _ = store.load(0, |read| {
        let number = read.exact.0[0];
        assert!(number < ENTRIES && read == entry(number), "never written: {read:?}");
        found = true;
    });
    found
}
