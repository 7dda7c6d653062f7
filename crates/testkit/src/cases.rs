//! Reads `tests/cases/*.json`: decisions that every host must make alike.
//!
//! A file is `{"configuration": {..}, "cases": [..]}`. A case gives a request (`method`, `path`,
//! `headers`; a body as JSON in `body`, as text in `body_text` or as base64 in `body_base64`) and
//! what must become of it: `{"target", "source", "reason"}`, or `"passed"` for a request that is
//! not the router's business.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    configuration: Value,
    cases: Vec<Case>,
}

/// A request and what must become of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default = "post")]
    pub method: String,
    #[serde(default = "chat_completions")]
    pub path: String,
    #[serde(default = "json")]
    pub headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    body_base64: Option<String>,
    pub expect: Expect,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    Passed,
    #[serde(untagged)]
    Decision {
        target: String,
        source: String,
        reason: String,
    },
}

/// Defaults of a case: a JSON `POST` to the chat completions.
pub fn post() -> String {
    "POST".into()
}

pub fn chat_completions() -> String {
    "/v1/chat/completions".into()
}

pub fn json() -> BTreeMap<String, String> {
    BTreeMap::from([("content-type".into(), "application/json".into())])
}

impl Case {
    /// The bytes of the body; none for a request of headers only.
    pub fn body(&self) -> Option<Vec<u8>> {
        match (&self.body, &self.body_text, &self.body_base64) {
            (Some(json), None, None) => Some(json.get().into()),
            (None, Some(text), None) => Some(text.clone().into()),
            (None, None, Some(base64)) => Some(BASE64_STANDARD.decode(base64).unwrap()),
            (None, None, None) => None,
            _ => panic!("{}: more than one body", self.name),
        }
    }
}

/// All cases of all files: file name, configuration, case.
pub fn all() -> Vec<(String, Value, Case)> {
    let directory = crate::root().join("tests/cases");
    let mut paths: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "json")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read(path).unwrap();
        let file: File =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in file.cases {
            all.push((name.clone(), file.configuration.clone(), case));
        }
    }
    assert!(!all.is_empty(), "no cases in {}", directory.display());
    all
}
