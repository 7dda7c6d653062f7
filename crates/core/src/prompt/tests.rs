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
fn what_a_model_reads_besides_the_turns_counts_as_tokens() {
    let long = "x = compute(a, b)\\n".repeat(1000);
    for (format, body) in [
        (
            ApiFormat::ChatCompletions,
            format!(
                r#"{{"messages":[{{"content":"hi"}},{{"role":"assistant","tool_calls":[{{"function":{{"arguments":"{long}"}}}}]}}]}}"#
            ),
        ),
        (
            ApiFormat::ChatCompletions,
            format!(
                r#"{{"messages":[{{"content":"hi"}},{{"role":"assistant","function_call":{{"arguments":"{long}"}}}}]}}"#
            ),
        ),
        (
            ApiFormat::Responses,
            format!(
                r#"{{"input":[{{"content":"hi"}},{{"type":"function_call","arguments":"{long}"}}]}}"#
            ),
        ),
        (
            ApiFormat::Messages,
            format!(
                r#"{{"messages":[{{"content":[{{"type":"text","text":"hi"}},{{"type":"tool_use","input":{{"a":"{long}"}}}}]}}]}}"#
            ),
        ),
        (
            ApiFormat::Messages,
            format!(
                r#"{{"messages":[{{"content":[{{"type":"text","text":"hi"}},{{"type":"document","source":{{"type":"text","data":"{long}"}}}}]}}]}}"#
            ),
        ),
        (
            ApiFormat::Messages,
            format!(
                r#"{{"messages":[{{"content":[{{"type":"text","text":"hi"}},{{"type":"search_result","content":[{{"type":"text","text":"{long}"}}]}}]}}]}}"#
            ),
        ),
        (
            ApiFormat::Messages,
            format!(
                r#"{{"messages":[{{"content":[{{"type":"text","text":"hi"}},{{"type":"thinking","thinking":"{long}"}}]}}]}}"#
            ),
        ),
    ] {
        let mut bytes = body.clone().into_bytes();
        let prompt = Prompt::parse(format, &mut bytes, false).unwrap();
        let estimate = prompt.tokens_estimate();
        assert!((4400..5000).contains(&estimate), "{estimate}: {format:?}");
        assert!(prompt.tokens_at_most() > 5000, "{format:?}");
    }
}

#[test]
fn encodings_of_pictures_and_files_are_no_text() {
    let data = "QUJD".repeat(100_000);
    for (format, part, at_most) in [
        (
            ApiFormat::ChatCompletions,
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA"}}"#,
            2_000,
        ),
        (
            ApiFormat::ChatCompletions,
            r#"{"image_url":{"url":"data:image/png;base64,DATA"}}"#,
            2_000,
        ),
        (
            ApiFormat::Responses,
            r#"{"type":"input_image","image_url":"data:image/png;base64,DATA"}"#,
            2_000,
        ),
        (
            ApiFormat::Messages,
            r#"{"type":"image","source":{"type":"base64","data":"DATA"}}"#,
            2_000,
        ),
        (
            ApiFormat::Messages,
            r#"{"type":"tool_result","content":[{"type":"image","source":{"data":"DATA"}}]}"#,
            2_000,
        ),
        (
            ApiFormat::Messages,
            r#"{"type":"document","source":{"type":"base64","data":"DATA"}}"#,
            30_000,
        ),
    ] {
        let field = if format == ApiFormat::Responses { "input" } else { "messages" };
        let part = part.replace("DATA", &data);
        let text = r#"{"type":"text","text":"What is this?"}"#;
        let body = format!(r#"{{"{field}":[{{"role":"user","content":[{text},{part}]}}]}}"#);
        let mut bytes = body.into_bytes();
        let prompt = Prompt::parse(format, &mut bytes, false).unwrap();
        assert!(prompt.tokens_at_most() < at_most, "{format:?}: {}", prompt.tokens_at_most());
        assert!(prompt.tokens_estimate() < 100);
    }
    let text = format!(r#"{{"messages":[{{"role":"user","content":"{data}"}}]}}"#);
    let mut bytes = text.into_bytes();
    let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut bytes, false).unwrap();
    assert!(prompt.tokens_at_most() > 150_000, "the same in a text is text");
}

#[test]
fn instructions_stand_first_and_are_no_end_of_a_tool_loop() {
    for (format, body) in [
        (
            ApiFormat::Messages,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":"4"}]}],"system":"S"}"#,
        ),
        (
            ApiFormat::Responses,
            r#"{"input":[{"role":"user","content":"a"},{"type":"function_call_output","output":"4"}],"instructions":"S"}"#,
        ),
        (
            ApiFormat::ChatCompletions,
            r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"tool","content":"4"},{"role":"developer","content":"Be brief."}]}"#,
        ),
    ] {
        let mut bytes = body.as_bytes().to_vec();
        let prompt = Prompt::parse(format, &mut bytes, false).unwrap();
        assert!(prompt.in_tool_loop(), "{body}");
        assert_eq!((prompt.turns[0].role, &*prompt.turns[0].text), (Role::System, "S"), "{body}");
    }
}

#[test]
fn a_turn_of_nothing_but_envelopes_is_no_turn() {
    let body = r##"{"input":[{"role":"user","content":"# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nTest.\n</INSTRUCTIONS>"},
        {"role":"user","content":" "},{"role":"user","content":"Why?"}]}"##;
    let turns = turns_of(ApiFormat::Responses, body).unwrap();
    let texts: Vec<&str> = turns.iter().map(|turn| turn.1.as_str()).collect();
    assert_eq!(texts, [" ", "Why?"]);
}

#[test]
fn half_a_character_is_read_as_a_replacement() {
    let body = r#"{"messages":[{"role":"user","content":"a \ud83d..."},{"role":"user","content":"\ud83d\ude00"}]}"#;
    let texts: Vec<String> = turns_of(ApiFormat::ChatCompletions, body)
        .unwrap()
        .into_iter()
        .map(|turn| turn.1)
        .collect();
    assert_eq!(texts, ["a \u{fffd}...", "\u{1f600}"]);
    let marked = format!("\u{feff}{body}");
    assert_eq!(turns_of(ApiFormat::ChatCompletions, &marked).unwrap().len(), 2);
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
        ]
    );
    let image = r#"{"messages":[{"role":"user","content":[{"type":"image","source":{}},{"type":"tool_result","content":"r"}]}]}"#;
    assert_eq!(
        turns_of(ApiFormat::Messages, image).unwrap(),
        [(Role::Tool, "r".to_owned(), 0, 0), (Role::User, String::new(), 1, 0)]
    );
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
