//! An endpoint of a target: everything that a request to its provider needs.

use pointsman_core::api::percent_encoded;
use pointsman_core::identity::{CREDENTIALS, GATEWAY_CREDENTIALS};
use serde::Serialize;

use super::super::{Place, secret_name};
use super::discovery;
use super::lists::{APIS, endpoint_id, path_of};
use crate::file::{Endpoint, Provider, Target};
use crate::kind::Authentication;

/// Tokens that stand next to what a proxy in front says of who asks; they change while that stays.
const ACCESS_TOKENS: [&str; 2] = ["x-amzn-oidc-accesstoken", "x-auth-request-access-token"];

#[derive(Serialize)]
pub(super) struct EndpointView {
    pub(super) id: String,
    pub(super) target: String,
    pub(super) provider: String,
    pub(super) model: String,
    /// How its answers are held, as the filter reads it.
    pub(super) hold: Option<String>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) discovery: &'static str,
    pub(super) authority: String,
    pub(super) tls: Option<EndpointTls>,
    pub(super) passthrough: bool,
    pub(super) remove: Vec<String>,
    pub(super) headers: Vec<Header>,
    pub(super) routes: Vec<Route>,
    pub(super) query: Option<Query>,
    pub(super) key: Option<KeyHeader>,
    pub(super) signature: Option<Signature>,
}

#[derive(Serialize)]
pub(super) struct EndpointTls {
    pub(super) sni: Option<String>,
    pub(super) name: String,
    pub(super) san: &'static str,
    pub(super) ca: String,
}

#[derive(Serialize)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) action: &'static str,
}

#[derive(Serialize)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) rewritten: String,
}

#[derive(Serialize)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) value: String,
}

#[derive(Serialize)]
pub(super) struct KeyHeader {
    pub(super) secret: String,
    pub(super) header: &'static str,
    pub(super) prefix: &'static str,
}

#[derive(Serialize)]
pub(super) struct Signature {
    pub(super) service: &'static str,
    pub(super) region: String,
}

pub(super) fn endpoint_view(
    target: &Target,
    at: usize,
    endpoint: &Endpoint,
    provider: &Provider,
    place: &Place,
) -> EndpointView {
    let facts = provider.kind.facts();
    let url = &provider.url;
    let key = match (facts.authentication, &provider.key) {
        (Authentication::Key { header, prefix }, Some(_)) => {
            Some(KeyHeader { secret: secret_name(provider, place.unique), header, prefix })
        }
        _ => None,
    };
    let signature = match facts.authentication {
        Authentication::Signature { service } => {
            Some(Signature { service, region: provider.region.clone() })
        }
        Authentication::Key { .. } => None,
    };
    // Anthropic takes a key in one header, and a subscription's token in the other; so does Azure.
    let own = |name: &str| match facts.authentication {
        Authentication::Key { header, .. } => name == header || name == "authorization",
        Authentication::Signature { .. } => false,
    };
    let removed = |name: &&str| !(provider.passthrough && own(name));
    // Of a provider that passes its clients' credentials on, these may be its own as well.
    let others = GATEWAY_CREDENTIALS.into_iter().chain(ACCESS_TOKENS);
    let others = others.filter(|_| !provider.passthrough);
    let credentials = CREDENTIALS.into_iter().filter(removed).chain(others);
    let usual = facts.headers.iter().map(|(name, value)| Header {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
        action: "ADD_IF_ABSENT",
    });
    let extra = provider.headers.iter().map(|(name, value)| Header {
        name: name.clone(),
        value: value.clone(),
        action: "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    let ip = url.ip();
    let azure = provider.kind == crate::Kind::Azure;
    EndpointView {
        id: endpoint_id(target, at),
        target: target.name.clone(),
        provider: provider.name.clone(),
        model: endpoint.model.clone(),
        hold: None,
        host: url.host.clone(),
        port: url.port,
        discovery: discovery(ip.is_some()),
        authority: url.authority(),
        tls: url.tls.then(|| EndpointTls {
            sni: ip.is_none().then(|| url.host.clone()),
            name: url.host.clone(),
            san: if ip.is_some() { "IP_ADDRESS" } else { "DNS" },
            ca: provider.ca.clone().unwrap_or_else(|| place.ca.to_owned()),
        }),
        passthrough: provider.passthrough,
        remove: credentials.map(str::to_owned).collect(),
        headers: usual.chain(extra).collect(),
        routes: routes(target, endpoint, provider),
        query: azure.then(|| Query { name: "api-version", value: provider.api_version.clone() }),
        key,
        signature,
    }
}

/// The paths that an endpoint serves, and what its provider calls them.
pub(super) fn routes(target: &Target, endpoint: &Endpoint, provider: &Provider) -> Vec<Route> {
    // A backslash begins a group's number in the substitution.
    let prefix = match provider.kind {
        crate::Kind::Azure => {
            let deployment = percent_encoded(&endpoint.model);
            format!("{}/openai/deployments/{deployment}", provider.url.path)
        }
        _ => provider.url.path.clone(),
    };
    let rewritten = format!("{prefix}/\\1");
    let apis = APIS.into_iter().filter(|(_, api)| target.apis.contains(api));
    let apis = apis.map(|(_, api)| path_of(api).to_owned());
    let side = provider.kind.facts().side_endpoints;
    let side = (!side.is_empty()).then(|| format!(".*/v1/({side})/*"));
    let all = apis.chain(side);
    all.map(|path| Route { path, rewritten: rewritten.clone() }).collect()
}
