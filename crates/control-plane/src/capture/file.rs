//! The file that pairs are appended to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Its owner reads and writes it.
const PRIVATE: u32 = 0o600;
/// Everybody else's permissions.
const OTHERS: u32 = 0o077;

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("mode {0:03o}: must be its owner's alone, because prompts are written to it")]
    Shared(u32),
    #[error("must be a regular file")]
    NotAFile,
    #[error("another process writes to this file")]
    Busy,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileError {
    /// What to do about it.
    pub fn hint(&self, path: &Path) -> Option<String> {
        match self {
            FileError::Shared(_) => Some(format!("chmod 600 {}", path.display())),
            FileError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("create the directory first".to_owned())
            }
            FileError::NotAFile | FileError::Busy | FileError::Io(_) => None,
        }
    }
}

/// Why a line is not written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("the file is full: at most {0} bytes are written")]
    Full(u64),
    #[error("the file cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// An open file, which no other process of this kind writes to.
#[derive(Debug)]
pub struct CaptureFile {
    file: File,
    max_bytes: u64,
}

impl CaptureFile {
    /// Opens a file to append to, and creates it for its owner alone when it does not exist. It may
    /// reach `max_bytes`.
    ///
    /// # Errors
    ///
    /// It cannot be opened, is not a regular file, is open to others, or another process has it.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, FileError> {
        // Before it is opened: that waits for the reader of a pipe.
        if path.metadata().is_ok_and(|known| !known.is_file()) {
            return Err(FileError::NotAFile);
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(PRIVATE).open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(FileError::Shared(mode));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Busy),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut opened = CaptureFile { file, max_bytes };
        opened.end_line()?;
        Ok(opened)
    }

    /// What a killed process left of its last line must not damage the next one.
    fn end_line(&mut self) -> io::Result<()> {
        let mut last = [b'\n'];
        if let Some(at) = self.bytes()?.checked_sub(1) {
            self.file.read_exact_at(&mut last, at)?;
        }
        if last == [b'\n'] { Ok(()) } else { self.file.write_all(b"\n") }
    }

    /// Its size.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Appends a line, whole or not at all. It has left the process then, but may not be on the disk.
    ///
    /// # Errors
    ///
    /// The file would be larger than it may be, or cannot be written.
    pub fn append(&mut self, line: &[u8]) -> Result<(), AppendError> {
        let before = self.bytes()?;
        if before.saturating_add(line.len() as u64) > self.max_bytes {
            return Err(AppendError::Full(self.max_bytes));
        }
        self.file.write_all(line).map_err(|error| {
            // Nothing better can be done where that fails, too.
            let _ = self.file.set_len(before);
            error.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pairs.jsonl");
        let mut file = CaptureFile::open(&path, 100).unwrap();
        assert_eq!(mode(&path), 0o600);
        file.append(b"{}\n").unwrap();
        assert!(matches!(CaptureFile::open(&path, 100), Err(FileError::Busy)));
        drop(file);
        // It goes on where it was.
        CaptureFile::open(&path, 100).unwrap().append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{}\n");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pairs.jsonl");
        fs::write(&path, "").unwrap();
        for open in [0o644, 0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let error = CaptureFile::open(&path, 100).unwrap_err();
            assert!(error.to_string().starts_with(&format!("mode {open:o}: must be")), "{error}");
            assert!(error.hint(&path).unwrap().starts_with("chmod 600 /"));
            assert_eq!(mode(&path), open, "it is left as it is");
        }
    }

    #[test]
    fn what_is_not_a_file_is_refused_and_a_directory_is_not_created() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(matches!(CaptureFile::open(path, 100), Err(FileError::NotAFile)));
        assert!(matches!(CaptureFile::open(Path::new("/dev/null"), 1), Err(FileError::NotAFile)));
        let below = path.join("none").join("pairs.jsonl");
        let error = CaptureFile::open(&below, 100).unwrap_err();
        assert_eq!(error.hint(&below).as_deref(), Some("create the directory first"));
        assert!(!path.join("none").exists());
    }

    #[test]
    fn a_line_that_does_not_fit_is_not_begun() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pairs.jsonl");
        let mut file = CaptureFile::open(&path, 8).unwrap();
        file.append(b"12345\n").unwrap();
        assert!(matches!(file.append(b"78\n"), Err(AppendError::Full(8))));
        file.append(b"7\n").unwrap();
        assert_eq!((file.bytes().unwrap(), fs::read(&path).unwrap().len()), (8, 8));
    }

    #[test]
    fn half_a_line_of_a_process_that_was_killed_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pairs.jsonl");
        fs::write(&path, "{}\n{\"id\": ").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        CaptureFile::open(&path, 100).unwrap().append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{\"id\": \n{}\n");
    }
}
