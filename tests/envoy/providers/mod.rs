//! `pointsman.yaml`, rendered, in front of providers that want every request as they document it.

mod failover;
mod gates;
mod kinds;
mod requests;
mod rollout;
mod secrets;
mod tls;
pub mod up;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::gateway::rendered;
use pointsman_testkit::process::tail;
use pointsman_testkit::provider::{Account, Authority, Credential, Identity, Provider, documented};

use crate::Case;
use crate::stage::{Stage, post};

pub fn cases() -> Vec<Case> {
    [
        kinds::CASES,
        requests::CASES,
        rollout::CASES,
        tls::CASES,
        secrets::CASES,
        failover::CASES,
        gates::CASES,
    ]
    .concat()
}

/// What clients bring, and no provider but one is to see.
const CLIENTS_KEY: &str = "sk-of-the-client";

/// Providers, and the file that names them.
struct Site {
    directory: TempDir,
    authority: Authority,
    providers: Vec<(String, Provider)>,
    /// `providers` of the file.
    entries: Map<String, Value>,
}

impl Site {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let authority = Authority::new("the test's own")?;
        authority.write(&directory.path().join("ca.pem"))?;
        Ok(Self { directory, authority, providers: Vec::new(), entries: Map::new() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds a provider with everything in order. Its key is `key-of-NAME`.
    fn add(&mut self, name: &str, kind: &str, model: &str) -> Result<&Provider> {
        let identity = self.authority.issue("localhost")?;
        self.add_with(name, kind, model, &identity)
    }

    /// The same with a certificate of the test's choice.
    fn add_with(
        &mut self,
        name: &str,
        kind: &str,
        model: &str,
        identity: &Identity,
    ) -> Result<&Provider> {
        let facts = documented(kind).context("no such kind")?;
        let key = format!("key-of-{name}");
        let credential = match facts.key {
            _ if kind == "bedrock" => Credential::Signature(account()),
            ("", _) => Credential::Nobody,
            (header, prefix) => Credential::Key { header, prefix, keys: vec![key.clone()] },
        };
        let provider = Provider::start(facts, model, credential, identity)?;
        let mut entry = json!({"kind": kind, "url": provider.url(), "ca": self.path("ca.pem")});
        if !facts.key.0.is_empty() {
            let file = self.path(&format!("{name}.key"));
            std::fs::write(&file, key)?;
            entry["key"] = json!({"file": file});
        }
        if kind == "bedrock" {
            entry["region"] = json!(account().region);
        }
        Ok(self.insert(name, provider, entry))
    }

    fn insert(&mut self, name: &str, provider: Provider, entry: Value) -> &Provider {
        self.entries.insert(name.to_owned(), entry);
        self.providers.push((name.to_owned(), provider));
        self.provider(name)
    }

    fn provider(&self, name: &str) -> &Provider {
        let found = self.providers.iter().find(|(found, _)| found == name);
        &found.unwrap_or_else(|| panic!("no provider {name}")).1
    }

    /// The file: these targets, and whatever else is given.
    fn text(&self, targets: Value, more: Value) -> String {
        let mut file = json!({
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "providers": self.entries,
            "targets": targets,
        });
        // Cases choose the target themselves.
        let names: Vec<Value> =
            targets.as_array().into_iter().flatten().map(|it| it["name"].clone()).collect();
        file["override"] = json!({"targets": names});
        for (name, value) in more.as_object().into_iter().flatten() {
            file[name] = value.clone();
        }
        file.to_string()
    }

    fn start(&self, stage: &Stage, targets: Value) -> Result<Running> {
        self.start_with(&stage.binary, &self.text(targets, json!({})), "envoy.yaml")
    }

    /// An Envoy with what is rendered from a file: as one file, or as those that Envoy watches.
    fn start_with(&self, binary: &Path, text: &str, start: &str) -> Result<Running> {
        let directory = self.path("envoy");
        std::fs::create_dir_all(&directory)?;
        let (_, mut deployment) = rendered(text, &directory, start)?;
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", account().id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", account().secret.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("KEY_OF_ENVIRONMENT", "key-of-environment"),
        ] {
            deployment.set_variable(name, value);
        }
        let envoy = Envoy::start(binary, &deployment, &directory)?;
        Ok(Running { envoy })
    }

    /// No provider found anything wrong.
    fn assert_no_faults(&self) {
        for (name, provider) in &self.providers {
            assert_eq!(provider.faults(), Vec::<String>::new(), "{name}");
        }
    }

    /// How many requests each provider has seen.
    fn counts(&self) -> Vec<usize> {
        self.providers.iter().map(|(_, provider)| provider.seen().len()).collect()
    }

    /// No provider but this one has seen a text.
    fn assert_only_seen_by(&self, owner: Option<&str>, text: &str) {
        for (name, provider) in &self.providers {
            for seen in provider.seen() {
                assert!(owner == Some(name) || !seen.has(text), "{name} saw {text}: {seen:?}");
            }
        }
    }
}

/// An Envoy in front of a site.
struct Running {
    envoy: Envoy,
}

impl Running {
    fn send(&self, request: Request<client::Body>) -> Result<Response> {
        client::exchange(self.envoy.listener, Protocol::Http1, request)
    }

