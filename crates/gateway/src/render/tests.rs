use serde_json::Value;

use super::*;

fn place() -> Place<'static> {
    Place {
        wasm: "dist/pointsman.wasm",
        directory: "out",
        ca: CA_FILES[0],
        keys: None,
        unique: false,
        control: None,
    }
}

fn tree(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn rendered(text: &str) -> (Value, Files) {
    let gateway = Gateway::read(text).unwrap();
    let files = envoy(&gateway, &place()).unwrap();
    (tree(&files["envoy.yaml"]), files)
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let list = list.as_array().unwrap();
    list.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

const THREE: &str = r#"
providers:
  local: {kind: vllm, url: "http://gpu.internal:8000", headers: {x-team: 'a "b" %REQ(x)%'}}
  eu: {kind: azure, url: https://me.openai.azure.com, key: {file: /run/secrets/azure}}
targets:
- {name: small, model: local/org/small}
- name: medium
  endpoints: [{model: eu/gpt 4o, weight: 3}, {model: openai/gpt-4o}]
- {name: large, model: anthropic/claude}
cache: {tenant: credentials}
"#;

#[test]
fn the_same_file_gives_the_same_bytes() {
    let gateway = Gateway::read(THREE).unwrap();
    assert_eq!(envoy(&gateway, &place()).unwrap(), envoy(&gateway, &place()).unwrap());
    for (name, text) in xds(&gateway, &place()).unwrap() {
        assert!(tree(&text).is_object(), "{name}");
        assert!(!text.contains("\n\n\n") && text.ends_with('\n'), "{name}");
    }
}

#[test]
fn a_list_has_only_what_serves_the_same_api_and_caches_stand_first() {
    let (tree, _) = rendered(THREE);
    let clusters = &tree["static_resources"]["clusters"];
    let list =
        |name: &str| named(clusters, name)["cluster_type"]["typed_config"]["clusters"].clone();
    assert_eq!(
        list("medium-alone"),
        serde_json::json!([
            "medium-cache",
            "medium-endpoints",
            "medium-model-only",
            "medium-model-2-only"
        ])
    );
    assert_eq!(
        list("small"),
        serde_json::json!(["small-cache", "small-endpoints", "medium-instead"])
    );
    assert_eq!(
        list("small.messages"),
        serde_json::json!(["small-cache", "small-endpoints", "large-instead"])
    );
    assert_eq!(
        list("large"),
        serde_json::json!(["large-cache", "large-endpoints", "small-instead"])
    );
    // Only vLLM serves the responses API here: its list is another.
    assert_eq!(list("small.responses"), serde_json::json!(["small-cache", "small-endpoints"]));
    let group = named(clusters, "medium-endpoints");
    let weights = |at: usize| {
        group["load_assignment"]["endpoints"][0]["lb_endpoints"][at]["load_balancing_weight"]
            .clone()
    };
    assert_eq!((weights(0), weights(1)), (3.into(), 1.into()));
}

#[test]
fn an_endpoint_has_its_providers_path_host_name_and_key() {
    let (tree, files) = rendered(THREE);
    let listeners = &tree["static_resources"]["listeners"];
    let manager = |name: &str| {
        named(listeners, name)["filter_chains"][0]["filters"][0]["typed_config"].clone()
    };
    let azure = manager("medium-model");
    let route = &azure["route_config"]["virtual_hosts"][0]["routes"][0];
    assert_eq!(route["route"]["regex_rewrite"]["substitution"], "/openai/deployments/gpt%204o/\\1");
    assert_eq!(route["route"]["host_rewrite_literal"], "me.openai.azure.com");
    let injector = named(&azure["http_filters"], "envoy.filters.http.credential_injector");
    let credential = &injector["typed_config"]["credential"]["typed_config"];
    assert_eq!(credential["header"], "api-key");
    assert_eq!(
        credential["credential"]["sds_config"]["path_config_source"]["path"],
        "out/secrets/eu.yaml"
    );
    assert!(files["secrets/eu.yaml"].contains(r#"{"filename":"/run/secrets/azure"}"#));
    assert!(files["secrets/openai.yaml"].contains("OPENAI_API_KEY"));
    assert_eq!(files.get("secrets/local.yaml"), None);
    // What a header says is no format of Envoy's.
    let headers = &manager("small-model")["route_config"]["request_headers_to_add"];
    assert_eq!(headers[0]["header"]["value"], "a \"b\" %%REQ(x)%%");
    let anthropic = &manager("large-model")["route_config"]["request_headers_to_add"];
    assert_eq!(anthropic[0]["append_action"], "ADD_IF_ABSENT");
    let cluster = named(&tree["static_resources"]["clusters"], "large-model");
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "api.anthropic.com");
    let context = &tls["common_tls_context"]["validation_context"];
    assert_eq!(
        context["match_typed_subject_alt_names"][0]["matcher"]["exact"],
        "api.anthropic.com"
    );
    assert_eq!(context["trusted_ca"]["filename"], CA_FILES[0]);
    let plain = named(&tree["static_resources"]["clusters"], "small-model");
    assert_eq!(plain.get("transport_socket"), None);
}

#[test]
fn a_clients_key_goes_only_where_it_is_let_through() {
    let text = "providers: {openai: {auth: passthrough}}\ntargets:\n- {name: a, model: groq/x}\n- {name: b, model: openai/y}\n";
    let (tree, _) = rendered(text);
    let listeners = &tree["static_resources"]["listeners"];
    let removed = |name: &str| {
        let manager = &named(listeners, name)["filter_chains"][0]["filters"][0]["typed_config"];
        // Before the key is put in.
        let first = &manager["http_filters"][0];
        assert_eq!(first["name"], "remove-credentials");
        first["typed_config"]["mutations"]["request_mutations"].clone()
    };
    let has =
        |list: Value, name: &str| list.as_array().unwrap().iter().any(|it| it["remove"] == name);
    assert!(has(removed("a-model"), "authorization"));
    assert!(!has(removed("b-model"), "authorization"));
    assert!(has(removed("b-model"), "cookie"));
    // Another kind's key is none of its business.
    assert!(has(removed("b-model"), "x-api-key"));
}

#[test]
fn the_filter_that_is_rendered_is_the_one_that_was_checked() {
    let (tree, _) = rendered(THREE);
    let listener = named(&tree["static_resources"]["listeners"], "llm");
    let filter = &listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0];
    let text = filter["typed_config"]["config"]["configuration"]["value"].as_str().unwrap();
    let gateway = Gateway::read(THREE).unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), gateway.filter(None));
    assert!(pointsman_core::config::Config::from_json(text.as_bytes()).is_ok());
}

#[test]
fn in_kubernetes_the_same_listeners_and_clusters_are_added() {
    let gateway = Gateway::read(THREE).unwrap();
    let whole = tree(&envoy(&gateway, &place()).unwrap()["envoy.yaml"]);
    let all = |kind: &str| whole["static_resources"][kind].as_array().unwrap().clone();
    let expected: Vec<Value> = all("clusters").into_iter().chain(all("listeners")).collect();
    let documents = |text: &str| -> Vec<Value> { text.split("\n---\n").map(tree).collect() };
    let files = istio(&gateway, &place()).unwrap();
    let resources = documents(&files["envoyfilter.yaml"]);
    let patches = resources[0]["spec"]["configPatches"].as_array().unwrap();
    let added: Vec<&Value> = patches.iter().skip(1).map(|it| &it["patch"]["value"]).collect();
    assert_eq!(added, expected.iter().collect::<Vec<_>>());
    assert_eq!(patches[0]["patch"]["value"]["stats_config"], whole["stats_config"]);
    assert_eq!(resources[1]["data"].as_object().unwrap().len(), 3, "one file for each key");
    let files = envoy_gateway(&gateway, &place()).unwrap();
    let resources = documents(&files["pointsman.yaml"]);
    let patches = resources[1]["spec"]["jsonPatches"].as_array().unwrap();
    let added: Vec<&Value> = patches.iter().map(|it| &it["operation"]["value"]).collect();
    assert_eq!(added, expected.iter().collect::<Vec<_>>());
    let bootstrap = tree(resources[2]["spec"]["bootstrap"]["value"].as_str().unwrap());
    assert_eq!(bootstrap["stats_config"], whole["stats_config"]);
}

#[test]
fn an_endpoint_that_changes_gets_another_name_and_the_others_keep_theirs() {
    let names = |text: &str| -> Vec<String> {
        let gateway = Gateway::read(text).unwrap();
        let place = Place { unique: true, ..place() };
        let tree = tree(&envoy(&gateway, &place).unwrap()["envoy.yaml"]);
        let listeners = tree["static_resources"]["listeners"].as_array().unwrap().clone();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        let found = listeners.iter().map(name).filter(|name| name.contains("-model"));
        let found: Vec<String> = found.collect();
        let clusters = tree["static_resources"]["clusters"].to_string();
        for name in &found {
            let cluster = format!("\"name\":\"{name}\"");
            let member = format!("\"server_listener_name\":\"{name}\"");
            assert!(clusters.contains(&cluster) && clusters.contains(&member), "{name}");
        }
        found
    };
    let before = names(THREE);
    let after = names(&THREE.replace("org/small", "org/smaller"));
    assert_eq!(before.len(), 4);
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
}

#[test]
fn the_header_that_names_the_tenant_is_removed_in_front_of_every_provider() {
    let text = THREE.replace("tenant: credentials", "tenant: {header: x-org}");
    let gateway = Gateway::read(&text).unwrap();
    let rendered = &envoy(&gateway, &place()).unwrap()["envoy.yaml"];
    assert_eq!(rendered.matches("- remove: x-org\n").count(), 4);
}

#[test]
fn what_a_client_shows_to_a_gateway_is_removed_unless_its_credentials_are_passed_on() {
    let removed = |text: &str, name: &str| {
        let rendered = &envoy(&Gateway::read(text).unwrap(), &place()).unwrap()["envoy.yaml"];
        rendered.matches(&format!("- remove: {name}\n")).count()
    };
    for name in ["ocp-apim-subscription-key", "x-litellm-api-key", "x-forwarded-access-token"] {
        assert_eq!(removed(THREE, name), 4, "{name}");
    }
    let named = THREE.replace("tenant: credentials", "tenant: {header: x-forwarded-user}");
    assert_eq!(removed(&named, "x-forwarded-user"), 4, "once for each endpoint");
    let passed = "targets:\n- {name: a, model: own/x}\n- {name: b, model: anthropic/y}\nproviders:\n  \
        own: {kind: openai-compatible, url: \"http://10.0.0.1:4000/v1\", auth: passthrough}\n";
    assert_eq!(removed(passed, "x-litellm-api-key"), 1);
}

#[test]
fn a_path_that_both_apis_have_goes_to_the_one_that_the_client_speaks() {
    let (tree, _) =
        rendered("targets:\n- {name: a, model: openai/x}\n- {name: b, model: anthropic/y}\n");
    let manager =
        &named(&tree["static_resources"]["listeners"], "llm")["filter_chains"][0]["filters"][0];
    let routes = &manager["typed_config"]["route_config"]["virtual_hosts"][0]["routes"];
    let side: Vec<(&str, bool)> = routes
        .as_array()
        .unwrap()
        .iter()
        .filter(|route| {
            route["name"] == "side-endpoint"
                && route["match"]["safe_regex"]["regex"].as_str().unwrap().contains("models")
        })
        .map(|route| {
            (route["route"]["cluster"].as_str().unwrap(), route["match"].get("headers").is_some())
        })
        .collect();
    assert_eq!(side, [("b-endpoints", true), ("a-endpoints", false), ("b-endpoints", false)]);
}

#[test]
fn metrics_are_served_without_the_rest_of_the_admin_interface() {
    let (tree, _) = rendered(&format!("{THREE}metrics: 0.0.0.0:9902\n"));
    let listener = named(&tree["static_resources"]["listeners"], "metrics");
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap();
    let paths: Vec<&Value> = routes.iter().map(|route| &route["match"]["path"]).collect();
    assert_eq!(paths, ["/stats/prometheus", "/ready"]);
    named(&tree["static_resources"]["clusters"], "admin");
}

#[test]
fn fragments_are_the_pieces_of_the_whole() {
    let gateway = Gateway::read(THREE).unwrap();
    let whole = tree(&envoy(&gateway, &place()).unwrap()["envoy.yaml"]);
    let files = fragment(&gateway, &place()).unwrap();
    let piece = |name: &str| tree(&files[name]);
    let manager = &named(&whole["static_resources"]["listeners"], "llm")["filter_chains"][0]["filters"]
        [0]["typed_config"];
    assert_eq!(piece("4-filter.yaml")[0], manager["http_filters"][0]);
    assert_eq!(piece("5-routes.yaml"), manager["route_config"]["virtual_hosts"][0]["routes"]);
    for (name, value) in piece("3-manager.yaml").as_object().unwrap() {
        assert_eq!(*value, manager[name], "{name}");
    }
    assert_eq!(piece("7-clusters.yaml"), whole["static_resources"]["clusters"]);
    assert_eq!(piece("6-listeners.yaml").as_array().unwrap().len(), 7, "endpoints and stand-ins");
    assert_eq!(piece("1-process.yaml")["layered_runtime"], whole["layered_runtime"]);
    assert!(files.contains_key("secrets/openai.yaml"));
}

#[test]
fn a_key_that_is_kept_elsewhere_or_goes_elsewhere_has_another_name() {
    let secrets = |text: &str| -> Vec<String> {
        let gateway = Gateway::read(text).unwrap();
        let files = xds(&gateway, &Place { unique: true, ..place() }).unwrap();
        let listeners = &files["listeners.yaml"];
        let secrets: Vec<String> =
            files.keys().filter(|it| it.starts_with("secrets/")).cloned().collect();
        assert!(secrets.iter().all(|it| listeners.contains(&format!("out/{it}"))), "{secrets:?}");
        secrets
    };
    let before = secrets(THREE);
    assert_eq!(before, secrets(THREE));
    for (old, new) in
        [("me.openai.azure.com", "us.openai.azure.com"), ("secrets/azure", "secrets/other")]
    {
        let after = secrets(&THREE.replace(old, new));
        assert_eq!(before.iter().filter(|it| !after.contains(it)).count(), 1, "{new}");
    }
}

#[test]
fn in_containers_processes_find_each_other_by_name_and_keys_are_passed_on() {
    let gateway = Gateway::read(&format!("{THREE}control: {{}}\n")).unwrap();
    let secrets = crate::file::ControlSecrets { key: "k".repeat(16), token: "t".repeat(16) };
    let files = compose(&gateway, &Place { control: Some(secrets), ..place() }, "1.2.3").unwrap();
    let compose = tree(&files["docker-compose.yaml"]);
    let envoy = &compose["services"]["envoy"];
    assert_eq!(envoy["image"], "envoyproxy/envoy:v1.2.3");
    assert_eq!(envoy["ports"], serde_json::json!(["127.0.0.1:10000:10000"]));
    assert_eq!(envoy["environment"], serde_json::json!(["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]));
    assert_eq!(
        envoy["volumes"],
        serde_json::json!(["./:/etc/pointsman:ro", "/run/secrets/azure:/run/secrets/azure:ro"])
    );
    let command = compose["services"]["cache"]["command"].to_string();
    assert!(
        command.contains(r#""--upstream","http://envoy:9021","--listen","0.0.0.0:9001""#),
        "{command}"
    );
    let clusters = tree(&files["clusters.yaml"]);
    let address = |name: &str| {
        let cluster = named(&clusters["resources"], name);
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
            ["socket_address"]["address"]
            .clone()
    };
    assert_eq!(
        (address("small-cache"), address("pointsman-control")),
        ("cache".into(), "control".into())
    );
    let environment = &compose["services"]["control"]["environment"];
    assert_eq!(environment["POINTSMAN_KEY"], "${POINTSMAN_KEY:?is not set}");
}
