//! Files for their owner alone: prompts, answers and what is made of them are in them.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const OWNER: u32 = 0o600;

/// Opens a file by these options, and takes it from everybody else.
///
/// # Errors
///
/// When it cannot be opened, or belongs to somebody else.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(OWNER).open(path)?;
    // One that was there keeps its permissions.
    file.set_permissions(Permissions::from_mode(OWNER))?;
    Ok(file)
}

/// The same for a file that is there.
///
/// # Errors
///
/// When there is none, or it belongs to somebody else.
pub(crate) fn keep(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(OWNER))
}

/// The path with a suffix.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
