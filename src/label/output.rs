//! Files that are never left half written: write beside, sync, rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::LabelError;

/// `out` with a further extension: `rows.jsonl.journal`.
pub fn beside(out: &Path, extension: &str) -> PathBuf {
    let mut name: OsString = out.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// A file that appears under its name when it is complete.
pub struct WholeFile {
    path: PathBuf,
    temporary: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl WholeFile {
    /// Begins a file; gzip when its name ends in `.gz`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> Result<Self, LabelError> {
        let temporary = beside(path, "tmp");
        let file = File::create(&temporary).map_err(LabelError::io(&temporary))?;
        let file = BufWriter::with_capacity(1 << 16, file);
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let sink = if gzip {
            Sink::Gzip(GzEncoder::new(file, Compression::default()))
        } else {
            Sink::Plain(file)
        };
        Ok(WholeFile { path: path.into(), temporary, sink })
    }

    /// # Errors
    /// The bytes cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), LabelError> {
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(file) => file.write_all(bytes),
        }
        .map_err(LabelError::io(&self.temporary))
    }

    /// Waits until the bytes are on the disk and gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn finish(self) -> Result<(), LabelError> {
        let done = match self.sink {
            Sink::Plain(file) => file.into_inner().map_err(|error| error.into_error()),
            Sink::Gzip(file) => {
                file.finish().and_then(|file| file.into_inner().map_err(|error| error.into_error()))
            }
        };
        done.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .map_err(LabelError::io(&self.path))
    }
}
