//! Where conversations went, in the data that all workers of an Envoy share.

use std::time::{SystemTime, UNIX_EPOCH};

use proxy_wasm::hostcalls;

use crate::config::{Sticky, Target};
use crate::policy::sticky::{self, Key, WAYS};

/// How often a write is tried when another worker was faster.
const ATTEMPTS: usize = 3;

/// The target that a conversation went to last.
pub(super) fn recall(sticky: &Sticky, key: Key, targets: &[Target]) -> Option<usize> {
    if !key.continues {
        return None;
    }
    let (place, _) = hostcalls::get_shared_data(&name(sticky, key)).ok()?;
    sticky::recall(&place?, key, targets, now())
}

/// Remembers where a conversation goes. A worker that is always overtaken gives up: the next
/// request is decided afresh, which costs no more than the first.
pub(super) fn remember(sticky: &Sticky, key: Key, target: &Target) {
    let name = name(sticky, key);
    let now = now();
    let end = now.saturating_add(sticky.ttl_seconds);
    for _ in 0..ATTEMPTS {
        let Ok((place, version)) = hostcalls::get_shared_data(&name) else { return };
        let place = sticky::remember(&place.unwrap_or_default(), key, target, now, end);
        if hostcalls::set_shared_data(&name, Some(&place), version).is_ok() {
            return;
        }
    }
}

/// The name of a place of the table. There is one for each place, ever: the host cannot forget.
fn name(sticky: &Sticky, key: Key) -> String {
    format!("pointsman.sticky.{}", key.place(sticky.max_conversations / WAYS))
}

/// Seconds since the Unix epoch.
fn now() -> u32 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.ok().and_then(|age| u32::try_from(age.as_secs()).ok()).unwrap_or(0)
}
