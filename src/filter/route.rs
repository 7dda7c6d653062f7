//! What headers and route say of a request before its body is here.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MapType;

use crate::config::{Config, Mode};
use crate::decision::Reason;
use crate::prompt::ApiFormat;

/// Only the bytes getters: the `String` ones panic on headers that are not UTF-8, which any
/// client can send (proxy-wasm `hostcalls.rs`, `get_map_value`).
pub(super) fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

/// The format of a request that is ours.
pub(super) fn format(config: &Config) -> Option<ApiFormat> {
    if header(":method")? != b"POST" {
        return None;
    }
    let path = header(":path")?;
    let format = ApiFormat::of_path(&path)?;
    let within = |prefix: &String| path.starts_with(prefix.as_bytes());
    config.path_prefixes.iter().any(within).then_some(format)
}

/// Why the body cannot be read, as far as headers tell.
pub(super) fn unreadable(end_of_stream: bool) -> Option<Reason> {
    if header("content-type").is_some_and(|value| !is_json(&value)) {
        return Some(Reason::NotJson);
    }
    let encoding = header("content-encoding");
    if encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity")) {
        return Some(Reason::ContentEncoded);
    }
    end_of_stream.then_some(Reason::EmptyBody)
}

/// `application/json`, `application/problem+json; charset=utf-8` and the like.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// How a request is treated: what its route says in `filter_metadata`, else the configuration.
#[derive(Clone, Copy)]
pub(super) struct Treatment {
    pub(super) mode: Mode,
    /// Position of the policy.
    pub(super) policy: usize,
}

impl Treatment {
    pub(super) fn of_route(config: &Config) -> Self {
        let mode = metadata("mode").and_then(|name| Mode::named(&name));
        let policy = match config.policies.as_slice() {
            [_, _, ..] => metadata("policy")
                .and_then(|name| config.policies.iter().position(|policy| policy.name == name)),
            _ => None,
        };
        Treatment { mode: mode.unwrap_or(config.mode), policy: policy.unwrap_or(0) }
    }
}

/// A text of the route's metadata, under this filter's name.
fn metadata(name: &str) -> Option<String> {
    let path = vec!["xds", "route_metadata", "filter_metadata", "pointsman", name];
    String::from_utf8(hostcalls::get_property(path).ok().flatten()?).ok()
}
