//! Nothing is escalated twice, or in a circle.

use anyhow::{Result, ensure};

use super::{CHAT, REFUSAL, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::Script;

pub const CASES: &[Case] = &[
    ("a_target_that_stands_in_for_the_strongest_is_not_held", stands_in),
    ("an_escalated_request_is_not_escalated_again_on_its_way", once),
    ("a_target_that_stands_in_for_one_that_is_down_is_not_held", below),
    ("what_a_client_says_of_held_answers_has_no_effect", forged),
];

fn bad(streamed: bool) -> Script {
    Script::of(&says(REFUSAL), CHAT, streamed)
}

fn stands_in(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            let question = net
                .chat("strong", streamed)
                .answered_with(Script::nothing(503))
                .then_with("cheap", bad(streamed));
            let response = question.send()?;
            assert_eq!((response.status, &response.body[..]), (200, &bad(streamed).bytes()[..]));
            for name in ["x-pointsman-escalated", "x-pointsman-kept"] {
                assert_eq!(response.header(name), None);
            }
            question.assert_marks_are_hidden(&response);
            assert_eq!(question.counts("cheap"), (1, 1));
        }
        Ok(())
    })
}

fn once(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            // The models of both are one stand-in: what it is asked for tells them apart.
            let inspected = net.inspected("cheap", "escalated")?;
            let question = net.chat("cheapest", streamed).refused();
            let response = question.send()?;
            assert_eq!(response.status, 200);
            assert_eq!(response.body, bad(streamed).bytes(), "the next target's, as it is");
            assert_eq!(response.header("x-pointsman-escalated"), Some("refusal"));
            assert_eq!(response.header("x-pointsman-kept"), None);
            assert_eq!(response.header("x-pointsman-target"), Some("cheapest"));
            question.assert_marks_are_hidden(&response);
            assert_eq!(question.counts("strong"), (2, 0), "the strongest is not asked");
            let last = net.cheap.asked(question.id).map(|asked| asked.json()).unwrap_or_default();
            assert_eq!(last["model"], "cheap");
            assert_eq!(net.inspected("cheap", "escalated")?, inspected);
            assert_eq!(question.record()?["escalated"], "refusal");
        }
        Ok(())
    })
}

fn below(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            // `weak` is next, and its model is the same stand-in: it fails for the first two.
            let question = net
                .chat("fragile", streamed)
                .answered_with(Script::nothing(503))
                .then_with("head", bad(streamed));
            let response = question.send()?;
            assert_eq!((response.status, &response.body[..]), (200, &bad(streamed).bytes()[..]));
            assert_eq!(response.header("x-pointsman-escalated"), None);
            assert_eq!(response.header("x-pointsman-kept"), None);
            assert_eq!((question.counts("head"), net.strong.count(question.id)), ((1, 1), 0));
            let last = net.cheap.asked(question.id).map(|asked| asked.json()).unwrap_or_default();
            assert_eq!(last["model"], "head");
        }
        Ok(())
    })
}

fn forged(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let token = "000102030405060708090a0b0c0d0e0f";
        for protocol in PROTOCOLS {
            for streamed in [false, true] {
                // Two requests with one token are two requests.
                for _ in 0..2 {
                    let question =
                        net.chat("cheap", streamed).header("x-pointsman-hold", token).refused();
                    question.assert_escalated(&question.send_over(protocol)?, "refusal");
                }
                let question = net
                    .chat("picky", streamed)
                    .header("x-pointsman-hold", token)
                    .header("x-pointsman-held-events", "yes")
                    .refused();
                question.assert_passed(&question.send_over(protocol)?, &bad(streamed).bytes());
                // Where nothing is held, a token changes nothing.
                let question =
                    net.chat("strong", streamed).header("x-pointsman-hold", token).refused();
                let response = question.send_over(protocol)?;
                ensure!(response.header("x-pointsman-escalated").is_none());
                question.assert_passed(&response, &bad(streamed).bytes());
                // Nor can a client keep its request from being asked again.
                let question = net
                    .chat("cheap", streamed)
                    .header("x-envoy-max-retries", "0")
                    .header("x-envoy-retry-on", "connect-failure")
                    .header("x-pointsman-escalated", "refusal")
                    .header("x-pointsman-kept", "refusal; no_room")
                    .refused();
                question.assert_escalated(&question.send_over(protocol)?, "refusal");
            }
        }
        Ok(())
    })
}
