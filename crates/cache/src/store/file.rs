//! Entries on disk: one SQLite file, written behind, read back after the start.

use std::cmp::Reverse;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use bytes::Bytes;
use rayon::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::{BATCH, Change, Desk, Store};
use crate::entry::{Entry, vector_of};
use crate::key::{Digest128, ExactKey};
use pointsman_core::target::Usage;

/// An open file of entries.
pub struct File {
    connection: Connection,
}

/// Number of the table's layout, and of what a key and an answer are; a file of another is not read.
/// Layout 2 held whatever had ended in order, cut answers and refusals among them.
const LAYOUT: i64 = 3;

impl File {
    /// Opens or creates a file. One that is not a store, or of another layout, is moved aside.
    ///
    /// # Errors
    ///
    /// When no file can be made at this place, or another process has it open.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        match Self::try_open(path) {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if matches!(
                    error.code,
                    rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt
                ) =>
            {
                for suffix in ["", "-wal", "-shm"] {
                    let mut from = path.as_os_str().to_owned();
                    from.push(suffix);
                    let mut to = path.as_os_str().to_owned();
                    to.push(".damaged");
                    to.push(suffix);
                    // A suffix may be missing.
                    let _ = std::fs::rename(PathBuf::from(from), PathBuf::from(to));
                }
                Self::try_open(path)
            }
            result => result,
        }
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
        keep_private(path);
        let connection = Connection::open(path)?;
        // Two processes on one file would each miss what the other has.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A crash of the machine may cost the last entries, never the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != LAYOUT {
            connection.execute_batch("DROP TABLE IF EXISTS entry")?;
        }
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS entry (
                exact BLOB PRIMARY KEY, partition BLOB NOT NULL, question TEXT,
                content_type TEXT NOT NULL, body BLOB NOT NULL, input INTEGER, output INTEGER,
                created INTEGER NOT NULL, expires INTEGER NOT NULL, checksum BLOB NOT NULL,
                vector BLOB
             ) WITHOUT ROWID",
        )?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
        Ok(File { connection })
    }

    /// Visits every whole entry that has not expired, in the order of their keys; returns how many
    /// rows were damaged.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on.
    pub fn load(&self, now_ms: u64, mut visit: impl FnMut(Entry)) -> rusqlite::Result<u64> {
        let (mut damaged, mut after) = (0, Value::Blob(Vec::new()));
        while let Some(page) = self.page(after, now_ms)? {
            page.entries.into_iter().for_each(&mut visit);
            damaged += page.damaged;
            after = page.last;
        }
        Ok(damaged)
    }

    /// The next entries behind a key; `None` at the end.
    fn page(&self, after: Value, now_ms: u64) -> rusqlite::Result<Option<Page>> {
        let mut select = self.connection.prepare(&format!(
            "SELECT {COLUMNS} FROM entry WHERE exact > ?1 AND expires > ?2
             ORDER BY exact LIMIT {PAGE}"
        ))?;
        let mut rows = select.query(params![after, now_ms as i64])?;
        let (mut read, mut bytes, mut last) = (Vec::new(), 0, None);
        while bytes < PAGE_BYTES
            && let Some(row) = rows.next()?
        {
            last = Some(row.get(0)?);
            let row = row_of(row);
            bytes += row.as_ref().map_or(0, |(entry, _)| entry.body.len());
            read.push(row);
        }
        let Some(last) = last else { return Ok(None) };
        let count = read.len();
        let whole = |row: Option<(Entry, Digest128)>| {
            row.and_then(|(entry, sum)| (entry.checksum() == sum).then_some(entry))
        };
        let entries: Vec<Entry> = read.into_par_iter().filter_map(whole).collect();
        Ok(Some(Page { damaged: (count - entries.len()) as u64, entries, last }))
    }

    fn find(&self, exact: ExactKey) -> rusqlite::Result<Option<Entry>> {
        let mut select =
            self.connection.prepare(&format!("SELECT {COLUMNS} FROM entry WHERE exact = ?1"))?;
        let row = select.query_row(params![exact.0], |row| Ok(row_of(row))).optional()?;
        let row = row.flatten();
        Ok(row.and_then(|(entry, sum)| (entry.checksum() == sum).then_some(entry)))
    }

    /// Deletes an entry in this version.
    fn forget(&self, exact: ExactKey, created_ms: u64) -> rusqlite::Result<()> {
        let delete = "DELETE FROM entry WHERE exact = ?1 AND created = ?2";
        self.connection.execute(delete, params![exact.0, created_ms as i64]).map(drop)
    }
}

/// Entries that follow each other.
struct Page {
    entries: Vec<Entry>,
    damaged: u64,
    /// The last one's key.
    last: Value,
}

const COLUMNS: &str = "exact, partition, question, content_type, body, input, output, created,
                       expires, checksum, vector";
/// Entries of a page, at most, and bytes of their bodies, roughly: a few milliseconds.
const PAGE: usize = 512;
const PAGE_BYTES: usize = 4 << 20;

/// Reads a file while requests are answered.
pub(crate) struct Loading<F> {
    /// Bytes that there is memory for, by [`Entry::size`].
    pub(crate) most: u64,
    pub(crate) desk: Desk,
    /// Takes an entry; `false` when it must no longer be in the file.
    pub(crate) restore: F,
}

/// What went wrong.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Rows that do not match their checksums, and changes that could not be written.
    pub(crate) errors: u64,
    /// Why the file could not be read to its end.
    pub(crate) broke_off: Option<rusqlite::Error>,
}

