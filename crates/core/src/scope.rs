//! What headers and route say of a request before its body is here.

use crate::config::{Config, Mode};
use crate::header;
use crate::media_type::MediaType;
use crate::names::names;
use crate::prompt::ApiFormat;
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
        let Some(format) = format(config, header) else {
            return Scope::Passes(Pass::OutOfScope);
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

/// The format of a request that is ours.
fn format(config: &Config, header: Header) -> Option<ApiFormat> {
    if header(":method")? != b"POST" {
        return None;
    }
    let path = header(":path")?;
    let format = ApiFormat::of_path(&path)?;
    let within = |prefix: &String| path.starts_with(prefix.as_bytes());
    config.path_prefixes.iter().any(within).then_some(format)
}

/// Why the body cannot be read, as far as headers show.
pub fn unreadable(header: Header, ended: bool) -> Option<Reason> {
    let media_type = header("content-type").map(|value| MediaType::parse(&value));
    if matches!(media_type, Some(MediaType::EventStream | MediaType::Other)) {
        return Some(Reason::NotJson);
    }
    let encoding = header("content-encoding");
    if encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity")) {
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
        assert_eq!(passes("", (":method", "GET"), &[]), "out_of_scope");
        assert_eq!(passes("", (":path", "/v1/embeddings"), &[]), "out_of_scope");
        assert_eq!(passes(r#", "mode": "off""#, NOTHING, &[]), "mode_off");
        assert_eq!(passes("", NOTHING, &[("mode", "off")]), "mode_off");
        let skip = ("x-pointsman-target", "skip");
        assert_eq!(passes(r#", "override": {"skip": true}"#, skip, &[]), "skipped");
        assert_eq!(passes("", skip, &[]), "", "it must be allowed");
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
