use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use pointsman_core::policy::bandit::{Context, EVERYTHING, Explorer};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, params};

use super::attribution::Attribution;
use super::learner::resume;
use super::store::{Store, StoreError};
use crate::bandit::{ControllerOptions, Learners, Prior};
use crate::serve::layout::encode_lines;
use crate::serve::line::{Decision, Rank, Stored};
use crate::serve::rules::Rules;

const WINDOW: Duration = Duration::from_secs(5);
/// A long time ago.
const AT_MS: u64 = 1_000_000;

fn learners() -> Learners {
    let targets = vec!["cheap".to_owned(), "strong".to_owned()];
    let mut options = ControllerOptions::new(targets, vec![0.0, 0.2]);
    options.explorer = Explorer::EpsilonGreedy { epsilon: 0.2 };
    Learners::new(options, Prior::cold(2), &[])
}

fn rules() -> Rules {
    Rules::new(&learners())
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &rules())
}

/// A decision and its reward.
fn pair(number: u8) -> [Stored; 2] {
    let context = Context::new(2).of_engineered(&[], &[f32::from(number) / 255.0]).into();
    let (target, segment) = (number % 2, EVERYTHING);
    let decision =
        Decision { target, drawn: true, explored: false, propensity: 0.5, context, segment };
    let (id, reward) = ([number; 16], f32::from(number % 5) / 4.0);
    [
        Stored::Decision { id, decision },
        Stored::Feedback { id, reward, rank: Rank::Explicit, cache_id: None, bad: None },
    ]
}

fn append(store: &mut Store, numbers: std::ops::Range<u8>) {
    for number in numbers {
        let lines = pair(number);
        store.append(AT_MS + 100 * u64::from(number), &[&lines]).unwrap();
    }
}

/// What a process that starts now knows: samples, and all that it would save.
fn resumed(path: &Path) -> Result<(u64, Vec<u8>), StoreError> {
    let mut store = open(path)?;
    let mut attribution = Attribution::new(WINDOW, 1000);
    let mut resumed = resume(learners(), &mut store, &rules(), &mut attribution)?;
    Ok((resumed.learners.seen(), resumed.learners.save()))
}

/// Saves what was learnt so far.
fn checkpoint(path: &Path) {
    let mut store = open(path).unwrap();
    let mut attribution = Attribution::new(WINDOW, 1000);
    let mut resumed = resume(learners(), &mut store, &rules(), &mut attribution).unwrap();
    store.save(resumed.sequence, &resumed.learners.save()).unwrap();
}

#[test]
fn everything_behind_the_checkpoint_is_learnt_however_long_the_stop_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    append(&mut open(&path).unwrap(), 0..40);
    // The window is five seconds, and these batches are decades old.
    assert_eq!(resumed(&path).unwrap().0, 40);
    checkpoint(&path);
    append(&mut open(&path).unwrap(), 40..60);
    assert_eq!(resumed(&path).unwrap().0, 60);
}

#[test]
fn the_window_bounds_attribution_by_the_times_of_the_batches() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mut store = open(&path).unwrap();
    for (number, wait) in [(1, 4_999), (2, 5_001)] {
        let [decision, reward] = pair(number);
        let at = AT_MS + 100_000 * u64::from(number);
        store.append(at, &[&[decision]]).unwrap();
        store.append(at + wait, &[&[reward]]).unwrap();
    }
    drop(store);
    assert_eq!(resumed(&path).unwrap().0, 1, "the second reward came too late");
}

