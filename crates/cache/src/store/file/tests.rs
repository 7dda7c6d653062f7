use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn entry(number: u8, expires_ms: u64) -> Entry {
    Entry {
        exact: Digest128([number; 16]),
        partition: Digest128([9; 16]),
        question: number.is_multiple_of(2).then(|| "What?".into()),
        vector: number.is_multiple_of(2).then(|| [-127, 0, number.cast_signed()].into()),
        content_type: "application/json".into(),
        body: Bytes::from(vec![number; 100]),
        usage: Some(Usage { input: 1, output: u64::from(number) }),
        created_ms: u64::from(number),
        expires_ms,
    }
}

fn loaded(path: &Path) -> (Vec<Entry>, u64) {
    let mut entries = Vec::new();
    let damaged = File::open(path).unwrap().load(50, |entry| entries.push(entry)).unwrap();
    (entries, damaged)
}

#[test]
fn entries_come_back_as_they_were_until_they_expire() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut store = File::open(&path).unwrap();
    let entries = [entry(1, 100), entry(2, 100), entry(3, 40), entry(4, 100)];
    let changes: Vec<Change> =
        entries.iter().map(|entry| Change::Insert(Arc::new(entry.clone()))).collect();
    store.write(&changes).unwrap();
    store.write(&[Change::Remove(entries[3].exact)]).unwrap();
    drop(store);
    assert_eq!(loaded(&path), (entries[..2].to_vec(), 0));
}

#[test]
fn a_row_that_was_changed_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let columns =
        ["partition", "question", "vector", "content_type", "body", "input", "created", "expires"];
    for column in columns {
        let mut store = File::open(&path).unwrap();
        store.write(&[Change::Clear, Change::Insert(Arc::new(entry(2, 100)))]).unwrap();
        let value = match column {
            "input" | "created" | "expires" => "99",
            "question" | "content_type" => "'other'",
            _ => "x'00112233445566778899aabbccddeeff'",
        };
        store.connection.execute(&format!("UPDATE entry SET {column} = {value}"), []).unwrap();
        drop(store);
        assert_eq!(loaded(&path), (vec![], 1), "{column}");
    }
}

#[test]
fn entries_of_another_layout_are_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut store = File::open(&path).unwrap();
    store.write(&[Change::Insert(Arc::new(entry(1, 100)))]).unwrap();
    store.connection.pragma_update(None, "user_version", LAYOUT - 1).unwrap();
    drop(store);
    assert_eq!(loaded(&path), (vec![], 0));
}

#[test]
fn only_the_owner_can_read_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // As an earlier version, or a copy, may have left it.
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut store = File::open(&path).unwrap();
    store.write(&[Change::Insert(Arc::new(entry(1, 100)))]).unwrap();
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() > 1, "the log is checked too");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_file_that_is_no_store_is_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert_eq!(loaded(&path), (vec![], 0));
    assert!(directory.path().join("store.damaged").exists());
}

/// Reads a file of these entries; what `restore` does with each.
fn read(
    path: &Path,
    most: u64,
    changes: &Receiver<Change>,
    desk: Desk,
    restore: impl FnMut(Arc<Entry>) -> bool,
) -> Loaded {
    Loading { most, desk, restore }.run(&mut File::open(path).unwrap(), changes)
}

fn filled(path: &Path, count: u16) {
    let inserts = (0..count).map(|number| {
        let mut entry = entry(1, u64::MAX >> 1);
        // Their keys have another order than their ages.
        entry.exact.0[..2].copy_from_slice(&number.reverse_bits().to_be_bytes());
        entry.created_ms = u64::from(number);
        Change::Insert(Arc::new(entry))
    });
    File::open(path).unwrap().write(&inserts.collect::<Vec<_>>()).unwrap();
}

#[test]
fn entries_are_read_oldest_first_and_those_that_are_dropped_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let count = 3 * PAGE as u16 + 7;
    filled(&path, count);
    let (_changes, queue) = std::sync::mpsc::channel();
    let (_finder, desk) = super::super::desk();
    let mut ages = Vec::new();
    let loaded = read(&path, u64::MAX, &queue, desk, |entry| {
        ages.push(entry.created_ms);
        !entry.created_ms.is_multiple_of(2)
    });
    assert!(loaded.errors == 0 && loaded.broke_off.is_none(), "{loaded:?}");
    assert_eq!(ages, (0..u64::from(count)).collect::<Vec<_>>());
    assert_eq!(self::loaded(&path).0.len(), usize::from(count) / 2);
}

#[test]
fn only_the_newest_are_read_when_there_is_no_memory_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let count = 3 * PAGE as u16;
    filled(&path, count);
    let most = 100 * entry(1, 0).size() as u64;
    let (_changes, queue) = std::sync::mpsc::channel();
    let (_finder, desk) = super::super::desk();
    let mut ages = Vec::new();
    read(&path, most, &queue, desk, |entry| {
        ages.push(entry.created_ms);
        true
    });
    let count = u64::from(count);
    assert_eq!(ages, (count - 100..count).collect::<Vec<_>>());
}

#[test]
fn changes_are_written_while_a_file_is_read_and_their_end_is_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path, 3 * PAGE as u16);
    let (changes, queue) = std::sync::mpsc::channel();
    changes.send(Change::Clear).unwrap();
    changes.send(Change::Insert(Arc::new(entry(1, u64::MAX >> 1)))).unwrap();
    let (_finder, desk) = super::super::desk();
    let mut read_back = 0;
    read(&path, u64::MAX, &queue, desk, |_| {
        read_back += 1;
        true
    });
    assert!(read_back <= PAGE + 1, "{read_back}");
    assert_eq!(loaded(&path).0.len(), 1);

    filled(&path, 3 * PAGE as u16);
    let (finder, desk) = super::super::desk();
    drop(changes);
    let mut read_back = 0;
    read(&path, u64::MAX, &queue, desk, |_| {
        read_back += 1;
        true
    });
    assert_eq!(read_back, 0, "it goes on");
    drop(finder);
}

#[tokio::test]
async fn what_is_asked_for_while_a_file_is_read_is_looked_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path, 3 * PAGE as u16);
    let (changes, queue) = std::sync::mpsc::channel::<Change>();
    let (finder, desk) = super::super::desk();
    let wanted = loaded(&path).0.pop().unwrap();
    let (exact, asked) = (
        wanted.exact,
        tokio::spawn(async move {
            let found = finder.find(wanted.exact).await;
            let absent = finder.find(Digest128([255; 16])).await;
            (found, absent, finder)
        }),
    );
    tokio::task::yield_now().await;
    let thread = std::thread::spawn(move || {
        read(&path, u64::MAX, &queue, desk, |_| {
            std::thread::sleep(std::time::Duration::from_micros(100));
            true
        })
    });
    let (found, absent, finder) = asked.await.unwrap();
    assert_eq!(found.map(|entry| entry.exact), Some(exact));
    assert_eq!(absent, None);
    tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap();
    assert_eq!(finder.find(exact).await, None, "who read it has left");
    drop(changes);
}
