use super::*;

fn parse(body: &str) -> Result<OwnedPrompt, PromptError> {
    let mut bytes = body.as_bytes().to_vec();
    Prompt::parse(ApiFormat::ChatCompletions, &mut bytes, false).map(OwnedPrompt::from)
}

/// What tests look at, free of the body's lifetime.
#[derive(Debug, PartialEq)]
struct OwnedPrompt {
    turns: Vec<(Role, String, u32, u32)>,
    model: Option<String>,
    max_tokens: Option<u64>,
    stream: bool,
    response_format: ResponseFormat,
    tools: (u32, usize),
}

impl From<Prompt<'_>> for OwnedPrompt {
    fn from(prompt: Prompt) -> Self {
        let Parameters { model, max_tokens, stream, response_format, tools, tools_bytes, .. } =
            prompt.parameters;
        OwnedPrompt {
            turns: prompt
                .turns
                .into_iter()
                .map(|turn| (turn.role, turn.text.into_owned(), turn.images, turn.tool_calls))
                .collect(),
            model: model.map(Cow::into_owned),
            max_tokens,
            stream,
            response_format,
            tools: (tools, tools_bytes),
        }
    }
}

#[test]
fn a_full_request_is_read() {
    let prompt = parse(
        r#"{"model":"gpt-4o","unknown":{"deep":[1,{"x":null}]},"max_completion_tokens":200,"stream":true,
            "response_format":{"type":"json_schema","json_schema":{"name":"x"}},
            "tools":[{"type":"function"},{"a":1}],"temperature":0.5,
            "messages":[{"content":"Be brief.","role":"developer"},
              {"role":"user","content":[{"type":"text","text":"What is\nthis?"},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
                {"type":"text","text":"And that?"}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"1"},{"id":"2"}]},
              {"role":"tool","tool_call_id":"1","content":"42"}]}"#,
    )
    .unwrap();
    assert_eq!(
        prompt,
        OwnedPrompt {
            turns: vec![
                (Role::System, "Be brief.".into(), 0, 0),
                (Role::User, "What is\nthis?\nAnd that?".into(), 1, 0),
                (Role::Assistant, String::new(), 0, 2),
                (Role::Tool, "42".into(), 0, 0),
            ],
            model: Some("gpt-4o".into()),
            max_tokens: Some(200),
            stream: true,
            response_format: ResponseFormat::JsonSchema,
            tools: (2, 26),
        }
    );
}

#[test]
fn plain_text_is_borrowed_from_the_body() {
    let mut body = br#"{"messages":[{"role":"user","content":"no escapes here"}]}"#.to_vec();
    let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
    assert!(matches!(prompt.turns[0].text, Cow::Borrowed("no escapes here")));
}

#[test]
fn parameters_of_the_wrong_type_are_left_out() {
    let prompt = parse(
        r#"{"model":7,"max_tokens":"many","stream":"yes","response_format":null,"tools":null,
            "temperature":[],"messages":[{"role":3,"content":"hi"}]}"#,
    )
    .unwrap();
    assert_eq!(prompt.turns, [(Role::User, "hi".into(), 0, 0)]);
    assert_eq!((prompt.model, prompt.max_tokens, prompt.stream), (None, None, false));
}

#[test]
fn content_of_the_wrong_type_is_left_out() {
    let prompt = parse(
        r#"{"messages":[{"content":7},{"content":{"text":"no"}},{"content":[1,null,[2],{"type":3,"text":true},"yes"]}]}"#,
    )
    .unwrap();
    let texts: Vec<&str> = prompt.turns.iter().map(|turn| turn.1.as_str()).collect();
    assert_eq!(texts, ["", "", "yes"]);
}

