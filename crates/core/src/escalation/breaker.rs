//! Whether the target that is asked instead answers, as all workers see it.

use crate::exchange::Host;

/// Failures in a row after which nothing is escalated for a while.
const FAILURES: u32 = 5;
const OPEN_SECONDS: u64 = 10;

/// Whether bad answers are to be kept, because the target `to` does not answer.
pub(super) fn is_open(host: &impl Host, to: &str) -> bool {
    read(host, to).is_some_and(|(_, until, _)| host.since_epoch().as_secs() < until)
}

/// The target was asked in another's place, and answered or not.
pub(super) fn answered(host: &impl Host, to: &str, well: bool) {
    let Some((before, _, version)) = read(host, to) else { return };
    if well && before == 0 {
        return;
    }
    let failures = if well { 0 } else { before.saturating_add(1) };
    let until = match failures >= FAILURES {
        true => host.since_epoch().as_secs() + OPEN_SECONDS,
        false => 0,
    };
    let value = [&failures.to_be_bytes()[..], &until.to_be_bytes()].concat();
    // Another worker was faster: it saw the same.
    host.swap_shared(&name(to), &value, version);
}

/// Failures in a row, until when nothing is escalated, and the version of that.
fn read(host: &impl Host, to: &str) -> Option<(u32, u64, Option<u32>)> {
    let (value, version) = host.shared(&name(to))?;
    let value = value.unwrap_or_default();
    let failures = value.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let until = value.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Some((failures, until, version))
}

fn name(to: &str) -> String {
    format!("pointsman.escalation.{to}")
}
