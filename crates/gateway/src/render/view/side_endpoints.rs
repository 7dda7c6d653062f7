//! Side endpoints: who has them.

use serde::Serialize;

use super::lists::{group_of, member_of};
use crate::file::Gateway;

#[derive(Clone, Serialize)]
pub(super) struct SideEndpoint {
    pub(super) provider: String,
    pub(super) path: String,
    pub(super) cluster: String,
    /// Whether the provider is of Anthropic's kind.
    pub(super) anthropic: bool,
    /// Only for clients that say that they speak its API.
    pub(super) spoken: bool,
}

/// Providers' side endpoints: the default target's first, then the strongest's. A path of
/// several goes to the first, unless the client's SDK says whose API it speaks.
pub(super) fn side_endpoints(gateway: &Gateway) -> Vec<SideEndpoint> {
    let all: Vec<SideEndpoint> = all_of(gateway).into_iter().map(|(side, _)| side).collect();
    let spoken =
        all.iter().filter(|it| it.anthropic).map(|it| SideEndpoint { spoken: true, ..it.clone() });
    let mixed = all.iter().any(|it| it.anthropic) && all.iter().any(|it| !it.anthropic);
    let (theirs, ours): (Vec<SideEndpoint>, Vec<SideEndpoint>) =
        all.iter().cloned().partition(|it| it.anthropic);
    match mixed {
        true => spoken.chain(ours).chain(theirs).collect(),
        false => all,
    }
}

/// Side endpoints that the filter sends to the default target, whose provider does not have
/// them, while another has.
pub(super) fn counts(gateway: &Gateway) -> Vec<SideEndpoint> {
    let all = all_of(gateway);
    let default = gateway.targets.get(gateway.default).and_then(|it| it.endpoints.first());
    let default = default.and_then(|it| gateway.providers.get(it.provider));
    let mut counts = Vec::new();
    for (known, paths) in COUNTS {
        let has = |(_, side): &&(SideEndpoint, &str)| side.split('|').any(|it| it == known);
        if let Some((side, _)) = all.iter().find(has)
            && default.is_some_and(|it| it.name != side.provider)
        {
            counts.push(SideEndpoint {
                provider: side.provider.clone(),
                path: format!(".*/v1/{paths}/*"),
                cluster: side.cluster.clone(),
                anthropic: false,
                spoken: false,
            });
        }
    }
    counts
}

/// Side endpoints that the filter knows, as [`crate::kind::Facts::side_endpoints`] has them and as
/// patterns.
pub(super) const COUNTS: [(&str, &str); 2] = [
    ("messages/count_tokens", "messages/count_tokens"),
    ("responses/.+", "responses/(?:input_tokens|compact)"),
];

/// Providers with side endpoints, and these as their kind has them.
pub(super) fn all_of(gateway: &Gateway) -> Vec<(SideEndpoint, &'static str)> {
    let others = (0..gateway.targets.len()).rev().filter(|at| *at != gateway.default);
    let mut found: Vec<(SideEndpoint, &str)> = Vec::new();
    for at in std::iter::once(gateway.default).chain(others) {
        let Some(target) = gateway.targets.get(at) else { continue };
        let Some(endpoint) = target.endpoints.first() else { continue };
        let Some(provider) = gateway.providers.get(endpoint.provider) else { continue };
        let paths = provider.kind.facts().side_endpoints;
        if paths.is_empty() || found.iter().any(|(it, _)| it.provider == provider.name) {
            continue;
        }
        let several = target.endpoints.len() > 1;
        let side = SideEndpoint {
            provider: provider.name.clone(),
            path: format!(".*/v1/(?:{paths})/*"),
            cluster: if several { member_of(target, 0) } else { group_of(target) },
            anthropic: provider.kind == crate::Kind::Anthropic,
            spoken: false,
        };
        found.push((side, paths));
    }
    found
}
