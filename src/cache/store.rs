//! Entries on disk: one SQLite file, written behind, read back at the start.
//!
//! Writing never holds a request up and never fails one: when the disk is full or gone, entries
//! live in memory only, and a counter says so. Every row carries a checksum over all its fields;
//! one that does not match is dropped, so whatever a crash leaves, no answer is served that was
//! not written whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::entry::Entry;
use super::key::Digest128;
use crate::usage::Usage;

/// An open file of entries.
pub struct Store {
    connection: Connection,
}

/// Number of the table's layout; a file of another is not read.
const LAYOUT: i64 = 1;
/// Changes that wait to be written; more are dropped, because a disk that slow is a full one.
const QUEUE: usize = 10_000;
/// Changes of one transaction at most.
const BATCH: usize = 512;
/// How often what has expired is deleted.
const SWEEP: Duration = Duration::from_secs(60);

/// What is written.
pub enum Change {
    Insert(Arc<Entry>),
    Remove(Digest128),
    Clear,
}

impl Store {
    /// Opens or creates a file. One that is no store, or of another layout, is moved aside.
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
                    // Not there, mostly.
                    let _ = std::fs::rename(PathBuf::from(from), PathBuf::from(to));
                }
                Self::try_open(path)
            }
            result => result,
        }
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
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
                created INTEGER NOT NULL, expires INTEGER NOT NULL, checksum BLOB NOT NULL
             ) WITHOUT ROWID",
        )?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
        Ok(Store { connection })
    }

    /// Visits every whole entry that has not expired; returns how many rows were damaged.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on.
    pub fn load(&self, now_ms: u64, mut visit: impl FnMut(Entry)) -> rusqlite::Result<u64> {
        let mut select = self.connection.prepare(
            "SELECT exact, partition, question, content_type, body, input, output, created,
                    expires, checksum FROM entry WHERE expires > ?1 ORDER BY created",
        )?;
        let mut rows = select.query(params![now_ms as i64])?;
        let mut damaged = 0;
        while let Some(row) = rows.next()? {
            match entry_of(row) {
                Some(entry) => visit(entry),
                None => damaged += 1,
            }
        }
        Ok(damaged)
    }

    /// Writes changes in one transaction.
    ///
    /// # Errors
    ///
    /// When the disk is full or gone; then none of them is kept.
    pub fn write(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            match change {
                Change::Insert(entry) => {
                    transaction
                        .prepare(
                            "INSERT OR REPLACE INTO entry VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
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
                        ])?;
                }
                Change::Remove(exact) => {
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

    fn sweep(&self, now_ms: u64) -> rusqlite::Result<usize> {
        self.connection.execute("DELETE FROM entry WHERE expires <= ?1", params![now_ms as i64])
    }
}

fn entry_of(row: &rusqlite::Row) -> Option<Entry> {
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
        content_type: row.get::<_, Box<str>>(3).ok()?,
        body: Bytes::from(row.get::<_, Vec<u8>>(4).ok()?),
        usage,
        created_ms: number(7)??,
        expires_ms: number(8)??,
    };
    (entry.checksum() == digest(9)?).then_some(entry)
}

/// Writes behind, on a thread of its own.
pub(super) struct Writer {
    queue: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `failed` is called for every transaction that could not be written.
    pub(super) fn start(store: Store, failed: impl Fn() + Send + 'static) -> Self {
        let (queue, changes) = sync_channel(QUEUE);
        let thread = std::thread::spawn(move || run(store, &changes, failed));
        Writer { queue: Some(queue), thread: Some(thread) }
    }

    /// Takes a change, unless the disk is too far behind. Never waits.
    pub(super) fn send(&self, change: Change) -> bool {
        let sent = self.queue.as_ref().map(|queue| queue.try_send(change));
        !matches!(sent, None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))))
    }
}

impl Drop for Writer {
    /// Writes what is queued.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut store: Store, changes: &Receiver<Change>, failed: impl Fn()) {
    loop {
        let first = match changes.recv_timeout(SWEEP) {
            Ok(change) => change,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                if store.sweep(super::now_ms()).is_err() {
                    failed();
                }
                continue;
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let batch: Vec<Change> =
            std::iter::once(first).chain(changes.try_iter()).take(BATCH).collect();
        if store.write(&batch).is_err() {
            failed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, expires_ms: u64) -> Entry {
        Entry {
            exact: Digest128([number; 16]),
            partition: Digest128([9; 16]),
            question: number.is_multiple_of(2).then(|| "What?".into()),
            content_type: "application/json".into(),
            body: Bytes::from(vec![number; 100]),
            usage: Some(Usage { input: 1, output: u64::from(number) }),
            created_ms: u64::from(number),
            expires_ms,
        }
    }

    fn loaded(path: &Path) -> (Vec<Entry>, u64) {
        let mut entries = Vec::new();
        let damaged = Store::open(path).unwrap().load(50, |entry| entries.push(entry)).unwrap();
        (entries, damaged)
    }

    #[test]
    fn entries_come_back_as_they_were_until_they_expire() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let mut store = Store::open(&path).unwrap();
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
            ["partition", "question", "content_type", "body", "input", "created", "expires"];
        for column in columns {
            let mut store = Store::open(&path).unwrap();
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
    fn a_file_that_is_no_store_is_moved_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert_eq!(loaded(&path), (vec![], 0));
        assert!(directory.path().join("store.damaged").exists());
    }
}
