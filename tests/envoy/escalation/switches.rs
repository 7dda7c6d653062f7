//! Escalation is switched off while Envoy runs, and its headers are hidden.

use anyhow::Result;

use super::{CHAT, Net, REFUSAL, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::Script;

pub const CASES: &[Case] = &[
    ("escalation_is_switched_off_and_on_at_the_admin_interface", kill_switch),
    ("the_headers_of_escalation_can_be_hidden", hidden),
];

fn bad(streamed: bool) -> bytes::Bytes {
    Script::of(&says(REFUSAL), CHAT, streamed).bytes()
}

/// Switches back, however the case ends.
struct Switched<'n>(&'n Net);

impl Drop for Switched<'_> {
    fn drop(&mut self) {
        let _ = self.0.envoy.admin_post("/runtime_modify?pointsman.escalate_off=0");
    }
}

fn kill_switch(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let escalates = || {
            for protocol in PROTOCOLS {
                for streamed in [false, true] {
                    let question = net.chat("cheap", streamed).refused();
                    question.assert_escalated(&question.send_over(protocol)?, "refusal");
                }
            }
            anyhow::Ok(())
        };
        escalates()?;
        let switched = Switched(net);
        net.envoy.admin_post("/runtime_modify?pointsman.escalate_off=100")?;
        let before = net.inspected("cheap", "passed")?;
        for protocol in PROTOCOLS {
            for streamed in [false, true] {
                let question = net.chat("cheap", streamed).refused();
                let response = question.send_over(protocol)?;
                question.assert_passed(&response, &bad(streamed));
                assert_eq!(response.header("x-pointsman-target"), Some("cheap"), "still routed");
            }
        }
        assert_eq!(net.inspected("cheap", "passed")?, before, "nothing is looked at");
        drop(switched);
        escalates()
    })
}

fn hidden(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let silent = net.envoy.listener_named("silent")?;
        for streamed in [false, true] {
            for (target, body) in [("cheap", None), ("never", Some(bad(streamed)))] {
                let question = net.chat(target, streamed).refused();
                let response = client::exchange(silent, Protocol::Http1, question.request()?)?;
                let expected = body.unwrap_or_else(|| question.usual_of("strong"));
                assert_eq!((response.status, &response.body[..]), (200, &expected[..]));
                for name in ["x-pointsman-escalated", "x-pointsman-kept"] {
                    assert_eq!(response.header(name), None, "{target}");
                }
                question.assert_marks_are_hidden(&response);
                assert_eq!(response.header("x-pointsman-target"), Some(target));
                let record = question.record()?;
                let recorded = match target {
                    "cheap" => record["escalated"] == "refusal",
                    _ => record["kept"] == "refusal; max_share",
                };
                assert!(recorded, "{record}");
            }
        }
        // An answer that is given back, too.
        let question = net.chat("weak", false).refused().then_with("fragile", Script::nothing(503));
        let response = client::exchange(silent, Protocol::Http1, question.request()?)?;
        assert_eq!((response.status, &response.body[..]), (200, &bad(false)[..]));
        assert_eq!(response.header("x-pointsman-kept"), None);
        question.assert_marks_are_hidden(&response);
        assert_eq!(question.record()?["kept"], "refusal; unavailable");
        let question = net.chat("weak", false).refused();
        question.assert_escalated_to("fragile", &question.send()?, "refusal");
        Ok(())
    })
}
