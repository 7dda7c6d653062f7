//! Entries on disk: one SQLite file, written behind, read back after the start.

use std::cmp::Reverse;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use bytes::Bytes;
use rayon::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::{BATCH, Change, Desk, Store};
use crate::entry::{Entry, vector_of};
use crate::key::{Digest128, ExactKey};
use crate::private::{self, beside};
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
                    let to = beside(path, &format!(".damaged{suffix}"));
                    // A suffix may be missing.
                    let _ = std::fs::rename(beside(path, suffix), to);
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
    // Where that fails, opening the store does too, and reports it.
    let _ = private::open(OpenOptions::new().create(true).append(true), path);
    // There may be none.
    let _ = private::keep(&beside(path, "-wal"));
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
mod tests;
