//! The calls that were paid for: an append-only file next to the output.
//!
//! One JSON line per call, `{"key", "kind", "answer"}`. The key is a digest of model and request body,
//! so a call is reused by whatever run asks the same again: after a crash, with another evaluator,
//! or with a larger sample. A line counts once its line feed is on the disk; what a killed process
//! left of the last line is cut off when the journal is opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::ModelAnswer;
use super::error::LabelError;
use crate::files::PRIVATE;
use pointsman_core::hex;

/// Digest of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey([u8; 16]);

impl CallKey {
    /// The key of a request body, which names its model.
    pub fn of(body: &Value) -> Self {
        let digest = Sha256::digest(body.to_string());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        CallKey(key)
    }

    fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).map(CallKey)
    }
}

/// Whom a call asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    Replay,
    Judge,
}

#[derive(Serialize, Deserialize)]
struct JournalLine {
    key: String,
    kind: CallKind,
    answer: ModelAnswer,
}

/// An answered call, to be written.
#[derive(Clone, Debug)]
pub struct PaidCall {
    pub key: CallKey,
    pub kind: CallKind,
    pub answer: ModelAnswer,
}

/// The open journal. Only the places of the answers are held in memory.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    end: u64,
    places: HashMap<CallKey, (u64, u32)>,
    damaged_lines: u64,
}

impl Journal {
    /// Opens or creates a journal and locks it against other runs.
    ///
    /// # Errors
    /// The file cannot be read or written, or another run holds it.
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        let io = || LabelError::io(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(path)
            .map_err(io())?;
        // Also a journal of an earlier version: answers of models are in it.
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(io())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LabelError::Busy { path: path.into() }),
            Err(TryLockError::Error(error)) => return Err(io()(error)),
        }
        let mut places = HashMap::new();
        let (mut end, mut damaged_lines) = (0, 0);
        let mut reader = BufReader::new(&mut file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes).map_err(io())?;
            if bytes.last() != Some(&b'\n') {
                break;
            }
            match serde_json::from_slice::<JournalLine>(&bytes)
                .ok()
                .and_then(|l| CallKey::from_hex(&l.key))
            {
                Some(key) => {
                    places.entry(key).or_insert((end, read as u32));
                }
                None => damaged_lines += 1,
            }
            end += read as u64;
        }
        file.set_len(end).map_err(io())?;
        Ok(Journal { path: path.into(), file, end, places, damaged_lines })
    }

    /// Calls that are on record.
    pub fn calls(&self) -> u64 {
        self.places.len() as u64
    }

    /// Removes the file if no call was ever written to it.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn discard_if_empty(&self) -> Result<(), LabelError> {
        if self.end == 0 {
            std::fs::remove_file(&self.path).map_err(LabelError::io(&self.path))?;
        }
        Ok(())
    }

    /// Whole lines that are not calls; they are left alone.
    pub fn damaged_lines(&self) -> u64 {
        self.damaged_lines
    }

    /// The answer to a call, if it was made.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn get(&mut self, key: CallKey) -> Result<Option<ModelAnswer>, LabelError> {
        let Some(&(start, len)) = self.places.get(&key) else { return Ok(None) };
        let mut bytes = vec![0; len as usize];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(LabelError::io(&self.path))?;
        let line: JournalLine = serde_json::from_slice(&bytes).map_err(|error| LabelError::Io {
            path: self.path.clone(),
            source: std::io::Error::other(error),
        })?;
        Ok(Some(line.answer))
    }

    /// Writes calls and waits until they are on the disk. Of two answers to one call the first
    /// stays, so that what was labelled with it stays true.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, calls: &[PaidCall]) -> Result<(), LabelError> {
        let mut bytes = Vec::new();
        for call in calls {
            let start = bytes.len();
            let line = JournalLine {
                key: hex::encode(&call.key.0),
                kind: call.kind,
                answer: call.answer.clone(),
            };
            let written = serde_json::to_writer(&mut bytes, &line);
            written.map_err(|error| LabelError::Io {
                path: self.path.clone(),
                source: std::io::Error::other(error),
            })?;
            bytes.push(b'\n');
            if let Entry::Vacant(place) = self.places.entry(call.key) {
                place.insert((self.end + start as u64, (bytes.len() - start) as u32));
            }
        }
        self.file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data())
            .map_err(LabelError::io(&self.path))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Visits every call on record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn for_each(
        &mut self,
        mut visit: impl FnMut(CallKind, &ModelAnswer),
    ) -> Result<(), LabelError> {
        self.file.rewind().map_err(LabelError::io(&self.path))?;
        // Bytes, because a damaged line may not be text.
        for line in BufReader::new(&mut self.file).split(b'\n') {
            let line = line.map_err(LabelError::io(&self.path))?;
            if let Ok(line) = serde_json::from_slice::<JournalLine>(&line) {
                visit(line.kind, &line.answer);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(question: &str, answer: &str) -> PaidCall {
        PaidCall {
            key: CallKey::of(&json!({ "q": question })),
            kind: CallKind::Replay,
            answer: ModelAnswer::from_text(answer),
        }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_nothing_else_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let (one, two) = (call("1", "one"), call("2", "two"));
        let mut journal = Journal::open(&path).expect("a new journal");
        journal.append(&[one.clone(), two.clone()]).expect("written");
        drop(journal);
        let whole = std::fs::read(&path).expect("the journal");
        let first = whole.iter().position(|&b| b == b'\n').expect("a line") + 1;
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let mut journal = Journal::open(&path).expect("opens");
            let has = |answer: Option<ModelAnswer>| answer.is_some();
            assert_eq!(has(journal.get(one.key).expect("readable")), length >= first);
            assert_eq!(has(journal.get(two.key).expect("readable")), length == whole.len());
            journal.append(&[call("3", "three")]).expect("written");
            drop(journal);
            let mut journal = Journal::open(&path).expect("opens");
            assert_eq!(journal.damaged_lines(), 0);
            assert!(has(journal.get(call("3", "").key).expect("readable")));
        }
    }

    #[test]
    fn the_first_answer_to_a_call_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let mut journal = Journal::open(&path).expect("a new journal");
        journal.append(&[call("1", "first"), call("1", "second")]).expect("written");
        let read = |journal: &mut Journal| {
            journal.get(call("1", "").key).expect("readable").expect("there").text
        };
        assert_eq!(read(&mut journal), "first");
        drop(journal);
        assert_eq!(read(&mut Journal::open(&path).expect("opens")), "first");
    }

    #[test]
    fn a_damaged_byte_costs_its_line_only_and_the_file_is_its_owners() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let calls = [call("1", "one"), call("2", "two"), call("3", "three")];
        Journal::open(&path).expect("a new journal").append(&calls).expect("written");
        let whole = std::fs::read(&path).expect("the journal");
        for place in 0..whole.len() - 1 {
            let mut damaged = whole.clone();
            damaged[place] = 0xff;
            std::fs::write(&path, &damaged).expect("written");
            let mut journal = Journal::open(&path).expect("opens");
            let mut seen = 0;
            journal.for_each(|_, _| seen += 1).expect("readable");
            assert!(seen >= 1, "{place}");
        }
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_second_run_on_the_same_journal_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let _held = Journal::open(&path).expect("a new journal");
        assert!(matches!(Journal::open(&path), Err(LabelError::Busy { .. })));
    }
}
