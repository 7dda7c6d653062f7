//! What all workers of a proxy remember together: where conversations went, which target made the
//! state that providers keep, what was asked.

use crate::control_plane::{DecisionId, asked};
use crate::policy::StateOwner;
use crate::policy::sticky::{self, Key, Sticky, WAYS};
use crate::target::Target;

use super::Host;

/// How often a write is tried when another worker was faster. A worker that is always overtaken
/// gives up: the next request is decided afresh, or a reward is lost, but no request.
const ATTEMPTS: usize = 3;

/// Places of the table of state; each holds [`WAYS`] pieces.
const STATE_PLACES: usize = 32 * 1024;
/// How long it is remembered who made a piece of state, unless newer ones need the room.
const STATE_SECONDS: u32 = 30 * 24 * 3600;

/// The target that a conversation went to last.
pub(super) fn recall(
    host: &impl Host,
    sticky: &Sticky,
    key: Key,
    targets: &[Target],
) -> Option<usize> {
    if !key.continues {
        return None;
    }
    let (place, _) = host.shared(&conversation(sticky, key))?;
    sticky::recall(&place?, key, targets, seconds(host))
}

/// Remembers where a conversation goes.
pub(super) fn remember(host: &impl Host, sticky: &Sticky, key: Key, target: &Target) {
    let now = seconds(host);
    let end = now.saturating_add(sticky.ttl_seconds);
    swap(host, &conversation(sticky, key), |place| {
        ((), sticky::remember(place, key, target, now, end))
    });
}

/// The name of a conversation's place in the table. There is one for each place, ever: the host
/// cannot forget.
pub fn conversation(sticky: &Sticky, key: Key) -> String {
    format!("pointsman.sticky.{}", key.place(sticky.max_conversations / WAYS))
}

/// The target that made the state which a caller's request builds on: the last piece that is known
/// counts.
pub(super) fn owner(host: &impl Host, caller: u64, ids: &[u64], targets: &[Target]) -> StateOwner {
    let now = seconds(host);
    let known = ids.iter().rev().find_map(|id| {
        let key = Key::new(&[caller, *id], true);
        let (place, _) = host.shared(&state(key))?;
        sticky::recall(&place?, key, targets, now)
    });
    known.map_or(StateOwner::Unknown, StateOwner::Target)
}

/// Remembers which target made a piece of state for a caller.
pub(super) fn made(host: &impl Host, caller: u64, id: u64, target: &Target) {
    let now = seconds(host);
    let end = now.saturating_add(STATE_SECONDS);
    let key = Key::new(&[caller, id], true);
    swap(host, &state(key), |place| ((), sticky::remember(place, key, target, now, end)));
}

fn state(key: Key) -> String {
    format!("pointsman.state.{}", key.place(STATE_PLACES))
}

/// Remembers for so many seconds that a question was decided on with this ID; gives the decision
/// on the same question before.
pub(super) fn asked(
    host: &impl Host,
    key: u64,
    id: &DecisionId,
    for_seconds: u32,
) -> Option<DecisionId> {
    let now = seconds(host);
    let end = now.saturating_add(for_seconds);
    let name = format!("pointsman.asked.{}", asked::place(key));
    swap(host, &name, |place| asked::swap(place, key, id, now, end)).flatten()
}

/// Changes a shared value; gives what the change that counted returned.
pub(crate) fn swap<T>(
    host: &impl Host,
    name: &str,
    change: impl Fn(&[u8]) -> (T, Vec<u8>),
) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let (place, version) = host.shared(name)?;
        let (result, place) = change(&place.unwrap_or_default());
        if host.swap_shared(name, &place, version) {
            return Some(result);
        }
    }
    None
}

/// Now, in seconds since the Unix epoch.
pub(crate) fn seconds(host: &impl Host) -> u32 {
    u32::try_from(host.since_epoch().as_secs()).unwrap_or(0)
}
