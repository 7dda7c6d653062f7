//! Entries on disk: one SQLite file, written behind, read back at the start.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::{Change, Store};
use crate::entry::{Entry, vector_of};
use crate::key::Digest128;
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

    /// Visits every whole entry that has not expired; returns how many rows were damaged.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on.
    pub fn load(&self, now_ms: u64, mut visit: impl FnMut(Entry)) -> rusqlite::Result<u64> {
        let mut select = self.connection.prepare(
            "SELECT exact, partition, question, content_type, body, input, output, created,
                    expires, checksum, vector FROM entry WHERE expires > ?1 ORDER BY created",
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
        vector: row.get::<_, Option<Vec<u8>>>(10).ok()?.as_deref().map(vector_of),
        content_type: row.get::<_, Box<str>>(3).ok()?,
        body: Bytes::from(row.get::<_, Vec<u8>>(4).ok()?),
        usage,
        created_ms: number(7)??,
        expires_ms: number(8)??,
    };
    (entry.checksum() == digest(9)?).then_some(entry)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
}
