//! `control` and `policy.bandit`: the control plane, what answers are worth when nobody says so.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::node::{Errors, Fields, Node};
use crate::answer::Implicit;

/// Bounds of `control.interval_ms`, `control.buffer_bytes` and `policy.bandit.max_age_s`.
pub(super) const INTERVAL_MS: RangeInclusive<u64> = 100..=60_000;
pub(super) const BUFFER_BYTES: RangeInclusive<u64> = 16_384..=67_108_864;
pub(super) const MAX_AGE_S: RangeInclusive<u64> = 1..=86_400;
/// Bounds of `control.implicit`.
pub(super) const SLOW_MS: RangeInclusive<u64> = 1..=3_600_000;
pub(super) const AGAIN_SECONDS: RangeInclusive<u64> = 1..=86_400;
pub(super) const COSTLY: RangeInclusive<f64> = 0.0..=1e6;

/// The bandit decides where the classifier would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandit {
    /// A snapshot that was not confirmed for this long no longer decides.
    pub max_age: Duration,
}

/// The control plane that decisions are posted to and policy snapshots come from.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlPlane {
    /// Envoy cluster of `pointsman serve`.
    pub cluster: String,
    /// Secret that decision ids are signed with; the control plane has the same.
    pub key: String,
    /// Bearer token of the control plane.
    pub token: String,
    /// Time between two posts, and between two looks for a new snapshot.
    pub interval: Duration,
    /// Most bytes of decisions that wait to be posted.
    pub buffer_bytes: usize,
    /// Rewards that the filter gives by itself.
    pub implicit: Option<Implicit>,
}

/// The signs that have no parameter.
pub(super) const SIGNS: [&str; 6] =
    ["ok", "error", "truncated", "refused", "empty", "invalid_tool_call"];

/// `policy.bandit`.
pub(super) fn read_bandit(root: &Fields, errors: &mut Errors) -> Option<Bandit> {
    let value = root.field("policy")?.value.get("bandit")?;
    let node = Node { path: "policy.bandit".to_owned(), value };
    let fields = node.object(&["max_age_s"], errors)?;
    let max_age =
        fields.field("max_age_s").map_or(Some(300), |node| node.integer(MAX_AGE_S, errors));
    Some(Bandit { max_age: Duration::from_secs(max_age? as u64) })
}

/// `control`.
pub(super) fn read_control_plane(node: &Node, errors: &mut Errors) -> Option<ControlPlane> {
    let known = ["cluster", "key", "token", "interval_ms", "buffer_bytes", "implicit"];
    let fields = node.object(&known, errors)?;
    let cluster = fields.required("cluster", errors).and_then(|node| node.cluster(errors));
    let key = fields.required("key", errors).and_then(|node| node.secret(errors));
    let token = fields.required("token", errors).and_then(|node| node.secret(errors));
    let mut number = |name, range, default| {
        fields.field(name).map_or(Some(default), |node| node.integer(range, errors))
    };
    let interval = number("interval_ms", INTERVAL_MS, 1000);
    let buffer_bytes = number("buffer_bytes", BUFFER_BYTES, 1_048_576);
    let implicit = fields.field("implicit").and_then(|node| read_implicit(&node, errors));
    Some(ControlPlane {
        cluster: cluster?,
        key: key?,
        token: token?,
        interval: Duration::from_millis(interval? as u64),
        buffer_bytes: buffer_bytes?,
        implicit,
    })
}

fn read_implicit(node: &Node, errors: &mut Errors) -> Option<Implicit> {
    let known = [&SIGNS[..], &["slow", "costly", "asked_again"]].concat();
    let fields = node.object(&known, errors)?;
    let [ok, error, truncated, refused, empty, invalid_tool_call] =
        SIGNS.map(|name| fields.field(name).and_then(|node| node.share(errors)));
    let slow = fields.field("slow").and_then(|node| {
        let fields = node.object(&["ms", "reward"], errors)?;
        let ms = fields.required("ms", errors).and_then(|it| it.integer(SLOW_MS, errors));
        let reward = fields.required("reward", errors).and_then(|it| it.share(errors));
        Some((Duration::from_millis(ms? as u64), reward?))
    });
    let costly = fields.field("costly").and_then(|node| {
        let fields = node.object(&["above", "reward"], errors)?;
        let above = fields.required("above", errors).and_then(|it| it.number(COSTLY, errors));
        let reward = fields.required("reward", errors).and_then(|it| it.share(errors));
        Some((above?, reward?))
    });
    let asked_again = fields.field("asked_again").and_then(|node| {
        let fields = node.object(&["seconds", "reward"], errors)?;
        let seconds =
            fields.required("seconds", errors).and_then(|it| it.integer(AGAIN_SECONDS, errors));
        let reward = fields.required("reward", errors).and_then(|it| it.share(errors));
        Some((u32::try_from(seconds?).ok()?, reward?))
    });
    Some(Implicit {
        ok,
        error,
        truncated,
        refused,
        empty,
        invalid_tool_call,
        slow,
        costly,
        asked_again,
    })
}
