//! `providers`: who answers, where, and with whose key.

use std::net::IpAddr;

use http::Uri;

use pointsman_core::config::node::{Errors, Fields, Node};

use crate::Kind;
use crate::kind::Authentication;

const FIELDS: [&str; 8] = ["kind", "url", "key", "auth", "ca", "headers", "api_version", "region"];

/// The version of Azure's API that is asked for unless the file names another: the newest that is
/// no preview.
const AZURE_VERSION: &str = "2024-10-21";

/// Where the key of a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// In an environment variable.
    Env(String),
    /// In a file of its own.
    File(String),
}

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub tls: bool,
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// What stands before the API's own path; no slash at its end.
    pub path: String,
}

impl Url {
    /// The IP address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The `Host` header.
    pub fn authority(&self) -> String {
        let host = match self.ip() {
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host.clone(),
        };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// As text.
    pub fn text(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority().filter(|it| !it.as_str().contains('@'))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let path = uri.path().trim_end_matches('/');
        let plain_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        // A number too large for a port must not become the usual one.
        let port = match authority.as_str().strip_prefix(authority.host())?.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => Some(if tls { 443 } else { 80 }),
        };
        // One spelling of an address, as certificates have it.
        let host = host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |it| it.to_string());
        let valid = !host.is_empty()
            && host.bytes().all(plain)
            && path.bytes().all(plain_path)
            && uri.query().is_none();
        let port = port?;
        valid.then(|| Url { tls, host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }
}

/// A provider, checked.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: String,
    pub kind: Kind,
    pub url: Url,
    /// The key that is put into its requests; `None` where it needs none, or clients bring theirs.
    pub key: Option<Key>,
    /// Whether clients' own keys go to it.
    pub passthrough: bool,
    /// A file of certificate authorities in the place of the system's.
    pub ca: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Azure's `api-version`.
    pub api_version: String,
    /// The region of AWS; empty elsewhere.
    pub region: String,
}

pub(super) fn read_all(node: Option<Node>, errors: &mut Errors) -> Vec<Provider> {
    let Some(node) = node else { return Vec::new() };
    let Some(map) = node.object_value(errors) else { return Vec::new() };
    let mut providers = Vec::new();
    for (name, value) in map {
        let node = Node { path: format!("{}.{name}", node.path), value };
        if !pointsman_core::config::is_name(name) {
            errors.add(&node.path, format!("\"{name}\""), pointsman_core::config::NAME_RULE);
        }
        if let Some(provider) = read(name, &node, errors) {
            providers.push(provider);
        }
    }
    providers
}

/// The provider that a target means by the name of a kind, where the file has none of that name.
pub(super) fn implied(name: &str) -> Option<Provider> {
    let kind = Kind::named(name)?;
    let url = Url::parse(kind.facts().url?)?;
    let key = kind.facts().variable.map(|name| Key::Env(name.to_owned()));
    Some(Provider {
        name: name.to_owned(),
        kind,
        url,
        key,
        passthrough: false,
        ca: None,
        headers: Vec::new(),
        api_version: AZURE_VERSION.to_owned(),
        region: String::new(),
    })
}

fn read(name: &str, node: &Node, errors: &mut Errors) -> Option<Provider> {
    let fields = node.object(&FIELDS, errors)?;
    let kinds = Kind::ALL.map(|kind| (kind.facts().name, kind));
    let kind = match fields.field("kind") {
        Some(node) => node.one_of(&kinds, errors),
        None => {
            let kind = Kind::named(name);
            if kind.is_none() {
                let names = kinds.map(|(name, _)| name).join(", ");
                let rule = format!("is required, because \"{name}\" is not a kind: one of {names}");
                errors.add(&fields.path_of("kind"), "", rule);
            }
            kind
        }
    };
    let region = read_region(&fields, kind, errors);
    let api_version = fields.field("api_version").and_then(|node| {
        let version = node.text(errors)?;
        let valid = !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let rule = "must be a version such as \"2024-10-21\"";
        node.checked(valid.then(|| version.to_owned()), rule, errors)
    });
    if let (Some(node), Some(kind)) = (fields.field("api_version"), kind)
        && kind != Kind::Azure
    {
        node.refuse("only a provider of kind azure has one", errors);
    }
    let url = read_url(&fields, kind, region.as_deref(), errors);
    let passthrough = [("key", Some(false)), ("passthrough", Some(true)), ("none", None)];
    let auth = fields.field("auth").and_then(|node| node.one_of(&passthrough, errors));
    let key = fields.field("key").and_then(|node| read_key(&node, errors));
    let ca = fields.field("ca").and_then(|node| node.text(errors)).map(str::to_owned);
    let headers = fields.field("headers").map(|node| read_headers(&node, errors));
    let (url, kind) = (url?, kind?);
    if let (Some(ca), false) = (fields.field("ca"), url.tls) {
        ca.refuse("needs an https:// URL", errors);
    }
    let signed = matches!(kind.facts().authentication, Authentication::Signature { .. });
    if let Some(node) = fields.field("key")
        && (signed || matches!(auth, Some(Some(true) | None)))
    {
        let rule = if signed {
            "must be left out: requests are signed with AWS credentials"
        } else {
            "must be left out, because auth says that no key is put in"
        };
        errors.add(&node.path, "", rule);
    }
    let usual = || kind.facts().variable.map(|name| Key::Env(name.to_owned()));
    let key = match auth {
        Some(Some(true) | None) => None,
        _ => key.or_else(usual),
    };
    Some(Provider {
        name: name.to_owned(),
        kind,
        url,
        key,
        passthrough: auth == Some(Some(true)),
        ca,
        headers: headers.unwrap_or_default(),
        api_version: api_version.unwrap_or_else(|| AZURE_VERSION.to_owned()),
        region: region.unwrap_or_default(),
    })
}

