//! `pointsman render`: a deployment's files.

use std::path::{Path, PathBuf};

use super::gateway::{self, FILE};
use super::up::envoy;
use super::{BadInput, print};
use pointsman_gateway::render::{self, Files, Place};

/// Render Envoy's configuration from pointsman.yaml
///
/// The same file always gives the same bytes. No provider's key is in them: each has a file in
/// secrets/ that names the variable or the file that holds it, and Envoy reads it from there. The
/// secrets of `control` are in the filter's configuration.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What to render
    what: What,
    /// The deployment
    #[arg(long, default_value = FILE, value_name = "FILE")]
    file: PathBuf,
    /// Directory for the files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The directory as Envoy is to name it; --out when omitted
    #[arg(long, value_name = "DIR")]
    directory: Option<String>,
    /// The filter's module as Envoy is to name it
    #[arg(long, default_value = "dist/pointsman.wasm", value_name = "FILE")]
    wasm: String,
    /// Certificate authorities of the machine that Envoy runs on
    #[arg(long, default_value = render::CA_FILES[0], value_name = "FILE")]
    ca: String,
    /// Write nothing; exit with 1 when a file is missing or would change
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// One file for a plain Envoy
    Envoy,
    /// Files that Envoy watches
    Xds,
    /// The pieces for an Envoy that is there already, each with where it belongs
    Fragment,
    /// A docker-compose.yaml, what it mounts, and the filter's module
    Compose,
    /// An EnvoyFilter for an Istio gateway
    Istio,
    /// An EnvoyPatchPolicy and an EnvoyProxy for Envoy Gateway
    EnvoyGateway,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let gateway = gateway::read(&args.file)?;
    let out = args.out.display().to_string();
    let place = Place {
        wasm: &args.wasm,
        directory: args.directory.as_deref().unwrap_or(&out).trim_end_matches('/'),
        ca: &args.ca,
        keys: None,
        unique: false,
        control: gateway::control_secrets(&gateway)?,
    };
    let files = match args.what {
        What::Envoy => render::envoy(&gateway, &place)?,
        What::Xds => render::xds(&gateway, &place)?,
        What::Fragment => render::fragment(&gateway, &place)?,
        What::Compose => render::compose(&gateway, &place, envoy::newest())?,
        What::Istio => render::istio(&gateway, &place)?,
        What::EnvoyGateway => render::envoy_gateway(&gateway, &place)?,
    };
    if args.check {
        return compare(&args.out, &files);
    }
    write(&args.out, &files)?;
    match args.what {
        What::Compose => write_module(&args.out, Path::new(&args.wasm)),
        _ => Ok(()),
    }
}

/// Containers have no other way to the module.
fn write_module(out: &Path, named: &Path) -> anyhow::Result<()> {
    let path = out.join("pointsman.wasm");
    let module = match (std::fs::read(named), gateway::bundled()) {
        (Ok(module), _) => module,
        (Err(_), Some(bundled)) => bundled.to_vec(),
        (Err(error), None) => {
            return Err(BadInput::new(format!("{}: {error}", named.display())).into());
        }
    };
    std::fs::write(&path, module)
        .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))?;
    print(path.display())
}

fn write(out: &Path, files: &Files) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)
        .map_err(|error| BadInput::new(format!("{}: {error}", out.display())))?;
    for (name, text) in files {
        let path = out.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        gateway::replace(&path, text)?;
        print(path.display())?;
    }
    Ok(())
}

fn compare(out: &Path, files: &Files) -> anyhow::Result<()> {
    let changed = |(name, text): &(&String, &String)| {
        std::fs::read_to_string(out.join(name)).ok().as_ref() != Some(text)
    };
    let stale: Vec<&str> = files.iter().filter(changed).map(|(name, _)| name.as_str()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    anyhow::bail!("out of date in {}: {}", out.display(), stale.join(", "))
}
