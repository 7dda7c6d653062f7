//! The example deployments against published schemas, and in real Envoy where that is possible.
use std::io::Write;
use std::process::{Command, Output, Stdio};

use http::Request;
use serde_json::{Value, json};

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::recorder::Recorder;
use pointsman_testkit::{installed_envoy, root, supported_versions, wasm_module};

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The resources of a YAML file.
fn resources(file: &str) -> Vec<Value> {
    read(file).split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

fn run(program: &mut Command, input: &str) -> Output {
    let mut child = program
        .current_dir(root().join("tests/deploy"))
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

/// What the schemas say of each resource: `None` where there is no schema. `None` in all when the
/// packages are absent.
fn verdicts(resources: &[Value]) -> Option<Vec<Option<String>>> {
    let installed = root().join("tests/deploy/node_modules").is_dir();
    has(installed, "schemas of Kubernetes resources", "node-packages").then(|| {
        let output = run(Command::new("node").arg("kubernetes.mjs"), &json!(resources).to_string());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

#[test]
fn kubernetes_resources_hold_by_their_published_schemas() {
    let files = [
        "deploy/istio/pointsman.yaml",
        "deploy/istio/envoyfilter.yaml",
        "deploy/envoy-gateway/pointsman.yaml",
    ];
    let resources: Vec<Value> = files.iter().flat_map(|file| resources(file)).collect();
    let Some(verdicts) = verdicts(&resources) else { return };
    let mut unchecked = Vec::new();
    for (resource, verdict) in resources.iter().zip(verdicts) {
        match verdict {
            Some(problem) => assert_eq!(problem, "", "{}", resource["kind"]),
            None => unchecked.push(resource["kind"].as_str().unwrap()),
        }
    }
    // No package has Envoy Gateway's own schemas.
    let own = ["EnvoyExtensionPolicy", "EnvoyPatchPolicy", "ClientTrafficPolicy", "EnvoyProxy"];
    assert_eq!(unchecked, own);
}

#[test]
fn a_broken_kubernetes_resource_is_refused_by_its_schema() {
    let mut broken = Vec::new();
    let mut damage = |file: &str, place: &str, value: Value| {
        let all = resources(file);
        let mut found = all.into_iter().filter_map(|mut resource| {
            *resource.pointer_mut(place)? = value.clone();
            Some(resource)
        });
        broken.push(found.next().unwrap());
    };
    let istio = "deploy/istio/pointsman.yaml";
    damage(istio, "/spec/failStrategy", json!("FAIL_SOMETIMES"));
    damage(istio, "/spec/url", json!(8080));
    damage(istio, "/spec/http/0/route/0/destination", json!("cheap"));
    damage(istio, "/spec/accessLogging/0/providers/0/name", json!(1));
    damage("deploy/istio/envoyfilter.yaml", "/spec/configPatches/0/patch/operation", json!("PUT"));
    let gateway = "deploy/envoy-gateway/pointsman.yaml";
    damage(gateway, "/spec/rules/0/backendRefs/0/port", json!("80"));
    damage(gateway, "/spec/rules/1/timeouts/request", json!("none"));
    let Some(verdicts) = verdicts(&broken) else { return };
    for (resource, verdict) in broken.iter().zip(verdicts) {
        assert!(verdict.is_some_and(|problem| !problem.is_empty()), "accepted: {resource}");
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
    let output = check(&documented);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (right, wrong) in [
        ("restart: unless-stopped", "restart: sometimes"),
        ("image: envoyproxy", "imag: envoyproxy"),
        ("10000:10000\"", "10000:port\""),
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
