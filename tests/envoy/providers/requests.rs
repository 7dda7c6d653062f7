//! Large bodies.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;

use super::Site;
use crate::Case;
use crate::stage::{PROTOCOLS, Stage, post};
use pointsman_testkit::client;
use serde_json::json;

pub const CASES: &[Case] =
    &[("an_image_of_megabytes_arrives_byte_for_byte_but_for_the_models_name", large)];

/// A body with an image, spaced and escaped as no serializer would; its members, without braces.
fn image(bytes: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let image: String =
        (0..bytes).map(|at| char::from(alphabet[(at ^ (at >> 6) ^ (at >> 12)) % 64])).collect();
    format!(
        " \"n\":1e0, \"max_tokens\" : 9,\n\"messages\":[{{\"role\":\"user\",\"content\":[\
         {{\"type\":\"text\",\"text\":\"caf\\u00e9\"}},{{\"type\":\"image_url\",\"image_url\":\
         {{\"url\":\"data:image\\/png;base64,{image}\"}}}}]}}]"
    )
}

/// A body with the model's name in front of an image, and what is to arrive of it.
fn named_first(image: &str, model: &str) -> (String, Vec<String>) {
    let body = |model: &str| format!("{{ \"model\" : \"{model}\",{image} }}\n");
    (body("auto"), vec![body(model)])
}

/// The same with the name behind it. Of more than is held back, the beginning has gone by then: so
/// the name is put in front, and white space takes the place of the one that comes too late.
fn named_last(image: &str, model: &str) -> (String, Vec<String>) {
    let body = |model: &str| format!("{{{image},\"model\" : \"{model}\" }}\n");
    let late = " ".repeat(",\"model\" : \"auto\"".len());
    (body("auto"), vec![body(model), format!("{{\"model\":\"{model}\",{image}{late} }}\n")])
}

fn large(stage: &Stage) -> Result<()> {
    let mut site = Site::new()?;
    site.add("one", "openai", "cheap-model")?;
    site.add("two", "bedrock", "signed-model")?;
    site.add("three", "anthropic", "strong-model")?;
    let running = site.start(
        stage,
        json!([
            {"name": "cheap", "model": "one/cheap-model"},
            {"name": "signed", "model": "two/signed-model"},
            {"name": "strong", "model": "three/strong-model"},
        ]),
    )?;
    for (target, name, model, api) in [
        ("cheap", "one", "cheap-model", "chat/completions"),
        ("signed", "two", "signed-model", "chat/completions"),
        ("strong", "three", "strong-model", "messages"),
    ] {
        // Below and above what the filter reads, what it holds back, and what an endpoint does.
        for bytes in [400_000, 700_000, 1_500_000, 3_000_000] {
            let image = image(bytes);
            for (sent, expected) in [named_first(&image, model), named_last(&image, model)] {
                for protocol in PROTOCOLS {
                    let request = post(&format!("/v1/{api}"))
                        .header("x-pointsman-target", target)
                        .body(client::whole(Bytes::from(sent.clone())))?;
                    let response = client::exchange(running.envoy.listener, protocol, request)?;
                    let text = String::from_utf8_lossy(&response.body).into_owned();
                    let what = format!("{target}, {bytes} bytes over {protocol:?}");
                    ensure!(response.status == 200, "{what}: {} {text}", response.status);
                    let seen = site.provider(name).seen();
                    let last = &seen.last().context("seen")?.body;
                    ensure!(
                        expected.iter().any(|expected| *last == *expected.as_bytes()),
                        "{what}: {} bytes for {} arrived: {:?} … {:?}",
                        last.len(),
                        sent.len(),
                        String::from_utf8_lossy(&last[..60]),
                        String::from_utf8_lossy(&last[last.len() - 60..]),
                    );
                }
            }
        }
    }
    site.assert_no_faults();
    Ok(())
}
