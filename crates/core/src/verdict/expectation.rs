//! What a request asks of its answer.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::prompt::json::BYTE_ORDER_MARK;
use crate::prompt::{ApiFormat, Prompt, Role};

/// Messages at the end of a conversation that are looked at.
const LAST_MESSAGES: usize = 8;
/// What completions are cut at where the request has no limit, in tokens.
/// <https://platform.openai.com/docs/api-reference/completions/create#completions-create-max_tokens>
const COMPLETION_TOKENS: u64 = 16;

/// The form that the text of an answer must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Text,
    /// Any JSON.
    Json,
    /// JSON that fits this schema, itself JSON text.
    Schema(Box<str>),
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    /// JSON Schema of its arguments, as JSON text.
    pub parameters: Option<Box<str>>,
}

/// What a request asks of its answer. The default asks for nothing, and no answer breaks it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    pub wanted: Wanted,
    /// Functions by name; those that the provider executes have no place here.
    pub tools: Vec<Tool>,
    /// Every function that may be called is in `tools`.
    pub tools_known: bool,
    /// The provider has tools of its own to use: a search, an interpreter, an MCP server.
    pub provider_tools: bool,
    /// The client's limit on the answer, in tokens.
    pub max_tokens: Option<u64>,
    /// The last that was said is a tool's result.
    pub in_tool_loop: bool,
    /// The last that was said is the beginning of the answer, or the answer is to fit in front of
    /// something: it is no whole by itself, and may be nothing.
    pub continues: bool,
    /// The answer is to carry its tokens' log-probabilities.
    pub logprobs: bool,
    /// How many answers were asked for; 0 counts as 1.
    pub n: usize,
}

impl Expectation {
    /// Reads a whole request body. One that cannot be read expects nothing.
    ///
    /// Only the fields that matter are parsed; a megabyte of conversation is passed over.
    pub fn read(format: ApiFormat, body: &[u8]) -> Self {
        let request = fields(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
        if request.is_empty() {
            return Expectation::default();
        }
        let get = |name: &str| request.get(name).copied().filter(|it| it.get() != "null");
        let number = |name: &str| value(get(name)?).as_f64().map(|number| number as u64);
        let within = |outer: &str, inner: &str| get(outer).and_then(|it| field(it, inner));
        let is_given = |name: &str| get(name).is_some();

        let limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        let max_tokens = limits.into_iter().filter_map(number).min();
        let wanted = [
            get("response_format"),
            within("text", "format"),
            within("output_config", "format"),
            get("output_format"),
        ];
        let include = get("include").map_or("", RawValue::get);
        let logprobs = get("logprobs").map_or("false", RawValue::get);
        let mut expectation = Expectation {
            wanted: wanted.into_iter().flatten().map(Wanted::read).next().unwrap_or_default(),
            // A prompt that is kept at the provider may have tools that the request does not show.
            tools_known: format != ApiFormat::Responses || !is_given("prompt"),
            provider_tools: is_given("mcp_servers") || is_given("web_search_options"),
            max_tokens: max_tokens
                .or((format == ApiFormat::Completions).then_some(COMPLETION_TOKENS)),
            continues: is_given("suffix"),
            logprobs: logprobs != "false" || include.contains("output_text.logprobs"),
            n: number("n").map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX)).max(1),
            ..Expectation::default()
        };
        for list in [get("tools"), get("functions")].into_iter().flatten() {
            items(list).into_iter().for_each(|tool| expectation.offer(tool));
        }
        expectation.read_end(format, get("messages").or(get("input")));
        expectation
    }

    /// The function with this name.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Whether there is anything that the model may do but write.
    pub(super) fn may_call(&self) -> bool {
        !self.tools.is_empty() || !self.tools_known || self.provider_tools
    }

    fn offer(&mut self, tool: &RawValue) {
        let outer = fields(tool.get().as_bytes());
        let inner = ["function", "custom"].iter().find_map(|name| outer.get(*name));
        let inner = inner.map(|it| fields(it.get().as_bytes()));
        let inner = inner.as_ref().unwrap_or(&outer);
        let name = |of: &Fields, name: &str| of.get(name).map(|it| value(it));
        let kind = name(&outer, "type").unwrap_or_default();
        let kind = kind.as_str().unwrap_or("function");
        if is_by_provider(kind) {
            self.provider_tools = true;
            return;
        }
        let schema = ["parameters", "input_schema"].iter().find_map(|it| inner.get(*it));
        match name(inner, "name") {
            Some(Value::String(name)) => {
                let parameters = schema.map(|it| it.get().into());
                self.tools.push(Tool { name, parameters });
            }
            // Of those, calls have a type of their own.
            _ if is_nameless(kind) => {}
            _ => self.tools_known = false,
        }
        // Anything else may bring functions along that are not shown.
        self.tools_known &= is_function(kind) || is_nameless(kind);
    }

    /// Looks at the end of the conversation, which is read as any prompt is.
    fn read_end(&mut self, format: ApiFormat, messages: Option<&RawValue>) {
        let messages = messages.map(items).unwrap_or_default();
        let rest = messages.len().saturating_sub(LAST_MESSAGES);
        let last: Vec<&str> = messages.iter().skip(rest).map(|it| it.get()).collect();
        let name = if format == ApiFormat::Responses { "input" } else { "messages" };
        let mut body = format!("{{\"{name}\":[{}]}}", last.join(",")).into_bytes();
        let Ok(prompt) = Prompt::parse(format, &mut body, false) else { return };
        self.in_tool_loop = prompt.in_tool_loop();
        self.continues |= prompt.turns.last().is_some_and(|turn| {
            turn.role == Role::Assistant && turn.tool_calls == 0 && !turn.text.trim().is_empty()
        });
    }
}

