//! The files that an Envoy watches, and what it says of each that is put in place.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::up::envoy::{self, Admin};
use super::steps::Step;
use pointsman_gateway::render::Files;

/// A file that Envoy watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) struct WatchedFile {
    pub(in crate::cli) name: &'static str,
    /// Where Envoy counts what it took of it and what it did not.
    statistics: &'static str,
}

pub(in crate::cli) const CLUSTERS: WatchedFile =
    WatchedFile { name: "clusters.yaml", statistics: "cluster_manager.cds." };
pub(in crate::cli) const LISTENERS: WatchedFile =
    WatchedFile { name: "listeners.yaml", statistics: "listener_manager.lds." };
pub(in crate::cli) const FILTER: WatchedFile = WatchedFile {
    name: "filter.yaml",
    statistics: "extension_config_discovery.http_filter.pointsman.",
};

/// The directory of an Envoy that runs.
pub(in crate::cli) struct Watched<'w> {
    pub(in crate::cli) directory: &'w Path,
    pub(in crate::cli) admin: &'w Admin,
    /// How long Envoy may take to look at a file.
    pub(in crate::cli) patience: Duration,
    /// Envoy's log, where it is known.
    pub(in crate::cli) log: Option<PathBuf>,
}

/// A file that Envoy did not take.
#[derive(Debug)]
pub(in crate::cli) struct Setback {
    pub(in crate::cli) file: &'static str,
    pub(in crate::cli) why: Why,
    pub(in crate::cli) after: After,
}

/// Why a file was not taken.
#[derive(Debug)]
pub(in crate::cli) enum Why {
    /// The admin interface, at this address, does not answer.
    NoAnswer(String, anyhow::Error),
    /// The Envoy at this address reads no such file.
    NotWatched(String),
    /// Envoy refused it; its reason, where its log is known.
    Refused(Option<String>),
    /// Envoy did neither take nor refuse it in this time.
    Ignored(Duration),
    Unwritten(anyhow::Error),
}

/// What the directory is like after a setback.
#[derive(Debug)]
pub(in crate::cli) enum After {
    Untouched,
    /// The old files are back.
    Restored,
    /// The old files are back, and Envoy took them.
    Serving,
    /// An old file cannot be put back.
    Lost(String),
}

/// How often Envoy took a file, and how often it did not. `config_reload` says neither: Envoy counts
/// it for a configuration that it refused as well.
#[derive(Clone, Copy)]
struct Counts {
    taken: u64,
    refused: u64,
}

