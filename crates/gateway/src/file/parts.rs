//! Everything around providers and targets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};

use pointsman_core::config::CAPTURE_BYTES;
use pointsman_core::config::node::{Errors, Node};

use super::ControlSecrets;
use super::provider::{Key, read_key};

/// The listener's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the certificate chain.
    pub certificate: String,
    /// PEM file of the private key.
    pub key: String,
}

/// Where Envoy writes a line for each request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    #[default]
    Stdout,
    File(String),
    Off,
}

/// What tells the clients of a cache apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// A header that a trusted proxy in front sets.
    Header(String),
    /// Their own credentials.
    Credentials,
    /// Nothing: all clients may see each other's answers.
    Shared,
}

/// A cache in front of each target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pub tenant: Tenant,
    /// Address of the first target's cache; the others' ports follow.
    pub listen: SocketAddr,
    /// The name by which Envoy finds the caches, where that is not the address.
    pub host: Option<String>,
    pub ttl_seconds: usize,
    pub memory_mib: usize,
    /// A directory, or the URL of a Redis.
    pub store: Option<String>,
    pub exact_only: bool,
}

/// The control plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    pub listen: SocketAddr,
    /// The name by which Envoy finds it, where that is not the address.
    pub host: Option<String>,
    /// A file, or the URL of a Redis.
    pub store: String,
    /// What decision IDs are signed with.
    pub key: Key,
    /// What filters may post decisions with.
    pub token: Key,
    pub reward_token: Option<Key>,
    pub admin_token: Option<Key>,
    /// The filter's own fields of `control`.
    filter: Map<String, Value>,
}

/// Escalated requests that are kept with both their answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    pub listen: SocketAddr,
    /// The file that they are written to.
    pub out: String,
    /// Regular expressions of what is not written.
    pub redact: Vec<String>,
    /// The filter's own fields.
    filter: Map<String, Value>,
}

/// Most patterns of what is not written.
pub(super) const PATTERNS: usize = 64;

impl Capture {
    /// The cluster by which the filter finds it.
    pub const CLUSTER: &str = "pointsman-capture";

    /// What the filter knows of it.
    pub fn filter(&self) -> Value {
        let mut fields = self.filter.clone();
        fields.insert("cluster".to_owned(), Self::CLUSTER.into());
        Value::Object(fields)
    }

