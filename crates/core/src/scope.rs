//! What headers and route say of a request before its body is here.

use std::borrow::Cow;

use crate::api::ApiFormat;
use crate::config::{Config, Mode};
use crate::header;
use crate::media_type::MediaType;
use crate::names::names;
use crate::reason::Reason;

/// Whether a request is to be decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It passes as if the filter were not there.
    Passes(Pass),
    InScope(InScope),
}

names! {
    /// Why a request passes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Pass {
        /// No `POST` to a model's path under one of the prefixes.
        OutOfScope = "out_of_scope",
        /// It asks of the default target what no other can answer for it: to count tokens. It is
        /// given the target's model.
        Beside = "side_endpoint",
        /// The configuration or the route says so.
        ModeOff = "mode_off",
        /// The client asked for it, and may.
        Skipped = "skipped",
    }
}

/// A request to be decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InScope {
    pub format: ApiFormat,
    pub mode: Mode,
    /// The policy that the route asks for: position in [`Config::policies`].
    pub policy: usize,
    /// Why the body cannot be read.
    pub unreadable: Option<Reason>,
    /// The route's metadata asks for a mode or a policy that there is not.
    pub misdirected: bool,
}

/// A request header by its lower-case name; method and path are `:method` and `:path`.
pub type Header<'h> = &'h dyn Fn(&str) -> Option<Vec<u8>>;

impl Scope {
    /// `route` gives texts of the route's metadata under this filter's name; `ended` says that no
    /// body comes.
    pub fn of(
        config: &Config,
        header: Header,
        route: &dyn Fn(&str) -> Option<String>,
        ended: bool,
    ) -> Self {
        let Some(format) = format(config, header, ApiFormat::of_path) else {
            let beside = config.rewrite_model
                && format(config, header, ApiFormat::beside_path).is_some()
                && mode(config, route) == Mode::Route;
            return Scope::Passes(if beside { Pass::Beside } else { Pass::OutOfScope });
        };
        let asked = route("mode");
        let named = asked.as_deref().map(Mode::named);
        let mode = named.flatten().unwrap_or(config.mode);
        if mode == Mode::Off {
            return Scope::Passes(Pass::ModeOff);
        }
        if config.client.skip && header(header::TARGET).is_some_and(|asked| asked == b"skip") {
            return Scope::Passes(Pass::Skipped);
        }
        // With no other policy than the main one, nobody is asked.
        let asked = if config.policies.len() > 1 { route("policy") } else { None };
        let policy =
            asked.map(|name| config.policies.iter().position(|policy| policy.name == name));
        let misdirected = named == Some(None) || policy == Some(None);
        let policy = policy.flatten().unwrap_or(0);
        let unreadable = unreadable(header, ended);
        Scope::InScope(InScope { format, mode, policy, unreadable, misdirected })
    }
}

/// The mode that the route asks for, or the configuration's.
pub(crate) fn mode(config: &Config, route: &dyn Fn(&str) -> Option<String>) -> Mode {
    route("mode").as_deref().and_then(Mode::named).unwrap_or(config.mode)
}

/// The format of a request that is ours.
fn format(
    config: &Config,
    header: Header,
    of: fn(&[u8]) -> Option<ApiFormat>,
) -> Option<ApiFormat> {
    if header(":method")? != b"POST" {
        return None;
    }
    let path = header(":path")?;
    let format = of(&path)?;
    let path = merged(&path);
    let within = |prefix: &String| path.starts_with(prefix.as_bytes());
    config.path_prefixes.iter().any(within).then_some(format)
}

/// A path in which slashes that follow each other are one.
fn merged(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut merged = path.to_vec();
    merged.dedup_by(|next, last| *next == b'/' && *last == b'/');
    Cow::Owned(merged)
}

