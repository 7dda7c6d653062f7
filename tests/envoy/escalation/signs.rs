//! Every sign takes a request to the other target, whose answer is the only one that is seen.

use anyhow::{Result, ensure};
use bytes::Bytes;
use pointsman_core::api::ApiFormat::{self, Completions, Messages, Responses};
use serde_json::{Value, json};

use super::{CHAT, NARROW, Net, Question, REFUSAL, on_net};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::said::{self, Said, calls, says};
use pointsman_testkit::scripted::{Script, Step};

pub const CASES: &[Case] = &[
    ("every_sign_in_a_chat_answer_takes_the_request_to_the_other_target", chat),
    ("signs_in_the_other_apis_take_the_request_to_the_other_target", other_apis),
    ("an_error_status_takes_the_request_to_the_other_target", statuses),
    ("signs_that_do_not_count_and_apis_that_are_not_held_pass", not_counted),
    ("an_answer_for_which_the_provider_ran_tools_is_sent_on", tools_ran),
    ("a_stream_that_is_condemned_early_is_not_read_to_its_end", early),
];

const CUT: &str = "Once upon a time there was a king who had twelve daughters and no";

/// What shows a sign: fields of the request, and what the model does.
fn shown(sign: &str) -> (Value, Said) {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}},
        "required": ["answer"], "additionalProperties": false});
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}},
        "required": ["city"], "additionalProperties": false});
    let tools = json!({"tools": [{"type": "function",
        "function": {"name": "weather", "parameters": parameters}}]});
    let form = json!({"response_format": {"type": "json_schema",
        "json_schema": {"name": "x", "schema": schema}}});
    match sign {
        "empty" => (json!({}), says("")),
        "refusal" => (json!({}), says(REFUSAL)),
        "truncated" => (json!({}), says(CUT).ended_by("length", 16)),
        "content_filter" => (json!({}), says("Well").ended_by("content_filter", 2)),
        "invalid_json" => {
            (json!({"response_format": {"type": "json_object"}}), says("The answer is 42."))
        }
        "schema_mismatch" => (form, says(r#"{"answer": "42"}"#)),
        "unknown_tool" => (tools, calls("get_weather", r#"{"city":"Rome"}"#)),
        "invalid_arguments" => (tools, calls("weather", r#"{"town":"Rome"}"#)),
        "repetition" => (json!({}), says("I have to look at the file again. ".repeat(120))),
        _ => panic!("{sign}"),
    }
}

/// Answers with an error in their place or in their middle.
fn error(api: ApiFormat, streamed: bool) -> Script {
    let error = json!({"error": {"message": "overloaded", "type": "server_error"}});
    if !streamed {
        return Script::json(error.to_string());
    }
    let mut events = says(CUT).events(api);
    events.truncate(3);
    events.push(said::event(&error));
    Script::events(events)
}

/// Answers that end in order, as far as HTTP knows, and too early.
fn unfinished(api: ApiFormat, streamed: bool) -> Script {
    let whole = Script::of(&says(CUT), api, streamed).bytes();
    if !streamed {
        return Script::json(whole.slice(..whole.len() - 9));
    }
    let events = says(CUT).events(api);
    Script::events(events[..events.len() / 2].iter().cloned().map(Bytes::from))
}

/// Sends a question whose answer is bad, and checks who was asked, what came, and what was counted.
fn assert_escalates(net: &Net, question: Question, sign: &str, number: usize) -> Result<()> {
    let target = question.target;
    let name = format!("escalations.target.{target}.sign.{sign}");
    let before = (net.counter(&name)?, net.inspected(target, "escalated")?);
    let response = question.send_over(PROTOCOLS[number % 2])?;
    question.assert_escalated(&response, sign);
    let after = (net.counter(&name)?, net.inspected(target, "escalated")?);
    assert_eq!(after, (before.0 + 1, before.1 + 1), "{sign}");
    let record = question.record()?;
    assert_eq!(record["escalated"], sign);
    assert_eq!(record["target"], target, "{sign}: the target that was decided on");
    ensure!(record.get("kept").is_none(), "{record}");
    Ok(())
}

fn chat(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let plain = [
            "empty",
            "refusal",
            "truncated",
            "content_filter",
            "invalid_json",
            "schema_mismatch",
            "unknown_tool",
            "invalid_arguments",
            "repetition",
        ];
        for (number, sign) in plain.into_iter().enumerate() {
            for streamed in [false, true] {
                let (fields, said) = shown(sign);
                let script = Script::of(&said, CHAT, streamed);
                let question = net.chat("cheap", streamed).with(&fields).answered_with(script);
                assert_escalates(net, question, sign, number)?;
            }
        }
        for streamed in [false, true] {
            for (sign, script) in
                [("error", error(CHAT, streamed)), ("unfinished", unfinished(CHAT, streamed))]
            {
                let question = net.chat("cheap", streamed).answered_with(script);
                assert_escalates(net, question, sign, 0)?;
            }
        }
        // Without a body there is no stream to wait for.
        let question = net.chat("cheap", false).answered_with(Script::nothing(200));
        let response = question.send()?;
        let sign = response.header("x-pointsman-escalated").unwrap_or_default().to_owned();
        ensure!(["empty", "unfinished", "error"].contains(&sign.as_str()), "{sign}");
        question.assert_escalated(&response, &sign);
        Ok(())
    })
}

fn other_apis(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for (number, api) in [Completions, Responses, Messages].into_iter().enumerate() {
            for streamed in [false, true] {
                for sign in ["empty", "refusal", "truncated", "repetition"] {
                    let (_, said) = shown(sign);
                    let script = Script::of(&said, api, streamed);
                    let question = net.question("cheap", api, streamed).answered_with(script);
                    assert_escalates(net, question, sign, number)?;
                }
                // Of messages, a filter's word is the one for refusals.
                let filtered = if api == Messages { "refusal" } else { "content_filter" };
                let script = Script::of(&shown("content_filter").1, api, streamed);
                for (sign, script) in [
                    (filtered, script),
                    ("error", error(api, streamed)),
                    ("unfinished", unfinished(api, streamed)),
                ] {
                    let question = net.question("cheap", api, streamed).answered_with(script);
                    assert_escalates(net, question, sign, number)?;
                }
            }
        }
        Ok(())
    })
}

fn statuses(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let body = r#"{"error":{"message":"no such model","type":"invalid_request_error"}}"#;
        for status in [400, 404, 408, 409, 413, 422] {
            for streamed in [false, true] {
                let script = Script::json(body).status(status).header("retry-after", "60");
                let question = net.chat("cheap", streamed).answered_with(script);
                assert_escalates(net, question, "status", 0)?;
            }
        }
        let question = net.chat("cheap", false).answered_with(Script::nothing(404));
        assert_escalates(net, question, "status", 0)?;
        // An error is nothing to give back: the client sees that of the other target.
        let script = Script::json(body).status(404);
        let other = Script::json(r#"{"error":{"message":"no key"}}"#).status(401);
        let bytes = other.bytes();
        let question = net.chat("cheap", false).answered_with(script).then_with("strong", other);
        let response = question.send()?;
        assert_eq!((response.status, &response.body[..]), (401, &bytes[..]));
        assert_eq!(response.header("x-pointsman-escalated"), Some("status"));
        assert_eq!(question.counts("strong"), (1, 1));
        // What Envoy itself takes to the next target is no sign.
        for status in [429, 500, 503] {
            let script = Script::json(body).status(status);
            let question = net.chat("cheap", false).answered_with(script);
            let response = question.send()?;
            assert_eq!(response.status, 200, "{status}");
            assert_eq!(response.body, question.usual_of("strong"), "{status}");
            assert_eq!(response.header("x-pointsman-escalated"), None, "{status}");
            assert_eq!(question.counts("strong"), (1, 1), "{status}");
        }
        Ok(())
    })
}

