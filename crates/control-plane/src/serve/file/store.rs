//! The log of everything that was acknowledged, and checkpoints of what was learnt from it, in
//! one SQLite file.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::serve::layout::{decode_lines, encode_lines};
use crate::serve::line::Stored;

/// An open state file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// Why a state file was refused, or could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("batch {0} is damaged")]
    Damaged(i64),
    #[error("written by another version of this program (layout {0})")]
    Layout(i64),
    #[error("the checkpoint is for other targets, penalties or features; start with a new file")]
    OtherPolicy,
}

const LAYOUT: i64 = 2;

/// A batch of the log.
#[derive(Debug)]
pub struct Batch {
    pub sequence: i64,
    pub at_ms: u64,
    pub lines: Vec<Stored>,
}

impl Store {
    /// Opens or creates a state file.
    ///
    /// # Errors
    ///
    /// When it is not a state file or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        // The log is written ahead and synced at every commit: what was committed survives the
        // process and the machine.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
        // Two processes on one file would both learn and both publish.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != 0 && layout != LAYOUT {
            return Err(StoreError::Layout(layout));
        }
        connection.execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS log (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, lines BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, state BLOB NOT NULL);
             COMMIT;",
        )?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
        Ok(Store { connection })
    }

    /// Appends batches that arrived at `at_ms` in one transaction; returns their sequence numbers.
    ///
    /// # Errors
    ///
    /// When the disk is full or unavailable; then none of them is kept.
    pub fn append(&mut self, at_ms: u64, batches: &[&[Stored]]) -> Result<Vec<i64>, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut sequences = Vec::with_capacity(batches.len());
        {
            let mut insert =
                transaction.prepare("INSERT INTO log (at_ms, lines) VALUES (?1, ?2)")?;
            for lines in batches {
                insert.execute(params![at_ms as i64, encode_lines(lines)])?;
                sequences.push(transaction.last_insert_rowid());
            }
        }
        transaction.commit()?;
        Ok(sequences)
    }

    /// Visits the batches from a point in time on, oldest first.
    ///
    /// # Errors
    ///
    /// When a batch cannot be read back.
    pub fn replay(&self, since_ms: u64, mut visit: impl FnMut(Batch)) -> Result<(), StoreError> {
        let mut select = self.connection.prepare(
            "SELECT sequence, at_ms, lines FROM log WHERE at_ms >= ?1 ORDER BY sequence",
        )?;
        let mut rows = select.query(params![since_ms as i64])?;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            let at_ms: i64 = row.get(1)?;
            let lines = decode_lines(row.get_ref(2)?.as_blob().unwrap_or_default())
                .ok_or(StoreError::Damaged(sequence))?;
            visit(Batch { sequence, at_ms: at_ms as u64, lines });
        }
        Ok(())
    }

    /// Keeps what was learnt from the log up to a sequence number.
    ///
    /// # Errors
    ///
    /// When the disk is full or unavailable.
    pub fn save(&mut self, sequence: i64, state: &[u8]) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO checkpoint (one, sequence, state) VALUES (1, ?1, ?2)",
            params![sequence, state],
        )?;
        Ok(())
    }

    /// What was kept last.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn saved(&self) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let row = self.connection.query_row("SELECT sequence, state FROM checkpoint", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        Ok(row.optional()?)
    }

    /// Removes batches older than a point in time that the checkpoint has taken in.
    ///
    /// # Errors
    ///
    /// When the disk is unavailable.
    pub fn forget(&mut self, before_ms: u64) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM log WHERE at_ms < ?1 AND sequence <= (SELECT sequence FROM checkpoint)",
            params![before_ms as i64],
        )?;
        Ok(())
    }
}