impl Watched<'_> {
    /// Puts files in place, one after the other, and waits for Envoy's answer to each. The names of
    /// those that it took.
    ///
    /// # Errors
    ///
    /// The first that it did not take. Then the old files are back: the next start, and the next
    /// change of a listener, would meet the refused one again.
    pub(in crate::cli) fn put_all(
        &self,
        steps: &[Step],
        old: &Files,
    ) -> Result<Vec<&'static str>, Setback> {
        let mut taken = Vec::new();
        for (file, text) in steps {
            if let Err(why) = self.put(*file, text) {
                let after = self.restore(old, &why);
                return Err(Setback { file: file.name, why, after });
            }
            if !taken.contains(&file.name) {
                taken.push(file.name);
            }
        }
        Ok(taken)
    }

    fn put(&self, file: WatchedFile, text: &str) -> Result<(), Why> {
        let before = self.counted(file)?;
        let path = self.directory.join(file.name);
        replace_as(&path, text, &path).map_err(Why::Unwritten)?;
        match self.answer(file, before)? {
            Some(true) => Ok(()),
            Some(false) => {
                let log = self.log.as_ref().and_then(|log| std::fs::read_to_string(log).ok());
                Err(Why::Refused(log.map(|text| envoy::last_error(&text))))
            }
            None => Err(Why::Ignored(self.patience)),
        }
    }

    /// Waits for more than `before`: whether Envoy took the file; `None` when it did neither in time.
    fn answer(&self, file: WatchedFile, before: Counts) -> Result<Option<bool>, Why> {
        let deadline = Instant::now() + self.patience;
        loop {
            let over = Instant::now() > deadline;
            match self.counted(file) {
                Ok(now) if now.refused > before.refused => return Ok(Some(false)),
                Ok(now) if now.taken > before.taken => return Ok(Some(true)),
                Ok(_) if over => return Ok(None),
                // While Envoy compiles a module, its admin interface answers nobody.
                Err(why) if over || !why.is_slowness() => return Err(why),
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn counted(&self, file: WatchedFile) -> Result<Counts, Why> {
        let address = || self.admin.address.clone();
        let counters = self
            .admin
            .counters(file.statistics)
            .map_err(|error| Why::NoAnswer(address(), error))?;
        let count = |name: &str| {
            let whole = format!("{}{name}", file.statistics);
            counters.iter().find(|(found, _)| *found == whole).map(|(_, count)| *count)
        };
        let taken = count("update_success").ok_or_else(|| Why::NotWatched(address()))?;
        let refused = [count("update_rejected"), count("update_failure")];
        Ok(Counts { taken, refused: refused.into_iter().flatten().sum() })
    }

    /// Puts the old files back where others are, what uses clusters before them.
    fn restore(&self, old: &Files, why: &Why) -> After {
        let mut after = After::Untouched;
        let mut lost = None;
        for file in [LISTENERS, FILTER, CLUSTERS] {
            let path = self.directory.join(file.name);
            let Some(text) = old.get(file.name) else { continue };
            if std::fs::read_to_string(&path).is_ok_and(|now| now == *text) {
                continue;
            }
            // An Envoy that refuses also looks at what comes back, and counts it: the next roll-out
            // must not take that count for its own. One that does not look is not waited for again.
            let refuses = matches!(why, Why::Refused(_));
            let before = if refuses { self.counted(file).ok() } else { None };
            if let Err(error) = replace_as(&path, text, &path) {
                lost = Some(format!("{error:#}"));
                continue;
            }
            let serves =
                before.is_some_and(|before| matches!(self.answer(file, before), Ok(Some(true))));
            after = match after {
                After::Untouched | After::Serving if serves => After::Serving,
                _ => After::Restored,
            };
        }
        lost.map_or(after, After::Lost)
    }
}

impl Why {
    /// Whether Envoy is there, and only did not answer in time.
    fn is_slowness(&self) -> bool {
        let Why::NoAnswer(_, error) = self else { return false };
        matches!(error.downcast_ref::<ureq::Error>(), Some(ureq::Error::Timeout(_)))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Why::NoAnswer(address, error) => {
                write!(f, "no answer from Envoy's admin interface at {address}: {error:#}")
            }
            Why::NotWatched(address) => write!(f, "the Envoy at {address} does not watch it"),
            Why::Refused(None) => f.write_str("refused by Envoy"),
            Why::Refused(Some(reason)) => write!(f, "refused by Envoy: {reason}"),
            Why::Ignored(patience) => {
                write!(f, "Envoy did not look at it within {} s", patience.as_secs())
            }
            Why::Unwritten(error) => write!(f, "{error:#}"),
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            After::Untouched => f.write_str("nothing was changed"),
            After::Restored => f.write_str("the old files are back"),
            After::Serving => f.write_str("the old configuration serves on"),
            After::Lost(error) => write!(f, "the old file is not back: {error}"),
        }
    }
}

/// Replaces a file in one step, so that Envoy sees the old one or the new one. The new one has the
/// owner and the mode of the file `like`, because Envoy may run as another user; nobody else reads it
/// where there is no such file.
pub(in crate::cli) fn replace_as(path: &Path, text: &str, like: &Path) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        if let Ok(wanted) = std::fs::metadata(like) {
            let own = file.as_file().metadata()?;
            if (own.uid(), own.gid()) != (wanted.uid(), wanted.gid()) {
                fchown(file.as_file(), Some(wanted.uid()), Some(wanted.gid()))?;
            }
            file.as_file().set_permissions(wanted.permissions())?;
        }
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_is_replaced_stays_as_readable_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("filter.yaml");
        for mode in [0o600, 0o644] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            replace_as(&path, "new", &path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn an_envoy_that_does_not_answer_leaves_all_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILTER.name);
        std::fs::write(&path, "old").unwrap();
        // Bound and given up again: nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let admin = Admin::new(free.to_string());
        let patience = Duration::from_secs(60);
        let watched = Watched { directory: directory.path(), admin: &admin, patience, log: None };
        let old = Files::from([(FILTER.name.to_owned(), "old".to_owned())]);
        let setback = watched.put_all(&[(FILTER, "new".to_owned())], &old).unwrap_err();
        assert_eq!(setback.file, FILTER.name);
        assert!(matches!(setback.why, Why::NoAnswer(..)), "{}", setback.why);
        assert!(matches!(setback.after, After::Untouched), "{}", setback.after);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