fn not_counted(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            let (_, said) = shown("refusal");
            let script = Script::of(&said, CHAT, streamed);
            let bytes = script.bytes();
            let question = net.chat("picky", streamed).answered_with(script);
            question.assert_passed(&question.send()?, &bytes);
            let script = Script::of(&shown("empty").1, CHAT, streamed);
            let question = net.chat("picky", streamed).answered_with(script);
            question.assert_escalated(&question.send()?, "empty");
            let script = Script::of(&shown("empty").1, Messages, streamed);
            let bytes = script.bytes();
            let question = net.question("picky", Messages, streamed).answered_with(script);
            question.assert_passed(&question.send()?, &bytes);
        }
        let error = Script::json(r#"{"error":{"message":"no"}}"#).status(404);
        let bytes = error.bytes();
        let question = net.chat("picky", false).answered_with(error);
        let response = question.send()?;
        assert_eq!((response.status, &response.body[..]), (404, &bytes[..]));
        assert_eq!(question.counts("strong"), (1, 0));
        Ok(())
    })
}

fn tools_ran(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
        let answer = json!({"object": "response", "status": "incomplete", "error": null,
            "output": [search], "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {"input_tokens": 5, "output_tokens": 16}});
        let kept = net.counter("bad_answers_kept.target.cheap.reason.tools_ran")?;
        let script = Script::json(answer.to_string());
        let bytes = script.bytes();
        let question = net
            .question("cheap", Responses, false)
            .with(&json!({"tools": [{"type": "web_search"}]}))
            .answered_with(script);
        let response = question.send()?;
        let why = response.header("x-pointsman-kept").unwrap_or_default().to_owned();
        ensure!(why.ends_with("; tools_ran"), "{why:?}");
        question.assert_kept(&response, &bytes, &why);
        assert_eq!(question.counts("strong"), (1, 0));
        assert_eq!(question.record()?["kept"], why.as_str());
        let counted = net.counter("bad_answers_kept.target.cheap.reason.tools_ran")?;
        assert_eq!(counted, kept + 1);
        Ok(())
    })
}

/// An error is certain at once, and not worth giving back: the rest is not waited for.
fn early(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let error = json!({"error": {"message": "overloaded"}});
        let script = Script::events([said::event(&error)]).then(Step::Silence);
        let question = net.chat("cheap", true).answered_with(script);
        question.assert_escalated(&question.send()?, "error");
        net.cheap.wait_until_left(question.id)?;
        // More of a condemned answer than anybody holds is dropped all the same.
        let more = said::delta(&"a".repeat(NARROW));
        let script = Script::events([said::event(&error)]).then(Step::Repeat(more.into(), 2000));
        let question = net.chat("cheap", true).answered_with(script);
        question.assert_escalated(&question.send()?, "error");
        Ok(())
    })
}
