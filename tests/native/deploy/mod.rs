//! The example deployments against published types and schemas, and in real Envoy where that is
//! possible.
use std::io::Write;
use std::process::{Command, Output, Stdio};

use http::Request;
use serde_json::{Value, json};

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::recorder::Recorder;
use pointsman_testkit::{installed_envoy, root, supported_versions, wasm_module};

mod kubernetes;

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The resources of a YAML file.
fn resources(file: &str) -> Vec<Value> {
    read(file).split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

fn run(program: &mut Command, input: &str) -> Output {
    let mut child = program
        .current_dir(root().join("tests/native/deploy"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that failed early is told of by its output.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Whether what a test needs is there. On CI it must be.
fn has(there: bool, what: &str, target: &str) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "no {what}: run `make {target}`");
        eprintln!("skipped: no {what}; `make {target}` installs it");
    }
    there
}

const ISTIO: &str = "deploy/istio/pointsman.yaml";
const ENVOY_FILTER: &str = "deploy/istio/envoyfilter.yaml";
const ENVOY_GATEWAY: &str = "deploy/envoy-gateway/pointsman.yaml";

#[test]
fn what_is_rendered_is_up_to_date() {
    for (what, out) in [("envoy", "envoy"), ("xds", "deploy/xds")] {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .current_dir(root())
            .args(["render", what, "--file", "envoy/pointsman.yaml", "--check", "--out", out])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\nhint: run `make render`");
    }
}

#[test]
fn kubernetes_resources_hold_by_the_types_of_their_kinds() {
    let files = [ISTIO, ENVOY_FILTER, ENVOY_GATEWAY];
    let resources: Vec<Value> = files.iter().flat_map(|file| resources(file)).collect();
    let mut unchecked = Vec::new();
    for resource in &resources {
        match kubernetes::check(resource) {
            Some(verdict) => assert_eq!(verdict, Ok(()), "{}", resource["kind"]),
            None => unchecked.push((&resource["apiVersion"], &resource["kind"])),
        }
    }
    // No crate has types for Envoy Gateway's own kinds.
    let own = ["EnvoyExtensionPolicy", "EnvoyPatchPolicy", "ClientTrafficPolicy", "EnvoyProxy"];
    let own = own.map(|kind| (json!("gateway.envoyproxy.io/v1alpha1"), json!(kind)));
    assert_eq!(unchecked, own.each_ref().map(|(version, kind)| (version, kind)));
}

/// The first resource of the file that has the place, with `change` made to what is there.
fn changed(file: &str, place: &str, change: impl Fn(&mut Value)) -> Value {
    let mut found = resources(file).into_iter().filter_map(|mut resource| {
        change(resource.pointer_mut(place)?);
        Some(resource)
    });
    found.next().unwrap()
}

#[test]
fn a_broken_kubernetes_resource_is_refused_by_its_type() {
    for (file, place, value, problem) in [
        (ISTIO, "/spec/failStrategy", json!("FAIL_SOMETIMES"), "unknown variant"),
        (ISTIO, "/spec/url", json!(8080), "expected a string"),
        (ISTIO, "/spec/http/0/route/0/destination", json!("cheap"), "expected struct"),
        (ISTIO, "/spec/accessLogging/0/providers/0/name", json!(1), "expected a string"),
        (ENVOY_FILTER, "/spec/configPatches/0/patch/operation", json!("PUT"), "unknown variant"),
        (ENVOY_GATEWAY, "/spec/rules/0/backendRefs/0/port", json!("80"), "expected i32"),
        (ENVOY_GATEWAY, "/spec/rules/1/timeouts/request", json!("none"), "not a duration"),
    ] {
        let broken = changed(file, place, |there| *there = value.clone());
        let verdict = kubernetes::check(&broken).unwrap();
        assert!(verdict.is_err_and(|error| error.contains(problem)), "accepted: {broken}");
    }
}

#[test]
fn a_field_that_a_kubernetes_type_does_not_have_is_refused() {
    for (file, place, field) in [
        (ISTIO, "", "sepc"),
        (ISTIO, "/metadata", "namespce"),
        (ISTIO, "/spec", "urll"),
        (ISTIO, "/spec/selector", "matchLabel"),
        (ISTIO, "/spec/http/0/match/0", "header"),
        (ISTIO, "/spec/http/0/headers/request", "delete"),
        (ISTIO, "/spec/http/0/route/0", "destinations"),
        (ISTIO, "/spec/http/0/route/0/destination", "hots"),
        (ISTIO, "/spec/accessLogging/0/providers/0", "nam"),
        (ENVOY_FILTER, "/spec/workloadSelector", "matchLabels"),
        (ENVOY_FILTER, "/spec/configPatches/0/match", "contxt"),
        (ENVOY_FILTER, "/spec/configPatches/0/match/listener/filterChain/filter", "subfilter"),
        (ENVOY_FILTER, "/spec/configPatches/0/patch", "values"),
        (ENVOY_GATEWAY, "/spec/rules/0", "backendRef"),
        (ENVOY_GATEWAY, "/spec/rules/0/timeouts", "requests"),
        (ENVOY_GATEWAY, "/spec/rules/0/matches/0/headers/0", "vaule"),
        (ENVOY_GATEWAY, "/spec/rules/0/filters/0/requestHeaderModifier", "delete"),
    ] {
        let broken = changed(file, place, |there| there[field] = json!({}));
        let verdict = kubernetes::check(&broken).unwrap();
        assert!(verdict.is_err_and(|error| error.contains(field)), "accepted: {broken}");
    }
}

#[test]
fn a_kubernetes_resource_of_another_version_or_kind_has_no_type() {
    for (place, value) in [
        ("/apiVersion", "extensions.istio.io/v1"),
        ("/kind", "WasmPlugins"),
        // Has a type, but in another API group.
        ("/kind", "EnvoyFilter"),
    ] {
        let other = changed(ISTIO, place, |there| *there = json!(value));
        assert_eq!(kubernetes::check(&other), None, "{value}");
    }
}

#[test]
fn the_kubernetes_examples_label_metrics_and_log_decisions_as_envoy_yaml_does() {
    let documented: Value = serde_saphyr::from_str(&read("envoy/envoy.yaml")).unwrap();
    let log = documented
        .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/log_format/json_format")
        .unwrap();
    let of = |file: &str, kind: &str, name: &str| {
        let found = resources(file)
            .into_iter()
            .find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("{file} has no {kind} {name}"))
    };
    let proxy = of("deploy/envoy-gateway/pointsman.yaml", "EnvoyProxy", "pointsman");
    let bootstrap = proxy.pointer("/spec/bootstrap/value").unwrap().as_str().unwrap();
    let bootstrap: Value = serde_saphyr::from_str(bootstrap).unwrap();
    let patch = of("deploy/istio/pointsman.yaml", "EnvoyFilter", "pointsman-gateway");
    for stats in [&bootstrap, patch.pointer("/spec/configPatches/1/patch/value").unwrap()] {
        assert_eq!(*stats, json!({"stats_config": documented["stats_config"]}));
    }
    let fields = proxy.pointer("/spec/telemetry/accessLog/settings/0/format/json").unwrap();
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(*value, log[name], "{name}");
    }
    assert_eq!(fields["decision"], "%FILTER_STATE(wasm.pointsman:PLAIN)%");
    let istio = read("deploy/istio/pointsman.yaml");
    for (name, value) in fields.as_object().unwrap() {
        let line = format!("#           {name}: {value}\n");
        assert!(istio.contains(&line), "no {line}");
    }
}

