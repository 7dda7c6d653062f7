//! `pointsman rollout`: a changed deployment for an Envoy that runs and watches its files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::gateway::{self, FILE};
use super::up::envoy::Admin;
use super::{BadInput, Failed, open_error, print_with, up};
use pointsman_core::config::Config;
use pointsman_gateway::render::{self, CA_FILES, Files, Place};

mod filter;
pub(super) mod steps;
pub(super) mod watched;

use filter::FilterFile;
use steps::{Step, steps};
use watched::{CLUSTERS, FILTER, LISTENERS, Setback, Watched, Why, replace_as};

/// What Envoy reads when it starts, and not again.
const BOOTSTRAP: &str = "bootstrap.yaml";

/// Roll out a change to a running Envoy without a restart, and report whether Envoy took it
///
/// A file that Envoy watches is replaced whole, and Envoy's admin interface counts what Envoy took
/// and what it refused. When it refuses a file, or does not look at it in time, the old files are put
/// back. Exit codes: 0 Envoy took it, 1 it did not or could not be asked, 2 wrong usage or bad input.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Directory that `render xds` wrote and Envoy watches
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The deployment to roll out
    #[arg(long, default_value = FILE, value_name = "FILE")]
    file: PathBuf,
    /// Roll out this configuration of the filter (JSON) instead; all else stays
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Print the filter's configuration in the directory, and change nothing
    #[arg(long, conflicts_with_all = ["file", "config"])]
    show: bool,
    /// The filter's module as Envoy is to name it; the one in use when omitted. Envoy does not read a
    /// file again that it has loaded: give a new module a new name
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "show"])]
    wasm: Option<String>,
    /// Certificate authorities of the machine that Envoy runs on
    #[arg(long, default_value = CA_FILES[0], value_name = "FILE")]
    ca: String,
    /// Address of Envoy's admin interface
    #[arg(
        long,
        default_value = "127.0.0.1:9901",
        value_name = "HOST:PORT",
        value_parser = admin_address
    )]
    admin: String,
    /// Wait at most this long for Envoy's answer to each file
    #[arg(
        long,
        default_value_t = 60,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    timeout: u64,
    /// With --config: write the file and ask no Envoy, for one that starts later
    #[arg(long, requires = "config")]
    no_wait: bool,
}

/// `HOST:PORT`, or a URL of it.
fn admin_address(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    match (host, port.parse::<u16>()) {
        ("", _) | (_, Err(_) | Ok(0)) => Err("must be HOST:PORT".to_owned()),
        _ => Ok(address.to_owned()),
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.show {
        let text = FilterFile::read(&args.directory)?.configuration()?;
        return print_with(|out| out.write_all(text.as_bytes()));
    }
    match &args.config {
        Some(path) => roll_out_configuration(args, path),
        None => roll_out_deployment(args),
    }
}

/// The filter's configuration alone.
fn roll_out_configuration(args: &Args, path: &Path) -> anyhow::Result<()> {
    let name = path.display();
    let configuration = std::fs::read_to_string(path).map_err(open_error(path))?;
    serde_json::from_str::<IgnoredAny>(&configuration).map_err(|error| {
        BadInput::new(format!("{name}: not JSON: {error}"))
            .hint("--config names the filter's configuration; --file names a pointsman.yaml")
    })?;
    let old = FilterFile::read(&args.directory)?;
    let text = old.with_configuration(&configuration)?;
    if args.no_wait {
        replace_as(&old.path, &text, &old.path)?;
        report!("{name}: written to {}; no Envoy was asked", old.path.display());
        return Ok(());
    }
    let files = Files::from([(FILTER.name.to_owned(), old.text)]);
    put_all(args, &[(FILTER, text)], &files).map_err(|setback| {
        let faults = match setback.why {
            Why::Refused(None) => faults(&configuration),
            _ => String::new(),
        };
        failed(args, path, &setback, &faults)
    })?;
    report!("{name}: accepted by Envoy; new requests get it");
    Ok(())
}

/// A whole deployment.
fn roll_out_deployment(args: &Args) -> anyhow::Result<()> {
    let (name, directory) = (args.file.display(), args.directory.as_path());
    let gateway = gateway::read(&args.file)?;
    if up::runs_in(directory) {
        let error = format!("{}: `pointsman up` runs there", directory.display());
        let hint = "change the file that it was started with: it rolls out changes by itself";
        return Err(BadInput::new(error).hint(hint).into());
    }
    let filter = FilterFile::read(directory)?;
    let bootstrap = read(directory, BOOTSTRAP)?;
    let named = named_by_envoy(&bootstrap, directory)?;
    let place = Place {
        wasm: args.wasm.as_deref().map_or_else(|| filter.module(), Ok)?,
        directory: &named,
        ca: &args.ca,
        keys: None,
        // So that what is new can stand next to what is old.
        unique: true,
        control: gateway::control_secrets(&gateway)?,
    };
    let new = render::xds(&gateway, &place)?;
    let mut old = Files::from([(FILTER.name.to_owned(), filter.text.clone())]);
    for file in [CLUSTERS, LISTENERS] {
        old.insert(file.name.to_owned(), read(directory, file.name)?);
    }
    let steps = steps(&old, &new)
        .map_err(|error| BadInput::new(format!("{}: {error}", directory.display())))?;
    if new.get(BOOTSTRAP) != Some(&bootstrap) {
        report!(
            "warning: {name}: {BOOTSTRAP} differs and is not rolled out: Envoy reads it when it starts"
        );
    }
    if steps.is_empty() {
        report!("{name}: nothing changes");
        return Ok(());
    }
    // Where keys are: new names, which nothing that serves has.
    for (secret, text) in new.iter().filter(|(name, _)| name.starts_with("secrets/")) {
        let path = directory.join(secret);
        if !std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            std::fs::create_dir_all(directory.join("secrets"))
                .map_err(|error| anyhow::anyhow!("cannot make {}: {error}", path.display()))?;
            replace_as(&path, text, &filter.path)?;
        }
    }
    let taken =
        put_all(args, &steps, &old).map_err(|setback| failed(args, &args.file, &setback, ""))?;
    report!("{name}: accepted by Envoy ({})", taken.join(", "));
    Ok(())
}

