//! A cache, a model or a whole target is down: the next one answers, asked by its own name.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Case;
use crate::stage::{PROTOCOLS, Stage, chat_body, post};
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::envoy::{Envoy, decision_of};
use pointsman_testkit::recorder::{Record, Recorder};

pub const CASES: &[Case] = &[
    ("a_dead_cache_is_bypassed_and_a_dead_target_replaced_by_the_other_under_its_own_name", killed),
    ("an_overloaded_or_failing_target_is_replaced_and_its_last_answer_is_told", failing),
    (
        "a_cluster_that_fails_five_times_in_a_row_is_left_out_and_one_that_says_429_is_not",
        overloaded,
    ),
    ("requests_out_of_scope_are_not_sent_twice", out_of_scope),
];

/// An Envoy whose four upstreams can be killed.
struct Chain {
    envoy: Envoy,
    upstreams: Vec<(&'static str, Recorder)>,
    _directory: TempDir,
}

impl Chain {
    /// Everything is decided for `cheap`.
    fn start(stage: &Stage) -> Result<Self> {
        let mut deployment = stage.deployment.clone();
        let mut upstreams = Vec::new();
        for name in ["cheap-cache", "cheap-model", "strong-cache", "strong-model"] {
            let upstream = Recorder::start(name)?;
            deployment.set_upstream(name, upstream.address)?;
            upstreams.push((name, upstream));
        }
        let mut configuration = deployment.filter_configuration()?;
        configuration["targets"][0]["threshold"] = json!(0.0);
        deployment.set_filter_configuration(&configuration.to_string())?;
        let directory = tempfile::tempdir()?;
        let envoy = Envoy::start(&stage.binary, &deployment, directory.path())?;
        Ok(Self { envoy, upstreams, _directory: directory })
    }

    fn upstream(&self, name: &str) -> Result<&Recorder> {
        let found = self.upstreams.iter().find(|(found, _)| *found == name);
        found.map(|(_, upstream)| upstream).with_context(|| name.to_owned())
    }

    /// Who received the request to `path`, in the order of the list. A provider's own path stands
    /// where the client's prefix stood; the query stays.
    fn received(&self, path: &str) -> Vec<(&'static str, Record)> {
        let own = path.find("/v1/").map_or(path, |at| &path[at..]);
        let find = |(name, upstream): &(&'static str, Recorder)| {
            Some((*name, upstream.find(path).or_else(|| upstream.find(own))?))
        };
        self.upstreams.iter().filter_map(find).collect()
    }

    fn post(&self, protocol: Protocol, path: &str, body: &[u8]) -> Result<Response> {
        let request = post(path)
            .header("x-reply", "usage")
            .body(client::whole(Bytes::copy_from_slice(body)))?;
        client::exchange(self.envoy.listener, protocol, request)
    }

    fn logged(&self, path: &str) -> Result<Value> {
        let logged = path.split('?').next().unwrap_or_default();
        self.envoy.access_log_line(|line| line["path"] == logged).with_context(|| path.to_owned())
    }
}

fn killed(stage: &Stage) -> Result<()> {
    let chain = Chain::start(stage)?;
    // Spaces and escapes that a parse and a print would not keep.
    let body = |model: &str| {
        format!(
            "{{ \"n\":1e0, \"model\": \"{model}\",\n\"messages\":[{{\"role\":\"user\",\
             \"content\":\"caf\\u00e9, model\"}}]}}\n"
        )
        .into_bytes()
    };
    // The list of `cheap`, and the model that each is asked for: a cache knows requests as they came.
    let list = [
        ("cheap-cache", "auto", "cheap"),
        ("cheap-model", "small-model", "cheap"),
        ("strong-cache", "auto", "strong"),
        ("strong-model", "large-model", "strong"),
    ];
    for (step, (name, model, target)) in list.into_iter().enumerate() {
        for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
            let path =
                format!("/killed-{step}-{number}/v1/chat/completions?killed-{step}-{number}");
            let response = chain.post(protocol, &path, &body("auto"))?;
            assert_eq!(response.status, 200, "{name} over {protocol:?}");
            let received = chain.received(&path);
            let [(by, record)] = received.as_slice() else { panic!("{received:?}") };
            assert_eq!(*by, name);
            assert_eq!(record.body, body(model), "asked for {model}, and all else as it came");
            assert_eq!(record.headers["content-length"], body(model).len().to_string());
            // One line tells both what was decided and who answered.
            let line = chain.logged(&path)?;
            assert_eq!(decision_of(&line)?["target"], "cheap");
            assert_eq!(line["answered"], target);
        }
        chain.upstream(name)?.kill();
    }
    let path = "/killed-all/v1/chat/completions?killed-all";
    let response = chain.post(Protocol::Http1, path, &body("auto"))?;
    assert_eq!(response.status, 503);
    // Answers are paid to whom they are due: two for each cluster of a target.
    let statistics = chain.envoy.admin_get("/stats/prometheus")?;
    for target in ["cheap", "strong"] {
        let answers = format!("pointsman_answers{{target=\"{target}\",usage=\"reported\"}} 4");
        let swapped = format!("pointsman_answers{{usage=\"reported\",target=\"{target}\"}} 4");
        ensure!(statistics.contains(&answers) || statistics.contains(&swapped), "{answers}");
    }
    Ok(())
}

