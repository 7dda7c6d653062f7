//! A sound answer goes on as it came.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use pointsman_core::api::ApiFormat;

use super::{CHAT, Net, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::client::{Connection, Protocol, Response};
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::Script;

pub const CASES: &[Case] = &[
    ("a_sound_answer_arrives_byte_for_byte_for_one_request_in_every_api", every_api),
    ("the_headers_of_an_answer_that_was_held_are_those_of_one_that_was_not", headers),
    ("sound_answers_on_one_connection_stay_apart", one_connection),
];

const SAID: &str =
    "It is 4: 2 + 2 = 4 (\u{201e}vier\u{201c}, \u{56db}). Is there more to add up? \\ \" {}";

/// The same answer, cut as networks and models cut it.
fn cuts(script: &Script) -> Vec<Script> {
    let short = Duration::from_millis(1);
    vec![
        script.clone(),
        script.clone().in_pieces(&[1], Duration::ZERO),
        script.clone().in_pieces(&[1, 2, 3, 5, 200, 1, 1], Duration::ZERO),
        script.clone().in_pieces(&[97, 64], short).chunked(),
        script.clone().in_pieces(&[1 << 20], short).until_close(),
    ]
}

fn every_api(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for api in ApiFormat::ALL {
            for streamed in [false, true] {
                let passed = net.inspected("cheap", "passed")?;
                let scripts = cuts(&Script::of(&says(SAID), api, streamed));
                let count = scripts.len() as u64;
                for (number, script) in scripts.into_iter().enumerate() {
                    let bytes = script.bytes();
                    let question = net.question("cheap", api, streamed).answered_with(script);
                    let response = question.send_over(PROTOCOLS[number % 2])?;
                    question.assert_passed(&response, &bytes);
                }
                assert_eq!(net.inspected("cheap", "passed")?, passed + count);
            }
        }
        let record = {
            let question = net.chat("cheap", false);
            question.send()?;
            question.record()?
        };
        assert_eq!((record.get("escalated"), record.get("kept")), (None, None));
        Ok(())
    })
}

/// Headers of a response, but for those that differ from one request to the next.
fn fields(response: &Response) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &response.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        fields.entry(name.to_string()).or_default().push(value);
    }
    fields.remove("date");
    fields.retain(|name, _| !name.starts_with("x-pointsman-"));
    fields
}

fn headers(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            let script = Script::of(&says(SAID), CHAT, streamed)
                .header("x-request-id", "req_1")
                .header("openai-processing-ms", "17")
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2")
                .header("x-ratelimit-remaining-tokens", "1000")
                .header("retry-after", "3")
                .header("cache-control", "no-cache");
            let answers = ["cheap", "strong"].map(|target| {
                let question = net.chat(target, streamed).answered_with(script.clone());
                question.send().map(|response| (fields(&response), response.body))
            });
            let [held, unheld] = answers;
            let (held, unheld) = (held?, unheld?);
            assert_eq!(held, unheld, "streamed: {streamed}");
            let cookies = held.0.get("set-cookie").map(Vec::len);
            ensure!(cookies == Some(2), "{:?}", held.0);
        }
        Ok(())
    })
}

fn one_connection(stage: &Stage) -> Result<()> {
    on_net(stage, |net: &Net| {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::new(net.envoy.listener, protocol);
            for number in 0..60 {
                let streamed = number % 2 == 0;
                let question = net.chat("cheap", streamed);
                let said = says(format!("Answer {} is 4.", question.id).repeat(1 + number));
                let script = Script::of(&said, CHAT, streamed);
                let bytes = script.bytes();
                let question = match number % 5 {
                    0 => question.refused(),
                    _ => question.answered_with(script),
                };
                let response = question.send_on(&mut connection)?;
                match number % 5 {
                    0 => question.assert_escalated(&response, "refusal"),
                    _ => question.assert_passed(&response, &bytes),
                }
            }
        }
        Ok(())
    })
}
