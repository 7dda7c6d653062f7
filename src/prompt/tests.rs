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
