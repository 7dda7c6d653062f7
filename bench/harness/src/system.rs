//! One variant, running: Envoy, its sidecar, and what was written for them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::exchange;
use crate::load::upstream::{TARGETS, Upstreams};
use crate::processes::Process;
use crate::tools::Tools;
use crate::variants::{Front, Sidecar, Variant};

/// Envoy's processor, and that of a proxy in its place.
const FRONT_CORE: &str = "0";
/// A sidecar may run wherever there is room.
const ALL_CORES: &str = "0,1";
/// LiteLLM imports for many seconds, and more on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The processes of a variant.
pub struct System {
    pub variant: &'static Variant,
    /// Where clients connect.
    pub address: SocketAddr,
    pub envoy: Option<Process>,
    pub sidecar: Option<Process>,
    /// From the start of the processes to the first answer.
    pub started_in: Duration,
}

impl System {
    /// Starts a variant with its files in `directory`, and waits for the first answered request.
    pub fn start(
        variant: &'static Variant,
        tools: &Tools,
        upstreams: &Upstreams,
        directory: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let plan = Plan::new(variant, tools, upstreams, directory)?;
        let begun = Instant::now();
        let sidecar = plan.sidecar()?;
        let envoy = plan.envoy()?;
        let address = SocketAddr::from(([127, 0, 0, 1], plan.port));
        let mut system = Self { variant, address, envoy, sidecar, started_in: Duration::ZERO };
        system.wait(begun).with_context(|| variant.name)?;
        Ok(system)
    }

