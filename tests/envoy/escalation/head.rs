//! With `hold: head`, the beginning of a stream is judged, and the rest passes as it comes.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{CHAT, Net, REFUSAL, on_net};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::said::{self, DONE, delta, says};
use pointsman_testkit::scripted::{Script, Step};

pub const CASES: &[Case] = &[
    ("the_head_of_a_stream_is_held_and_goes_on_long_before_the_end", goes_on),
    ("what_is_bad_behind_the_head_of_a_stream_is_let_through", behind),
    ("a_bad_head_takes_the_request_to_the_other_target_before_the_streams_end", bad_head),
    ("answers_that_are_not_streamed_are_held_whole_where_heads_are_enough", not_streamed),
];

/// Events of less than 16 tokens of text, and of enough of them.
fn parts() -> (Vec<String>, Vec<String>) {
    let short = vec![delta("It"), delta(" is"), delta(" 4")];
    let enough = (0..10).map(|number| delta(&format!(", and {number} is a digit"))).collect();
    (short, enough)
}

fn end() -> Vec<String> {
    vec![
        said::event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
        DONE.to_owned(),
    ]
}

/// Events with gates between their parts.
fn gated(parts: &[Vec<String>]) -> Script {
    let mut script = Script::events(Vec::<String>::new());
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            script = script.then(Step::Gate);
        }
        for event in part {
            script = script.then(Step::Send(event.clone().into()));
        }
    }
    script
}

fn goes_on(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let (short, enough) = parts();
        let script = gated(&[short, enough, end()]);
        let bytes = script.bytes();
        let question = net.chat("head", true).answered_with(script);
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let asked = &question;
            scope.spawn(move || {
                // Nobody listens any more when the case has failed.
                let _ = sender.send(asked.begin());
            });
            net.cheap.wait_for(question.id)?;
            let nothing = receiver.recv_timeout(Duration::from_millis(300));
            assert!(matches!(nothing, Err(RecvTimeoutError::Timeout)), "the head was not held");
            net.cheap.open(question.id);
            let mut answer =
                receiver.recv_timeout(Duration::from_secs(10)).context("the head is held")??;
            // The model waits for the second gate: what is here came before the end.
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("9 is a digit") {
                seen.extend(answer.next_piece()?.context("the stream ended early")?);
            }
            net.cheap.open(question.id);
            while let Some(piece) = answer.next_piece()? {
                seen.extend(piece);
            }
            assert_eq!(answer.status, 200);
            assert!(seen == bytes, "{}", super::text(&seen));
            assert_eq!(question.counts("strong"), (1, 0));
            anyhow::Ok(())
        })?;
        assert_eq!(question.record()?.get("escalated"), None);
        Ok(())
    })
}

fn behind(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let (_, enough) = parts();
        let error = said::event(&json!({"error": {"message": "overloaded"}}));
        let again = delta(&"I have to look again. ".repeat(200));
        for rest in [vec![error], Vec::new(), [vec![again], end()].concat()] {
            // Only when the head is on its way.
            let script = gated(&[enough.clone(), rest]);
            let bytes = script.bytes();
            let question = net.chat("head", true).answered_with(script);
            let mut answer = question.begin()?;
            net.cheap.open(question.id);
            let mut seen = Vec::new();
            while let Some(piece) = answer.next_piece()? {
                seen.extend(piece);
            }
            assert_eq!(answer.status, 200);
            assert!(seen == bytes, "{}", super::text(&seen));
            for name in ["x-pointsman-escalated", "x-pointsman-kept"] {
                assert!(!answer.headers.contains_key(name), "{name}");
            }
            assert_eq!(question.counts("strong"), (1, 0));
        }
        Ok(())
    })
}

/// The sign that a beginning shows, while the model is still there.
fn assert_condemned(
    net: &Net,
    fields: &serde_json::Value,
    events: Vec<String>,
    sign: &str,
) -> Result<()> {
    let script = gated(&[events]).then(Step::Silence);
    let question = net.chat("head", true).with(fields).answered_with(script);
    question.assert_escalated(&question.send()?, sign);
    net.cheap.wait_until_left(question.id)
}

fn bad_head(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let error = said::event(&json!({"error": {"message": "overloaded"}}));
        assert_condemned(net, &json!({}), vec![delta("It"), error], "error")?;
        let json = json!({"response_format": {"type": "json_object"}});
        assert_condemned(net, &json, vec![delta("Sure! Here it is:")], "invalid_json")?;
        let tools = json!({"tools": [{"type": "function", "function": {"name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
            "required": ["city"]}}}]});
        let call = |name: &str, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            let call = json!({"index": 0, "id": "call_1", "function": function});
            let finish = json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"});
            vec![
                said::event(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})),
                said::event(&json!({"choices": [finish]})),
            ]
        };
        assert_condemned(net, &tools, call("clock", "{}"), "unknown_tool")?;
        assert_condemned(net, &tools, call("weather", r#"{"town":"Rome"}"#), "invalid_arguments")?;
        // The end of these comes before the head's.
        for (text, sign) in [("", "empty"), (REFUSAL, "refusal")] {
            let script = Script::of(&says(text), CHAT, true);
            let question = net.chat("head", true).answered_with(script);
            question.assert_escalated(&question.send()?, sign);
        }
        Ok(())
    })
}

fn not_streamed(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let kings = (1..40).map(|number| format!("King number {number} had {} sons. ", 3 * number));
        let long = says(kings.collect::<String>()).ended_by("length", 400);
        let script = Script::of(&long, CHAT, false).in_pieces(&[500], Duration::from_millis(5));
        let question = net.chat("head", false).answered_with(script);
        question.assert_escalated(&question.send()?, "truncated");
        Ok(())
    })
}
