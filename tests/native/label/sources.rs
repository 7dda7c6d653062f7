//! Logs of other tools: read as they are, or refused by name before a call is paid for.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::label::run::{Case, cheap_sum, pointsman, stderr, summary};
use crate::label::upstream::{Reply, Upstream};

const QUESTION: &str = "How many are 4 + 4?";

fn upstream() -> Upstream {
    Upstream::start(Duration::ZERO, |question, _| Reply::Text(cheap_sum(question)))
}

fn chat() -> Value {
    json!({"model": "large", "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]})
}

fn completion() -> Value {
    json!({"choices": [{"message": {"role": "assistant", "content": "8"}, "finish_reason": "stop"}]})
}

fn encoded(value: &Value) -> String {
    BASE64_STANDARD.encode(value.to_string())
}

/// Labels a log in a file of this name; what was asked, and the rows.
fn label(name: &str, log: &str, more: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let upstream = upstream();
    let case = Case::new("");
    fs::write(case.path(name), log).expect("the log");
    let mut command = pointsman();
    command.arg("label").arg(case.path(name)).arg("--out").arg(case.out());
    command.args(["--json", "--cheap-url", &upstream.url(), "--cheap-model", "cheap-model"]);
    let output = command.args(more).output().expect("runs");
    let result = summary(&output);
    assert_eq!(result["labelled"], 1, "{}", stderr(&output));
    (upstream.calls().into_iter().map(|call| call.body).collect(), case.rows())
}

fn asks_the_question(calls: &[Value]) {
    assert_eq!(calls.len(), 1);
    let messages = calls[0]["messages"].as_array().expect("messages");
    let last = messages.last().expect("a message");
    assert_eq!((&last["role"], &last["content"]), (&"user".into(), &QUESTION.into()), "{calls:?}");
    assert!(messages.iter().all(|it| it.get("role").is_some() && it.get("content").is_some()));
    assert_eq!(calls[0]["model"], "cheap-model");
}

#[test]
fn the_log_of_every_tool_is_read_by_its_name() {
    let (request, response) = (chat(), completion());
    let messages = &request["messages"];
    let message = json!({"role": "assistant", "content": "8"});
    let parts = |role: &str, text: &str| json!([{"role": role, "parts": [{"type": "text", "content": text}]}]);
    let human = json!({"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
        "kwargs": {"content": QUESTION, "type": "human"}});
    for (name, row) in [
        (
            "litellm",
            json!({"request_id": "r", "call_type": "acompletion", "messages": messages, "response": response}),
        ),
        (
            "litellm",
            json!({"request_id": "r", "messages": {}, "response": response.to_string(),
            "proxy_server_request": request.to_string()}),
        ),
        (
            "litellm",
            json!({"request_id": "r", "messages": "{}", "response": response,
            "proxy_server_request": {"url": "http://x", "body": request}}),
        ),
        (
            "litellm",
            json!({"request_id": "r", "call_type": "aresponses", "messages": {},
            "proxy_server_request": {"model": "m", "input": QUESTION},
            "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": "8"}]}]}}),
        ),
        (
            "langfuse",
            json!({"id": "o", "type": "GENERATION", "input": messages.to_string(), "output": message.to_string()}),
        ),
        (
            "langfuse",
            json!({"id": "o", "type": "GENERATION", "input": {"messages": messages}, "output": "8",
            "modelParameters": {"temperature": "0.5", "max_tokens": 9}}),
        ),
        (
            "helicone",
            json!({"request_id": "h", "request_path": "https://h.example/v1/chat/completions",
            "request_body": request, "response_body": response}),
        ),
        (
            "envoy-access-log",
            json!({"request_id": "e", "path": "/v1/chat/completions",
            "request_body": request.to_string(), "response_body": response.to_string()}),
        ),
        (
            "envoy-access-log",
            json!({"request_body": encoded(&request), "response_body": encoded(&response)}),
        ),
        (
            "envoy-tap",
            json!({"http_buffered_trace": {
            "request": {"headers": [{"key": ":path", "value": "/v1/chat/completions"}], "body": {"as_bytes": encoded(&request)}},
            "response": {"body": {"as_string": response.to_string()}}}}),
        ),
        (
            "otel",
            json!({"spanId": "s", "attributes": {
            "gen_ai.input.messages": parts("user", QUESTION).to_string(),
            "gen_ai.output.messages": parts("assistant", "8").to_string()}}),
        ),
        (
            "otel",
            json!({"spanId": "s", "attributes": [
            {"key": "gen_ai.request.max_tokens", "value": {"intValue": "7"}},
            {"key": "gen_ai.prompt.0.role", "value": {"stringValue": "user"}},
            {"key": "gen_ai.prompt.0.content", "value": {"stringValue": QUESTION}},
            {"key": "gen_ai.completion.0.content", "value": {"stringValue": "8"}}]}),
        ),
        (
            "mlflow",
            json!({"trace_id": "m", "request": request.to_string(), "response": response.to_string()}),
        ),
        (
            "mlflow",
            json!({"info": {"trace_id": "m"}, "data": {"request": request.to_string(), "response": response.to_string()}}),
        ),
        (
            "weave",
            json!({"id": "w", "op_name": "openai.chat.completions.create",
            "inputs": {"self": {"x": 1}, "model": "m", "messages": messages}, "output": response}),
        ),
        (
            "langsmith",
            json!({"id": "l", "run_type": "llm", "inputs": {"messages": [[human]]},
            "outputs": {"generations": [[{"text": "8"}]]}, "extra": {"invocation_params": {"temperature": 0.5}}}),
        ),
        (
            "langsmith",
            json!({"id": "l", "run_type": "llm", "inputs": {"messages": messages}, "outputs": response}),
        ),
        (
            "portkey",
            json!({"id": "p", "request": {"url": "https://x/v1/chat/completions", "body": request},
            "response": {"status": 200, "body": response}}),
        ),
        (
            "bifrost",
            json!({"id": "b", "input_history": messages, "output_message": message, "params": {"temperature": 0}}),
        ),
        ("fine-tuning", json!({"messages": [messages[0], message]})),
    ] {
        let (calls, rows) = label("log.jsonl", &format!("{row}\n"), &["--from", name]);
        asks_the_question(&calls);
        assert_eq!(rows[0]["label"]["cheap_ok"], true, "{name}");
    }
}

