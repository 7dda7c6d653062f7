//! What is not held, and what is not sent to another target.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;

use super::{CHAT, HOLD_BELOW, REFUSAL, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage, post};
use pointsman_testkit::client::{self, Connection, Protocol};
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::{Script, marked};

pub const CASES: &[Case] = &[
    ("answers_to_requests_of_more_than_a_mebibyte_are_not_held_and_counted", long),
    ("answers_to_requests_that_were_read_in_part_are_not_held", cut),
    ("no_more_than_the_share_of_answers_is_sent_to_the_other_target", share),
    ("answers_to_requests_with_a_good_score_are_not_held", scores),
    ("of_several_endpoints_none_is_asked_after_anothers_bad_answer", several),
];

fn bad(streamed: bool) -> Bytes {
    Script::of(&says(REFUSAL), CHAT, streamed).bytes()
}

fn long(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for (number, size) in [(0, 1 << 20), (1, 1_900_000)] {
            let before = net.inspected("cheap", "long_request")?;
            let question = net.chat("cheap", false).refused();
            let text = marked(question.id, &"a long story ".repeat(size / 13));
            let messages = json!({"messages": [{"role": "user", "content": text}]});
            let question = question.with(&messages);
            let response = question.send_over(PROTOCOLS[number])?;
            question.assert_passed(&response, &bad(false));
            assert_eq!(net.inspected("cheap", "long_request")?, before + 1);
            ensure!(question.record()?.get("body_cut").is_none(), "it was read whole");
        }
        // A body that fits is kept for the other target, and arrives there as it came.
        let question = net.chat("cheap", false).refused();
        let text = marked(question.id, &"a long story ".repeat(900_000 / 13));
        let question =
            question.with(&json!({"messages": [{"role": "user", "content": text.clone()}]}));
        question.assert_escalated(&question.send_over(Protocol::Http1)?, "refusal");
        let asked = net.strong.asked(question.id).map(|asked| asked.json()).unwrap_or_default();
        assert_eq!(asked["model"], "strong");
        ensure!(asked["messages"][0]["content"] == text.as_str(), "the prompt has changed");
        Ok(())
    })
}

fn cut(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let before = net.inspected("cheap", "long_request")?;
        for (number, size) in [(0, 2_500_000), (1, 2_500_000)] {
            let question = net.chat("cheap", false).refused();
            let text = marked(question.id, &"a long story ".repeat(size / 13));
            let messages = json!({"messages": [{"role": "user", "content": text}]});
            let question = question.with(&messages);
            question.assert_passed(&question.send_over(PROTOCOLS[number])?, &bad(false));
            assert_eq!(question.record()?["body_cut"], true);
        }
        // Nobody has said how long this one is.
        let question = net.chat("cheap", false).refused();
        let text = marked(question.id, &"a long story ".repeat(700_000 / 13));
        let question = question.with(&json!({"messages": [{"role": "user", "content": text}]}));
        let mut request = post(&question.path);
        for (name, value) in &question.headers {
            request = request.header(*name, value);
        }
        let body = Bytes::from(question.body.to_string());
        let pieces = body.chunks(100_000).map(Bytes::copy_from_slice).collect();
        let request = request.body(client::pieces(pieces, None))?;
        let response = client::exchange(net.envoy.listener, Protocol::Http1, request)?;
        question.assert_passed(&response, &bad(false));
        assert_eq!(question.record()?["body_cut"], true);
        assert_eq!(net.inspected("cheap", "long_request")?, before, "these are not held at all");
        Ok(())
    })
}

fn share(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let before = net.counter("bad_answers_kept.target.share.reason.max_share")?;
        // Budgets are a worker's.
        let mut connection = Connection::new(net.envoy.listener, Protocol::Http1);
        let mut escalated = 0;
        for number in 0..12 {
            let question = net.chat("share", number % 2 == 0).refused();
            let response = question.send_on(&mut connection)?;
            if response.header("x-pointsman-escalated").is_some() {
                question.assert_escalated(&response, "refusal");
                escalated += 1;
            } else {
                question.assert_kept(&response, &bad(number % 2 == 0), "refusal; max_share");
                assert_eq!(question.counts("strong"), (1, 0));
                assert_eq!(question.record()?["kept"], "refusal; max_share");
            }
        }
        assert_eq!(escalated, 5, "up to five a minute always, and then a fifth of all");
        let kept = net.counter("bad_answers_kept.target.share.reason.max_share")?;
        assert_eq!(kept, before + 7);
        // A share of nothing is nothing.
        for streamed in [false, true] {
            let question = net.chat("never", streamed).refused();
            question.assert_kept(&question.send()?, &bad(streamed), "refusal; max_share");
            assert_eq!(question.counts("strong"), (1, 0));
        }
        Ok(())
    })
}

fn scores(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let (mut held, mut sure) = (0, 0);
        for text in [
            "What is the capital of France?",
            "Say hello.",
            "What is 2 + 2?",
            "Translate 'good morning' into Spanish.",
            "Prove that every even perfect number has the form of Euclid, and derive the density of \
             abundant numbers with explicit error terms; compare three proofs in detail.",
            "Design a lock-free B-tree with snapshot isolation in Rust, prove its linearizability \
             and analyse the memory orderings of each atomic operation step by step.",
            "Derive the Einstein field equations from the Hilbert action, with all boundary terms, \
             and discuss the initial value problem and its constraints for binary black holes.",
        ] {
            let question = net.chat("scored", false).refused();
            let text = marked(question.id, text);
            let mut question =
                question.with(&json!({"messages": [{"role": "user", "content": text}]}));
            question.headers.clear();
            let response = question.send()?;
            assert_eq!(response.header("x-pointsman-source"), Some("classifier"), "{text}");
            assert_eq!(response.header("x-pointsman-target"), Some("scored"), "{text}");
            let score: f64 = response.header("x-pointsman-score").unwrap_or_default().parse()?;
            if score >= HOLD_BELOW {
                question.assert_passed(&response, &bad(false));
                sure += 1;
            } else {
                question.assert_escalated(&response, "refusal");
                held += 1;
            }
        }
        ensure!(held > 0 && sure > 0, "{held} below the score, {sure} not");
        Ok(())
    })
}

fn several(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for number in 0..6 {
            let question = net.chat("several", number % 2 == 0).refused();
            question.assert_escalated(&question.send()?, "refusal");
        }
        // One that does not answer at all is no reason not to ask the other.
        let failing = Script::nothing(503);
        let question = net.chat("several", false).answered_with(failing);
        let response = question.send()?;
        assert_eq!(response.body, question.usual_of("strong"));
        assert_eq!(response.header("x-pointsman-escalated"), None);
        assert_eq!(net.cheap.count(question.id), 3, "all, and each by itself");
        Ok(())
    })
}
