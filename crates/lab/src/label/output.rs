//! Files that are never left half written: write beside, sync, rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
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
    sink: Option<Sink>,
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
        Ok(WholeFile { path: path.into(), temporary, sink: Some(sink) })
    }

    /// Waits until the bytes are on the disk and gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn finish(mut self) -> Result<(), LabelError> {
        let whole = |file: BufWriter<File>| file.into_inner().map_err(|error| error.into_error());
        let done = match self.sink.take() {
            Some(Sink::Plain(file)) => whole(file),
            Some(Sink::Gzip(file)) => file.finish().and_then(whole),
            None => return Ok(()),
        };
        done.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .map_err(LabelError::io(&self.path))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Some(Sink::Plain(file)) => file.write(bytes),
            Some(Sink::Gzip(file)) => file.write(bytes),
            None => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Some(Sink::Plain(file)) => file.flush(),
            Some(Sink::Gzip(file)) => file.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for WholeFile {
    /// What was not finished leaves nothing behind.
    fn drop(&mut self) {
        if self.sink.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
