//! The other target fails, and the answer that was held is given back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pointsman_core::api::ApiFormat::{self, Messages};

use super::{CHAT, Net, Question, REFUSAL, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::{Script, Step};

pub const CASES: &[Case] = &[
    ("when_the_other_target_fails_the_held_answer_is_given_back_byte_for_byte", given_back),
    ("after_five_failures_the_other_target_is_left_alone_for_ten_seconds", breaker),
    ("a_sign_for_which_the_other_target_is_no_better_is_let_through", no_help),
];

const UNAVAILABLE: &str = "refusal; unavailable";

/// How a model can fail to answer.
fn failures() -> Vec<(&'static str, Script)> {
    let error = Script::json(r#"{"error":{"message":"overloaded"}}"#);
    let cut = Script::json(r#"{"choices":[{"index":0"#).claiming(0);
    vec![
        ("503 with a body", error.clone().status(503)),
        ("503 without a body", Script::nothing(503)),
        ("429", error.clone().status(429).header("retry-after", "7")),
        ("a chunked 500", error.clone().status(500).chunked()),
        ("401", error.status(401)),
        // Before its head, nothing has been sent that could not be taken back.
        ("a reset", Script::nothing(200).preceded_by(b"H").then(Step::Reset)),
        ("no HTTP", cut.preceded_by(b"SSH-2.0-server\r\n\r\n").then(Step::Close)),
    ]
}

/// A refusal of `weak`'s model, whose place `fragile` takes.
fn bad(net: &Net, api: ApiFormat, streamed: bool) -> (Question<'_>, bytes::Bytes) {
    let script = Script::of(&says(REFUSAL), api, streamed);
    let bytes = script.bytes();
    (net.question("weak", api, streamed).answered_with(script), bytes)
}

/// The other target answers, so that its failures before no longer count.
fn recovers(net: &Net) -> Result<()> {
    let (question, _) = bad(net, CHAT, false);
    question.assert_escalated_to("fragile", &question.send()?, "refusal");
    Ok(())
}

fn given_back(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let pointless = net.counter("bad_answers_kept.target.weak.reason.unavailable")?;
        for api in [CHAT, Messages] {
            for streamed in [false, true] {
                for (number, (name, failure)) in failures().into_iter().enumerate() {
                    let (question, bytes) = bad(net, api, streamed);
                    let question = question.then_with("fragile", failure);
                    let response = question.send_over(PROTOCOLS[number % 2])?;
                    question.assert_kept(&response, &bytes, UNAVAILABLE);
                    let media = if streamed { "text/event-stream" } else { "application/json" };
                    assert_eq!(response.header("content-type"), Some(media), "{name}");
                    assert_eq!(response.header("retry-after"), None, "{name}");
                    assert_eq!(question.counts("fragile"), (1, 1), "{name}");
                    assert_eq!(question.counts("strong").1, 0, "{name}");
                    assert_eq!(question.record()?["kept"], UNAVAILABLE, "{name}");
                    recovers(net)?;
                }
            }
        }
        // These were sent back after an escalation; nothing was kept in front of the model.
        let kept = net.counter("bad_answers_kept.target.weak.reason.unavailable")?;
        assert_eq!(kept, pointless);
        Ok(())
    })
}

fn breaker(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        recovers(net)?;
        // 429 does not count as bad health, so that only the breaker is seen at work.
        let limited = || Script::json(r#"{"error":{"message":"too many"}}"#).status(429);
        for number in 0..5 {
            let (question, bytes) = bad(net, CHAT, number % 2 == 0);
            let question = question.then_with("fragile", limited());
            question.assert_kept(&question.send()?, &bytes, UNAVAILABLE);
            assert_eq!(question.counts("fragile"), (1, 1), "{number}");
        }
        let opened = Instant::now();
        let kept = net.counter("bad_answers_kept.target.weak.reason.unavailable")?;
        for number in 0..3 {
            let (question, bytes) = bad(net, CHAT, number % 2 == 0);
            question.assert_kept(&question.send()?, &bytes, UNAVAILABLE);
            assert_eq!(question.counts("fragile"), (1, 0), "{number}: it is left alone");
            assert_eq!(question.record()?["kept"], UNAVAILABLE);
        }
        let counted = net.counter("bad_answers_kept.target.weak.reason.unavailable")?;
        assert_eq!(counted, kept + 3);
        // Who asks another target has nothing to do with it.
        let question = net.chat("cheap", false).refused();
        question.assert_escalated(&question.send()?, "refusal");
        ensure!(opened.elapsed() < Duration::from_secs(9), "too slow a machine for this");
        // Times are kept in whole seconds.
        std::thread::sleep(Duration::from_millis(11_100).saturating_sub(opened.elapsed()));
        recovers(net)?;
        recovers(net)
    })
}

fn no_help(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        recovers(net)?;
        // Of this sign alone, because it is remembered for minutes.
        let script = |streamed| Script::of(&says(""), CHAT, streamed);
        let mut asked = 0;
        for number in 0..60 {
            let streamed = number % 2 == 0;
            let question = net
                .chat("weak", streamed)
                .answered_with(script(streamed))
                .then_with("fragile", script(streamed));
            let response = question.send()?;
            assert_eq!(response.body, script(streamed).bytes());
            match response.header("x-pointsman-escalated") {
                Some(sign) => {
                    assert_eq!(sign, "empty");
                    assert_eq!(question.counts("fragile"), (1, 1));
                    asked += 1;
                }
                None => {
                    question.assert_kept(&response, &question_bytes(&question), "empty; no_help");
                    assert_eq!(question.counts("fragile"), (1, 0));
                    // What another worker learnt meanwhile is not counted.
                    ensure!((20..40).contains(&asked), "{asked} were asked in vain");
                    return recovers(net);
                }
            }
        }
        anyhow::bail!("it is asked in vain forever")
    })
}

fn question_bytes(question: &Question) -> bytes::Bytes {
    Script::of(&says(""), question.api, question.streamed).bytes()
}
