//! Targets as lists of clusters, by API.

use serde::Serialize;
use serde_json::json;

use pointsman_core::api::ApiFormat;
use pointsman_core::identity::CREDENTIALS;

use crate::file::{Gateway, Target};

/// An API as the listener's routes know it.
#[derive(Serialize)]
pub(super) struct Api {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// Where requests go that nothing decides; `None` when no target serves the API.
    pub(super) cluster: Option<String>,
}

/// A target that is replaced by others in one API than in the rest, or by fewer than another is.
#[derive(Serialize)]
pub(super) struct Variant {
    pub(super) target: String,
    /// `None` for all other APIs.
    pub(super) path: Option<&'static str>,
    pub(super) cluster: String,
    pub(super) retries: usize,
}

#[derive(PartialEq, Serialize)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) clusters: Vec<String>,
}

/// A listener inside this process, in front of a target that takes over from another.
#[derive(Serialize)]
pub(super) struct StandIn {
    target: String,
    id: String,
    cluster: String,
    retries: usize,
    remove: &'static [&'static str],
    /// The filter's configuration here, where a bad answer may have to be given back because this
    /// target fails.
    stand_in: Option<String>,
}

/// Endpoints that share a target's requests.
#[derive(Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) endpoints: Vec<Member>,
}

#[derive(Serialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) weight: u64,
}

/// Where an API is, as a pattern for the whole path: whatever stands before it may be a gateway's, as
/// the filter has it.
pub(super) const fn path_of(api: ApiFormat) -> &'static str {
    match api {
        ApiFormat::ChatCompletions => ".*/(chat/completions)/*",
        // Behind anything but `chat`; Envoy's patterns cannot look behind themselves.
        ApiFormat::Completions => concat!(
            "(?:.*/(?:[^/]{0,3}|[^/]{5,}|[^c/][^/]{3}|c[^h/][^/]{2}|ch[^a/][^/]|cha[^t/]))?",
            "/(completions)/*"
        ),
        ApiFormat::Responses => ".*/(responses)/*",
        ApiFormat::Messages => ".*/v1/(messages)/*",
    }
}

pub(super) const APIS: [(&str, ApiFormat); 4] = ApiFormat::NAMES;

pub(super) fn group_of(target: &Target) -> String {
    format!("{}-endpoints", target.name)
}

/// An endpoint's name: its target's, with a number from the second on.
pub(super) fn endpoint_id(target: &Target, at: usize) -> String {
    match at {
        0 => format!("{}-model", target.name),
        at => format!("{}-model-{}", target.name, at + 1),
    }
}

pub(super) fn member_of(target: &Target, at: usize) -> String {
    format!("{}-only", endpoint_id(target, at))
}

pub(super) fn api_view(gateway: &Gateway, name: &'static str, api: ApiFormat) -> Api {
    let serving = gateway.order(gateway.default, api);
    let target = serving.first().and_then(|at| gateway.targets.get(*at));
    Api { name, path: path_of(api), cluster: target.map(alone) }
}

/// The way to a target that takes over from another, through its cache.
pub(super) fn instead(target: &Target) -> String {
    format!("{}-instead", target.name)
}

/// Whether the way to a target that takes over leads through a listener of its own.
fn has_stand_ins(gateway: &Gateway) -> bool {
    gateway.cache.is_some() || gateway.escalates()
}

/// Targets that can take over through their caches, or are asked when an answer is bad.
pub(super) fn stand_ins(gateway: &Gateway) -> Vec<StandIn> {
    let targets = gateway.targets.iter().filter(|_| has_stand_ins(gateway));
    let passes = |target: &Target| {
        let mut providers =
            target.endpoints.iter().filter_map(|it| gateway.providers.get(it.provider));
        providers.any(|provider| provider.passthrough)
    };
    let stand_in = |target: &Target| StandIn {
        target: target.name.clone(),
        id: instead(target),
        cluster: alone(target),
        retries: retries(&own(gateway, target)),
        remove: if passes(target) || gateway.cache.is_none() { &[] } else { &CREDENTIALS },
        stand_in: gateway.escalates().then(|| {
            let mut role = json!({"target": target.name});
            if let Some(capture) = &gateway.capture {
                role["capture"] = capture.filter();
            }
            json!({"stand_in": role}).to_string()
        }),
    };
    targets.map(stand_in).collect()
}

