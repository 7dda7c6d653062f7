//! Many requests, some of whose answers are bad, through a target that escalates; what the client,
//! the models and Envoy say of them must agree, request by request.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use pointsman_core::api::ApiFormat;
use serde_json::json;

use super::RUNTIME;
use super::client::{self, Connection, Protocol};
use super::envoy::Envoy;
use super::gateway::rendered;
use super::said::{self, Said, says};
use super::scripted::{Asked, Script, Scripted, Step, marked};

/// Every how many requests have a bad answer.
const BAD: u64 = 5;

/// What a request is, by its number.
#[derive(Clone, Copy)]
struct Kind {
    api: ApiFormat,
    streamed: bool,
    sign: Option<&'static str>,
}

impl Kind {
    fn of(id: u64) -> Self {
        let api = ApiFormat::ALL[(id / 3 % 4) as usize];
        let signs = ["empty", "refusal", "truncated", "error", "status", "unfinished"];
        let sign = (id % BAD == 1).then(|| signs[(id / BAD % 6) as usize]);
        Kind { api, streamed: id.is_multiple_of(2), sign }
    }

    /// The text of the prompt.
    fn text(self, id: u64) -> String {
        marked(id, &"What is 2 + 2? ".repeat((id % 97) as usize * 4))
    }

    /// What `model` answers.
    fn script(self, model: &str, id: u64) -> Script {
        let sound = says(format!("{model} says to {id}: it is 4. ").repeat(1 + (id % 31) as usize));
        let script = |said: &Said| Script::of(said, self.api, self.streamed);
        match self.sign.filter(|_| model == "cheap") {
            None => {
                let script = script(&sound);
                let length = script.bytes().len();
                match id % 7 {
                    0 => script.in_pieces(&[1, 2, 3, 500], Duration::ZERO),
                    1 => script.interrupted(length / 2, Step::Pause(Duration::from_millis(2))),
                    _ => script,
                }
            }
            Some("empty") => script(&says("")),
            Some("truncated") => script(&sound.ended_by("length", 7)),
            Some("error") => Script::json(r#"{"error":{"message":"overloaded"}}"#),
            Some("status") => Script::json(r#"{"error":{"message":"no"}}"#).status(404),
            Some("unfinished") => {
                let whole = script(&sound);
                let (bytes, streamed) = (whole.bytes(), self.streamed);
                let half = bytes.slice(..bytes.len() / 3);
                if streamed { Script::events([half]) } else { Script::json(half) }
            }
            Some(_) => script(&says("I'm sorry, but I can't help with that.")),
        }
    }
}

fn usual(model: &'static str) -> impl Fn(&Asked) -> Script + Send + Sync {
    move |asked| match asked.id {
        Some(id) => Kind::of(id).script(model, id),
        None => Script::nothing(500),
    }
}

/// A deployment for many requests: one worker, no access log.
pub struct Mixed {
    pub envoy: Envoy,
    cheap: Scripted,
    strong: Scripted,
    next: AtomicU64,
}

/// What came of some requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub requests: u64,
    pub escalated: u64,
    pub lasted: Duration,
}

impl Mixed {
    pub fn start(binary: &Path, directory: &Path) -> Result<Self> {
        let (cheap, strong) = (Scripted::start(usual("cheap"))?, Scripted::start(usual("strong"))?);
        let file = json!({
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "providers": {"one": cheap.provider(), "two": strong.provider()},
            "targets": [
                {"name": "cheap", "model": "one/cheap", "escalate": {"max_share": 1}},
                {"name": "strong", "model": "two/strong"},
            ],
            "override": {"targets": ["cheap"]},
        });
        let (_, mut deployment) = rendered(&file.to_string(), directory, "envoy.yaml")?;
        deployment.remove_access_logs()?;
        let envoy = Envoy::start_with(binary, &deployment, directory, 1)?;
        Ok(Mixed { envoy, cheap, strong, next: AtomicU64::new(1) })
    }

    /// Sends so many requests over `connections` at once, and checks each answer by its bytes.
    pub fn send(&self, requests: u64, connections: usize) -> Result<Counts> {
        let begun = Instant::now();
        let first = self.next.fetch_add(requests, Ordering::Relaxed);
        let next = Arc::new(AtomicU64::new(first));
        let clients: Vec<_> = (0..connections)
            .map(|number| {
                let protocol = if number % 2 == 0 { Protocol::Http1 } else { Protocol::Http2 };
                let (next, to, last) = (Arc::clone(&next), self.envoy.listener, first + requests);
                RUNTIME.spawn(async move {
                    let mut connection = Connection::new(to, protocol);
                    let mut escalated = 0;
                    loop {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        if id >= last {
                            return anyhow::Ok(escalated);
                        }
                        escalated +=
                            one(&mut connection, id).await.with_context(|| id.to_string())?;
                    }
                })
            })
            .collect();
        let mut counts = Counts { requests, ..Counts::default() };
        for client in clients {
            counts.escalated += RUNTIME.block_on(client)??;
        }
        counts.lasted = begun.elapsed();
        Ok(counts)
    }

    /// Compares what the models and Envoy have counted with what was sent.
    pub fn reconcile(&self) -> Result<()> {
        let (cheap, strong) = (self.cheap.counts(), self.strong.counts());
        let last = self.next.load(Ordering::Relaxed);
        let mut signs: HashMap<&str, u64> = HashMap::new();
        for id in 1..last {
            let sign = Kind::of(id).sign;
            let count = |model: &HashMap<u64, usize>| model.get(&id).copied().unwrap_or_default();
            let expected = (1, usize::from(sign.is_some()));
            let asked = (count(&cheap), count(&strong));
            ensure!(asked == expected, "request {id}: asked {asked:?}, not {expected:?}");
            *signs.entry(sign.unwrap_or("passed")).or_default() += 1;
        }
        ensure!(cheap.len() as u64 == last - 1, "the cheap model saw other requests");
        let statistics = self.envoy.admin_get("/stats?filter=pointsman_(inspected|escalations)")?;
        for (sign, count) in signs {
            let name = match sign {
                "passed" => "pointsman_inspected.target.cheap.outcome.passed".to_owned(),
                sign => format!("pointsman_escalations.target.cheap.sign.{sign}"),
            };
            let line = format!("wasmcustom.{name}: {count}");
            ensure!(statistics.lines().any(|it| it == line), "no {line} in\n{statistics}");
        }
        Ok(())
    }
}

/// Sends one request; the result is 1 when it was escalated.
async fn one(connection: &mut Connection, id: u64) -> Result<u64> {
    let kind = Kind::of(id);
    let body = said::question(kind.api, &kind.text(id), kind.streamed);
    let request = Request::post(said::path(kind.api))
        .header("content-type", "application/json")
        .header("x-pointsman-target", "cheap")
        .body(client::whole(Bytes::from(body.to_string())))?;
    let response = connection.exchange(request).await?;
    ensure!(response.status == 200, "status {}", response.status);
    let sign = response.header("x-pointsman-escalated");
    let kept = response.header("x-pointsman-kept");
    ensure!(kept.is_none(), "an answer was kept: {kept:?}");
    ensure!(sign == kind.sign, "the sign is {sign:?}, not {:?}", kind.sign);
    let model = if sign.is_some() { "strong" } else { "cheap" };
    let expected = kind.script(model, id).bytes();
    ensure!(response.body == expected, "other bytes than those of {model}");
    Ok(u64::from(sign.is_some()))
}
