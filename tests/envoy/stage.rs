//! One Envoy of a version with its two recording upstreams, and what cases do on it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::{Envoy, decision_of};
use pointsman_testkit::recorder::{Record, Recorder};
use pointsman_testkit::{installed_envoy, root, wasm_module};

use crate::escalation::Net;

pub const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// A running deployment.
pub struct Stage {
    pub binary: PathBuf,
    pub deployment: Deployment,
    pub envoy: Envoy,
    pub cheap: Recorder,
    pub strong: Recorder,
    requests: AtomicUsize,
    _directory: TempDir,
    /// Other deployments with the same Envoy, started when the first case asks.
    variants: Variants,
    /// An Envoy that holds answers, started when the first case asks.
    net: OnceLock<Result<Arc<Net>, String>>,
}

type Variants = Mutex<HashMap<&'static str, Result<Arc<Stage>, String>>>;

impl Stage {
    fn start(version: &str) -> Result<Self> {
        Self::start_with(installed_envoy(version)?, |_| Ok(()))
    }

    /// A deployment that `change` makes of the documented one. Every case that asks for the same
    /// name gets the same Envoy, which is stopped with this one.
    pub fn variant(
        &self,
        name: &'static str,
        change: impl FnOnce(&mut Deployment) -> Result<()>,
    ) -> Result<Arc<Stage>> {
        let mut variants = self.variants.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let stage = Self::start_with(self.binary.clone(), change);
            stage.map(Arc::new).map_err(|error| format!("{error:?}"))
        };
        variants.entry(name).or_insert_with(start).clone().map_err(anyhow::Error::msg)
    }

    /// The Envoy that holds answers; it is stopped with this one.
    pub fn net(&self) -> Result<Arc<Net>> {
        let start = || Net::start(&self.binary).map(Arc::new).map_err(|error| format!("{error:?}"));
        self.net.get_or_init(start).clone().map_err(anyhow::Error::msg)
    }

    fn start_with(
        binary: PathBuf,
        change: impl FnOnce(&mut Deployment) -> Result<()>,
    ) -> Result<Self> {
        let cheap = Recorder::start("small-model")?;
        let strong = Recorder::start("large-model")?;
        let mut deployment = Deployment::documented(&wasm_module()?)?;
        deployment.set_upstream("cheap-cache", cheap.address)?;
        deployment.set_upstream("strong-cache", strong.address)?;
        // Side endpoints pass by the caches.
        deployment.set_upstream("strong-model", strong.address)?;
        deployment.enable_http1_trailers()?;
        change(&mut deployment)?;
        let directory = tempfile::tempdir()?;
        let envoy = Envoy::start(&binary, &deployment, directory.path())?;
        let requests = AtomicUsize::new(0);
        Ok(Self {
            binary,
            deployment,
            envoy,
            cheap,
            strong,
            requests,
            _directory: directory,
            variants: Variants::default(),
            net: OnceLock::new(),
        })
    }

    /// The minor version of this Envoy: 40 of 1.40.0.
    pub fn minor(&self) -> Result<u32> {
        let parts = self.binary.components().filter_map(|part| part.as_os_str().to_str());
        let version = parts.filter_map(|part| part.strip_prefix("1.")).next_back();
        let minor = version.and_then(|rest| rest.split('.').next()).context("no version")?;
        Ok(minor.parse()?)
    }

    /// A path in the filter's scope that no other request has: it finds the request again.
    pub fn path(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("/t{number}/v1/chat/completions")
    }

    pub fn send(&self, protocol: Protocol, request: Request<client::Body>) -> Result<Response> {
        client::exchange(self.envoy.listener, protocol, request)
    }

    /// Posts a chat body to a new path.
    pub fn chat(&self, body: &Value) -> Result<Sent> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let path = self.path();
        let request = post(&path).body(client::whole(body))?;
        let response = self.send(Protocol::Http1, request)?;
        Ok(Sent { path, response })
    }

    /// Where the request to `path` arrived: the cluster's name and what was received. In front of a
    /// model, the provider's own path stands where the client's prefix stood, so that only a query
    /// tells requests apart.
    pub fn landing(&self, path: &str) -> Result<(&'static str, Record)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for (cluster, recorder) in [("cheap", &self.cheap), ("strong", &self.strong)] {
                let own = path.find("/v1/").filter(|_| path.contains('?')).map(|at| &path[at..]);
                let found = recorder.find(path).or_else(|| recorder.find(own?));
                if let Some(record) = found {
                    return Ok((cluster, record));
                }
            }
            if Instant::now() > deadline {
                bail!("no upstream saw {path}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets the event stream go on that answers the request to `path`.
    pub fn go_on(&self, path: &str) -> Result<()> {
        match self.landing(path)?.0 {
            "cheap" => self.cheap.go_on(),
            _ => self.strong.go_on(),
        }
        Ok(())
    }

    /// The access-log line of the request to `path`.
    pub fn logged(&self, path: &str) -> Result<Value> {
        let logged = path.split('?').next().unwrap_or_default();
        self.envoy.access_log_line(|line| line["path"] == logged).with_context(|| path.to_owned())
    }

    /// The decision record of the request to `path`.
    pub fn decision(&self, path: &str) -> Result<Value> {
        decision_of(&self.logged(path)?)
    }

    /// Asserts that the classifier decided and that the request is where it wanted it.
    pub fn assert_routed_by_the_classifier(&self, sent: &Sent) -> Result<()> {
        let Sent { path, response } = sent;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("x-pointsman-source"), Some("classifier"), "{path}");
        let (cluster, _) = self.landing(path)?;
        assert_eq!(response.header("x-pointsman-target"), Some(cluster), "{path}");
        Ok(())
    }

    /// Asserts that the request went to the default target, for this reason.
    pub fn assert_defaulted(&self, sent: &Sent, reason: &str) -> Result<()> {
        let Sent { path, response } = sent;
        assert_eq!(response.status, 200, "{reason}");
        assert_eq!(response.header("x-pointsman-reason"), Some(reason));
        assert_eq!(response.header("x-pointsman-source"), Some("default"), "{reason}");
        assert_eq!(response.header("x-pointsman-target"), Some("strong"), "{reason}");
        assert_eq!(response.header("x-pointsman-score"), None, "{reason}");
        assert_eq!(self.landing(path)?.0, "strong", "{reason}");
        let decision = self.decision(path)?;
        assert_eq!(decision["reason"], reason);
        assert_eq!(decision["cluster"], "strong", "{reason}");
        Ok(())
    }
}

