//! A deployment on this machine: its directory, its keys, its files.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::BadInput;
use super::super::gateway::{self, replace};
use pointsman_gateway::file::{Gateway, Key};
use pointsman_gateway::render::{self, Files, Place};

/// Held while a deployment runs.
const LOCK: &str = "lock";

/// The directory that a running deployment is in. Nobody else reads it.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Held while we run.
    _lock: File,
}

impl Directory {
    /// Makes the directory, and makes sure that nobody else runs in it.
    pub(super) fn open(path: &Path) -> Result<Self, BadInput> {
        let refused = |error: std::io::Error| {
            BadInput::new(format!("{}: {error}", path.display()))
                .hint("--dir names a directory that can be written")
        };
        for folder in [path.to_owned(), path.join("secrets"), path.join("logs")] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
        }
        let path = path.canonicalize().map_err(refused)?;
        // Whoever made it, what is in it is nobody else's, and no repository's.
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(refused)?;
        std::fs::write(path.join(".gitignore"), "*\n").map_err(refused)?;
        let lock = File::create(path.join(LOCK)).map_err(refused)?;
        if lock.try_lock().is_err() {
            let error = format!("another `pointsman up` runs in {}", path.display());
            return Err(BadInput::new(error).hint("stop it, or name another --dir"));
        }
        Ok(Directory { path, _lock: lock })
    }

    /// Removes keys that an earlier run has left.
    pub(super) fn forget_keys(&self) {
        let files = std::fs::read_dir(self.file("secrets")).into_iter().flatten().flatten();
        files.for_each(|file| drop(std::fs::remove_file(file.path())));
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Whether a `pointsman up` runs in a directory.
pub(in crate::cli) fn runs_in(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// What Envoy needs to run a file's deployment.
pub(super) struct Deployment {
    pub(super) gateway: Gateway,
    place: OwnedPlace,
}

struct OwnedPlace {
    wasm: String,
    directory: String,
    keys: String,
    ca: String,
}

impl Deployment {
    pub(super) fn new(gateway: Gateway, directory: &Directory, wasm: &Path) -> Self {
        let place = OwnedPlace {
            wasm: wasm.display().to_string(),
            directory: directory.path.display().to_string(),
            keys: directory.file("secrets").display().to_string(),
            ca: gateway::ca_file(),
        };
        Deployment { gateway, place }
    }

    fn place(&self) -> Result<Place<'_>, BadInput> {
        Ok(Place {
            wasm: &self.place.wasm,
            directory: &self.place.directory,
            ca: &self.place.ca,
            keys: Some(&self.place.keys),
            unique: true,
            control: gateway::control_secrets(&self.gateway)?,
        })
    }

    /// The files that Envoy watches.
    pub(super) fn files(&self) -> anyhow::Result<Files> {
        Ok(render::xds(&self.gateway, &self.place()?)?)
    }

    /// The same as one file, which Envoy can look at without starting.
    pub(super) fn whole(&self) -> anyhow::Result<String> {
        let mut files = render::envoy(&self.gateway, &self.place()?)?;
        Ok(files.remove("envoy.yaml").unwrap_or_default())
    }

    /// Variables for Envoy: keys without white space around them, which would go into a header.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let key = |key: &Key| match key {
            Key::Env(name) => Some((name.clone(), gateway::key(key).ok()?)),
            Key::File(_) => None,
        };
        self.gateway.providers.iter().filter_map(|it| it.key.as_ref()).filter_map(key).collect()
    }

    /// What is missing of the providers' keys; all at once.
    pub(super) fn check_keys(&self) -> Result<(), BadInput> {
        let missing = self.gateway.providers.iter().filter_map(|provider| {
            let why = gateway::key(provider.key.as_ref()?).err()?;
            Some(format!("providers.{}.key: {why}", provider.name))
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(BadInput::new(missing.join("\n  "))
            .hint("export it, or name its place in the file: key: {env: NAME} or {file: PATH}"))
    }

    /// Copies keys out of their files, without white space around them, whenever they have changed:
    /// Envoy looks at a key's file when another is moved into its place, and not when it is written.
    ///
    /// # Errors
    ///
    /// A key that cannot be read stays as it was. Each is named, with what is wrong.
    pub(super) fn copy_keys(&self, directory: &Directory) -> Vec<String> {
        let mut problems = Vec::new();
        for provider in &self.gateway.providers {
            let Some(key @ Key::File(_)) = &provider.key else { continue };
            let name = render::secret_name(provider, true);
            let path = directory.file("secrets").join(format!("{name}.key"));
            let copied = gateway::key(key).map_err(|why| format!("{}: {why}", provider.name));
            match copied {
                Ok(text) if std::fs::read_to_string(&path).is_ok_and(|old| old == text) => {}
                Ok(text) => {
                    problems.extend(replace(&path, &text).err().map(|error| format!("{error:#}")));
                }
                Err(why) => problems.push(why),
            }
        }
        problems
    }
}