#[test]
fn parameters_that_a_log_keeps_apart_are_asked_with() {
    let row = json!({"id": "o", "type": "GENERATION", "input": [{"role": "user", "content": QUESTION}],
        "output": "8", "modelParameters": {"temperature": "0.5", "max_tokens": 9, "region": "eu"}});
    let (calls, _) = label("log.jsonl", &format!("{row}\n"), &["--from", "langfuse"]);
    assert_eq!((&calls[0]["temperature"], &calls[0]["max_tokens"]), (&0.5.into(), &9.into()));
    assert!(calls[0].get("region").is_none());
}

#[test]
fn a_log_that_can_be_no_other_is_recognised() {
    let (request, response) = (chat(), completion());
    let tap = json!({"http_buffered_trace": {"request": {"body": {"as_bytes": encoded(&request)}},
        "response": {"body": {"as_bytes": encoded(&response)}}}});
    let span = json!({"spanId": "s", "attributes": {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "8"}]}]}});
    let litellm = json!({"request_id": "r", "call_type": "acompletion", "messages": {}, "response": response,
        "proxy_server_request": request});
    let stored =
        json!({"messages": [request["messages"][0], {"role": "assistant", "content": "8"}]});
    for row in [tap, span, litellm, stored] {
        let (calls, _) = label("log.jsonl", &format!("{row}\n"), &[]);
        asks_the_question(&calls);
    }
}