/// A request that was answered.
pub struct Sent {
    pub path: String,
    pub response: Response,
}

/// A JSON POST.
pub fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

/// A chat body with one user message.
pub fn chat_body(text: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
}

/// Letters of which no two pages are alike.
pub fn noise(bytes: usize) -> String {
    let mut noise: u32 = 1;
    let letters = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (noise >> 24) as u8 % 26)
    });
    letters.take(bytes).collect()
}

/// `body` in pieces of `size` bytes, which cut through tokens and characters.
pub fn cut(body: &[u8], size: usize) -> Vec<Bytes> {
    body.chunks(size).map(Bytes::copy_from_slice).collect()
}

/// The bodies of `envoy/prompts.jsonl`, the demo's prompts.
pub fn demo_prompts() -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(root().join("envoy/prompts.jsonl"))?;
    text.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["request"].take())).collect()
}

/// The stages by version, each started when its first case asks for it.
#[derive(Default)]
pub struct Stages {
    started: Mutex<HashMap<String, Result<Arc<Stage>, String>>>,
}

impl Stages {
    /// The stage of `version`; a start that failed is not tried again.
    pub fn get(&self, version: &str) -> Result<Arc<Stage>, String> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started
            .entry(version.to_owned())
            .or_insert_with(|| {
                Stage::start(version).map(Arc::new).map_err(|error| format!("{error:?}"))
            })
            .clone()
    }

    /// Stops every Envoy.
    pub fn stop(&self) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
