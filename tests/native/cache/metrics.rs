//! The metrics of a cache, and their reference.

use anyhow::{Context, Result};

use pointsman_testkit::metrics;
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat};

const QUESTION: &str = "How do I convert 10 miles to kilometers?";
const NEAR: &str = "How can I convert 10 miles to kilometers?";

#[test]
fn every_metric_of_a_cache_is_documented_and_every_documented_one_exists() -> Result<()> {
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    let store = ["--store", directory.path().to_str().context("no UTF-8")?];
    let proxy = Proxy::start(model.address, &store)?;
    for question in [QUESTION, QUESTION, NEAR] {
        proxy.ask(question)?;
    }
    proxy.post(&chat(QUESTION), &[("cache-control", "no-store")])?;
    // An answer that is not kept, and one that a guard refuses.
    proxy.post(&chat("Why?"), &[("x-reply", "overloaded")])?;
    proxy.ask("How do I convert 11 miles to kilometers?")?;
    let (found, documented) = (proxy.metrics()?, metrics::documented()?.of_caches);
    assert_eq!(metrics::in_text(&found), documented);
    Ok(())
}
