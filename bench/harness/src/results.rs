//! What a run leaves behind: `results/DATE.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::conditions::Conditions;
use crate::stats::{Latency, Spread};

/// A whole run.
#[derive(Deserialize, Serialize)]
pub struct Results {
    pub conditions: Conditions,
    pub plan: Plan,
    /// Bytes of the modules.
    pub wasm_bytes: BTreeMap<String, u64>,
    pub variants: Vec<Measured>,
    /// Variants that could not run, and why.
    pub left_out: BTreeMap<String, String>,
    pub turns: Vec<Turn>,
}

/// How long everything was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Plan {
    pub name: String,
    /// Starts of each variant.
    pub starts: usize,
    pub connections: usize,
    pub full: Turns,
    pub idle: Turns,
    /// Requests per second of the idle load; slower variants get less.
    pub idle_rate: f64,
    pub half: Turns,
    /// Bytes of the body that all variants are measured with, then of the others.
    pub sizes: Vec<usize>,
}

/// Turns of each variant at one load.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Turns {
    pub count: usize,
    pub seconds: f64,
}

/// What was found out about a variant.
#[derive(Deserialize, Serialize)]
pub struct Measured {
    pub variant: String,
    pub label: String,
    /// Seconds from the start of its processes to the first answer.
    pub start_seconds: Option<Spread>,
    /// Resident bytes after the load.
    pub envoy_bytes: u64,
    pub sidecar_bytes: u64,
    pub sizes: Vec<AtSize>,
}

/// At one size of body.
#[derive(Deserialize, Serialize)]
pub struct AtSize {
    pub body_bytes: usize,
    pub full: Full,
    pub idle: Option<Open>,
    pub half: Option<Open>,
}

/// In the closed loop.
#[derive(Deserialize, Serialize)]
pub struct Full {
    /// Requests per second.
    pub rate: Spread,
    /// Requests per second, relative to no filter in the same round.
    pub kept: Option<Spread>,
    /// Processor time per request in microseconds: of Envoy, of the sidecar, of client and upstreams.
    pub envoy_cpu: f64,
    pub sidecar_cpu: f64,
    pub client_cpu: f64,
    /// Share of one processor that Envoy was running on.
    pub envoy_busy: f64,
    pub latency: Latency,
}

/// In the open loop.
#[derive(Deserialize, Serialize)]
pub struct Open {
    /// Requests per second.
    pub offered: f64,
    pub latency: Latency,
    /// No filter, at the same rate, in turns.
    pub reference: Latency,
    /// Processor time per request in microseconds, of all processes but client and upstreams.
    pub cpu: f64,
}

/// One turn of one variant.
#[derive(Clone, Deserialize, Serialize)]
pub struct Turn {
    pub variant: String,
    pub body_bytes: usize,
    pub load: Load,
    pub round: usize,
    /// Of the open loop.
    pub offered: Option<f64>,
    pub requests: usize,
    pub seconds: f64,
    /// Processor seconds.
    pub envoy_cpu: f64,
    pub sidecar_cpu: f64,
    pub client_cpu: f64,
    pub latency: Latency,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    Full,
    Idle,
    Half,
}

impl Results {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl Measured {
    /// What was measured at a size.
    pub fn at(&self, body_bytes: usize) -> Option<&AtSize> {
        self.sizes.iter().find(|at| at.body_bytes == body_bytes)
    }
}
