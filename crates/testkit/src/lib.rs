//! What tests, benchmarks and examples share: a supervised Envoy that runs the documented
//! deployment, upstreams that record what reaches them, a small HTTP client, a small host for the
//! built filter, and decisions that every host must make alike.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "never shipped: a test stops at the first surprise"
)]

pub mod cases;
pub mod client;
pub mod deployment;
pub mod envoy;
pub mod gateway;
pub mod grpc;
pub mod load;
pub mod metrics;
pub mod mixed;
pub mod model;
pub mod mutate;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod recorder;
pub mod redis;
pub mod said;
pub mod scripted;
pub mod wasm;

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};

/// Runs the clients and the recording upstreams; the tests themselves are blocking code.
pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime starts")
});

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `dist/pointsman.wasm`, or an error that names the command which makes it.
pub fn wasm_module() -> Result<PathBuf> {
    let path = root().join("dist/pointsman.wasm");
    if !path.is_file() {
        bail!("dist/pointsman.wasm is missing\nhint: run `make build`");
    }
    Ok(path)
}

/// The `pointsman` that cargo built next to the running test, example or benchmark.
pub fn program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/PROFILE/deps/TEST or target/PROFILE/examples/EXAMPLE
    let path = test.ancestors().nth(2).context("no target directory")?.join("pointsman");
    if !path.is_file() {
        bail!("{} is missing\nhint: run `make cli`", path.display());
    }
    Ok(path)
}

/// The versions of Envoy that `envoy/versions` lists, the default one first.
pub fn supported_versions() -> Result<Vec<String>> {
    let path = root().join("envoy/versions");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The Envoy that `scripts/get-envoy.sh VERSION` installed, or an error that says how to get it.
pub fn installed_envoy(version: &str) -> Result<PathBuf> {
    let path = root().join(".envoy").join(version).join("envoy/_bin/envoy");
    if !path.is_file() {
        bail!(
            "Envoy {version} is not in .envoy/\n\
             hint: run `make envoy`, or `make envoy-versions` for every tested version"
        );
    }
    Ok(path)
}