#[test]
fn bodies_that_are_no_prompt_are_named() {
    for (body, error) in [
        ("", PromptError::EmptyBody),
        (" \n", PromptError::EmptyBody),
        ("{", PromptError::MalformedJson),
        (r#"{"messages":[{"content":"x"}]} x"#, PromptError::MalformedJson),
        ("[]", PromptError::NoPrompt),
        ("{}", PromptError::NoPrompt),
        (r#"{"messages":[]}"#, PromptError::NoPrompt),
        (r#"{"messages":"hello"}"#, PromptError::NoPrompt),
        (r#"{"messages":[{"role":"user","content":"  "}]}"#, PromptError::NoPrompt),
    ] {
        assert_eq!(parse(body), Err(error), "{body:?}");
    }
    assert_eq!(parse(&"[".repeat(10_000)), Err(PromptError::TooDeep));
    let mut not_utf8 = b"{\"messages\":[{\"content\":\"\xff\"}]}".to_vec();
    assert_eq!(
        Prompt::parse(ApiFormat::ChatCompletions, &mut not_utf8, false),
        Err(PromptError::MalformedJson)
    );
}

#[test]
fn a_cut_body_yields_what_was_read() {
    let whole =
        r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"first second"#;
    let mut body = whole.as_bytes().to_vec();
    let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, true).unwrap();
    assert!(prompt.truncated);
    assert_eq!(prompt.turns[1].text, "first second");
    assert_eq!(prompt.turns[1].role, Role::User);
}

#[test]
fn an_image_alone_is_a_prompt() {
    let prompt = parse(r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#);
    assert_eq!(prompt.unwrap().turns, [(Role::User, String::new(), 1, 0)]);
}

#[test]
fn envelopes_are_left_out_of_user_turns_and_still_count_as_tokens() {
    let body = r#"{"messages":[{"role":"system","content":"<user_info>kept</user_info>"},
        {"role":"user","content":[{"type":"text","text":"<system-reminder>x</system-reminder>"},
          {"type":"text","text":"Why?"}]}]}"#;
    let mut bytes = body.as_bytes().to_vec();
    let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut bytes, false).unwrap();
    assert_eq!(prompt.turns[0].text, "<user_info>kept</user_info>");
    assert_eq!(prompt.turns[1].text, "\nWhy?");
    assert_eq!(prompt.envelope_bytes, 36);
    assert_eq!(prompt.tokens_estimate(), (27_usize + 5 + 36).div_ceil(4));
}

#[test]
fn a_tool_result_at_the_end_is_a_tool_loop() {
    for (role, expected) in [("tool", true), ("user", false)] {
        let mut body = format!(
            r#"{{"messages":[{{"role":"user","content":"a"}},{{"role":"{role}","content":"b"}}]}}"#
        )
        .into_bytes();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
        assert_eq!(prompt.in_tool_loop(), expected, "{role}");
    }
}

/// Roles and texts of a body in a format.
fn turns_of(format: ApiFormat, body: &str) -> Result<Vec<(Role, String, u32, u32)>, PromptError> {
    let mut bytes = body.as_bytes().to_vec();
    Prompt::parse(format, &mut bytes, false).map(|prompt| OwnedPrompt::from(prompt).turns)
}

#[test]
fn completions_are_one_user_turn() {
    let read = |body| turns_of(ApiFormat::Completions, body);
    let turn = |text: &str| Ok(vec![(Role::User, text.to_owned(), 0, 0)]);
    assert_eq!(read(r#"{"model":"m","prompt":"Once upon\na time"}"#), turn("Once upon\na time"));
    assert_eq!(read(r#"{"prompt":["one","tw\u006f"],"max_tokens":5}"#), turn("one\ntwo"));
    for tokens in [r#"{"prompt":[1,2,3]}"#, r#"{"prompt":null}"#, r#"{"messages":[]}"#] {
        assert_eq!(read(tokens), Err(PromptError::NoPrompt), "{tokens}");
    }
}

#[test]
fn responses_are_read() {
    let read = |body| turns_of(ApiFormat::Responses, body);
    assert_eq!(
        read(r#"{"model":"m","instructions":"Be brief.","input":"Why?"}"#).unwrap(),
        [(Role::System, "Be brief.".to_owned(), 0, 0), (Role::User, "Why?".to_owned(), 0, 0)]
    );
    let items = r#"{"input":[
        {"role":"developer","content":"D"},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"U"},{"type":"input_image","image_url":"x"}]},
        {"type":"reasoning","summary":[]},
        {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"1","output":"42"}]}"#;
    assert_eq!(
        read(items).unwrap(),
        [
            (Role::System, "D".to_owned(), 0, 0),
            (Role::User, "U".to_owned(), 1, 0),
            (Role::Assistant, String::new(), 0, 0),
            (Role::Assistant, String::new(), 0, 1),
            (Role::Tool, "42".to_owned(), 0, 0),
        ]
    );
    let mut body =
        br#"{"input":"x","max_output_tokens":9,"text":{"format":{"type":"json_schema"}}}"#.to_vec();
    let prompt = Prompt::parse(ApiFormat::Responses, &mut body, false).unwrap();
    assert_eq!(prompt.parameters.max_tokens, Some(9));
    assert_eq!(prompt.parameters.response_format, ResponseFormat::JsonSchema);
    assert_eq!(read(r#"{"input":{"a":1}}"#), Err(PromptError::NoPrompt));
}

#[test]
fn anthropic_messages_are_read() {
    let body = r#"{"model":"m","max_tokens":100,"system":[{"type":"text","text":"S"}],
        "metadata":{"user_id":"u7"},"messages":[
        {"role":"user","content":"Weather?"},
        {"role":"assistant","content":[{"type":"text","text":"Let me look."},{"type":"tool_use","id":"1","name":"w","input":{"content":"x"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"21 C"}]},
          {"type":"text","text":"<system-reminder>x</system-reminder>"}]}]}"#;
    let mut bytes = body.as_bytes().to_vec();
    let prompt = Prompt::parse(ApiFormat::Messages, &mut bytes, false).unwrap();
    assert!(prompt.in_tool_loop(), "a reminder is not something a person said");
    assert_eq!(prompt.parameters.user.as_deref(), Some("u7"));
    assert_eq!(
        OwnedPrompt::from(prompt).turns,
        [
            (Role::System, "S".to_owned(), 0, 0),
            (Role::User, "Weather?".to_owned(), 0, 0),
            (Role::Assistant, "Let me look.".to_owned(), 0, 1),
            (Role::Tool, "21 C".to_owned(), 0, 0),
            (Role::User, String::new(), 0, 0),
        ]
    );
    let image = r#"{"messages":[{"role":"user","content":[{"type":"image","source":{}},{"type":"tool_result","content":"r"}]}]}"#;
    assert_eq!(
        turns_of(ApiFormat::Messages, image).unwrap(),
        [(Role::Tool, "r".to_owned(), 0, 0), (Role::User, String::new(), 1, 0)]
    );
}

#[test]
fn paths_tell_the_format() {
    for (path, format) in [
        ("/v1/chat/completions", Some(ApiFormat::ChatCompletions)),
        ("/openai/deployments/x/chat/completions?api-version=1", Some(ApiFormat::ChatCompletions)),
        ("/v1/completions", Some(ApiFormat::Completions)),
        ("/v1/responses", Some(ApiFormat::Responses)),
        ("/anthropic/v1/messages", Some(ApiFormat::Messages)),
        ("/v1/embeddings", None),
        ("/v1/models?next=/v1/messages", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/threads/t1/messages", None),
        ("/v1/responses/r1/cancel", None),
        ("", None),
    ] {
        assert_eq!(ApiFormat::of_path(path.as_bytes()), format, "{path}");
    }
}

#[test]
fn turns_are_bounded_and_the_newest_is_kept() {
    let empty = "{},".repeat(3 * MAX_TURNS);
    let mut body =
        format!(r#"{{"messages":[{empty}{{"role":"user","content":"last"}}]}}"#).into_bytes();
    let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
    assert_eq!(prompt.turns.len(), MAX_TURNS);
    assert_eq!(prompt.turns.last().unwrap().text, "last");
}