/// A file of the directory.
fn read(directory: &Path, name: &str) -> Result<String, BadInput> {
    let path = directory.join(name);
    std::fs::read_to_string(&path).map_err(|error| {
        BadInput::new(format!("{}: {error}", path.display()))
            .hint("`pointsman render xds --out DIR` writes the files to start Envoy with")
    })
}

/// The directory as Envoy names it, which may run elsewhere, as in a container.
fn named_by_envoy(bootstrap: &str, directory: &Path) -> Result<String, BadInput> {
    let tree: Value = serde_saphyr::from_str(bootstrap).unwrap_or_default();
    let path = tree.pointer("/dynamic_resources/lds_config/path_config_source/path");
    let named = path.and_then(Value::as_str).and_then(|path| path.strip_suffix(LISTENERS.name));
    named.map(|named| named.trim_end_matches('/').to_owned()).ok_or_else(|| {
        let path = directory.join(BOOTSTRAP);
        BadInput::new(format!("{}: names no {}", path.display(), LISTENERS.name))
            .hint("`pointsman render xds` writes one that does")
    })
}

fn put_all(args: &Args, steps: &[Step], old: &Files) -> Result<Vec<&'static str>, Setback> {
    let directory = args.directory.as_path();
    let admin = Admin::new(args.admin.clone());
    let log = up::runs_in(directory).then(|| directory.join("logs/envoy.log"));
    let patience = Duration::from_secs(args.timeout);
    Watched { directory, admin: &admin, patience, log }.put_all(steps, old)
}

/// What this program finds wrong with a configuration, a line each: Envoy says it in its log only.
fn faults(configuration: &str) -> String {
    let errors = Config::from_json(configuration.as_bytes()).err();
    let lines = errors.into_iter().flat_map(|errors| errors.0);
    lines.map(|error| format!("\n  {error}")).collect()
}

/// A setback in words, with what to do about it.
fn failed(args: &Args, name: &Path, setback: &Setback, faults: &str) -> anyhow::Error {
    let Setback { file, why, after } = setback;
    let (name, bootstrap) = (name.display(), args.directory.join(BOOTSTRAP));
    let hint = match why {
        Why::NoAnswer(..) => {
            "start Envoy, or name its admin interface with --admin; --config with \
             --no-wait writes the file for an Envoy that starts later"
                .to_owned()
        }
        Why::NotWatched(_) | Why::Ignored(_) => format!(
            "was the Envoy at {} started with {}? If it is busy, give it more --timeout",
            args.admin,
            bootstrap.display()
        ),
        Why::Refused(_) if args.config.is_some() => format!(
            "Envoy's log says why (`pointsman configuration refused: …`), and so does `pointsman \
             explain --config {name}`"
        ),
        Why::Refused(_) => "Envoy's log says why".to_owned(),
        Why::Unwritten(_) => "DIR must be a directory that can be written".to_owned(),
    };
    Failed { message: format!("{name}: {file}: {why}; {after}{faults}"), hint }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_interface_is_a_host_and_a_port_or_a_url_of_it() {
        for text in ["127.0.0.1:9901", "http://127.0.0.1:9901", "http://127.0.0.1:9901/"] {
            assert_eq!(admin_address(text).unwrap(), "127.0.0.1:9901");
        }
        assert_eq!(admin_address("[::1]:9901").unwrap(), "[::1]:9901");
        for text in ["", "9901", ":9901", "localhost", "localhost:0", "localhost:70000", "a:b"] {
            assert!(admin_address(text).unwrap_err().contains("HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn the_directory_is_named_as_envoy_names_it() {
        let rendered = include_str!("../../../deploy/xds/bootstrap.yaml");
        let here = Path::new("somewhere/else");
        assert_eq!(named_by_envoy(rendered, here).unwrap(), "deploy/xds");
        let error = named_by_envoy("node: {id: x}\n", here).unwrap_err();
        assert!(error.to_string().contains("bootstrap.yaml: names no listeners.yaml"), "{error}");
    }

    #[test]
    fn every_fault_of_a_refused_configuration_has_a_line() {
        let targets = r#"{"name": "a", "cluster": "a"}, {"name": "b", "cluster": "b"}"#;
        assert_eq!(faults(&format!(r#"{{"targets": [{targets}]}}"#)), "");
        let found = faults(&format!(r#"{{"targets": [{targets}], "default": "c", "mode": 1}}"#));
        assert!(found.contains("\n  default = \"c\": "), "{found}");
        assert!(found.contains("\n  mode = 1: "), "{found}");
    }
}
