use super::*;
use crate::file::Gateway;
use crate::render::{CA_FILES, Place, envoy, xds};

const TWO: &str = "targets:\n- {name: cheap, model: openai/a}\n- {name: strong, model: openai/b}\n";

fn place() -> Place<'static> {
    Place { wasm: "w", directory: "d", ca: CA_FILES[0], keys: None, unique: false, control: None }
}

fn rendered() -> Value {
    rendered_of(TWO)
}

fn rendered_of(file: &str) -> Value {
    let gateway = Gateway::read(file).unwrap();
    serde_saphyr::from_str(&envoy(&gateway, &place()).unwrap()["envoy.yaml"]).unwrap()
}

fn listener(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["listeners"][0]
}

fn manager(tree: &mut Value) -> &mut Value {
    &mut listener(tree)["filter_chains"][0]["filters"][0]["typed_config"]
}

fn faults(tree: &Value) -> Vec<String> {
    let found = examine(tree).into_iter().filter(|it| it.severity == Severity::Fault);
    found.map(|it| it.what).collect()
}

#[test]
fn what_we_render_has_all_that_it_needs() {
    assert_eq!(examine(&rendered()), []);
}

#[test]
fn what_holds_answers_is_not_taken_for_the_router() {
    let file = TWO.replace("openai/a}", "openai/a, escalate: {}}");
    assert_ne!(rendered_of(&file), rendered());
    assert_eq!(examine(&rendered_of(&file)), []);
}

#[test]
fn each_thing_that_is_missing_is_named_once() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("allow_on_headers_stop_iteration", |tree| {
            let plugin = &mut manager(tree)["http_filters"][0]["typed_config"]["config"];
            plugin["allow_on_headers_stop_iteration"] = false.into();
        }),
        ("a client can choose its own cluster", |tree| {
            manager(tree)["early_header_mutation_extensions"] = Value::Null;
        }),
        ("per_connection_buffer_limit_bytes is 1048576", |tree| {
            listener(tree).as_object_mut().unwrap().remove("per_connection_buffer_limit_bytes");
        }),
        ("the filter's configuration: targets: is required", |tree| {
            let plugin = &mut manager(tree)["http_filters"][0]["typed_config"]["config"];
            plugin["configuration"]["value"] = "{}".into();
        }),
        ("there is no cluster strong here", |tree| {
            let clusters = tree["static_resources"]["clusters"].as_array_mut().unwrap();
            clusters.retain(|it| it["name"] != "strong");
        }),
        ("in plain text to port 443", |tree| {
            let clusters = tree["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|it| it["name"] == "cheap-model").unwrap();
            cluster.as_object_mut().unwrap().remove("transport_socket");
        }),
        ("no route has cluster_header", |tree| {
            let host = &mut manager(tree)["route_config"]["virtual_hosts"][0];
            host["routes"].as_array_mut().unwrap().retain(|it| it["name"] != "decided");
        }),
        ("cut off after 15 seconds", |tree| {
            let host = &mut manager(tree)["route_config"]["virtual_hosts"][0];
            let routes = host["routes"].as_array_mut().unwrap();
            let route = routes.iter_mut().find(|it| it["name"] == "decided").unwrap();
            route["route"].as_object_mut().unwrap().remove("timeout");
        }),
        ("no HTTP connection manager here has the filter", |tree| {
            manager(tree)["http_filters"].as_array_mut().unwrap().remove(0);
        }),
    ];
    for (expected, change) in changes {
        let mut tree = rendered();
        change(&mut tree);
        let found = faults(&tree);
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:#?}");
    }
}

#[test]
fn the_order_of_filters_is_looked_at() {
    let mut tree = rendered();
    let filters = manager(&mut tree)["http_filters"].as_array_mut().unwrap();
    let kind = |name: &str| {
        let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{name}");
        serde_json::json!({"name": name, "typed_config": {"@type": kind}})
    };
    let others = ["jwt_authn.v3.JwtAuthentication", "compressor.v3.Compressor"].map(kind);
    filters.splice(0..0, others.clone());
    assert_eq!(examine(&tree), [], "in front they are right");
    let filters = manager(&mut tree)["http_filters"].as_array_mut().unwrap();
    filters.rotate_left(2);
    let found: Vec<String> = examine(&tree).into_iter().map(|it| it.what).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("JwtAuthentication is behind the filter: "), "{found:?}");
    assert!(found[1].starts_with("Compressor is behind the filter: "), "{found:?}");
    let mut tree = rendered();
    let filters = manager(&mut tree)["http_filters"].as_array_mut().unwrap();
    filters.insert(0, filters[0].clone());
    let found = faults(&tree);
    assert!(found.len() == 1 && found[0].contains("only the last one routes"), "{found:?}");
}

#[test]
fn files_for_discovery_are_looked_at_as_well() {
    let gateway = Gateway::read(TWO).unwrap();
    let files = xds(&gateway, &place()).unwrap();
    let read = |name: &str| -> Value { serde_saphyr::from_str(&files[name]).unwrap() };
    assert_eq!(faults(&read("clusters.yaml")).len(), 1, "only the filter is not there");
    // The filter is in a file of its own: nothing is wrong, and not everything is known.
    let listeners = examine(&read("listeners.yaml"));
    assert!(
        matches!(listeners.as_slice(), [Finding { severity: Severity::Unknown, .. }]),
        "{listeners:?}"
    );
    // As a running Envoy shows it.
    let dump = serde_json::json!({"configs": [read("listeners.yaml"), read("clusters.yaml"), read("filter.yaml")]});
    assert_eq!(examine(&dump), []);
}