#[test]
fn arrays_and_tables_are_read() {
    let (request, response) = (chat(), completion());
    let array = serde_json::to_string_pretty(
        &json!([{"id": "a", "request": request, "response": response}]),
    );
    let (calls, rows) = label("log.json", &array.expect("JSON"), &[]);
    asks_the_question(&calls);
    assert_eq!(rows[0]["id"], "a");
    let messages = request["messages"].to_string().replace('"', "\"\"");
    let table = format!("id,input,output\no1,\"{messages}\",8\n");
    let (calls, rows) = label("log.csv", &table, &["--map", "request=/input,response=/output"]);
    asks_the_question(&calls);
    assert_eq!(rows[0]["id"], "o1");
}

#[test]
fn requests_of_other_apis_are_asked_as_chats_and_keep_their_own_form() {
    let anthropic = json!({"model": "c", "max_tokens": 9, "system": "Be brief.",
        "messages": [{"role": "user", "content": QUESTION}]});
    let answer = json!({"type": "message", "content": [{"type": "text", "text": "8"}], "stop_reason": "end_turn"});
    let responses = json!({"model": "m", "instructions": "Be brief.", "input": QUESTION});
    let output =
        json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "8"}]}]});
    let prompt = json!({"model": "m", "prompt": QUESTION, "max_tokens": 9});
    let text = json!({"choices": [{"text": "8"}]});
    for (path, request, response) in [
        ("/v1/messages", anthropic, answer),
        ("/v1/responses", responses, output),
        ("/v1/completions", prompt, text),
    ] {
        for named in [true, false] {
            let mut row = json!({"id": "a", "request": request, "response": response});
            if named {
                row["path"] = path.into();
            }
            let (calls, rows) = label("log.jsonl", &format!("{row}\n"), &[]);
            asks_the_question(&calls);
            assert_eq!((&rows[0]["request"], &rows[0]["path"]), (&request, &path.into()));
        }
    }
}