#[test]
fn what_is_removed_was_learnt_and_numbers_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let count = |path: &Path| -> i64 {
        let file = Connection::open(path).unwrap();
        file.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap()
    };
    let forget = |window: u64| open(&path).unwrap().forget(window).unwrap();
    append(&mut open(&path).unwrap(), 0..40);
    forget(0);
    assert_eq!(count(&path), 40, "nothing of it is saved elsewhere");
    checkpoint(&path);
    append(&mut open(&path).unwrap(), 40..41);
    forget(1000);
    assert_eq!(count(&path), 11, "the last second, by their own times");
    forget(0);
    assert_eq!(count(&path), 1);
    checkpoint(&path);
    assert_eq!(resumed(&path).unwrap().0, 41);
    let lines = pair(41);
    assert_eq!(open(&path).unwrap().append(AT_MS, &[&lines]).unwrap(), [42]);
    assert_eq!(resumed(&path).unwrap().0, 42);
}

#[test]
fn a_missing_batch_is_noticed() {
    for gone in [1, 7, 20, 33, 40] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        append(&mut open(&path).unwrap(), 0..30);
        checkpoint(&path);
        append(&mut open(&path).unwrap(), 30..40);
        let file = Connection::open(&path).unwrap();
        file.execute("DELETE FROM log WHERE sequence = ?1", params![gone]).unwrap();
        drop(file);
        match resumed(&path) {
            Err(StoreError::Missing { first, last }) => assert_eq!((first, last), (gone, gone)),
            // The oldest ones that the checkpoint has taken in are removed in good order, too.
            Ok((seen, _)) => assert_eq!((gone, seen), (1, 40)),
            Err(other) => panic!("{gone}: {other}"),
        }
    }
}

#[test]
fn a_batch_that_cannot_be_is_refused_even_with_the_right_digest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mut store = open(&path).unwrap();
    let [decision, reward] = pair(1);
    let Stored::Feedback { id, rank, .. } = reward else { panic!("a reward") };
    let reward = Stored::Feedback { id, reward: 6.8e37, rank, cache_id: None, bad: None };
    store.append(AT_MS, &[&[decision, reward]]).unwrap();
    drop(store);
    assert!(matches!(resumed(&path), Err(StoreError::Batch(1))));
}

/// The files of a state: as after `kill -9`, if the store is still open.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Damages one byte, or cuts a file, in 150 ways; what starts nevertheless has lost nothing.
fn is_noticed(directory: &Path) {
    let fresh = tempfile::tempdir().unwrap();
    copy(directory, fresh.path());
    let (seen, _) = resumed(&fresh.path().join("state")).unwrap();
    assert_eq!(seen, 60);
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut rng = SmallRng::seed_from_u64(17);
    let (mut refused, mut whole) = (0, 0);
    for round in 0..150 {
        let damaged = tempfile::tempdir().unwrap();
        copy(directory, damaged.path());
        let name = &names[rng.random_range(0..names.len())];
        let file = damaged.path().join(name);
        let mut bytes = std::fs::read(&file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let at = rng.random_range(0..bytes.len());
        match round % 5 {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << rng.random_range(0..8),
        }
        std::fs::write(&file, &bytes).unwrap();
        match resumed(&damaged.path().join("state")) {
            Ok((found, _)) => {
                assert_eq!(found, seen, "{name:?}, byte {at}, round {round}");
                whole += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 10 && whole > 0, "{refused} refused, {whole} whole");
}

#[test]
fn damage_after_a_kill_is_refused_or_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    append(&mut open(&path).unwrap(), 0..30);
    checkpoint(&path);
    let mut store = open(&path).unwrap();
    append(&mut store, 30..60);
    is_noticed(directory.path());
}

#[test]
fn damage_after_an_orderly_end_is_refused_or_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    append(&mut open(&path).unwrap(), 0..60);
    checkpoint(&path);
    open(&path).unwrap().close();
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "the file stands alone: {names:?}");
    is_noticed(directory.path());
}

#[test]
fn acknowledged_batches_that_the_log_written_ahead_has_lost_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mut store = open(&path).unwrap();
    append(&mut store, 0..20);
    let killed = tempfile::tempdir().unwrap();
    copy(directory.path(), killed.path());
    std::fs::remove_file(killed.path().join("state-wal")).unwrap();
    let error = resumed(&killed.path().join("state")).unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("backup")), "{error}");
}