/// A target without those that replace it: what nobody decided on is not sent elsewhere.
pub(super) fn alone(target: &Target) -> String {
    format!("{}-alone", target.name)
}

/// The clusters that are asked for a target in an API, one after the other.
pub(super) fn chain(gateway: &Gateway, at: usize, api: ApiFormat) -> Vec<String> {
    let order = gateway.order(at, api);
    let targets = order.into_iter().filter_map(|at| gateway.targets.get(at)).enumerate();
    let clusters = |(place, target): (usize, &Target)| match place {
        // In front of another target's cache, the client's credentials are taken away first.
        1.. if has_stand_ins(gateway) => vec![instead(target)],
        _ => own(gateway, target),
    };
    targets.flat_map(clusters).collect()
}

/// The clusters of a target alone.
pub(super) fn own(gateway: &Gateway, target: &Target) -> Vec<String> {
    let cache = gateway.cache.as_ref().map(|_| format!("{}-cache", target.name));
    // One of several endpoints has failed: each is asked before the next target.
    let several = target.endpoints.len() > 1;
    let members = (0..target.endpoints.len()).filter(|_| several).map(|at| member_of(target, at));
    cache.into_iter().chain([group_of(target)]).chain(members).collect()
}

/// Attempts after the first: with more than there are clusters, Envoy would ask them once more.
pub(super) fn retries(clusters: &[String]) -> usize {
    clusters.len().saturating_sub(1)
}

/// The lists of clusters by target, and those of single APIs that differ.
pub(super) fn lists(gateway: &Gateway) -> (Vec<List>, Vec<Variant>) {
    let mut lists: Vec<List> = Vec::new();
    let mut variants = Vec::new();
    let variant = |target: &Target, path, cluster: &str, clusters: &[String]| Variant {
        target: target.name.clone(),
        path,
        cluster: cluster.to_owned(),
        retries: retries(clusters),
    };
    let mut usual = Vec::new();
    for (at, target) in gateway.targets.iter().enumerate() {
        let served = APIS.into_iter().filter(|(_, api)| target.apis.contains(api));
        let mut chains = served.map(|(name, api)| (name, api, chain(gateway, at, api)));
        let Some((_, _, first)) = chains.next() else { continue };
        lists.push(List { name: target.name.clone(), clusters: first.clone() });
        usual.push(variant(target, None, &target.name, &first));
        for (name, api, clusters) in chains.filter(|(_, _, clusters)| *clusters != first) {
            let cluster = format!("{}.{name}", target.name);
            variants.push(variant(target, Some(path_of(api)), &cluster, &clusters));
            lists.push(List { name: cluster, clusters });
        }
    }
    let longest = lists.iter().map(|list| retries(&list.clusters)).max();
    usual.retain(|variant| Some(variant.retries) < longest);
    variants.append(&mut usual);
    let alone = |target: &Target| List { name: alone(target), clusters: own(gateway, target) };
    lists.extend(gateway.targets.iter().map(alone));
    (lists, variants)
}

pub(super) fn groups(target: &Target) -> Vec<Group> {
    let members = target.endpoints.iter().enumerate();
    let members = members.map(|(at, it)| Member { id: endpoint_id(target, at), weight: it.weight });
    let all =
        Group { name: group_of(target), target: target.name.clone(), endpoints: members.collect() };
    let single = (0..target.endpoints.len()).map(|at| Group {
        name: member_of(target, at),
        target: target.name.clone(),
        endpoints: vec![Member { id: endpoint_id(target, at), weight: 1 }],
    });
    let several = target.endpoints.len() > 1;
    std::iter::once(all).chain(single.filter(|_| several)).collect()
}
