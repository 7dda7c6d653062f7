//! Targets: names, clusters, prices, capabilities, changes to the body.

use super::node::{Errors, Fields, Node};
use super::{TARGETS, Target};
use crate::target::Edit;
use crate::target::Price;

/// The fields of a target.
pub(super) const FIELDS: [&str; 10] = [
    "name",
    "cluster",
    "threshold",
    "price",
    "model",
    "context_tokens",
    "images",
    "tools",
    "response_format",
    "parameters",
];
/// The fields of a price.
pub(super) const PRICES: [&str; 4] = ["input", "output", "cached_input", "cache_write"];
/// Bounds of `context_tokens`.
pub(super) const CONTEXT_TOKENS: std::ops::RangeInclusive<u64> = 1..=1 << 32;
/// Most parameters that a target sets.
pub(super) const MAX_PARAMETERS: usize = 16;
/// Fields of a body that no parameter may replace: they are what is asked.
pub(super) const NOT_PARAMETERS: [&str; 6] =
    ["model", "messages", "prompt", "input", "instructions", "system"];

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
    let mut targets: Vec<Target> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let Some(fields) = node.object(&FIELDS, errors) else {
            continue;
        };
        let target = read_target(&fields, rewrite, errors);
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
    let mut able = |name| fields.field(name).and_then(|node| node.boolean(errors)).unwrap_or(true);
    let (images, tools, response_format) = (able("images"), able("tools"), able("response_format"));
    let window =
        fields.field("context_tokens").and_then(|node| node.integer(CONTEXT_TOKENS, errors));
    Target {
        name: name.unwrap_or_default(),
        cluster: cluster.unwrap_or_default(),
        threshold: fields.field("threshold").and_then(|node| node.share(errors)),
        price: fields.field("price").and_then(|node| read_price(node, errors)),
        model,
        context_tokens: window.map(|window| window as u64),
        images,
        tools,
        response_format,
        edits,
    }
}

fn read_edits(
    fields: &Fields,
    rewrite: bool,
    model: Option<&str>,
    errors: &mut Errors,
) -> Vec<Edit> {
    let edit = |field: &str, value: String| Edit { field: field.to_owned(), value, add: true };
    let mut edits = Vec::new();
    if rewrite && let Some(model) = model {
        edits.push(edit("model", serde_json::Value::from(model).to_string()));
    }
    let Some(node) = fields.field("parameters") else { return edits };
    if !rewrite {
        node.refuse("needs body.rewrite_model: true", errors);
    }
    let Some(parameters) = node.object_value(errors) else { return edits };
    if parameters.len() > MAX_PARAMETERS {
        node.refuse(&format!("must have at most {MAX_PARAMETERS} parameters"), errors);
    }
    for (name, value) in parameters {
        if NOT_PARAMETERS.contains(&name.as_str()) {
            let node = Node { path: format!("{}.{name}", node.path), value };
            node.refuse("must not be set here: this field holds the question", errors);
        }
        edits.push(edit(name, value.to_string()));
    }
    edits
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