#[test]
fn files_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    append(&mut open(&directory.path().join("state")).unwrap(), 0..3);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

/// A file as the version before wrote it; batches from `first` on.
fn of_the_version_before(path: &Path, first: i64, checkpoint: Option<(i64, Vec<u8>)>) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(
        "CREATE TABLE log (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, lines BLOB NOT NULL);
         CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, state BLOB NOT NULL);
         PRAGMA user_version = 2;",
    )
    .unwrap();
    for number in 0..20 {
        let (sequence, lines) = (first + i64::from(number), encode_lines(&pair(number)));
        file.execute("INSERT INTO log VALUES (?1, ?2, ?3)", params![sequence, 1000, lines])
            .unwrap();
    }
    if let Some((sequence, state)) = checkpoint {
        file.execute("INSERT INTO checkpoint VALUES (1, ?1, ?2)", params![sequence, state])
            .unwrap();
    }
}

#[test]
fn a_file_of_the_version_before_is_taken_over() {
    // What that version saved has no digest.
    let state = || {
        let state = String::from_utf8(learners().save()).unwrap();
        format!("{{{}", state.split_once("\",").unwrap().1).into_bytes()
    };
    for (first, checkpoint, seen) in [
        (1, None, 20),
        (1, Some((0, state())), 20),
        (1, Some((5, state())), 15),
        // Older batches were removed.
        (900, Some((909, state())), 10),
        // All were removed once, and numbers began again.
        (1, Some((5000, state())), 20),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let case = format!("{first} {:?}", checkpoint.as_ref().map(|(sequence, _)| *sequence));
        of_the_version_before(&path, first, checkpoint);
        assert_eq!(resumed(&path).unwrap().0, seen, "{case}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut store = open(&path).unwrap();
        append(&mut store, 20..30);
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?} while the store is open", file.file_name());
        }
        drop(store);
        assert_eq!(resumed(&path).unwrap().0, seen + 10, "{case}");
    }
}

#[test]
fn lines_that_cannot_be_are_left_out_of_a_file_of_the_version_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    of_the_version_before(&path, 1, None);
    let [decision, reward] = pair(200);
    let Stored::Decision { id, mut decision } = decision else { panic!("a decision") };
    decision.context[0] = 1000.0;
    let lines = encode_lines(&[Stored::Decision { id, decision }, reward]);
    let file = Connection::open(&path).unwrap();
    file.execute("INSERT INTO log VALUES (21, 1000, ?1)", params![lines]).unwrap();
    drop(file);
    assert_eq!(open(&path).unwrap().left_out, 1);
    assert_eq!(resumed(&path).unwrap().0, 20, "nothing is learnt from it");
}

#[test]
fn a_file_whose_layout_is_damaged_is_not_taken_for_one_of_the_version_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    append(&mut open(&path).unwrap(), 0..3);
    let file = Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    drop(file);
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Mislabelled(2)), "{error}");
    assert!(error.hint().unwrap().starts_with("restore the file from a backup"));
}

#[test]
fn a_file_of_which_one_byte_is_left_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    std::fs::write(&path, "S").unwrap();
    let error = open(&path).unwrap_err();
    assert_eq!(error.to_string(), "the file is damaged: its length is 1");
    assert!(error.hint().unwrap().starts_with("restore the file from a backup"));
    assert_eq!(std::fs::read(&path).unwrap(), b"S");
}

#[test]
fn a_file_of_a_later_version_or_of_another_program_is_refused() {
    for (version, sql) in [(4, ""), (9999, ""), (0, "CREATE TABLE other (a);")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let file = Connection::open(&path).unwrap();
        file.execute_batch(&format!("{sql} PRAGMA user_version = {version};")).unwrap();
        drop(file);
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Layout(found) if found == version), "{error}");
        assert!(error.hint().is_some());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    std::fs::write(&path, vec![b'x'; 4096]).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Corrupt(_))));
}
