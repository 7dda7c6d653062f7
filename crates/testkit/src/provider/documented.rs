//! What the providers' own documentation asks of a request, and whether one is like that.
//!
//! Written down apart from what Envoy's configuration is made of, so that a mistake there is seen
//! here. docs/providers.md names the page of each line.

use http::Method;
use serde_json::Value;

use super::{Account, Seen};

/// How a provider is told who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// None needed, and none to be seen.
    Nobody,
    /// One of these keys, in a header, behind a prefix.
    Key { header: &'static str, prefix: &'static str, keys: Vec<String> },
    /// A signature by this account.
    Signature(Account),
}

/// What is documented of a kind of provider.
#[derive(Debug)]
pub struct Documented {
    pub kind: &'static str,
    /// What stands before the API's own path; `{}` is the model.
    pub base: &'static str,
    /// Paths of APIs below that.
    pub apis: &'static [&'static str],
    /// Some paths beside the APIs.
    pub beside: &'static [(&'static str, &'static str)],
    /// The key's header, and what stands before the key; empty where there is none.
    pub key: (&'static str, &'static str),
    pub headers: &'static [(&'static str, &'static str)],
    pub query: &'static str,
    /// Hosted services speak HTTP/2; servers of one's own often do not.
    pub http2: bool,
}

const BEARER: (&str, &str) = ("authorization", "Bearer ");
const CHAT: &str = "chat/completions";
const COMPLETIONS: &str = "completions";
const RESPONSES: &str = "responses";
const MESSAGES: &str = "messages";

const OPENAI: Documented = Documented {
    kind: "openai",
    base: "/v1",
    apis: &[CHAT, COMPLETIONS, RESPONSES],
    beside: &[
        ("GET", "models"),
        ("POST", "embeddings"),
        ("POST", "files"),
        ("GET", "files/file-1"),
        ("GET", "responses/resp_1"),
        ("POST", "responses/input_tokens"),
    ],
    key: BEARER,
    headers: &[],
    query: "",
    http2: true,
};

/// All kinds.
pub static DOCUMENTED: [Documented; 13] = [
    OPENAI,
    Documented {
        kind: "anthropic",
        apis: &[MESSAGES],
        beside: &[("GET", "models"), ("POST", "files"), ("POST", "messages/count_tokens")],
        key: ("x-api-key", ""),
        headers: &[("anthropic-version", "2023-06-01")],
        ..OPENAI
    },
    Documented {
        kind: "azure",
        base: "/openai/deployments/{}",
        apis: &[CHAT, COMPLETIONS],
        beside: &[("POST", "embeddings")],
        key: ("api-key", ""),
        query: "api-version=2024-10-21",
        ..OPENAI
    },
    Documented {
        kind: "openrouter",
        base: "/api/v1",
        apis: &[CHAT, COMPLETIONS, MESSAGES],
        beside: &[("GET", "models"), ("POST", "embeddings")],
        ..OPENAI
    },
    Documented {
        kind: "groq",
        base: "/openai/v1",
        apis: &[CHAT, RESPONSES],
        beside: &[("GET", "models"), ("POST", "files")],
        ..OPENAI
    },
    Documented {
        kind: "mistral",
        apis: &[CHAT],
        beside: &[("GET", "models"), ("POST", "ocr")],
        ..OPENAI
    },
    Documented {
        kind: "deepseek",
        base: "",
        apis: &[CHAT, RESPONSES],
        beside: &[("GET", "models")],
        ..OPENAI
    },
    Documented {
        kind: "together",
        apis: &[CHAT, COMPLETIONS],
        beside: &[("GET", "models")],
        ..OPENAI
    },
    Documented {
        kind: "gemini",
        base: "/v1beta/openai",
        apis: &[CHAT],
        beside: &[("GET", "models")],
        ..OPENAI
    },
    Documented {
        kind: "bedrock",
        base: "/openai/v1",
        apis: &[CHAT],
        beside: &[],
        key: ("", ""),
        ..OPENAI
    },
    Documented {
        kind: "vllm",
        apis: &[CHAT, COMPLETIONS, RESPONSES, MESSAGES],
        beside: &[("GET", "models"), ("POST", "messages/count_tokens")],
        http2: false,
        ..OPENAI
    },
    Documented {
        kind: "ollama",
        apis: &[CHAT, COMPLETIONS, RESPONSES, MESSAGES],
        beside: &[("GET", "models")],
        key: ("", ""),
        http2: false,
        ..OPENAI
    },
    Documented { kind: "openai-compatible", http2: false, ..OPENAI },
];

