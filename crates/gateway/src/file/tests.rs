use super::*;
use crate::Kind;

fn errors(text: &str) -> Vec<String> {
    let errors = Gateway::read(text).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

const TWO: &str = "
targets:
- {name: cheap, model: openai/gpt-4o-mini}
- {name: strong, model: openai/gpt-4o}
";

#[test]
fn two_model_names_are_enough() {
    let gateway = Gateway::read(TWO).unwrap();
    let [provider] = gateway.providers.as_slice() else { panic!("{:?}", gateway.providers) };
    assert_eq!(provider.kind, Kind::OpenAi);
    assert_eq!(provider.url.text(), "https://api.openai.com/v1");
    assert_eq!(provider.key, Some(Key::Env("OPENAI_API_KEY".to_owned())));
    assert_eq!(gateway.listen.to_string(), "127.0.0.1:10000");
    assert_eq!(gateway.default, 1);
    let filter = gateway.filter(None);
    // The table knows both.
    assert!(
        filter["targets"][0]["price"]["input"].as_f64()
            < filter["targets"][1]["price"]["input"].as_f64()
    );
    assert_eq!(filter["targets"][0]["cluster"], "cheap");
    assert_eq!(filter["targets"][0]["apis"], json!(["chat", "completions", "responses"]));
    assert_eq!(filter["policy"], json!({"preset": "balanced"}));
    assert_eq!(filter.get("control"), None);
}

#[test]
fn json_is_yaml_too() {
    let json = r#"{"targets": [{"name": "a", "model": "ollama/x:1b"}, {"name": "b", "model": "vllm/org/y"}]}"#;
    let gateway = Gateway::read(json).unwrap();
    assert_eq!(gateway.targets[1].endpoints[0].model, "org/y");
    assert_eq!(gateway.providers[0].url.text(), "http://127.0.0.1:11434/v1");
    assert_eq!(gateway.providers[1].key, None);
}

#[test]
fn every_kind_is_where_its_documentation_says() {
    for (entry, url, key) in [
        ("anthropic: {}", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
        (
            "azure: {url: https://me.openai.azure.com}",
            "https://me.openai.azure.com",
            "AZURE_OPENAI_API_KEY",
        ),
        (
            "a: {kind: bedrock, region: us-west-2}",
            "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
            "",
        ),
        ("a: {kind: groq}", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        (
            "a: {kind: groq, url: \"https://groq.proxy\"}",
            "https://groq.proxy/openai/v1",
            "GROQ_API_KEY",
        ),
        (
            "a: {kind: deepseek, url: \"https://deepseek.proxy\"}",
            "https://deepseek.proxy",
            "DEEPSEEK_API_KEY",
        ),
        (
            "a: {kind: bedrock, region: us-west-2, url: \"https://vpce.example\"}",
            "https://vpce.example/openai/v1",
            "",
        ),
        ("a: {kind: vllm, url: \"http://gpu:8000\"}", "http://gpu:8000/v1", ""),
        (
            "a: {kind: openai-compatible, url: \"https://x.example/api/\", key: {env: K}}",
            "https://x.example/api",
            "K",
        ),
    ] {
        let name = entry.split(':').next().unwrap();
        let text = format!(
            "providers:\n  {entry}\ntargets:\n- {{name: a, model: {name}/m}}\n- {{name: b, model: {name}/n}}\n"
        );
        let gateway = Gateway::read(&text).unwrap();
        assert_eq!(gateway.providers[0].url.text(), url);
        let expected = (!key.is_empty()).then(|| Key::Env(key.to_owned()));
        assert_eq!(gateway.providers[0].key, expected, "{entry}");
    }
}

#[test]
fn what_replaces_a_target_serves_the_same_api() {
    let gateway = Gateway::read(
        "targets:\n- {name: a, model: groq/x}\n- {name: b, model: anthropic/y}\n- {name: c, model: openai/z}\n",
    )
    .unwrap();
    let order = |at, api| gateway.order(at, api);
    assert_eq!(order(0, ApiFormat::ChatCompletions), [0, 2]);
    assert_eq!(order(2, ApiFormat::ChatCompletions), [2, 0]);
    assert_eq!(order(1, ApiFormat::Messages), [1]);
    assert_eq!(order(0, ApiFormat::Messages), [1]);
    assert_eq!(order(1, ApiFormat::Completions), [2]);
}

#[test]
fn what_the_table_knows_of_all_endpoints_holds_for_the_target() {
    let gateway = Gateway::read(
        "targets:\n- name: a\n  endpoints: [{model: openai/gpt-4o-mini, weight: 3}, {model: openai/o3-mini}]\n- {name: b, model: openai/gpt-4o, context_tokens: 9000}\n",
    )
    .unwrap();
    let filter = gateway.filter(None);
    assert_eq!(filter["targets"][0]["images"], false, "o3-mini takes none");
    assert_eq!(filter["targets"][1]["context_tokens"], 9000, "the file's word counts");
    assert_eq!(gateway.targets[0].endpoints[0].weight, 3);
}

#[test]
fn twenty_mistakes_are_twenty_errors() {
    let text = r#"
listen: localhost:1
admin: 7
access_log: false
tls: {certificate: ""}
colour: red
providers:
  "bad name": {kind: openai}
  one: {kind: unknown}
  two: {kind: azure}
  three: {kind: bedrock, key: {env: X}}
  four: {kind: openai, key: sk-secret-1234567890}
  five: {kind: openai, url: "ftp://x"}
  six: {kind: openai, url: "http://api.openai.com:443"}
  seven: {kind: openai, auth: passthrough, key: {env: X}}
  eight: {kind: anthropic, auth: passthrough, headers: {Host: x}}
targets:
- {name: cheap, model: gpt-4o-mini}
- {name: cheap, model: nobody/x, threshold: 2}
- {name: "no good", model: azure/x, endpoints: []}
policy: {preset: fast}
cache: {tenant: everyone}
control: {key: 0123456789abcdef}
"#;
    let errors = errors(text);
    let begins = |start: &str| errors.iter().any(|error| error.starts_with(start));
    for start in [
        "listen = \"localhost:1\": must be an IP address",
        "admin = 7",
        "access_log = false",
        "tls.certificate = \"\"",
        "tls.key: is required",
        "colour = \"red\": unknown field",
        "providers.bad name",
        "providers.one.kind = \"unknown\": must be one of openai, anthropic",
        "providers.two.url: is required for kind azure",
        "providers.three.region: is required",
        "providers.four.key: must be {env: NAME}",
        "providers.five.url = \"ftp://x\"",
        "providers.six.url = \"http://api.openai.com:443\": must begin with https://",
        "providers.seven.key: must be left out",
        "providers.eight.headers.Host",
        "providers.seven.auth = \"passthrough\": a client's key is for one provider",
        "targets[0].model = \"gpt-4o-mini\": must be PROVIDER/MODEL",
        "targets[1].model = \"nobody/x\": \"nobody\" is neither",
        "targets[1].threshold = 2",
        "targets[1].name = \"cheap\": must be unique",
        "targets[2].endpoints = []: must be left out",
        "targets[2].name = \"no good\"",
        "policy.preset = \"fast\"",
        "cache.tenant = \"everyone\"",
        "control.key: must be {env: NAME}",
    ] {
        assert!(begins(start), "{start}\n{errors:#?}");
    }
    assert!(!errors.iter().any(|error| error.contains("sk-secret")), "{errors:#?}");
    assert_eq!(errors.len(), 25, "{errors:#?}");
}

#[test]
fn a_cache_that_would_make_all_clients_one_tenant_is_refused() {
    let [error] = errors(&format!("{TWO}\ncache: {{}}\n")).try_into().unwrap();
    assert!(error.starts_with("cache.tenant: is required"), "{error}");
    let own = "providers: {openai: {auth: passthrough}}\ncache: {}\n";
    let gateway = Gateway::read(&format!("{own}{TWO}")).unwrap();
    assert_eq!(gateway.cache.unwrap().tenant, Tenant::Credentials);
    let named = format!("{TWO}\ncache: {{tenant: {{header: x-tenant}}}}\n");
    let gateway = Gateway::read(&named).unwrap();
    assert_eq!(gateway.filter(None)["tenant_header"], "x-tenant");
}

#[test]
fn a_control_planes_secrets_are_only_where_they_are_given() {
    let gateway = Gateway::read(&format!("{TWO}\ncontrol: {{interval_ms: 500}}\n")).unwrap();
    assert_eq!(gateway.filter(None).get("control"), None);
    let secrets = ControlSecrets { key: "k".repeat(16), token: "t".repeat(16) };
    let filter = gateway.filter(Some(&secrets));
    assert_eq!(filter["control"]["interval_ms"], 500);
    assert_eq!(filter["control"]["cluster"], Control::CLUSTER);
    let bad = errors(&format!("{TWO}\ncontrol: {{interval_ms: 0}}\n"));
    assert!(bad[0].starts_with("control.interval_ms = 0"), "{bad:?}");
}

#[test]
fn a_provider_that_no_target_names_is_left_out_and_told_of() {
    let gateway = Gateway::read(&format!("providers: {{a-spare: {{kind: groq}}}}\n{TWO}")).unwrap();
    assert_eq!(gateway.unused, ["a-spare"]);
    assert_eq!(gateway.providers.len(), 1);
    assert_eq!(gateway.providers[gateway.targets[1].endpoints[0].provider].kind, Kind::OpenAi);
}

#[test]
fn what_is_no_yaml_is_said_once() {
    let [error] = errors("targets: [").try_into().unwrap();
    assert!(error.starts_with("configuration: neither YAML nor JSON"), "{error}");
    let [error] = errors("- 1").try_into().unwrap();
    assert!(error.contains("must be an object"), "{error}");
}

#[test]
fn a_target_that_nothing_could_choose_is_a_mistake() {
    let text = "targets:\n- {name: a, model: groq/x, threshold: 0.2}\n- {name: b, model: groq/y, threshold: 0.5}\n- {name: c, model: groq/z}\n";
    let [error] = errors(text).try_into().unwrap();
    assert!(error.contains("threshold = 0.5: must be below 0.2"), "{error}");
}

#[test]
fn the_schema_that_editors_read_is_the_one_of_this_code() {
    let committed = include_str!("../../../../docs/pointsman.schema.json");
    let written: Value = serde_json::from_str(committed).unwrap();
    let hint = "docs/pointsman.schema.json is old: pointsman schema --of file > docs/pointsman.schema.json";
    assert!(written == json_schema(), "{hint}");
}

#[test]
fn no_error_shows_what_may_be_a_key() {
    for text in [
        "providers: {groq: {api_key: gsk-secret}}",
        "providers: {groq: gsk-secret}",
        "providers: {groq: {url: \"https://user:gsk-secret@host\"}}",
        "providers: {groq: {headers: {x-a: \"gsk-secret\\n\"}}}",
        "providers: {groq: {key: {env: gsk-secret}}}",
        "control: {token: gsk-secret}",
        "providers:\n  groq:\n    key: gsk-secret\n   : [",
    ] {
        let found = errors(&format!("{text}\n{TWO}"));
        assert!(!found.is_empty() && !found.concat().contains("gsk-secret"), "{found:?}");
    }
}

#[test]
fn names_ports_and_sizes_that_collide_are_mistakes() {
    let named = |name: &str| {
        format!("targets:\n- {{name: cheap, model: groq/x}}\n- {{name: {name}, model: groq/y}}\n")
    };
    for name in [
        "cheap-cache",
        "cheap-model",
        "cheap-model-2",
        "cheap-model-2-only",
        "cheap-instead",
        "admin",
    ] {
        let [error] = errors(&named(name)).try_into().unwrap();
        assert!(
            error.starts_with(&format!("targets[1].name = \"{name}\": must be another")),
            "{error}"
        );
    }
    Gateway::read(&named("cheap-models")).unwrap();
    for (more, expected) in [
        ("listen: 127.0.0.1:9901", "admin = 127.0.0.1:9901: must differ from listen"),
        ("metrics: 0.0.0.0:9901", "metrics = 0.0.0.0:9901: must differ from admin"),
        ("body: {hold_bytes: 8388608}", "body.hold_bytes = 8388608: must be at most"),
        ("cache: {tenant: {header: x_org}}", "cache.tenant.header = \"x_org\": must be without"),
    ] {
        let [error] = errors(&format!("{TWO}\n{more}\n")).try_into().unwrap();
        assert!(error.starts_with(expected), "{error}");
    }
    for url in ["http://gpu:80000/v1", "https://x:0", "https://x:port"] {
        let text = format!("providers: {{groq: {{url: \"{url}\"}}}}\n{}", named("strong"));
        assert!(errors(&text)[0].starts_with("providers.groq.url"), "{url}");
    }
}

const NET: &str =
    "targets: [{name: cheap, model: openai/a, escalate: {}}, {name: strong, model: openai/b}]\n";

#[test]
fn what_is_captured_goes_to_a_loopback_address_and_a_file_of_its_own() {
    let gateway =
        Gateway::read(&format!("{NET}capture: {{out: pairs.jsonl, share: 0.1}}")).unwrap();
    let capture = gateway.capture.as_ref().unwrap();
    assert_eq!(capture.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(capture.filter(), json!({"cluster": "pointsman-capture", "share": 0.1}));
    let arguments = crate::arguments::capture(capture);
    assert_eq!(arguments, ["capture", "--listen", "127.0.0.1:8090", "--out", "pairs.jsonl"]);
    let bad = errors(&format!(
        "{NET}capture: {{listen: '0.0.0.0:8090', share: 2, max_bytes: 1, redact: [1], x: 1}}"
    ));
    assert_eq!(
        bad,
        [
            "capture.x = 1: unknown field; known are listen, out, redact, share, max_bytes",
            "capture.listen = \"0.0.0.0:8090\": must be a loopback address: prompts go there",
            "capture.out: is required",
            "capture.share = 2: must be a number from 0 to 1",
            "capture.max_bytes = 1: must be a whole number from 256 to 1048576",
            "capture.redact[0] = 1: must be a string",
        ]
    );
    let bad = errors("targets: [{name: a, model: openai/a}]\ncapture: {out: f}");
    assert!(bad[0].starts_with("capture = "), "{bad:?}");
}
