//! Targets: names, clusters, prices, capabilities, changes to the body.

use super::node::{Errors, Fields, Node};
use super::parameters::read_edits;
use super::{TARGETS, Target, escalate};
use crate::api::ApiFormat;
use crate::target::{Need, Needs, Price};

/// The fields of a target.
pub const FIELDS: [&str; 15] = [
    "name",
    "cluster",
    "threshold",
    "price",
    "model",
    "context_tokens",
    "apis",
    "images",
    "audio",
    "files",
    "video",
    "tools",
    "response_format",
    "parameters",
    "escalate",
];
/// The fields of a price.
pub(super) const PRICES: [&str; 4] = ["input", "output", "cached_input", "cache_write"];
/// Bounds of `context_tokens`.
pub(super) const CONTEXT_TOKENS: std::ops::RangeInclusive<u64> = 1..=1 << 32;

pub(super) fn read_targets(node: Node, rewrite: bool, errors: &mut Errors) -> Vec<Target> {
    let Some(nodes) = node.array(errors) else {
        return Vec::new();
    };
    if !TARGETS.contains(&nodes.len()) {
        let (low, high) = (TARGETS.start(), TARGETS.end());
        errors.add(
            &node.path,
            format!("{} targets", nodes.len()),
            format!("must be {low} to {high}"),
        );
    }
    let last = nodes.len().saturating_sub(1);
    let names: Vec<&str> =
        nodes.iter().filter_map(|node| node.value.get("name")?.as_str()).collect();
    let mut targets: Vec<Target> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let Some(fields) = node.object(&FIELDS, errors) else {
            continue;
        };
        let mut target = read_target(&fields, rewrite, errors);
        target.escalate = fields.field("escalate").and_then(|node| {
            let stronger = names.get(index + 1..).unwrap_or_default();
            escalate::read(&node, stronger, errors)
        });
        if index == last
            && let Some(node) = fields.field("threshold")
        {
            node.refuse(
                "must be left out: the last target takes every request that no other target takes",
                errors,
            );
        }
        if !target.name.is_empty() && targets.iter().any(|other| other.name == target.name) {
            let value = format!("\"{}\"", target.name);
            errors.add(&fields.path_of("name"), value, "must be unique");
        }
        targets.push(target);
    }
    targets
}

fn read_target(fields: &Fields, rewrite: bool, errors: &mut Errors) -> Target {
    let name = fields.required("name", errors).and_then(|node| node.name(errors));
    let cluster = fields.required("cluster", errors).and_then(|node| node.cluster(errors));
    let model = fields.field("model").and_then(|node| node.text(errors)).map(str::to_owned);
    if rewrite && fields.field("model").is_none() {
        let rule = "is required, because body.rewrite_model is true";
        errors.add(&fields.path_of("model"), "", rule);
    }
    let edits = read_edits(fields, rewrite, model.as_deref(), errors);
    let lacks = read_needs(fields, errors);
    let apis = fields.field("apis").map(|node| read_apis(&node, errors)).unwrap_or_default();
    let window =
        fields.field("context_tokens").and_then(|node| node.integer(CONTEXT_TOKENS, errors));
    Target {
        name: name.unwrap_or_default(),
        cluster: cluster.unwrap_or_default(),
        threshold: fields.field("threshold").and_then(|node| node.share(errors)),
        price: fields.field("price").and_then(|node| read_price(node, errors)),
        model,
        context_tokens: window.map(|window| window as u64),
        lacks,
        apis,
        edits,
        escalate: None,
    }
}

/// What a target cannot do. One that takes no images takes no other media either, unless it says
/// so; and what nobody knows goes only where everything is taken.
fn read_needs(fields: &Fields, errors: &mut Errors) -> Needs {
    let mut able = |name: &str, default: bool| {
        fields.field(name).and_then(|node| node.boolean(errors)).unwrap_or(default)
    };
    let images = able("images", true);
    let media = [
        (Need::Images, images),
        (Need::Audio, able("audio", images)),
        (Need::Files, able("files", images)),
        (Need::Video, able("video", images)),
    ];
    let others = [
        (Need::UnknownInput, media.iter().all(|(_, able)| *able)),
        (Need::Tools, able("tools", true)),
        (Need::ResponseFormat, able("response_format", true)),
    ];
    media.into_iter().chain(others).filter(|(_, able)| !able).map(|(need, _)| need).collect()
}

pub(super) fn read_apis(node: &Node, errors: &mut Errors) -> Vec<ApiFormat> {
    let nodes = node.list(ApiFormat::NAMES.len(), errors);
    if nodes.is_empty() {
        node.refuse("must name at least one API", errors);
    }
    nodes.iter().filter_map(|node| node.one_of(&ApiFormat::NAMES, errors)).collect()
}

fn read_price(node: Node, errors: &mut Errors) -> Option<Price> {
    let fields = node.object(&PRICES, errors)?;
    let input = fields.required("input", errors).and_then(|node| node.amount(errors));
    let output = fields.required("output", errors).and_then(|node| node.amount(errors));
    let mut other = |name| fields.field(name).and_then(|node| node.amount(errors));
    let (cached_input, cache_write) = (other("cached_input"), other("cache_write"));
    Some(Price { input: input?, output: output?, cached_input, cache_write })
}

pub(super) fn read_default(node: Option<Node>, targets: &[Target], errors: &mut Errors) -> usize {
    let strongest = targets.len().saturating_sub(1);
    node.and_then(|node| node.target(targets, errors)).unwrap_or(strongest)
}
