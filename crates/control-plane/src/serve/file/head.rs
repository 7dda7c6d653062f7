//! The number of the last acknowledged batch, next to the state file.
//!
//! What SQLite writes ahead ends, for it, at the first frame that is damaged: all later commits
//! would be missing without a word. So the number stands a second time, outside. It is written after
//! the commit is synced, and before anything is acknowledged; as it is not synced itself, it may be
//! behind the log after the machine has failed, but never ahead of it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Number and digest.
const BYTES: usize = 16;

/// Why the number could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error("the number of the last batch, in FILE-head, is damaged")]
    Damaged,
    #[error("FILE-head: {0}")]
    Io(#[from] std::io::Error),
}

/// The open file.
#[derive(Debug)]
pub struct Head {
    path: PathBuf,
    file: Option<File>,
    acknowledged: i64,
}

impl Head {
    /// Reads it, if it is there: it is not after an orderly end.
    ///
    /// # Errors
    ///
    /// When it is damaged or cannot be read.
    pub fn open(state: &Path) -> Result<Self, HeadError> {
        let mut path = state.as_os_str().to_owned();
        path.push("-head");
        let path = PathBuf::from(path);
        let mut bytes = Vec::new();
        let acknowledged = match File::open(&path) {
            Ok(mut file) => {
                file.read_to_end(&mut bytes)?;
                decoded(&bytes).ok_or(HeadError::Damaged)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(Head { path, file: None, acknowledged })
    }

    /// Number of the last batch that was acknowledged; 0 when that is not known.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// Writes the number.
    ///
    /// # Errors
    ///
    /// When the disk is full or unavailable.
    pub fn set(&mut self, sequence: i64) -> Result<(), HeadError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)?,
        };
        file.write_all_at(&encoded(sequence), 0)?;
        (self.file, self.acknowledged) = (Some(file), sequence);
        Ok(())
    }

    /// Removes it, because the state file stands alone.
    pub fn remove(self) {
        // One that stays is right, too.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn encoded(sequence: i64) -> [u8; BYTES] {
    let number = sequence.to_le_bytes();
    let mut bytes = [0; BYTES];
    let digest = Sha256::digest(number);
    bytes.iter_mut().zip(number.iter().chain(&digest)).for_each(|(to, from)| *to = *from);
    bytes
}

fn decoded(bytes: &[u8]) -> Option<i64> {
    let number = i64::from_le_bytes(*bytes.first_chunk()?);
    (encoded(number) == bytes).then_some(number)
}
