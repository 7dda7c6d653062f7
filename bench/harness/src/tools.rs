//! The programs and files that variants need, and why one is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::variants::{Front, Sidecar, Variant};

/// Where everything is.
pub struct Tools {
    /// `bench/`.
    pub bench: PathBuf,
    pub envoy: PathBuf,
    pub pointsman_wasm: PathBuf,
    pub least_wasm: PathBuf,
    pub ext_proc: PathBuf,
    /// The dynamic module.
    pub native: PathBuf,
    /// The command line, which is the control plane too.
    pub pointsman: PathBuf,
    pub minilm_python: PathBuf,
    pub litellm: PathBuf,
}

impl Tools {
    /// Next to this program, in the repository that it was built from.
    pub fn find(envoy: Option<PathBuf>) -> Result<Self> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("bench/")?.to_owned();
        let root = bench.parent().context("the repository")?.to_owned();
        let program = std::env::current_exe()?;
        let built = program.parent().context("this program is in a directory")?;
        let target = built.parent().context("the target directory")?;
        let envoy = envoy.map_or_else(|| get_envoy(&root), Ok)?;
        Ok(Self {
            envoy,
            pointsman_wasm: root.join("dist/pointsman.wasm"),
            least_wasm: target.join("wasm32-wasip1/wasm/bench_least.wasm"),
            ext_proc: built.join("bench-ext-proc"),
            native: built.join("libbench_native.so"),
            pointsman: root.join("target/release/pointsman"),
            minilm_python: bench.join(".venv-minilm/bin/python"),
            litellm: bench.join(".venv-litellm/bin/litellm"),
            bench,
        })
    }

    /// Why a variant cannot run here.
    pub fn missing(&self, variant: &Variant) -> Option<String> {
        let filter = match variant.front {
            Front::Envoy { filters: "least", .. } => Some(&self.least_wasm),
            Front::Envoy { filters: "native", .. } => Some(&self.native),
            Front::Envoy { configuration: Some(_), .. } => Some(&self.pointsman_wasm),
            _ => None,
        };
        let sidecar = variant.sidecar.map(|sidecar| match sidecar {
            Sidecar::ExtProc(_) => &self.ext_proc,
            Sidecar::MiniLm => &self.minilm_python,
            Sidecar::ControlPlane => &self.pointsman,
            Sidecar::LiteLlm => &self.litellm,
        });
        let needed = [filter, sidecar].into_iter().flatten();
        let missing = needed.filter(|path| !path.exists()).map(|path| path.display().to_string());
        let missing: Vec<_> = missing.collect();
        (!missing.is_empty()).then(|| format!("not there: {}", missing.join(", ")))
    }
}

/// The newest supported Envoy, fetched when it is not there: results name its version.
fn get_envoy(root: &Path) -> Result<PathBuf> {
    let versions = std::fs::read_to_string(root.join("envoy/versions"))?;
    let newest = versions.lines().next().context("envoy/versions is empty")?;
    let output = Command::new(root.join("scripts/get-envoy.sh")).arg(newest).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
