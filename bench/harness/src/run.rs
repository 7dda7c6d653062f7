//! One run: start all variants, see them do their duty, measure them in turns, write the results.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::check;
use crate::conditions::{Conditions, load_average};
use crate::load::upstream::Upstreams;
use crate::measure::Measurement;
use crate::plan;
use crate::report::table;
use crate::results::{Measured, Plan, Results};
use crate::stats::Spread;
use crate::system::System;
use crate::tools::Tools;
use crate::variants::{REFERENCE, VARIANTS, Variant};

/// Start every variant, check that it decides, and measure all of them in turns.
#[derive(Args)]
pub struct Arguments {
    /// Two to three minutes instead of 25
    #[arg(long)]
    quick: bool,
    /// Stop after the checks
    #[arg(long)]
    check: bool,
    /// Variants to run besides no filter; all when omitted
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Envoy to use instead of the newest supported one
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// File for the results; bench/results/DATE.json when omitted
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores > 1, "one processor: Envoy and the client need one each");
    let tools = Tools::find(arguments.envoy.clone())?;
    let plan = if arguments.quick { plan::quick() } else { plan::full() };
    let mut conditions = Conditions::now(&tools)?;
    let (wanted, left_out) = choose(&arguments.only, &tools)?;
    let upstreams = Upstreams::start()?;
    let directory = std::env::temp_dir().join(format!("pointsman-bench-{}", std::process::id()));
    let started = start(&wanted, &tools, &upstreams, &directory, &plan)?;
    if arguments.check {
        return Ok(fs::remove_dir_all(&directory)?);
    }
    let mut variants: Vec<Measured> = started.iter().map(|it| it.measured()).collect();
    let systems: Vec<System> = started.into_iter().map(|it| it.system).collect();
    let mut measurement = Measurement::new(&plan, &systems);
    for &size in &plan.sizes {
        eprintln!("measuring bodies of {size} bytes");
        let mut found = measurement.at(size)?;
        for variant in &mut variants {
            variant.sizes.extend(found.remove(variant.variant.as_str()));
        }
    }
    let turns = measurement.turns;
    for (variant, system) in variants.iter_mut().zip(&systems) {
        [variant.envoy_bytes, variant.sidecar_bytes] = system.resident()?;
    }
    drop(systems);
    fs::remove_dir_all(&directory)?;
    conditions.load_after = load_average()?;
    let wasm_bytes = wasm_bytes(&tools);
    let day = conditions.date.chars().take(10).collect::<String>();
    let name = if arguments.quick { format!("{day}-quick") } else { day };
    let path = tools.bench.join(format!("results/{name}.json"));
    let path = arguments.out.clone().unwrap_or(path);
    let results = Results { conditions, plan, wasm_bytes, variants, left_out, turns };
    results.write(&path)?;
    eprintln!("{}", path.display());
    print!("{}", table::markdown(&results));
    Ok(())
}

/// The variants that can run here, and why others cannot.
fn choose(
    only: &[String],
    tools: &Tools,
) -> Result<(Vec<&'static Variant>, BTreeMap<String, String>)> {
    for name in only {
        crate::variants::named(name).with_context(|| format!("--only {name}: no such variant"))?;
    }
    let (mut wanted, mut left_out) = (Vec::new(), BTreeMap::new());
    for variant in VARIANTS {
        let named = only.is_empty() || only.iter().any(|name| name == variant.name);
        if !named && variant.name != REFERENCE {
            continue;
        }
        match tools.missing(variant) {
            None => wanted.push(variant),
            Some(reason) => {
                eprintln!("{} is left out: {reason}", variant.name);
                left_out.insert(variant.name.to_owned(), reason);
            }
        }
    }
    Ok((wanted, left_out))
}

/// A running variant, and how long each of its starts took.
struct Started {
    system: System,
    seconds: Vec<f64>,
}

impl Started {
    fn measured(&self) -> Measured {
        Measured {
            variant: self.system.variant.name.to_owned(),
            label: self.system.variant.label.to_owned(),
            start_seconds: Spread::of(&self.seconds),
            envoy_bytes: 0,
            sidecar_bytes: 0,
            sizes: Vec::new(),
        }
    }
}

/// One after another, so that none slows the start of the next; the last start of each stays.
fn start(
    wanted: &[&'static Variant],
    tools: &Tools,
    upstreams: &Upstreams,
    directory: &std::path::Path,
    plan: &Plan,
) -> Result<Vec<Started>> {
    let mut started = Vec::new();
    for &variant in wanted {
        let mut seconds = Vec::new();
        let mut start = || -> Result<System> {
            let own = directory.join(format!("{}-{}", variant.name, seconds.len()));
            let system = System::start(variant, tools, upstreams, &own)?;
            seconds.push(system.started_in.as_secs_f64());
            Ok(system)
        };
        for _ in 1..plan.starts {
            start()?;
        }
        let system = start()?;
        check::does_its_duty(&system, upstreams)?;
        let last = seconds.last().copied().unwrap_or_default();
        eprintln!("{} does its duty; started in {last:.2} s", variant.name);
        started.push(Started { system, seconds });
    }
    Ok(started)
}

fn wasm_bytes(tools: &Tools) -> BTreeMap<String, u64> {
    let modules = [("pointsman", &tools.pointsman_wasm), ("least", &tools.least_wasm)];
    let size =
        |(name, path): (&str, &PathBuf)| Some((name.to_owned(), fs::metadata(path).ok()?.len()));
    modules.into_iter().filter_map(size).collect()
}