#[test]
fn batches_of_responses_and_of_anthropic_are_paired() {
    let upstream = upstream();
    let case = Case::new("");
    let input = [
        json!({"custom_id": "o", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": QUESTION}}),
        json!({"custom_id": "a", "params": {"model": "c", "max_tokens": 9,
            "messages": [{"role": "user", "content": "How many are 5 + 5?"}]}}),
        json!({"custom_id": "e", "params": {"model": "c", "max_tokens": 9,
            "messages": [{"role": "user", "content": "How many are 7 + 7?"}]}}),
    ];
    let output = [
        json!({"custom_id": "a", "result": {"type": "succeeded", "message": {"type": "message", "role": "assistant",
            "content": [{"type": "text", "text": "10"}], "stop_reason": "end_turn"}}}),
        json!({"custom_id": "e", "result": {"type": "errored", "error": {"type": "invalid_request"}}}),
        json!({"custom_id": "o", "response": {"status_code": 200, "body": {"object": "response", "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "8"}]}]}}, "error": null}),
    ];
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    fs::write(case.path("log.jsonl"), lines(&input)).expect("the input");
    fs::write(case.path("batch_output.jsonl"), lines(&output)).expect("the output");
    let mut command = case.label(&upstream.url(), &["--json"]);
    let output = command.arg(case.path("batch_output.jsonl")).output().expect("runs");
    let result = summary(&output);
    assert_eq!((&result["labelled"], &result["problems"]["missing_field"]), (&2.into(), &1.into()));
    let paths: Vec<Value> = case.rows().iter().map(|row| row["path"].clone()).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/messages"]);
    assert_eq!(upstream.calls().len(), 2);
}

#[test]
fn recorded_streams_of_every_api_are_read() {
    let anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"8\"}}\n\n";
    let responses = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"8\"}\n\n";
    let chat_stream = "data: {\"choices\":[{\"delta\":{\"content\":\"8\"}}]}\n\ndata: [DONE]\n\n";
    let encoded_stream = BASE64_STANDARD.encode(chat_stream);
    for stream in [anthropic, responses, chat_stream, encoded_stream.as_str()] {
        let row = json!({"id": "s", "request": chat(), "response": stream});
        asks_the_question(&label("log.jsonl", &format!("{row}\n"), &[]).0);
    }
}

#[test]
fn what_cannot_be_asked_is_named_and_not_paid_for() {
    let upstream = upstream();
    let question = |extra: Value| {
        let mut request = json!({"model": "m", "input": QUESTION});
        request
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        json!({"request": request, "response": "8"})
    };
    for (row, what, counted) in [
        (question(json!({"previous_response_id": "r"})), "previous_response_id", "not_replayable"),
        (question(json!({"tools": [{"type": "web_search"}]})), "web_search", "not_replayable"),
        (
            json!({"request": {"messages": [{"content": QUESTION}]}, "response": "8"}),
            "messages[0] has no role",
            "missing_field",
        ),
        (
            json!({"request": {"messages": [{"role": "user"}]}, "response": "8"}),
            "messages[0] has no content",
            "missing_field",
        ),
        (json!({"request": {"contents": []}, "response": "8"}), "Gemini", "missing_field"),
        (
            json!({"request": chat(), "response": {"error": {"message": "overloaded"}}}),
            "is an error",
            "missing_field",
        ),
        (
            json!({"id": "o", "type": "SPAN", "trace_id": "t", "input": {"query": "x"}, "output": "y"}),
            "type SPAN",
            "missing_field",
        ),
        (json!({"resourceSpans": []}), "one span per line", "missing_field"),
        (
            json!({"request": BASE64_STANDARD.encode([0x1f, 0x8b, 8, 0, 1, 2, 3, 4].repeat(12)), "response": "8"}),
            "base64",
            "missing_field",
        ),
    ] {
        let good = json!({"id": "good", "request": chat(), "response": completion()});
        let case = Case::new(&format!("{row}\n{good}\n"));
        let output = case.label(&upstream.url(), &["--json"]).output().expect("runs");
        let (said, result) = (stderr(&output), summary(&output));
        assert!(said.contains("log.jsonl:1: ") && said.contains(what), "{row}: {said}");
        assert_eq!(
            (&result["problems"][counted], &result["labelled"]),
            (&1.into(), &1.into()),
            "{row}"
        );
        let alone = Case::new(&format!("{row}\n"));
        let calls = upstream.calls().len();
        let output = alone.label(&upstream.url(), &[]).output().expect("runs");
        assert_eq!((output.status.code(), upstream.calls().len()), (Some(1), calls), "{row}");
        assert!(stderr(&output).contains("hint: ") && !alone.out().exists());
    }
}

#[test]
fn other_kinds_of_files_are_refused_by_name() {
    let upstream = upstream();
    for (bytes, name) in [
        (&b"{\n  \"data\": [\n  {}\n  ]\n}\n"[..], "over several lines"),
        (b"PK\x03\x04....", "ZIP"),
        (b"PAR1", "Parquet"),
    ] {
        let case = Case::new("");
        fs::write(case.path("log.jsonl"), bytes).expect("the log");
        let output = case.label(&upstream.url(), &[]).output().expect("runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
    let case = Case::new("");
    let output = case.label(&upstream.url(), &["--from", "nobody"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("langfuse"), "{}", stderr(&output));
}

#[test]
fn a_run_without_a_row_is_no_success_and_leaves_the_old_rows() {
    let failing = Upstream::start(Duration::ZERO, |_, _| Reply::Raw(400, None, "no".into()));
    let row = json!({"id": "a", "request": chat(), "response": completion()});
    for (log, url) in [
        ("", upstream().url()),
        ("not JSON\n", upstream().url()),
        (format!("{row}\n").as_str(), failing.url()),
    ] {
        let case = Case::new(log);
        fs::write(case.out(), "earlier\n").expect("written");
        let output = case.label(&url, &["--retries", "0"]).output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{log}: {}", stderr(&output));
        assert!(stderr(&output).contains("hint: "), "{}", stderr(&output));
        assert_eq!(fs::read_to_string(case.out()).expect("there"), "earlier\n");
    }
}
