//! The log of everything that was acknowledged, and checkpoints of what was learnt from it, in
//! one SQLite file. Next to it stands the number of the last acknowledged batch, for as long as the
//! file is in use.
//!
//! Every batch and the checkpoint has a digest, and batches are numbered without gaps: what is
//! damaged or missing is noticed before anything is learnt from the rest.

use std::fs::{OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rusqlite::{Connection, ErrorCode, params};
use sha2::{Digest, Sha256};

use super::head::{Head, HeadError};
use super::upgrade;
use crate::bandit::RestoreError;
use crate::serve::layout::{decode_lines, encode_lines};
use crate::serve::line::Stored;
use crate::serve::rules::Rules;

/// An open state file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    head: Head,
    /// Lines that were left out because no filter can have written them, when the file was taken
    /// over from the version before.
    pub left_out: usize,
}

/// Why a state file was refused, or could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    #[error("the file is damaged: {0}")]
    Corrupt(rusqlite::Error),
    #[error("another process uses the file")]
    Busy,
    #[error("batch {0} is damaged")]
    Batch(i64),
    #[error("batches {first} to {last}, which were acknowledged, are missing")]
    Missing { first: i64, last: i64 },
    #[error("the checkpoint is damaged")]
    Checkpoint,
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error("written by another version of this program (layout {0})")]
    Layout(i64),
    #[error("the file is damaged: its length is {0}")]
    Short(u64),
    #[error("the file is damaged: it says layout {0}, and its tables are of another")]
    Mislabelled(i64),
    #[error("the checkpoint is for other targets, penalties or features; start with a new file")]
    OtherPolicy,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(error)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            _ => StoreError::Sqlite(error),
        }
    }
}

impl From<RestoreError> for StoreError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Damaged => StoreError::Checkpoint,
            RestoreError::OtherPolicy => StoreError::OtherPolicy,
        }
    }
}

impl StoreError {
    /// What to do about it, where there is more to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::Corrupt(_)
            | StoreError::Short(_)
            | StoreError::Mislabelled(_)
            | StoreError::Batch(_)
            | StoreError::Missing { .. }
            | StoreError::Checkpoint
            | StoreError::Head(HeadError::Damaged) => Some(
                "restore the file from a backup and remove FILE-wal and FILE-head, or move all \
                 three away to start with nothing learnt",
            ),
            StoreError::Busy => Some("stop the other one, or choose another file"),
            StoreError::Layout(_) => {
                Some("use the version that wrote it, or start with a new file")
            }
            StoreError::Sqlite(_)
            | StoreError::Io(_)
            | StoreError::Head(HeadError::Io(_))
            | StoreError::OtherPolicy => None,
        }
    }
}

const LAYOUT: i64 = 3;
/// Bytes at the beginning of a database. SQLite takes a file of one byte for one that is empty.
const HEADER: u64 = 100;

