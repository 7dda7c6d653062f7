//! `envoy/docker-compose.yaml`, as far as it goes without a container engine: what would be mounted
//! is laid out in a directory, and the service's own command runs there, with an Envoy that only
//! validates.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::{root, supported_versions};

pub const CASES: &[Case] =
    &[("the_compose_file_starts_the_default_envoy_on_what_it_mounts", compose)];

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn list(value: &Value) -> Result<&[Value]> {
    Ok(value.as_array().with_context(|| format!("{value} is no list"))?)
}

/// A file that is mounted, which must exist, and its path in the container.
fn mount(volume: &Value) -> Result<(PathBuf, &str)> {
    let (source, target) = text(volume)?.split_once(':').context("no target")?;
    let source = root().join("envoy").join(source).canonicalize();
    let source = source.with_context(|| format!("{volume} is mounted"))?;
    let target = target.strip_suffix(":ro").context("what is mounted may be written to")?;
    Ok((source, target))
}

fn compose(stage: &Stage) -> Result<()> {
    let file = std::fs::read_to_string(root().join("envoy/docker-compose.yaml"))?;
    let file: Value = serde_saphyr::from_str(&file)?;
    let service = &file["services"]["envoy"];
    let version = supported_versions()?.into_iter().next().context("no versions")?;
    assert_eq!(service["image"], format!("envoyproxy/envoy:v{version}"));

    let container = tempfile::tempdir()?;
    let home = text(&service["working_dir"])?;
    for volume in list(&service["volumes"])? {
        let (source, target) = mount(volume)?;
        let inside = target.strip_prefix(home).context("mounted elsewhere")?;
        std::os::unix::fs::symlink(source, container.path().join(inside.trim_start_matches('/')))?;
    }
    let derived = container.path().join("derived.yaml");
    run(stage, &service["command"], container.path(), &derived)?;

    let derived: Value = serde_saphyr::from_str(&std::fs::read_to_string(&derived)?)?;
    let mut expected: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(root().join("envoy/envoy.yaml"))?)?;
    let listener = "/static_resources/listeners/0/address/socket_address/address";
    *expected.pointer_mut(listener).context("no listener")? = json!("0.0.0.0");
    assert_eq!(derived, expected, "nothing but the listener is opened");
    let port = &derived["static_resources"]["listeners"][0]["address"]["socket_address"];
    assert_eq!(service["ports"], json!([format!("127.0.0.1:{0}:{0}", port["port_value"])]));

    for name in ["cheap", "strong"] {
        let stand_in = &file["services"][name];
        assert_eq!(stand_in["network_mode"], "service:envoy", "127.0.0.1 is the same for both");
        let (_, mounted) = mount(&stand_in["volumes"][0])?;
        let command = list(&stand_in["command"])?;
        assert_eq!(command[1], mounted, "{name} runs what is mounted");
        let port: u16 = text(command.last().context("no port")?)?.parse()?;
        let clusters = list(&derived["static_resources"]["clusters"])?;
        let cache = clusters.iter().find(|it| it["name"] == format!("{name}-cache"));
        let endpoint =
            "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        let address = cache.and_then(|it| it.pointer(endpoint)).context("no endpoint")?;
        assert_eq!(address, &json!({"address": "127.0.0.1", "port_value": port}));
    }
    Ok(())
}

/// Runs the service's command in `container`, where it writes `derived` for the configuration.
fn run(stage: &Stage, command: &Value, container: &Path, derived: &Path) -> Result<()> {
    let bin = container.join("bin");
    std::fs::create_dir(&bin)?;
    let envoy = bin.join("envoy");
    let validate = format!(
        "#!/bin/sh\nexec '{}' --mode validate --use-dynamic-base-id \"$@\"\n",
        stage.binary.display()
    );
    std::fs::write(&envoy, validate)?;
    std::fs::set_permissions(&envoy, std::fs::Permissions::from_mode(0o755))?;
    let words: Vec<String> = list(command)?
        .iter()
        // The container has a /tmp of its own.
        .map(|word| Ok(text(word)?.replace("/tmp/envoy.yaml", &derived.display().to_string())))
        .collect::<Result<_>>()?;
    let (program, arguments) = words.split_first().context("no command")?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let output =
        Command::new(program).args(arguments).current_dir(container).env("PATH", path).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success() && said.contains("OK"), "{said}");
    Ok(())
}