    /// Posts a body for a target, with a client's credentials.
    fn ask(&self, target: &str, api: &str, body: &Value) -> Result<Response> {
        self.send(request(target, api, body)?)
    }

    /// The same; who answered.
    fn answered(&self, target: &str, api: &str) -> Result<String> {
        let response = self.ask(target, api, &body(api))?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        ensure!(
            response.status == 200,
            "{target} {api}: {} {text}\n{}",
            response.status,
            tail(&self.envoy.access_log(), 8)
        );
        let answer: Value = serde_json::from_str(&text)?;
        Ok(answer["model"].as_str().context("no model")?.to_owned())
    }

    /// A counter or gauge of Envoy's.
    fn statistic(&self, name: &str) -> Result<u64> {
        let text = self.envoy.admin_get(&format!("/stats?filter=^{name}$"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Ok(value.with_context(|| format!("no statistic {name}"))?.trim().parse()?)
    }
}

/// A request for a target, with all that a client may not pass on to a provider.
fn request(target: &str, api: &str, body: &Value) -> Result<Request<client::Body>> {
    let mut request = post(&format!("/v1/{api}"));
    for (name, value) in [
        ("x-pointsman-target", target),
        ("authorization", &format!("Bearer {CLIENTS_KEY}")),
        ("x-api-key", CLIENTS_KEY),
        ("api-key", CLIENTS_KEY),
        ("x-goog-api-key", CLIENTS_KEY),
        ("cookie", &format!("session={CLIENTS_KEY}")),
        ("x-pointsman-key", CLIENTS_KEY),
        ("x-pointsman-cluster", "strong"),
        ("x-pointsman-anything", CLIENTS_KEY),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "client.example"),
        ("x-envoy-max-retries", "0"),
        ("x-envoy-anything", CLIENTS_KEY),
        ("accept-encoding", "gzip"),
        ("anthropic-beta", "for-the-provider"),
    ] {
        request = request.header(name, value);
    }
    Ok(request.body(client::whole(Bytes::from(serde_json::to_vec(body)?)))?)
}

/// A body as an API wants it.
fn body(api: &str) -> Value {
    match api {
        "completions" => json!({"model": "auto", "prompt": "Hello"}),
        "responses" => json!({"model": "auto", "input": "Hello"}),
        _ => {
            let messages = [json!({"role": "user", "content": "Hello"})];
            json!({"model": "auto", "max_tokens": 9, "messages": messages})
        }
    }
}

fn account() -> Account {
    Account {
        id: "AKIDEXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        region: "eu-central-1".to_owned(),
        service: "bedrock".to_owned(),
    }
}

/// The error in what Envoy answers itself.
fn error_of(response: &Response) -> Result<String> {
    assert_eq!(response.header("content-type"), Some("application/json"));
    let answer: Value = serde_json::from_slice(&response.body)?;
    assert_eq!(answer["error"]["code"], json!(response.status), "{answer}");
    Ok(answer["error"]["message"].as_str().context("no message")?.to_owned())
}
