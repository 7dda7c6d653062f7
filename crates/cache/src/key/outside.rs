//! Bodies whose answer hangs on more than the body: on what the provider keeps, or on what changes
//! by itself.

use super::NoCacheReason;
use super::node::Node;
use pointsman_core::prompt::ApiFormat;

/// Fields that name what the provider keeps.
const STATE: [&str; 6] =
    ["background", "container", "conversation", "file_ids", "previous_response_id", "thread"];
/// Fields that let the provider look something up: of OpenAI, xAI, OpenRouter, Anthropic, Azure and
/// Alibaba.
const SOURCES: [&str; 6] = [
    "web_search_options",
    "search_parameters",
    "plugins",
    "mcp_servers",
    "data_sources",
    "enable_search",
];
/// Tools that the client runs, so that their results are in the body.
const CLIENT_TOOLS: [&str; 5] = ["function", "custom", "local_shell", "apply_patch", "namespace"];
/// The same with a version behind the name.
const VERSIONED_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];
/// What a model or a client wrote: names in it mean nothing to the provider.
const WRITTEN: [&str; 6] = ["input", "arguments", "text", "annotations", "citations", "parameters"];
/// Fields of parts that hold what they show, or where it lies.
const ADDRESSES: [&str; 5] = ["url", "image_url", "file_url", "video_url", "audio_url"];

/// Checks that the body holds all that its answer hangs on.
///
/// # Errors
///
/// [`NoCacheReason::Stateful`] or [`NoCacheReason::Live`].
pub(super) fn check(format: ApiFormat, body: &Node) -> Result<(), NoCacheReason> {
    let is_set = |name: &&str| {
        body.get(name).is_some_and(|value| match value {
            Node::Null | Node::Bool(false) => false,
            Node::List(elements) => !elements.is_empty(),
            _ => true,
        })
    };
    // Responses are stored unless it is said otherwise, and their IDs are good for follow-ups.
    let stored = match body.get("store") {
        None | Some(Node::Null) => format == ApiFormat::Responses,
        Some(store) => *store != Node::Bool(false),
    };
    // A template of responses, of which the body has the ID only.
    let template = matches!(body.get("prompt"), Some(Node::Object(_)));
    if stored || template || STATE.iter().any(is_set) {
        return Err(NoCacheReason::Stateful);
    }
    let model = body.text("model").unwrap_or_default();
    let live = SOURCES.iter().any(is_set);
    let client = match body.get("tools") {
        None | Some(Node::Null) => true,
        Some(Node::List(tools)) => tools.iter().all(runs_at_the_client),
        Some(_) => false,
    };
    if live || searches(model) || !client {
        return Err(NoCacheReason::Live);
    }
    for turns in ["messages", "input"].iter().filter_map(|name| body.get(name)) {
        turns.elements().iter().try_for_each(check_part)?;
    }
    Ok(())
}

/// Models that look things up whatever they are asked: Perplexity's, OpenAI's for search and
/// research, Groq's systems, and OpenRouter's suffix.
fn searches(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("sonar")
        || name.starts_with("compound")
        || name.ends_with(":online")
        || ["-search-preview", "-search-api", "-deep-research"].iter().any(|it| name.contains(it))
}

/// Whether the client runs a tool. One without a type is a function, or has a name and the schema
/// of what the client takes; `{"google_search": {}}` is the provider's.
fn runs_at_the_client(tool: &Node) -> bool {
    let is_object = |name: &&str| matches!(tool.get(name), Some(Node::Object(_)));
    let has_schema = ["input_schema", "parameters"].iter().any(is_object);
    match tool.get("type") {
        None | Some(Node::Null) => {
            is_object(&"function") || tool.text("name").is_some() && has_schema
        }
        Some(Node::Text(kind)) => {
            CLIENT_TOOLS.contains(&kind.as_str())
                || VERSIONED_TOOLS.iter().any(|name| kind.starts_with(name))
        }
        Some(_) => false,
    }
}

/// Checks a turn, a part of one, or what that holds.
fn check_part(part: &Node) -> Result<(), NoCacheReason> {
    let fields = match part {
        Node::Object(fields) => fields,
        Node::List(elements) => return elements.iter().try_for_each(check_part),
        _ => return Ok(()),
    };
    if part.text("type") == Some("item_reference") {
        return Err(NoCacheReason::Stateful);
    }
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("file_id", Node::Text(_)) => return Err(NoCacheReason::Stateful),
            // Audio that a model said before, of which the client has the ID only.
            ("audio", audio) if audio.get("id").is_some() => return Err(NoCacheReason::Stateful),
            (name, Node::Text(address)) if ADDRESSES.contains(&name) => {
                if !address.starts_with("data:") {
                    return Err(NoCacheReason::Live);
                }
            }
            (name, _) if WRITTEN.contains(&name) => {}
            (_, value) => check_part(value)?,
        }
    }
    Ok(())
}
