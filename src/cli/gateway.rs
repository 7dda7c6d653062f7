//! What `init`, `render`, `rollout`, `check` and `up` share: the file, and the machine that it is for.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::BadInput;
use pointsman_gateway::file::{ControlSecrets, Gateway, Key};
use pointsman_gateway::render::CA_FILES;

/// Name of the file unless another is named.
pub(super) const FILE: &str = "pointsman.yaml";

/// Reads a file; every mistake in it is named.
pub(super) fn read(path: &Path) -> Result<Gateway, BadInput> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        BadInput::new(format!("{}: {error}", path.display()))
            .hint("`pointsman init` writes a first one; or name two models: --cheap and --strong")
    })?;
    parse(&text, &path.display().to_string())
}

/// Reads a file's text.
pub(super) fn parse(text: &str, name: &str) -> Result<Gateway, BadInput> {
    Gateway::read(text).map_err(|errors| {
        let lines: Vec<String> = errors.0.iter().map(|error| format!("\n  {error}")).collect();
        let count = match lines.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        BadInput::new(format!("{name}: {count}{}", lines.concat())).hint(
            "docs/gateway.md describes every field; `pointsman schema --of file` is for editors",
        )
    })
}

/// The system's certificate authorities: the file that the environment names, or where systems have
/// them.
pub(super) fn ca_file() -> String {
    let named = std::env::var("SSL_CERT_FILE").ok().filter(|path| !path.is_empty());
    let found = || CA_FILES.into_iter().find(|path| Path::new(path).exists()).map(str::to_owned);
    named.or_else(found).unwrap_or_else(|| CA_FILES[0].to_owned())
}

/// What is in a key's variable or file, without white space around it.
pub(super) fn key(key: &Key) -> Result<String, String> {
    let (text, what) = match key {
        Key::Env(name) => {
            let what = format!("the environment variable {name}");
            (std::env::var(name).map_err(|_| format!("{what} is not set"))?, what)
        }
        Key::File(path) => {
            let what = format!("the file {path}");
            (std::fs::read_to_string(path).map_err(|error| format!("{what}: {error}"))?, what)
        }
    };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{what} holds no key: visible ASCII characters"));
    }
    Ok(text.to_owned())
}

/// The control plane's secrets, where the file has one.
pub(super) fn control_secrets(gateway: &Gateway) -> Result<Option<ControlSecrets>, BadInput> {
    let Some(control) = &gateway.control else { return Ok(None) };
    let read = |name: &str, place: &Key| {
        let secret = key(place).map_err(|why| BadInput::new(format!("control.{name}: {why}")))?;
        if pointsman_core::config::is_secret(&secret) {
            return Ok(secret);
        }
        let rule = "must be at least 16 visible ASCII characters";
        Err(BadInput::new(format!("control.{name}: {rule}"))
            .hint("generate one with: openssl rand -hex 32"))
    };
    let (key, token) = (read("key", &control.key)?, read("token", &control.token)?);
    Ok(Some(ControlSecrets { key, token }))
}

/// Replaces a file by another with this content, in one step, readable by nobody else. Its folder is
/// made where it is missing.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = || {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        std::io::Result::Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// The module: the one that was named; the one inside this program, written into `folder`; or one that
/// was built here.
pub(super) fn module(folder: &Path, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        let found = path.canonicalize();
        return Ok(found.map_err(|error| {
            BadInput::new(format!("{}: {error}", path.display())).hint("build it with `make build`")
        })?);
    }
    if let Some(bytes) = bundled() {
        let path = folder.join("pointsman.wasm");
        if !std::fs::read(&path).is_ok_and(|old| old == bytes) {
            std::fs::write(&path, bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        return Ok(path);
    }
    let found = built_module().and_then(|path| path.canonicalize().ok());
    Ok(found.ok_or_else(|| {
        BadInput::new("this program was built without the filter's module")
            .hint("build it with `make build`, or name one: --wasm dist/pointsman.wasm")
    })?)
}

/// The module that is inside this program, if it was built with one.
pub(super) fn bundled() -> Option<&'static [u8]> {
    #[cfg(feature = "bundled")]
    return Some(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/dist/pointsman.wasm")));
    #[cfg(not(feature = "bundled"))]
    None
}

/// Where a module may be that nobody named: `dist/` here, or next to this program.
fn built_module() -> Option<PathBuf> {
    let here = PathBuf::from("dist/pointsman.wasm");
    let next = std::env::current_exe().ok().and_then(|program| {
        let folder = program.parent()?;
        [folder.join("pointsman.wasm"), folder.join("../../dist/pointsman.wasm")]
            .into_iter()
            .find(|path| path.exists())
    });
    Some(here).filter(|path| path.exists()).or(next)
}
