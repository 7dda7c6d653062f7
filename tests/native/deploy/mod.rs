//! The example deployments against published types and schemas, and in real Envoy where that is
//! possible.
use std::collections::BTreeMap;
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

#[test]
fn what_is_rendered_is_up_to_date() {
    let pod = ["--directory", "/etc/pointsman", "--wasm", "/etc/pointsman/plugin.wasm"];
    for (what, file, out, more) in [
        ("envoy", "envoy/pointsman.yaml", "envoy", &[][..]),
        ("xds", "envoy/pointsman.yaml", "deploy/xds", &[]),
        ("istio", "deploy/pointsman.yaml", "deploy/istio", &pod),
        ("envoy-gateway", "deploy/pointsman.yaml", "deploy/envoy-gateway", &pod),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .current_dir(root())
            .args(["render", what, "--file", file, "--check", "--out", out])
            .args(more)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\nhint: run `make render`");
    }
}

const ISTIO: &str = "deploy/istio/envoyfilter.yaml";
const ENVOY_GATEWAY: &str = "deploy/envoy-gateway/pointsman.yaml";

#[test]
fn kubernetes_resources_hold_by_the_types_of_their_kinds() {
    let resources: Vec<Value> = [ISTIO, ENVOY_GATEWAY].into_iter().flat_map(resources).collect();
    let mut unchecked = Vec::new();
    for resource in &resources {
        match kubernetes::check(resource) {
            Some(verdict) => assert_eq!(verdict, Ok(()), "{}", resource["kind"]),
            None => unchecked.push(resource),
        }
    }
    let kinds: Vec<&Value> = unchecked.iter().map(|resource| &resource["kind"]).collect();
    assert_eq!(kinds, ["EnvoyPatchPolicy", "EnvoyProxy"]);
    for resource in unchecked {
        assert_eq!(resource["apiVersion"], "gateway.envoyproxy.io/v1alpha1");
        for (place, known) in kubernetes::ENVOY_GATEWAY {
            let found = resource.pointer(place).and_then(Value::as_object);
            for name in found.into_iter().flat_map(|fields| fields.keys()) {
                assert!(known.contains(&name.as_str()), "{place}: {name}");
            }
        }
    }
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
        (ISTIO, "/spec/configPatches/0/patch/operation", json!("PUT"), "unknown variant"),
        (ISTIO, "/spec/workloadSelector/labels", json!(7), "invalid type"),
        (ENVOY_GATEWAY, "/spec/listeners/0/port", json!("80"), "expected i32"),
        (ENVOY_GATEWAY, "/spec/gatewayClassName", json!(1), "expected a string"),
    ] {
        let broken = changed(file, place, |there| *there = value.clone());
        let verdict = kubernetes::check(&broken).unwrap();
        assert!(verdict.clone().is_err_and(|error| error.contains(problem)), "{verdict:?}");
    }
    for (file, place, field) in [
        (ISTIO, "", "sepc"),
        (ISTIO, "/spec/workloadSelector", "matchLabels"),
        (ISTIO, "/spec/configPatches/0/match", "contxt"),
        (ISTIO, "/spec/configPatches/0/patch", "values"),
        (ENVOY_GATEWAY, "/spec", "listener"),
        (ENVOY_GATEWAY, "/spec/infrastructure/parametersRef", "namespce"),
    ] {
        let broken = changed(file, place, |there| there[field] = json!({}));
        let verdict = kubernetes::check(&broken).unwrap();
        assert!(verdict.is_err_and(|error| error.contains(field)), "accepted: {broken}");
    }
    let other = changed(ISTIO, "/kind", |there| *there = json!("EnvoyFilters"));
    assert_eq!(kubernetes::check(&other), None);
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

/// Envoy's own configuration, as a gateway makes it of its bootstrap and what is added.
fn assembled(bootstrap: Value, added: Vec<Value>) -> Value {
    let mut tree = bootstrap;
    tree["node"] = json!({"id": "gateway", "cluster": "gateway"});
    tree["admin"] =
        json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}});
    let (listeners, clusters): (Vec<Value>, Vec<Value>) =
        added.into_iter().partition(|it| it.get("filter_chains").is_some());
    tree["static_resources"] = json!({"listeners": listeners, "clusters": clusters});
    tree
}