    pub(super) fn read(node: &Node, errors: &mut Errors) -> Option<Self> {
        let filter = ["share", "max_bytes"];
        let known: Vec<&str> = ["listen", "out", "redact"].into_iter().chain(filter).collect();
        let fields = node.object(&known, errors)?;
        let listen = address_or(fields.field("listen"), loopback(8090), errors).filter(|listen| {
            let local = listen.ip().is_loopback();
            if let Some(node) = fields.field("listen").filter(|_| !local) {
                node.refuse("must be a loopback address: prompts go there", errors);
            }
            local
        });
        let out = fields.required("out", errors).and_then(|node| node.text(errors));
        if let Some(node) = fields.field("share") {
            node.share(errors);
        }
        if let Some(node) = fields.field("max_bytes") {
            node.integer(CAPTURE_BYTES, errors);
        }
        let patterns = fields.field("redact").map(|node| node.list(PATTERNS, errors));
        let patterns = patterns.unwrap_or_default();
        let redact = patterns.iter().filter_map(|node| node.text(errors)).map(str::to_owned);
        let redact = redact.collect();
        let kept = fields.map.iter().filter(|(name, _)| filter.contains(&name.as_str()));
        Some(Capture {
            listen: listen?,
            out: out?.to_owned(),
            redact,
            filter: kept.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }
}

/// Addresses that a cache and its way back to Envoy are apart.
const WAY_BACK: u16 = 20;

impl Cache {
    /// Where the cache of a target listens.
    pub fn address(&self, target: usize) -> SocketAddr {
        self.beyond(target as u16)
    }

    /// Where the cache of a target finds Envoy's way to the model.
    pub fn upstream(&self, target: usize) -> SocketAddr {
        self.beyond(WAY_BACK + target as u16)
    }

    /// Where the caches are administered, and their metrics are.
    pub fn admin(&self) -> SocketAddr {
        self.beyond(2 * WAY_BACK)
    }

    fn beyond(&self, ports: u16) -> SocketAddr {
        SocketAddr::new(self.listen.ip(), self.listen.port().saturating_add(ports))
    }

    pub(super) fn read(node: &Node, passthrough: bool, errors: &mut Errors) -> Option<Self> {
        let known =
            ["tenant", "listen", "host", "ttl_seconds", "memory_mib", "store", "exact_only"];
        let fields = node.object(&known, errors)?;
        let tenant = match fields.field("tenant") {
            Some(node) => read_tenant(&node, errors),
            None if passthrough => Some(Tenant::Credentials),
            None => {
                let rule = "is required, because with the provider's key put in all clients would \
                            be one tenant: {header: NAME} that a proxy in front sets; credentials, \
                            if clients send their own; or shared, if all may see each other's answers";
                errors.add(&fields.path_of("tenant"), "", rule);
                None
            }
        };
        let mut integer = |name: &str, range, default: usize| {
            fields.field(name).and_then(|node| node.integer(range, errors)).unwrap_or(default)
        };
        let ttl_seconds = integer("ttl_seconds", 1..=31_536_000, 86_400);
        let memory_mib = integer("memory_mib", 1..=1 << 20, 512);
        let store = fields.field("store").and_then(|node| node.text(errors)).map(str::to_owned);
        let exact_only = fields.field("exact_only").and_then(|node| node.boolean(errors));
        let host = fields.field("host").and_then(|node| read_host(&node, errors));
        let listen = address_or(fields.field("listen"), loopback(9001), errors)?;
        if listen.port() > u16::MAX - 3 * WAY_BACK
            && let Some(node) = fields.field("listen")
        {
            node.refuse("must leave 60 ports above it", errors);
        }
        let exact_only = exact_only.unwrap_or(false);
        Some(Cache { tenant: tenant?, listen, host, ttl_seconds, memory_mib, store, exact_only })
    }
}

fn read_tenant(node: &Node, errors: &mut Errors) -> Option<Tenant> {
    if node.value.is_object() {
        let header = node.object(&["header"], errors)?.required("header", errors)?;
        let name = header.header_name(errors)?;
        let rule = "must be without \"_\": the listener drops such headers";
        return header.checked((!name.contains('_')).then_some(Tenant::Header(name)), rule, errors);
    }
    let choices = [("credentials", false), ("shared", true)];
    let rule = "must be {header: NAME}, credentials or shared";
    let named = choices.into_iter().find(|(name, _)| node.value.as_str() == Some(*name));
    let shared = node.checked(named, rule, errors)?.1;
    Some(if shared { Tenant::Shared } else { Tenant::Credentials })
}

impl Control {
    /// The cluster by which the filter finds it.
    pub const CLUSTER: &str = "pointsman-control";

    /// The variables in which `pointsman serve` reads its secrets, and where each of them is.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &Key)> {
        let required = [("POINTSMAN_KEY", &self.key), ("POINTSMAN_DECIDE_TOKEN", &self.token)];
        let other = [
            ("POINTSMAN_REWARD_TOKEN", &self.reward_token),
            ("POINTSMAN_ADMIN_TOKEN", &self.admin_token),
        ];
        let other = other.into_iter().filter_map(|(name, key)| Some((name, key.as_ref()?)));
        required.into_iter().chain(other)
    }

    /// The filter's `control`.
    pub(super) fn filter(&self, secrets: &ControlSecrets) -> Value {
        let mut fields = self.filter.clone();
        fields.insert("cluster".to_owned(), Self::CLUSTER.into());
        fields.insert("key".to_owned(), secrets.key.as_str().into());
        fields.insert("token".to_owned(), secrets.token.as_str().into());
        Value::Object(fields)
    }

    pub(super) fn read(node: &Node, errors: &mut Errors) -> Option<Self> {
        let own = ["listen", "host", "store", "key", "token", "reward_token", "admin_token"];
        let filter = ["interval_ms", "buffer_bytes", "implicit"];
        let known: Vec<&str> = own.into_iter().chain(filter).collect();
        let fields = node.object(&known, errors)?;
        let listen = address_or(fields.field("listen"), loopback(8088), errors);
        let host = fields.field("host").and_then(|node| read_host(&node, errors));
        let store = fields.field("store").and_then(|node| node.text(errors));
        let mut key = |name: &str, usual: &str| match fields.field(name) {
            Some(node) => read_key(&node, errors),
            None => Some(Key::Env(usual.to_owned())),
        };
        let (signing, token) =
            (key("key", "POINTSMAN_KEY"), key("token", "POINTSMAN_DECIDE_TOKEN"));
        let mut other = |name: &str| fields.field(name).and_then(|node| read_key(&node, errors));
        let (reward_token, admin_token) = (other("reward_token"), other("admin_token"));
        let kept = fields.map.iter().filter(|(name, _)| filter.contains(&name.as_str()));
        Some(Control {
            listen: listen?,
            host,
            store: store.unwrap_or("pointsman.state").to_owned(),
            key: signing?,
            token: token?,
            reward_token,
            admin_token,
            filter: kept.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }
}

impl AccessLog {
    pub(super) fn read(node: &Node, errors: &mut Errors) -> Option<Self> {
        let text = node.value.as_str().filter(|text| !text.is_empty());
        let rule = "must be stdout, \"off\" (with quotes, or YAML reads a boolean) or a file";
        Some(match node.checked(text, rule, errors)? {
            "stdout" => AccessLog::Stdout,
            "off" => AccessLog::Off,
            file => AccessLog::File(file.to_owned()),
        })
    }
}

pub(super) fn read_tls(node: &Node, errors: &mut Errors) -> Option<Tls> {
    let fields = node.object(&["certificate", "key"], errors)?;
    let mut file = |name| {
        let node = fields.required(name, errors)?;
        let text = node.text(errors)?;
        node.checked((!text.is_empty()).then(|| text.to_owned()), "must name a file", errors)
    };
    let (certificate, key) = (file("certificate"), file("key"));
    Some(Tls { certificate: certificate?, key: key? })
}

fn read_host(node: &Node, errors: &mut Errors) -> Option<String> {
    let text = node.text(errors)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let valid = !text.is_empty() && text.bytes().all(plain);
    node.checked(valid.then(|| text.to_owned()), "must be the name of a host", errors)
}

/// A port that only this machine reaches.
pub(super) const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(super) fn address_or(
    node: Option<Node>,
    usual: SocketAddr,
    errors: &mut Errors,
) -> Option<SocketAddr> {
    node.map_or(Some(usual), |node| address(&node, errors))
}

pub(super) fn address(node: &Node, errors: &mut Errors) -> Option<SocketAddr> {
    let text = node.text(errors)?;
    let rule = "must be an IP address and a port, such as 127.0.0.1:10000 or 0.0.0.0:10000";
    node.checked(text.parse().ok(), rule, errors)
}