impl<F: FnMut(Arc<Entry>) -> bool> Loading<F> {
    /// Reads all entries, then hands them over, oldest first, so that the least recently used are
    /// the oldest. In between, entries that are asked for are looked up and changes are written; at
    /// the end of `changes` it stops.
    pub(crate) fn run(mut self, file: &mut File, changes: &Receiver<Change>) -> Loaded {
        let mut loaded = Loaded::default();
        let (mut found, mut bytes, mut after) = (Vec::new(), 0, Value::Blob(Vec::new()));
        loop {
            match file.page(after, crate::now_ms()) {
                Ok(Some(page)) => {
                    after = page.last;
                    loaded.errors += page.damaged;
                    bytes += page.entries.iter().map(|entry| entry.size() as u64).sum::<u64>();
                    found.extend(page.entries.into_iter().map(Arc::new));
                }
                Ok(None) => break,
                Err(error) => {
                    loaded.broke_off = Some(error);
                    break;
                }
            }
            if bytes > self.most.saturating_add(self.most / 4) {
                bytes = keep_newest(&mut found, self.most);
            }
            if !self.meanwhile(file, changes, &mut loaded) {
                return loaded;
            }
        }
        keep_newest(&mut found, self.most);
        while !found.is_empty() {
            let rest = found.len().saturating_sub(PAGE);
            for entry in found.drain(rest..).rev() {
                let (exact, created_ms) = (entry.exact, entry.created_ms);
                if !(self.restore)(entry) && file.forget(exact, created_ms).is_err() {
                    loaded.errors += 1;
                }
            }
            if !self.meanwhile(file, changes, &mut loaded) {
                break;
            }
        }
        loaded
    }

    /// Returns whether to go on.
    fn meanwhile(&self, file: &mut File, changes: &Receiver<Change>, loaded: &mut Loaded) -> bool {
        self.desk.serve(|exact| file.find(exact).ok().flatten());
        let mut batch = Vec::new();
        let ended = loop {
            match changes.try_recv() {
                Ok(change) if batch.len() < BATCH => batch.push(change),
                Ok(change) => {
                    batch.push(change);
                    break false;
                }
                Err(TryRecvError::Empty) => break false,
                Err(TryRecvError::Disconnected) => break true,
            }
        };
        if !batch.is_empty() && file.write(&batch).is_err() {
            loaded.errors += 1;
        }
        !ended
    }
}

/// Sorts entries, newest first, and drops those that there is no memory for; returns the bytes of
/// the others.
fn keep_newest(entries: &mut Vec<Arc<Entry>>, most: u64) -> u64 {
    entries.par_sort_unstable_by_key(|entry| Reverse(entry.created_ms));
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.size() as u64;
        bytes <= most
    });
    let count = fitting.count();
    entries.truncate(count);
    bytes.min(most)
}

/// Makes the file, if there is none, and takes it from everybody but its owner: prompts and answers
/// are in it. SQLite gives its log the same permissions.
fn keep_private(path: &Path) {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    // Where that fails, opening the store does too, and reports it.
    let _ = made.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // There may be none.
    let _ = std::fs::set_permissions(PathBuf::from(log), Permissions::from_mode(0o600));
}

impl Store for File {
    type Error = rusqlite::Error;

    /// In one transaction: when the disk is full or gone, none of them is kept.
    fn write(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            match change {
                Change::Insert(entry) => {
                    transaction
                        .prepare(
                            "INSERT OR REPLACE INTO entry
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                        )?
                        .execute(params![
                            entry.exact.0,
                            entry.partition.0,
                            entry.question.as_deref(),
                            &*entry.content_type,
                            &*entry.body,
                            entry.usage.map(|usage| usage.input as i64),
                            entry.usage.map(|usage| usage.output as i64),
                            entry.created_ms as i64,
                            entry.expires_ms as i64,
                            entry.checksum().0,
                            entry.vector_bytes(),
                        ])?;
                }
                Change::Remove(exact) | Change::Evict(exact) => {
                    transaction
                        .prepare("DELETE FROM entry WHERE exact = ?1")?
                        .execute(params![exact.0])?;
                }
                Change::Clear => {
                    transaction.execute("DELETE FROM entry", [])?;
                }
            }
        }
        transaction.commit()
    }

    fn sweep(&mut self) -> rusqlite::Result<()> {
        let now = crate::now_ms() as i64;
        self.connection.execute("DELETE FROM entry WHERE expires <= ?1", params![now]).map(drop)
    }
}

/// A row of [`COLUMNS`], and its checksum, which is not compared here.
fn row_of(row: &rusqlite::Row) -> Option<(Entry, Digest128)> {
    let digest = |at: usize| row.get::<_, [u8; 16]>(at).ok().map(Digest128);
    let number = |at: usize| row.get::<_, Option<i64>>(at).ok().map(|n| n.map(|n| n as u64));
    let usage = match (number(5)?, number(6)?) {
        (Some(input), Some(output)) => Some(Usage { input, output }),
        _ => None,
    };
    let entry = Entry {
        exact: digest(0)?,
        partition: digest(1)?,
        question: row.get::<_, Option<Box<str>>>(2).ok()?,
        vector: row.get::<_, Option<Vec<u8>>>(10).ok()?.as_deref().map(vector_of),
        content_type: row.get::<_, Box<str>>(3).ok()?,
        body: Bytes::from(row.get::<_, Vec<u8>>(4).ok()?),
        usage,
        created_ms: number(7)??,
        expires_ms: number(8)??,
    };
    Some((entry, digest(9)?))
}

#[cfg(test)]
mod tests {
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
        let columns = [
            "partition",
            "question",
            "vector",
            "content_type",
            "body",
            "input",
            "created",
            "expires",
        ];
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
        let files: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
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
}