/// Why the body cannot be read, as far as headers show.
pub fn unreadable(header: Header, ended: bool) -> Option<Reason> {
    // A header that is sent twice comes as a list: all of it must say the same.
    let json = |value: &[u8]| {
        let mut types = value.split(|byte| *byte == b',').map(MediaType::parse);
        types.all(|it| matches!(it, MediaType::Json | MediaType::JsonSuffix))
    };
    if header("content-type").is_some_and(|value| !json(&value)) {
        return Some(Reason::NotJson);
    }
    let encoding = header("content-encoding");
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    let all_plain =
        |value: &[u8]| value.split(|byte| *byte == b',').all(|it| plain(it.trim_ascii()));
    if encoding.is_some_and(|value| !all_plain(&value)) {
        return Some(Reason::ContentEncoded);
    }
    ended.then_some(Reason::EmptyBody)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let json = format!(
            r#"{{"targets": [{{"name": "cheap", "cluster": "c"}}, {{"name": "strong", "cluster": "s"}}],
                 "policies": {{"strict": {{"thresholds": {{"cheap": 1.0}}}}}}{more}}}"#
        );
        Config::from_json(json.as_bytes()).unwrap()
    }

    /// A chat completion with one more header, on a route with this metadata.
    fn of(config: &Config, more: (&str, &str), metadata: &[(&str, &str)]) -> Scope {
        let sent = [more, (":method", "POST"), (":path", "/llm/v1/chat/completions")];
        let value = |all: &[(&str, &str)], name: &str| {
            let found = all.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let header = |name: &str| value(&sent, name).map(String::into_bytes);
        Scope::of(config, &header, &|name| value(metadata, name), false)
    }

    const NOTHING: (&str, &str) = ("x", "y");

    #[test]
    fn what_passes_says_why() {
        let passes = |more: &str, header, metadata: &[(&str, &str)]| {
            let scope = of(&config(more), header, metadata);
            if let Scope::Passes(pass) = scope { pass.name() } else { "" }
        };
        assert_eq!(passes("", NOTHING, &[]), "");
        assert_eq!(passes(r#", "path_prefixes": ["/v1"]"#, NOTHING, &[]), "out_of_scope");
        let prefixed = r#", "path_prefixes": ["/v1/"]"#;
        assert_eq!(passes(prefixed, (":path", "//v1//chat/completions/"), &[]), "");
        assert_eq!(passes("", (":method", "GET"), &[]), "out_of_scope");
        assert_eq!(passes("", (":path", "/v1/embeddings"), &[]), "out_of_scope");
        let count = (":path", "/v1/messages/count_tokens");
        assert_eq!(passes("", count, &[]), "out_of_scope", "no model is known to name");
        assert_eq!(passes(r#", "mode": "off""#, NOTHING, &[]), "mode_off");
        assert_eq!(passes("", NOTHING, &[("mode", "off")]), "mode_off");
        let skip = ("x-pointsman-target", "skip");
        assert_eq!(passes(r#", "override": {"skip": true}"#, skip, &[]), "skipped");
        assert_eq!(passes("", skip, &[]), "", "it must be allowed");
    }

    #[test]
    fn what_headers_say_of_a_body_is_read_in_every_spelling() {
        let of = |name: &str, value: &str| {
            unreadable(&|asked| (asked == name).then(|| value.as_bytes().to_vec()), false)
        };
        for (name, value, reason) in [
            ("content-type", "application/json;charset=UTF-8", None),
            ("content-type", "APPLICATION/JSON", None),
            ("content-type", "application/json, application/json", None),
            ("content-type", "application/json, text/plain", Some(Reason::NotJson)),
            ("content-type", "text/plain", Some(Reason::NotJson)),
            ("content-encoding", "", None),
            ("content-encoding", "Identity, identity", None),
            ("content-encoding", "identity, gzip", Some(Reason::ContentEncoded)),
            ("content-encoding", "zstd", Some(Reason::ContentEncoded)),
        ] {
            assert_eq!(of(name, value), reason, "{name}: {value}");
        }
    }

    #[test]
    fn a_route_names_mode_and_policy_and_what_is_unknown_changes_nothing() {
        for (metadata, mode, policy) in [
            (&[("mode", "observe"), ("policy", "strict")], Mode::Observe, 1),
            (&[("mode", "7"), ("policy", "other")], Mode::Route, 0),
        ] {
            let Scope::InScope(ours) = of(&config(""), NOTHING, metadata) else { panic!("passes") };
            assert_eq!((ours.mode, ours.policy), (mode, policy));
            assert_eq!(ours.misdirected, policy == 0);
        }
    }
}
