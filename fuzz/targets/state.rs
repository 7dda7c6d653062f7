//! Damage to the state file of a control plane.

use std::path::Path;
use std::sync::LazyLock;

use pointsman_control_plane::bandit::Learners;
use pointsman_control_plane::serve::line::{Decision, Rank, Stored};
use pointsman_control_plane::serve::{Store, StoreError};
use pointsman_core::policy::bandit::EVERYTHING;

use super::posts::{LEARNERS, RULES, context};
use super::{damaged, first_byte};

/// Batches of the log, and of these what the checkpoint knows while the file is in use.
const BATCHES: i64 = 6;
const LEARNT: i64 = 2;
/// SQLite's own notes at the beginning of a file change whenever it is opened.
const HEADER: usize = 100;

/// A file after an orderly end, and one that was in use, with the number next to it.
struct Good {
    closed: Vec<u8>,
    in_use: Vec<u8>,
    head: Vec<u8>,
    checkpoint: Vec<u8>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let checkpoint = Learners::clone(&LEARNERS).save();
    let directory = super::directory();
    let path = directory.path().join("state");
    let mut store = Store::open(&path, &RULES).expect("a new file");
    for number in 0..BATCHES {
        store.append(at_ms(number), &[&batch(number)]).expect("a disk");
    }
    let read = |path: &Path| std::fs::read(path).expect("a file");
    store.save(LEARNT, &checkpoint).expect("a disk");
    // A file in use stands alone only after its log was written into it.
    let head = read(&directory.path().join("state-head"));
    store.close();
    let in_use = read(&path);
    let mut store = Store::open(&path, &RULES).expect("the same file");
    store.save(BATCHES, &checkpoint).expect("a disk");
    store.close();
    Good { closed: read(&path), in_use, head, checkpoint }
});

fn at_ms(number: i64) -> u64 {
    1_000_000 + 100 * number.unsigned_abs()
}

/// A decision and its reward.
fn batch(number: i64) -> [Stored; 2] {
    let id = [number as u8; 16];
    let decision = Decision {
        target: (number % 2) as u8,
        drawn: true,
        explored: false,
        propensity: 0.5,
        context: context().into(),
        segment: EVERYTHING,
    };
    let reward = number as f32 / BATCHES as f32;
    [
        Stored::Decision { id, decision },
        Stored::Feedback { id, reward, rank: Rank::Explicit, cache_id: None, bad: None },
    ]
}

/// The first byte chooses the file, the rest damages it: everything that was acknowledged is read as
/// it was written, or the file is refused and stays as it is.
pub fn state(data: &[u8]) -> bool {
    let (kind, damage) = first_byte(data);
    let in_use = kind & 1 == 1;
    let (file, learnt) = if in_use { (&GOOD.in_use, LEARNT) } else { (&GOOD.closed, BATCHES) };
    let file = damaged(file, damage);
    let directory = super::directory();
    let path = directory.path().join("state");
    std::fs::write(&path, &file).expect("a disk");
    if in_use {
        std::fs::write(directory.path().join("state-head"), &GOOD.head).expect("a disk");
    }
    if file.is_empty() {
        // What is empty is new, unless the number next to it says otherwise.
        return false;
    }
    let read = read(&path, learnt);
    if let Err(error) = &read {
        assert!(!error.to_string().is_empty());
        let left = std::fs::read(&path).expect("a file");
        assert!(left.get(HEADER..) == file.get(HEADER..), "damage was overwritten: {error}");
    }
    read.is_ok()
}

fn read(path: &Path, learnt: i64) -> Result<(), StoreError> {
    let store = Store::open(path, &RULES)?;
    assert_eq!(store.left_out, 0, "taken for a file of the version before");
    let saved = store.saved()?;
    let mut batches = Vec::new();
    store.replay(&RULES, |batch| batches.push(batch))?;
    assert!(saved == (learnt, GOOD.checkpoint.clone()), "another checkpoint, {}", saved.0);
    // Those that the checkpoint has taken in may have been removed, oldest first.
    let first = batches.first().map_or(BATCHES + 1, |batch| batch.sequence);
    assert!(first <= learnt + 1, "batches are missing in front of {first}");
    let expected = (first..=BATCHES).map(|sequence| {
        let number = sequence - 1;
        (sequence, at_ms(number), batch(number).to_vec())
    });
    let read = batches.into_iter().map(|batch| (batch.sequence, batch.at_ms, batch.lines));
    assert!(read.eq(expected), "other batches than were written");
    Ok(())
}