#[test]
fn the_compose_file_holds_by_the_compose_specification_and_a_broken_one_does_not() {
    let python = root().join(".venv/bin/python");
    let installed = Command::new(&python).args(["-c", "import compose_spec"]).output();
    let installed = installed.is_ok_and(|output| output.status.success());
    if !has(installed, "compose_spec in .venv", "venv") {
        return;
    }
    let check = |text: &str| run(Command::new(&python).arg("compose.py"), text);
    let documented = read("envoy/docker-compose.yaml");
    let (envoy, own) = (&supported_versions().unwrap()[0], env!("CARGO_PKG_VERSION"));
    let images =
        [format!("envoyproxy/envoy:v{envoy}"), format!("ghcr.io/pointsman/pointsman:{own}")];
    for image in images {
        assert!(documented.contains(&format!("image: {image}\n")), "{image}");
    }
    let output = check(&documented);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (right, wrong) in [
        ("restart: unless-stopped", "restart: sometimes"),
        ("image: envoyproxy", "imag: envoyproxy"),
        (":10000\"", ":port\""),
    ] {
        assert!(documented.contains(right), "{right}");
        let output = check(&documented.replace(right, wrong));
        assert!(!output.status.success(), "accepted: {wrong}");
    }
}

#[test]
fn the_filter_of_the_envoy_filter_routes_in_real_envoy() {
    let patch = resources("deploy/istio/envoyfilter.yaml").remove(0);
    let filter = patch.pointer("/spec/configPatches/0/patch/value").unwrap().clone();
    let wasm = wasm_module().unwrap();
    let mut deployment = Deployment::documented(&wasm).unwrap();
    for name in ["cheap", "strong"] {
        let upstream = Recorder::start(name).unwrap().address;
        deployment.set_upstream(&format!("{name}-cache"), upstream).unwrap();
    }
    deployment.set_filter(filter, &wasm).unwrap();
    let binary = installed_envoy(&supported_versions().unwrap()[0]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let envoy = Envoy::start(&binary, &deployment, directory.path()).unwrap();
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]});
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(client::whole(body.to_string()))
        .unwrap();
    let response = client::exchange(envoy.listener, Protocol::Http1, request).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-pointsman-source"), Some("classifier"));
}