fn read_region(fields: &Fields, kind: Option<Kind>, errors: &mut Errors) -> Option<String> {
    match (fields.field("region"), kind) {
        (Some(node), Some(Kind::Bedrock) | None) => {
            let region = node.text(errors)?;
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let valid = !region.is_empty() && region.bytes().all(plain);
            let rule = "must be a region such as \"us-west-2\"";
            node.checked(valid.then(|| region.to_owned()), rule, errors)
        }
        (Some(node), Some(_)) => {
            node.refuse("only a provider of kind bedrock has one", errors);
            None
        }
        (None, Some(Kind::Bedrock)) => {
            errors.add(&fields.path_of("region"), "", "is required for kind bedrock");
            None
        }
        (None, _) => None,
    }
}

fn read_url(
    fields: &Fields,
    kind: Option<Kind>,
    region: Option<&str>,
    errors: &mut Errors,
) -> Option<Url> {
    let Some(node) = fields.field("url") else {
        let kind = kind?;
        if let (Kind::Bedrock, Some(region)) = (kind, region) {
            let host = format!("https://bedrock-runtime.{region}.amazonaws.com");
            return Url::parse(&(host + &usual_path(Some(kind))));
        }
        let url = kind.facts().url.and_then(Url::parse);
        if url.is_none() && kind != Kind::Bedrock {
            let rule = format!("is required for kind {}", kind.facts().name);
            errors.add(&fields.path_of("url"), "", rule);
        }
        return url;
    };
    let text = node.text(errors)?;
    let rule = "must be http:// or https://, a host, and at most a port and a path";
    let mut url = node.checked(Url::parse(text), rule, errors)?;
    if !url.tls && url.port == 443 {
        node.refuse("must begin with https://, because port 443 is for TLS", errors);
    }
    if url.path.is_empty() {
        url.path = usual_path(kind);
    }
    Some(url)
}

/// What stands before the API's own path where a URL does not say: what a provider of the kind has
/// at its own address, because in another place, such as behind a proxy, it is the same server.
fn usual_path(kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::Azure) => String::new(),
        Some(Kind::Bedrock) => "/openai/v1".to_owned(),
        _ => {
            let own = kind.and_then(|kind| Url::parse(kind.facts().url?));
            own.map_or_else(|| "/v1".to_owned(), |url| url.path)
        }
    }
}

/// `{"env": NAME}` or `{"file": PATH}`. A key that stands here itself is shown in no error.
pub(super) fn read_key(node: &Node, errors: &mut Errors) -> Option<Key> {
    let rule = "must be {env: NAME} or {file: PATH}: a key does not belong into this file";
    let named = node.value.as_object().filter(|map| map.len() == 1).and_then(|map| {
        let text = |name: &str| map.get(name)?.as_str().filter(|it| !it.is_empty());
        let env = |name: &&str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit())
        };
        let variable = text("env").filter(env).map(|name| Key::Env(name.to_owned()));
        variable.or_else(|| text("file").map(|path| Key::File(path.to_owned())))
    });
    if named.is_none() {
        errors.add(&node.path, "", rule);
    }
    named
}

fn read_headers(node: &Node, errors: &mut Errors) -> Vec<(String, String)> {
    let Some(map) = node.object_value(errors) else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, value) in map {
        let node = Node { path: format!("{}.{name}", node.path), value };
        let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let ours = [
            "host",
            "authorization",
            "x-api-key",
            "api-key",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "upgrade",
        ];
        if name.is_empty()
            || name.starts_with("x-pointsman-")
            || !name.bytes().all(token)
            || ours.contains(&name.as_str())
        {
            let rule = "must be a header in lower case, and none that Pointsman sets: a key goes into \"key\"";
            errors.add(&node.path, "", rule);
        }
        let Some(text) = node.text(errors) else { continue };
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            node.refuse("must be without control characters", errors);
        }
        headers.push((name.clone(), text.to_owned()));
    }
    headers
}

/// A client's key is for one provider.
pub(super) fn check_all(providers: &[Provider], errors: &mut Errors) {
    let mut through = providers.iter().filter(|provider| provider.passthrough);
    let Some(first) = through.next() else { return };
    for other in through {
        let rule =
            format!("a client's key is for one provider, and {} is given it already", first.name);
        errors.add(&format!("providers.{}.auth", other.name), "\"passthrough\"", rule);
    }
}
