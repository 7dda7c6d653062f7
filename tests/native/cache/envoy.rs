//! A cache for each target behind a real Envoy with the filter.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, outcome};
use pointsman_testkit::{installed_envoy, supported_versions, wasm_module};

/// An Envoy, two targets, each with its cache and its model.
struct Stage {
    envoy: Envoy,
    caches: [(&'static str, Proxy); 2],
    models: [Model; 2],
    _directory: tempfile::TempDir,
}

impl Stage {
    fn start() -> Result<Self> {
        let versions = supported_versions()?;
        let binary = installed_envoy(versions.first().context("no version")?)?;
        let models = [Model::start()?, Model::start()?];
        let cache = |name: &'static str, model: &Model| {
            let program = std::path::Path::new(env!("CARGO_BIN_EXE_pointsman"));
            anyhow::Ok((name, Proxy::run(program, &[], model.address, name, &[])?))
        };
        let caches = [cache("cheap", &models[0])?, cache("strong", &models[1])?];
        let mut deployment = Deployment::documented(&wasm_module()?)?;
        for ((name, cache), model) in caches.iter().zip(&models) {
            deployment.set_upstream(&format!("{name}-cache"), cache.address)?;
            deployment.set_upstream(&format!("{name}-model"), model.address)?;
        }
        let directory = tempfile::tempdir()?;
        let envoy = Envoy::start(&binary, &deployment, directory.path())?;
        wait_for_caches(&envoy)?;
        Ok(Stage { envoy, caches, models, _directory: directory })
    }

    fn ask(&self, body: &Value, tenant: &str) -> Result<Response> {
        let request = Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("authorization", tenant)
            .body(client::whole(Bytes::from(body.to_string())))?;
        client::exchange(self.envoy.listener, Protocol::Http1, request)
    }

    fn asked(&self) -> [usize; 2] {
        [self.models[0].asked(), self.models[1].asked()]
    }
}

/// Waits until the caches have passed their first check: before, Envoy asks the models.
fn wait_for_caches(envoy: &Envoy) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    for name in ["cheap-cache", "strong-cache"] {
        let healthy = format!("cluster.{name}.membership_healthy");
        let wanted = format!("{healthy}: 1");
        while !envoy.admin_get(&format!("/stats?filter={healthy}"))?.contains(&wanted) {
            ensure!(Instant::now() < deadline, "{name} is never healthy");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn chat(system: &str, question: &str) -> Value {
    json!({"model": "auto", "messages": [
        {"role": "system", "content": system}, {"role": "user", "content": question}]})
}

#[test]
fn through_envoy_each_question_hits_the_cache_of_its_target_and_only_the_same_question_does()
-> Result<()> {
    let stage = Stage::start()?;
    let target =
        |response: &Response| response.header("x-pointsman-target").unwrap_or("").to_owned();
    let question = "How do I convert 10 miles to kilometers?";
    let first = stage.ask(&chat("Be brief.", question), "Bearer one")?;
    assert_eq!((first.status, outcome(&first)), (200, "miss"));
    let asked = stage.asked();
    let again = stage.ask(&chat("Be brief.", question), "Bearer one")?;
    assert_eq!(outcome(&again), "hit-exact");
    assert_eq!((target(&again), &again.body), (target(&first), &first.body));
    // The right target's cache has it, and the other one does not.
    for (name, cache) in &stage.caches {
        let hits =
            format!("pointsman_cache_requests_total{{target=\"{name}\",result=\"hit-exact\"}}");
        assert_eq!(cache.metric(&hits)?, u64::from(target(&first) == *name), "{name}");
    }
    let near =
        stage.ask(&chat("Be brief.", "How can I convert 10 miles to kilometers?"), "Bearer one")?;
    assert_eq!((outcome(&near), target(&near)), ("hit-semantic", target(&first)));
    assert_eq!(near.body, first.body);
    assert_eq!(stage.asked(), asked, "no model was asked again");
    for (what, body, tenant) in [
        ("another tenant", chat("Be brief.", question), "Bearer two"),
        ("another system prompt", chat("Be polite.", question), "Bearer one"),
        (
            "another number",
            chat("Be brief.", "How do I convert 11 miles to kilometers?"),
            "Bearer one",
        ),
    ] {
        let response = stage.ask(&body, tenant)?;
        assert_eq!((response.status, outcome(&response)), (200, "miss"), "{what}");
        assert_ne!(response.body, first.body, "{what}");
    }
    Ok(())
}

#[test]
fn a_dead_cache_is_passed_by_and_the_model_answers() -> Result<()> {
    let stage = Stage::start()?;
    let Stage { envoy, caches, models, .. } = stage;
    drop(caches);
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(client::whole(Bytes::from(chat("Be brief.", "What is love?").to_string())))?;
    let response = client::exchange(envoy.listener, Protocol::Http1, request)?;
    assert_eq!((response.status, outcome(&response)), (200, "absent"));
    assert_eq!(models[0].asked() + models[1].asked(), 1);
    Ok(())
}