/// Headers that any request may have. `x-request-id` finds it in two logs.
const USUAL: [&str; 8] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "accept",
    "user-agent",
    "x-request-id",
    "anthropic-beta",
];
const SIGNATURE: [&str; 3] = ["authorization", "x-amz-date", "x-amz-content-sha256"];

/// What a provider and its caller have agreed on.
#[derive(Clone, Debug)]
pub struct Terms {
    pub documented: &'static Documented,
    /// The name in the certificate.
    pub name: String,
    /// `NAME:PORT`.
    pub host: String,
    pub model: String,
    pub credential: Credential,
    /// Further headers that every request has.
    pub headers: Vec<(String, String)>,
}

impl Terms {
    /// The path of an API, as its documentation has it.
    pub fn path(&self, api: &str) -> String {
        format!("{}/{api}", self.documented.base.replace("{}", &self.model))
    }

    /// What is wrong with a request.
    pub fn faults(&self, seen: &Seen) -> Vec<String> {
        let mut faults = Vec::new();
        if seen.sni.as_deref() != Some(&self.name) {
            faults.push(format!("the TLS server name is {:?}, not {}", seen.sni, self.name));
        }
        if seen.host != self.host {
            faults.push(format!("the host is {:?}, not {}", seen.host, self.host));
        }
        faults.extend(self.path_fault(seen));
        faults.extend(self.credential_fault(seen));
        let signed = matches!(self.credential, Credential::Signature(_));
        let own = self.documented.headers.iter().map(|(name, value)| (*name, *value));
        let agreed = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let needed: Vec<(&str, &str)> = own.chain(agreed).collect();
        for (name, value) in &needed {
            let values: Vec<_> = seen.headers.get_all(*name).iter().collect();
            if !matches!(values.as_slice(), [it] if it == value) {
                faults.push(format!("{name} is {values:?}, not {value:?}"));
            }
        }
        for name in seen.headers.keys().map(http::HeaderName::as_str) {
            let known = USUAL.contains(&name)
                || (signed && SIGNATURE.contains(&name))
                || matches!(&self.credential, Credential::Key { header, .. } if *header == name)
                || needed.iter().any(|(needed, _)| *needed == name);
            if !known {
                faults.push(format!("{name} does not belong here"));
            }
        }
        faults
    }

    fn path_fault(&self, seen: &Seen) -> Option<String> {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        if query != self.documented.query {
            return Some(format!("the query is {query:?}, not {:?}", self.documented.query));
        }
        let Some(api) = path.strip_prefix(&self.path("")) else {
            return Some(format!("the path is {path:?}, not below {:?}", self.path("")));
        };
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let served = self.documented.apis.contains(&api) && seen.method == Method::POST;
        if served {
            return self.body_fault(api, &body);
        }
        let beside =
            |(method, path): &(&str, &str)| seen.method.as_str() == *method && *path == api;
        if !self.documented.beside.iter().any(beside) {
            return Some(format!("{} {path} is not documented", seen.method));
        }
        let counts = matches!(api, "messages/count_tokens" | "responses/input_tokens");
        if counts { self.model_fault(&body) } else { None }
    }

    fn body_fault(&self, api: &str, body: &Value) -> Option<String> {
        let right = match api {
            CHAT => body["messages"].is_array(),
            COMPLETIONS => body["prompt"].is_string(),
            RESPONSES => !body["input"].is_null(),
            _ => body["messages"].is_array() && body["max_tokens"].is_u64(),
        };
        if !right {
            return Some(format!("the body is not one of {api}"));
        }
        self.model_fault(body)
    }

    fn model_fault(&self, body: &Value) -> Option<String> {
        let named = body["model"].as_str();
        (named != Some(&self.model)).then(|| format!("the model is {named:?}, not {}", self.model))
    }

    fn credential_fault(&self, seen: &Seen) -> Option<String> {
        match &self.credential {
            Credential::Nobody => None,
            Credential::Signature(account) => account.fault(seen),
            Credential::Key { header, prefix, keys } => {
                let given: Vec<_> = seen.headers.get_all(*header).iter().collect();
                let [given] = given.as_slice() else {
                    return Some(format!("{header} is there {} times", given.len()));
                };
                let key = given.to_str().ok().and_then(|given| given.strip_prefix(prefix));
                let known = key.is_some_and(|key| keys.iter().any(|it| it == key));
                (!known)
                    .then(|| format!("{header} is {given:?}, not {prefix}KEY with one of {keys:?}"))
            }
        }
    }
}

/// What is documented of a kind.
pub fn documented(kind: &str) -> Option<&'static Documented> {
    DOCUMENTED.iter().find(|it| it.kind == kind)
}