/// Makes the file, if there is none, and takes it from everybody but its owner: what customers'
/// answers are worth is in it. SQLite gives its log the mode that the file has when it opens it.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // The version before left it to the umask, and a kill leaves its log.
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::set_permissions(log, Permissions::from_mode(0o600)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A batch of the log.
#[derive(Debug)]
pub struct Batch {
    pub sequence: i64,
    pub at_ms: u64,
    pub lines: Vec<Stored>,
}

impl Store {
    /// Opens or creates a state file, and takes over one of the version before.
    ///
    /// # Errors
    ///
    /// When it is not a state file or cannot be written.
    pub fn open(path: &Path, rules: &Rules) -> Result<Self, StoreError> {
        keep_private(path)?;
        let bytes = std::fs::metadata(path)?.len();
        if (1..HEADER).contains(&bytes) {
            return Err(StoreError::Short(bytes));
        }
        let mut connection = Connection::open(path)?;
        // The log is written ahead and synced at every commit: what was committed survives the
        // process and the machine.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
        // Two processes on one file would both learn and both publish.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut left_out = 0;
        match layout {
            0 if is_empty(&connection)? => create(&mut connection)?,
            // Without its number a file of ours would be taken for one that has no digests.
            upgrade::LAYOUT if has_digests(&connection)? => {
                return Err(StoreError::Mislabelled(layout));
            }
            upgrade::LAYOUT => left_out = upgrade::take_over(&mut connection, LAYOUT, rules)?,
            LAYOUT => {}
            other => return Err(StoreError::Layout(other)),
        }
        Ok(Store { connection, head: Head::open(path)?, left_out })
    }

    /// Appends batches that arrived at `at_ms` in one transaction; returns their sequence numbers.
    ///
    /// # Errors
    ///
    /// When the disk is full or unavailable; then none of them is acknowledged.
    pub fn append(&mut self, at_ms: u64, batches: &[&[Stored]]) -> Result<Vec<i64>, StoreError> {
        let transaction = self.connection.transaction()?;
        let last: Option<i64> =
            transaction.query_row("SELECT max(sequence) FROM log", [], |row| row.get(0))?;
        let mut sequence = last.unwrap_or_default();
        let mut sequences = Vec::with_capacity(batches.len());
        {
            let mut insert = transaction.prepare(INSERT)?;
            for lines in batches {
                sequence += 1;
                let lines = encode_lines(lines);
                let digest = digest_of(sequence, Some(at_ms as i64), &lines);
                insert.execute(params![sequence, at_ms as i64, lines, digest])?;
                sequences.push(sequence);
            }
        }
        transaction.commit()?;
        self.head.set(sequence)?;
        Ok(sequences)
    }

    /// Visits all batches, oldest first.
    ///
    /// # Errors
    ///
    /// When one is damaged or missing, or the file cannot be read.
    pub fn replay(&self, rules: &Rules, mut visit: impl FnMut(Batch)) -> Result<(), StoreError> {
        let (checkpoint, _) = self.saved()?;
        // Batches that the checkpoint has taken in may have been removed, oldest first.
        let mut removed = true;
        let mut last = checkpoint;
        let mut select = self
            .connection
            .prepare("SELECT sequence, at_ms, lines, digest FROM log ORDER BY sequence")?;
        let mut rows = select.query([])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            if sequence > last + 1 || (!removed && sequence != last + 1) {
                return Err(StoreError::Missing { first: last + 1, last: sequence - 1 });
            }
            let damaged = || StoreError::Batch(sequence);
            let at_ms: i64 = row.get(1).map_err(|_| damaged())?;
            let lines = row.get_ref(2)?.as_blob().map_err(|_| damaged())?;
            let digest = row.get_ref(3)?.as_blob().map_err(|_| damaged())?;
            if digest_of(sequence, Some(at_ms), lines) != digest {
                return Err(damaged());
            }
            let lines = decode_lines(lines, rules).ok_or_else(damaged)?;
            visit(Batch { sequence, at_ms: at_ms as u64, lines });
            (removed, last, found) = (false, sequence, sequence);
        }
        let known = checkpoint.max(self.head.acknowledged());
        if found < known {
            return Err(StoreError::Missing { first: found + 1, last: known });
        }
        Ok(())
    }

    /// Keeps what was learnt from the log up to a sequence number.
    ///
    /// # Errors
    ///
    /// When the disk is full or unavailable.
    pub fn save(&mut self, sequence: i64, state: &[u8]) -> Result<(), StoreError> {
        self.connection
            .execute(SAVE, params![sequence, state, digest_of(sequence, None, state)])?;
        Ok(())
    }

    /// What was kept last: of a file that is new, an empty state.
    ///
    /// # Errors
    ///
    /// When it is damaged, or the file cannot be read.
    pub fn saved(&self) -> Result<(i64, Vec<u8>), StoreError> {
        let mut select =
            self.connection.prepare("SELECT sequence, state, digest FROM checkpoint")?;
        let row = select.query_row([], |row| {
            let (sequence, state): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let digest: Vec<u8> = row.get(2)?;
            Ok((digest_of(sequence, None, &state) == digest).then_some((sequence, state)))
        });
        match row {
            Ok(Some(saved)) => Ok(saved),
            Ok(None)
            | Err(rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::InvalidColumnType(..)) => {
                Err(StoreError::Checkpoint)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes batches that the checkpoint has taken in and that are older than `window_ms` before
    /// the last one, by their own times. The last one stays: numbers go on from it.
    ///
    /// # Errors
    ///
    /// When the disk is unavailable.
    pub fn forget(&mut self, window_ms: u64) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM log WHERE sequence < (
                 SELECT min(sequence) FROM log
                 WHERE sequence > (SELECT coalesce(max(sequence), 0) FROM checkpoint)
                    OR at_ms >= (SELECT at_ms FROM log ORDER BY sequence DESC LIMIT 1) - ?1)",
            params![i64::try_from(window_ms).unwrap_or(i64::MAX)],
        )?;
        Ok(())
    }

    /// Ends the use of the file in good order: from here on it stands alone.
    pub fn close(self) {
        // The log that is written ahead goes into the file; where that fails, the head stays.
        if self.connection.close().is_ok() {
            self.head.remove();
        }
    }
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

fn has_digests(connection: &Connection) -> Result<bool, StoreError> {
    let digests = "SELECT count(*) > 0 FROM pragma_table_info('log') WHERE name = 'digest'";
    Ok(connection.query_row(digests, [], |row| row.get(0))?)
}

fn create(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(&format!("{TABLES} PRAGMA user_version = {LAYOUT};"))?;
    transaction.execute(SAVE, params![0, Vec::<u8>::new(), digest_of(0, None, &[])])?;
    transaction.commit()?;
    Ok(())
}

pub(super) const TABLES: &str =
    "CREATE TABLE log (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, lines BLOB NOT NULL, digest BLOB NOT NULL);
     CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, state BLOB NOT NULL, digest BLOB NOT NULL);";
pub(super) const INSERT: &str =
    "INSERT INTO log (sequence, at_ms, lines, digest) VALUES (?1, ?2, ?3, ?4)";
pub(super) const SAVE: &str =
    "INSERT OR REPLACE INTO checkpoint (one, sequence, state, digest) VALUES (1, ?1, ?2, ?3)";

/// SHA-256 over all of a row; a checkpoint has no time.
pub(super) fn digest_of(sequence: i64, at_ms: Option<i64>, bytes: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(sequence.to_le_bytes());
    digest.update(at_ms.map(i64::to_le_bytes).unwrap_or_default());
    digest.update(bytes);
    digest.finalize().to_vec()
}
