//! When a target's answer is held back, and not sent on.

use super::node::{Errors, Fields, Node};
use super::read::read_model;
use super::targets::read_apis;
use crate::sign::Sign;
use crate::target::{Escalate, Hold, Judge, OnTimeout};

/// The fields of `escalate`.
pub(super) const FIELDS: [&str; 12] = [
    "to",
    "signs",
    "apis",
    "hold",
    "hold_bytes",
    "hold_tokens",
    "hold_ms",
    "on_timeout",
    "hold_below",
    "judge",
    "accept_below",
    "max_share",
];
/// Bounds of `hold_bytes`. The listener in front of an endpoint buffers 8 MiB.
pub(super) const HOLD_BYTES: std::ops::RangeInclusive<u64> = 256..=4 << 20;
/// Bounds of `hold_tokens` and `hold_ms`.
pub(super) const HOLD_TOKENS: std::ops::RangeInclusive<u64> = 1..=100_000;
pub(super) const HOLD_MS: std::ops::RangeInclusive<u64> = 10..=600_000;

/// Reads what stands in a target; `stronger` are the names that `to` may have, the first of which it
/// has when nothing is said.
pub(super) fn read(node: &Node, stronger: &[&str], errors: &mut Errors) -> Option<Escalate> {
    let fields = node.object(&FIELDS, errors)?;
    let Some(next) = stronger.first() else {
        node.refuse("must be left out: no target comes after the last", errors);
        return None;
    };
    let to = match fields.field("to") {
        Some(node) => {
            let name = node.text(errors)?;
            let rule = format!("must name a target that comes later: {}", stronger.join(", "));
            node.checked(stronger.contains(&name).then_some(name), &rule, errors)?
        }
        None => next,
    };
    Some(read_fields(&fields, to, errors))
}

fn read_fields(fields: &Fields, to: &str, errors: &mut Errors) -> Escalate {
    let default = Escalate::to(to.to_owned());
    let mut integer =
        |name, range| fields.field(name).and_then(|node: Node| node.integer(range, errors));
    let hold_bytes = integer("hold_bytes", HOLD_BYTES);
    let hold_tokens = integer("hold_tokens", HOLD_TOKENS);
    let hold_ms = integer("hold_ms", HOLD_MS).and_then(|ms| u32::try_from(ms).ok());
    let mut share = |name| fields.field(name).and_then(|node: Node| node.share(errors));
    let (hold_below, max_share) = (share("hold_below"), share("max_share"));
    let accept_below = share("accept_below");
    let judge = fields.field("judge").and_then(|node| read_model(node, errors));
    let judge = judge.map(|model| Judge { onnx: model.onnx, manifest: model.manifest });
    if let (None, Some(node)) = (fields.field("judge"), fields.field("accept_below")) {
        node.refuse("needs \"judge\": the model whose answers it is compared with", errors);
    }
    Escalate {
        signs: fields.field("signs").map_or(default.signs, |node| read_signs(&node, errors)),
        apis: fields.field("apis").map_or(default.apis, |node| read_apis(&node, errors)),
        hold: one_of(fields, "hold", &Hold::ALL.map(|it| (it.name(), it)), errors)
            .unwrap_or(default.hold),
        hold_bytes: hold_bytes.unwrap_or(default.hold_bytes),
        hold_tokens: hold_tokens.unwrap_or(default.hold_tokens),
        hold_ms: hold_ms.unwrap_or(default.hold_ms),
        on_timeout: one_of(fields, "on_timeout", &OnTimeout::ALL.map(|it| (it.name(), it)), errors)
            .unwrap_or(default.on_timeout),
        hold_below,
        judge,
        accept_below,
        max_share: max_share.unwrap_or(default.max_share),
        to: default.to,
    }
}

fn one_of<T: Copy>(
    fields: &Fields,
    name: &str,
    choices: &[(&str, T)],
    errors: &mut Errors,
) -> Option<T> {
    fields.field(name)?.one_of(choices, errors)
}

fn read_signs(node: &Node, errors: &mut Errors) -> Vec<Sign> {
    let names = Sign::ALL.map(|sign| (sign.name(), sign));
    let nodes = node.list(names.len(), errors);
    if nodes.is_empty() {
        node.refuse("must name at least one sign", errors);
    }
    nodes.iter().filter_map(|node| node.one_of(&names, errors)).collect()
}