#[test]
fn what_is_added_to_a_gateway_routes_in_a_plain_envoy() {
    let istio = resources(ISTIO).remove(0);
    let patches = istio.pointer("/spec/configPatches").and_then(Value::as_array).unwrap();
    let value = |it: &Value| it["patch"]["value"].clone();
    // What Istio's own bootstrap has, to which lists are added.
    let mut bootstrap = value(&patches[0]);
    assert_eq!(bootstrap.get("bootstrap_extensions"), None);
    bootstrap["bootstrap_extensions"] = json!([{"name": "envoy.bootstrap.internal_listener",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}]);
    let layers = bootstrap["layered_runtime"]["layers"].as_array_mut().unwrap();
    layers.push(json!({"name": "admin", "admin_layer": {}}));
    let istio = assembled(bootstrap, patches.iter().skip(1).map(value).collect());
    let gateway = resources(ENVOY_GATEWAY);
    let patches = gateway[1].pointer("/spec/jsonPatches").and_then(Value::as_array).unwrap();
    let bootstrap = gateway[2].pointer("/spec/bootstrap/value").and_then(Value::as_str).unwrap();
    let added = patches.iter().map(|it| it["operation"]["value"].clone()).collect();
    let envoy_gateway = assembled(serde_saphyr::from_str(bootstrap).unwrap(), added);
    let binary = installed_envoy(&supported_versions().unwrap()[0]).unwrap();
    for (kind, tree) in [("istio", istio), ("envoy-gateway", envoy_gateway)] {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display().to_string();
        std::fs::create_dir(directory.path().join("secrets")).unwrap();
        std::fs::write(directory.path().join("large.key"), "key-of-large").unwrap();
        let files = if kind == "istio" { resources(ISTIO) } else { gateway.clone() };
        let secrets = files.last().unwrap()["data"].as_object().unwrap().clone();
        for (name, text) in secrets {
            let text = text
                .as_str()
                .unwrap()
                .replace("/etc/pointsman/keys/large", &format!("{place}/large.key"));
            std::fs::write(directory.path().join("secrets").join(name), text).unwrap();
        }
        let module = wasm_module().unwrap().display().to_string();
        let text = tree
            .to_string()
            .replace("/etc/pointsman/secrets", &format!("{place}/secrets"))
            .replace("/etc/pointsman/plugin.wasm", &module)
            .replace("\"port_value\":10000", "\"port_value\":0");
        let files = BTreeMap::from([("gateway.json".to_owned(), text)]);
        let mut deployment =
            Deployment::rendered(&files, directory.path(), "gateway.json").unwrap();
        let upstreams: Vec<Recorder> = ["cheap", "strong"]
            .into_iter()
            .map(|name| {
                let upstream = Recorder::start(name).unwrap();
                deployment.set_upstream(&format!("{name}-model"), upstream.address).unwrap();
                upstream
            })
            .collect();
        let envoy = Envoy::start(&binary, &deployment, directory.path()).unwrap();
        for (at, ask) in [
            (0, "What is the capital of France?"),
            (
                1,
                "Prove that there are infinitely many primes congruent to 3 modulo 4, and generalise.",
            ),
        ] {
            let body = json!({"model": "auto", "messages": [{"role": "user", "content": ask}]});
            let path = format!("/v1/chat/completions?{at}");
            let request = Request::post(&path)
                .header("content-type", "application/json")
                .header("authorization", "Bearer of-the-client")
                .body(client::whole(body.to_string()))
                .unwrap();
            let response = client::exchange(envoy.listener, Protocol::Http1, request).unwrap();
            assert_eq!(response.status, 200, "{kind}");
            let record =
                upstreams[at].find(&path).unwrap_or_else(|| panic!("{kind}: {at} was not asked"));
            let key = record.headers.get("authorization").map(|it| it.to_str().unwrap());
            assert_eq!(key, [None, Some("Bearer key-of-large")][at], "{kind}");
        }
    }
}