    fn wait(&mut self, begun: Instant) -> Result<()> {
        let request = crate::load::bodies::asking("Is anybody there?");
        while begun.elapsed() < READY_WITHIN {
            for process in [&mut self.envoy, &mut self.sidecar].into_iter().flatten() {
                process.lives()?;
            }
            if exchange::once(self.address, &request).is_ok_and(|answer| answer.status == 200) {
                self.started_in = begun.elapsed();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("no answer within {READY_WITHIN:?}")
    }

    /// Processor time so far: Envoy's, the sidecar's.
    pub fn cpu(&self) -> Result<[Duration; 2]> {
        let of =
            |process: &Option<Process>| process.as_ref().map_or(Ok(Duration::ZERO), Process::cpu);
        Ok([of(&self.envoy)?, of(&self.sidecar)?])
    }

    /// Resident memory in bytes: Envoy's, the sidecar's.
    pub fn resident(&self) -> Result<[u64; 2]> {
        let of = |process: &Option<Process>| process.as_ref().map_or(Ok(0), Process::resident);
        Ok([of(&self.envoy)?, of(&self.sidecar)?])
    }
}

/// What is started, and where.
struct Plan<'t> {
    variant: &'static Variant,
    tools: &'t Tools,
    directory: &'t Path,
    port: u16,
    control: u16,
    words: Vec<(&'static str, String)>,
}

impl<'t> Plan<'t> {
    fn new(
        variant: &'static Variant,
        tools: &'t Tools,
        upstreams: &Upstreams,
        directory: &'t Path,
    ) -> Result<Self> {
        let (port, control) = (free_port()?, free_port()?);
        let mut words = vec![
            ("@port@", port.to_string()),
            ("@control@", control.to_string()),
            ("@socket@", directory.join("socket").display().to_string()),
            ("@pointsman@", tools.pointsman_wasm.display().to_string()),
            ("@least@", tools.least_wasm.display().to_string()),
            ("@lua@", tools.bench.join("configs/lua/rules.lua").display().to_string()),
        ];
        for (place, address) in ["@cheap@", "@strong@"].into_iter().zip(upstreams.addresses) {
            words.push((place, address.port().to_string()));
        }
        if let Front::Envoy { configuration: Some(name), .. } = variant.front {
            let path = tools.bench.join(format!("configs/pointsman/{name}.json"));
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            // JSON is YAML, as long as it stays on one line.
            words.push(("@configuration@", serde_json::from_str::<Value>(&text)?.to_string()));
        }
        Ok(Self { variant, tools, directory, port, control, words })
    }

    /// A committed file with its words filled in.
    fn filled(&self, name: &str) -> Result<String> {
        let path = self.tools.bench.join("configs").join(name);
        let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for (place, value) in &self.words {
            text = text.replace(place, value);
        }
        Ok(text)
    }

    fn envoy(&self) -> Result<Option<Process>> {
        let Front::Envoy { filters, .. } = self.variant.front else { return Ok(None) };
        let mut tree: Value = serde_saphyr::from_str(&self.filled("envoy.yaml")?)?;
        let mut parts: Value = serde_saphyr::from_str(&self.filled(&format!("{filters}.yaml"))?)?;
        let place =
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
        let chain = tree.pointer_mut(place).and_then(Value::as_array_mut).context("no filters")?;
        let own = parts["http_filters"].as_array_mut().context("no http_filters")?;
        chain.splice(0..0, own.drain(..));
        if let Some(clusters) = parts["clusters"].as_array_mut() {
            let all = tree.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
            all.context("no clusters")?.append(clusters);
        }
        let path = self.directory.join("envoy.json");
        fs::write(&path, serde_json::to_string_pretty(&tree)?)?;
        let mut command = Command::new(&self.tools.envoy);
        command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"]);
        command.arg("--config-path").arg(&path);
        if let Some(directory) = self.tools.native.parent() {
            command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", directory);
        }
        Process::start(&command, FRONT_CORE, &self.directory.join("envoy.log")).map(Some)
    }

    fn sidecar(&self) -> Result<Option<Process>> {
        let Some(sidecar) = self.variant.sidecar else { return Ok(None) };
        let socket = self.directory.join("socket");
        let (command, cores) = match sidecar {
            Sidecar::ExtProc(mode) => {
                let mut command = Command::new(&self.tools.ext_proc);
                command.args(["--mode", mode, "--listen"]).arg(socket);
                (command, ALL_CORES)
            }
            Sidecar::MiniLm => {
                let mut command = Command::new(&self.tools.minilm_python);
                command.arg(self.tools.bench.join("sidecars/minilm.py"));
                command.arg(self.tools.bench.join("configs/minilm.json")).arg(socket);
                (command, ALL_CORES)
            }
            Sidecar::ControlPlane => (self.control_plane()?, ALL_CORES),
            Sidecar::LiteLlm => (self.litellm()?, FRONT_CORE),
        };
        Process::start(&command, cores, &self.directory.join("sidecar.log")).map(Some)
    }

    /// With the key and the token of `configs/pointsman/sticky-control.json`.
    fn control_plane(&self) -> Result<Command> {
        let state = self.directory.join("control.state");
        // Of an earlier run.
        let _ = fs::remove_file(&state);
        let mut command = Command::new(&self.tools.pointsman);
        command.args(["serve", "--targets", &TARGETS.join(","), "--costs", "0.04,1"]);
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.control));
        command.arg("--store").arg(state);
        command.env("POINTSMAN_KEY", "the-key-of-a-measurement");
        command.env("POINTSMAN_DECIDE_TOKEN", "the-token-of-a-measurement");
        Ok(command)
    }

    fn litellm(&self) -> Result<Command> {
        let path: PathBuf = self.directory.join("litellm.yaml");
        fs::write(&path, self.filled("litellm.yaml")?)?;
        let mut command = Command::new(&self.tools.litellm);
        command.arg("--config").arg(path).args(["--host", "127.0.0.1", "--num_workers", "1"]);
        command.arg("--port").arg(self.port.to_string());
        // Its advice for production; without the second it asks a server on the Internet for prices.
        for (name, value) in [
            ("LITELLM_MODE", "PRODUCTION"),
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
            ("LITELLM_LOG", "ERROR"),
            ("NO_DOCS", "True"),
        ] {
            command.env(name, value);
        }
        Ok(command)
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