impl Wanted {
    /// `response_format` of chat completions, `text.format` of responses, `output_config.format` of
    /// messages.
    fn read(format: &RawValue) -> Self {
        let kind = field(format, "type").map(value).unwrap_or_default();
        let schema = match kind.as_str() {
            Some("json_schema") => field(format, "json_schema").and_then(|it| field(it, "schema")),
            Some("json_object") => None,
            _ => return Wanted::Text,
        };
        // Some servers take a schema for any JSON, too.
        match schema.or_else(|| field(format, "schema")) {
            Some(schema) => Wanted::Schema(schema.get().into()),
            None => Wanted::Json,
        }
    }
}

/// Tools that the provider executes itself, by the beginning of their type.
fn is_by_provider(kind: &str) -> bool {
    [
        "web_search",
        "web_fetch",
        "file_search",
        "code_interpreter",
        "code_execution",
        "image_generation",
        "mcp",
        "tool_search_tool",
    ]
    .iter()
    .any(|beginning| kind.starts_with(beginning))
}

/// Functions with a name: a client's own, and those that Anthropic has described to its models,
/// whose types end with a date (`bash_20250124`).
fn is_function(kind: &str) -> bool {
    let date = kind.rsplit('_').next().unwrap_or_default();
    matches!(kind, "function" | "custom")
        || date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())
}

/// Tools of responses that the client executes and that have no name.
fn is_nameless(kind: &str) -> bool {
    matches!(kind, "local_shell" | "shell" | "apply_patch") || kind.starts_with("computer")
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of an object, not looked into; none of anything else.
fn fields(json: &[u8]) -> Fields<'_> {
    serde_json::from_slice(json).unwrap_or_default()
}

fn field<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    fields(object.get().as_bytes()).remove(name).filter(|it| it.get() != "null")
}

fn items(array: &RawValue) -> Vec<&RawValue> {
    serde_json::from_slice(array.get().as_bytes()).unwrap_or_default()
}

fn value(json: &RawValue) -> Value {
    serde_json::from_slice(json.get().as_bytes()).unwrap_or_default()
}