fn failing(stage: &Stage) -> Result<()> {
    let chain = Chain::start(stage)?;
    // A body of several reads, so that it must be kept for the second attempt.
    let large = serde_json::to_vec(&chat_body(&"Why? ".repeat(60_000)))?;
    for (number, status) in [429, 500, 503].into_iter().enumerate() {
        chain.upstream("cheap-cache")?.set_status(status);
        chain.upstream("cheap-model")?.set_status(status);
        for (turn, protocol) in PROTOCOLS.into_iter().enumerate() {
            let path =
                format!("/failing-{number}-{turn}/v1/chat/completions?failing-{number}-{turn}");
            let response = chain.post(protocol, &path, &large)?;
            assert_eq!(response.status, 200, "{status} over {protocol:?}");
            let received = chain.received(&path);
            let (last, record) = received.last().context("nobody received it")?;
            assert_eq!(*last, "strong-cache");
            let asked: Value = serde_json::from_slice(&record.body)?;
            assert_eq!(asked["model"], "auto", "a cache knows requests as they came");
            assert_eq!(chain.logged(&path)?["answered"], "strong");
        }
    }
    // What the client itself did wrong is no reason to ask another. The first chain has left out
    // what failed.
    let chain = Chain::start(stage)?;
    chain.upstream("cheap-cache")?.set_status(400);
    let path = "/v1/chat/completions?failing-400";
    assert_eq!(chain.post(Protocol::Http1, path, &large)?.status, 400);
    let received = chain.received(path);
    assert!(matches!(received.as_slice(), [("cheap-cache", _)]), "{} received", received.len());
    for (_, upstream) in &chain.upstreams {
        upstream.set_status(429);
    }
    let path = "/failing-all/v1/chat/completions?failing-all";
    assert_eq!(chain.post(Protocol::Http1, path, &large)?.status, 429);
    Ok(())
}

fn overloaded(stage: &Stage) -> Result<()> {
    let chain = Chain::start(stage)?;
    let body = serde_json::to_vec(&chat_body("What is the capital of Mongolia?"))?;
    let ask = |path: &str| -> Result<Vec<&'static str>> {
        chain.post(Protocol::Http1, path, &body)?;
        Ok(chain.received(path).iter().map(|(name, _)| *name).collect())
    };
    // Other errors of a client leave nobody out.
    chain.upstream("cheap-cache")?.set_status(400);
    for number in 0..8 {
        assert_eq!(
            ask(&format!("/wrong-{number}/v1/chat/completions?wrong-{number}"))?,
            ["cheap-cache"]
        );
    }
    chain.upstream("cheap-cache")?.set_status(429);
    chain.upstream("cheap-model")?.set_status(429);
    let list = ["cheap-cache", "cheap-model", "strong-cache"];
    // One client has asked too often: its request goes on, and nobody else's is affected.
    for number in 0..8 {
        assert_eq!(ask(&format!("/limited-{number}/v1/chat/completions?limited-{number}"))?, list);
    }
    chain.upstream("cheap-cache")?.set_status(503);
    chain.upstream("cheap-model")?.set_status(503);
    for number in 0..5 {
        assert_eq!(
            ask(&format!("/overloaded-{number}/v1/chat/completions?overloaded-{number}"))?,
            list
        );
    }
    // Workers hear of it a moment later.
    for number in 5..25 {
        if ask(&format!("/overloaded-{number}/v1/chat/completions?overloaded-{number}"))?
            == ["strong-cache"]
        {
            return Ok(());
        }
    }
    anyhow::bail!("both are still asked")
}

fn out_of_scope(stage: &Stage) -> Result<()> {
    let chain = Chain::start(stage)?;
    for (_, upstream) in &chain.upstreams {
        upstream.set_status(503);
    }
    let path = "/once/v1/files";
    assert_eq!(chain.post(Protocol::Http1, path, b"{\"model\":\"other\"}")?.status, 503);
    let received = chain.received(path);
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].1.body, &b"{\"model\":\"other\"}"[..]);
    Ok(())
}
