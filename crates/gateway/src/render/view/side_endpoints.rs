//! Paths beside the APIs: who has them.

use serde::Serialize;

use super::lists::{group_of, member_of};
use crate::file::Gateway;

#[derive(Clone, Serialize)]
pub(super) struct Beside {
    pub(super) provider: String,
    pub(super) path: String,
    pub(super) cluster: String,
    /// Whether the provider is of Anthropic's kind.
    pub(super) anthropic: bool,
    /// Only for clients that say that they speak its API.
    pub(super) spoken: bool,
}

/// What providers have beside the APIs: the default target's first, then the strongest's. A path of
/// several goes to the first, unless the client's SDK says whose API it speaks.
pub(super) fn besides(gateway: &Gateway) -> Vec<Beside> {
    let all: Vec<Beside> = beside_of(gateway).into_iter().map(|(beside, _)| beside).collect();
    let spoken =
        all.iter().filter(|it| it.anthropic).map(|it| Beside { spoken: true, ..it.clone() });
    let mixed = all.iter().any(|it| it.anthropic) && all.iter().any(|it| !it.anthropic);
    let (theirs, ours): (Vec<Beside>, Vec<Beside>) =
        all.iter().cloned().partition(|it| it.anthropic);
    match mixed {
        true => spoken.chain(ours).chain(theirs).collect(),
        false => all,
    }
}

/// Paths beside the APIs that the filter sends to the default target, whose provider does not have
/// them, while another has.
pub(super) fn counts(gateway: &Gateway) -> Vec<Beside> {
    let all = beside_of(gateway);
    let default = gateway.targets.get(gateway.default).and_then(|it| it.endpoints.first());
    let default = default.and_then(|it| gateway.providers.get(it.provider));
    let mut counts = Vec::new();
    for (known, paths) in COUNTS {
        let has = |(_, beside): &&(Beside, &str)| beside.split('|').any(|it| it == known);
        if let Some((beside, _)) = all.iter().find(has)
            && default.is_some_and(|it| it.name != beside.provider)
        {
            counts.push(Beside {
                provider: beside.provider.clone(),
                path: format!(".*/v1/{paths}/*"),
                cluster: beside.cluster.clone(),
                anthropic: false,
                spoken: false,
            });
        }
    }
    counts
}

/// Paths that the filter knows beside the APIs, as [`crate::kind::Facts::beside`] has them and as
/// patterns.
pub(super) const COUNTS: [(&str, &str); 2] = [
    ("messages/count_tokens", "messages/count_tokens"),
    ("responses/.+", "responses/(?:input_tokens|compact)"),
];

/// Providers with paths beside the APIs, and these as their kind has them.
pub(super) fn beside_of(gateway: &Gateway) -> Vec<(Beside, &'static str)> {
    let others = (0..gateway.targets.len()).rev().filter(|at| *at != gateway.default);
    let mut found: Vec<(Beside, &str)> = Vec::new();
    for at in std::iter::once(gateway.default).chain(others) {
        let Some(target) = gateway.targets.get(at) else { continue };
        let Some(endpoint) = target.endpoints.first() else { continue };
        let Some(provider) = gateway.providers.get(endpoint.provider) else { continue };
        let paths = provider.kind.facts().beside;
        if paths.is_empty() || found.iter().any(|(it, _)| it.provider == provider.name) {
            continue;
        }
        let several = target.endpoints.len() > 1;
        let beside = Beside {
            provider: provider.name.clone(),
            path: format!(".*/v1/(?:{paths})/*"),
            cluster: if several { member_of(target, 0) } else { group_of(target) },
            anthropic: provider.kind == crate::Kind::Anthropic,
            spoken: false,
        };
        found.push((beside, paths));
    }
    found
}
