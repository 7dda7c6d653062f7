//! Files that are never left half written: written next to their place, synced, renamed.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

/// `path` with a further extension: `rows.jsonl.journal`.
pub fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Replaces a file with these bytes.
///
/// # Errors
///
/// The file cannot be written; then the old one is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, SHARED)
}

/// Replaces a file with these bytes, readable by its owner alone.
///
/// # Errors
///
/// The file cannot be written; then the old one is still there.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, PRIVATE)
}

fn replace_with(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = temporary(path, mode)?;
    file.write_all(bytes)?;
    persist(file, path)
}

/// Finds out whether files can be written into a directory; when it does not exist yet, into the
/// nearest one above it, where it will be made.
///
/// # Errors
///
/// They cannot.
pub fn check_writable(directory: &Path) -> io::Result<()> {
    let existing = directory.ancestors().find(|path| path.exists());
    let existing = existing.filter(|path| *path != Path::new(""));
    tempfile::tempfile_in(existing.unwrap_or(Path::new("."))).map(drop)
}

/// Replaces several files of a directory, which is made when it does not exist. All are complete
/// before the first gets its name; they get them in the given order.
///
/// # Errors
///
/// A file cannot be written.
pub fn replace_all(directory: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut complete = Vec::new();
    for (name, bytes) in files {
        let path = directory.join(name);
        let mut file = temporary(&path, SHARED)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        complete.push((file, path));
    }
    complete.into_iter().try_for_each(|(file, path)| persist(file, &path))
}

/// A file that appears under its name when it is complete, and not at all when it is dropped
/// before.
pub struct WholeFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<NamedTempFile>),
    Gzip(GzEncoder<BufWriter<NamedTempFile>>),
}

impl WholeFile {
    /// Begins a file; gzip when its name ends in `.gz`.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_with(path, SHARED)
    }

    /// Begins a file that its owner alone can read: what people asked is in it.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create_private(path: &Path) -> io::Result<Self> {
        Self::create_with(path, PRIVATE)
    }

    fn create_with(path: &Path, mode: u32) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 16, temporary(path, mode)?);
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let sink = match gzip {
            true => Sink::Gzip(GzEncoder::new(file, Compression::default())),
            false => Sink::Plain(file),
        };
        Ok(WholeFile { path: path.into(), sink })
    }

    /// Waits until the bytes are on the disk and gives the file its name.
    ///
    /// # Errors
    ///
    /// The file cannot be written or renamed.
    pub fn finish(self) -> io::Result<()> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(file) => file.finish()?,
        };
        persist(file.into_inner().map_err(io::IntoInnerError::into_error)?, &self.path)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Plain(file) => file.write(bytes),
            Sink::Gzip(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(file) => file.flush(),
            Sink::Gzip(file) => file.flush(),
        }
    }
}

/// As readable as any new file of the user's: the umask takes the rest away.
const SHARED: u32 = 0o666;
/// Readable by its owner alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// A file next to `path`, because only within one file system is a rename atomic.
fn temporary(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    tempfile::Builder::new()
        .prefix(".")
        .suffix(".partial")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    let _: File = file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(name).map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_keeps_its_old_contents_until_the_new_ones_are_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rows.jsonl");
        replace(&path, b"old").expect("written");
        let mut file = WholeFile::create(&path).expect("created");
        file.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        file.finish().expect("renamed");
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        assert_eq!(names(directory.path()), ["rows.jsonl"]);
    }

    #[test]
    fn what_was_not_finished_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = WholeFile::create(&directory.path().join("rows")).expect("created");
        file.write_all(b"some").expect("written");
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_name_that_ends_in_gz_is_compressed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rows.gz");
        let mut file = WholeFile::create(&path).expect("created");
        file.write_all(b"text").expect("written");
        file.finish().expect("renamed");
        assert!(fs::read(&path).expect("readable").starts_with(&[0x1f, 0x8b]));
    }

    #[test]
    fn a_new_file_is_as_readable_as_any_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let mode = |name: &str| {
            let metadata = fs::metadata(directory.path().join(name)).expect("there");
            metadata.permissions().mode() & 0o777
        };
        fs::write(directory.path().join("plain"), b"").expect("written");
        replace_all(directory.path(), &[("whole", b"")]).expect("written");
        assert_eq!(mode("whole"), mode("plain"));
        replace_private(&directory.path().join("private"), b"").expect("written");
        assert_eq!(mode("private"), 0o600);
    }
}
