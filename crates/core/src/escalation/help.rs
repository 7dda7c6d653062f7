//! Whether asking another target helps, as all workers see it: its answer must not show the very
//! sign for which it was asked.

use crate::exchange::Host;
use crate::verdict::Sign;

/// From so many answers on it is known.
const ENOUGH: u16 = 20;
/// Fewer than one in so many has to be better for escalation to stop.
const ONE_IN: u16 = 10;
/// For so long nothing is escalated for the sign then, in seconds.
const PAUSE: u64 = 300;

/// Counts of what came of escalations.
#[derive(Clone, Copy, Default)]
struct Seen {
    better: u16,
    same: u16,
    /// Seconds since the Unix epoch.
    paused_until: u64,
}

/// Whether escalations to `to` for a sign have turned out to be of no use.
pub(super) fn is_none(host: &impl Host, to: &str, sign: Sign) -> bool {
    read(host, to, sign).is_some_and(|(seen, _)| host.since_epoch().as_secs() < seen.paused_until)
}

/// The answer of `to` was better than the one that was held, or showed the same sign.
pub(super) fn learn(host: &impl Host, to: &str, sign: Sign, better: bool) {
    let Some((mut seen, version)) = read(host, to, sign) else { return };
    let count = if better { &mut seen.better } else { &mut seen.same };
    *count += 1;
    if seen.better + seen.same >= ENOUGH {
        let useless = seen.better * ONE_IN < seen.better + seen.same;
        let until = if useless { host.since_epoch().as_secs() + PAUSE } else { 0 };
        seen = Seen { paused_until: until, ..Seen::default() };
    }
    let value = [
        &seen.better.to_be_bytes()[..],
        &seen.same.to_be_bytes(),
        &seen.paused_until.to_be_bytes(),
    ];
    // An answer that another worker overtook is not counted.
    host.swap_shared(&name(to, sign), &value.concat(), version);
}

fn read(host: &impl Host, to: &str, sign: Sign) -> Option<(Seen, Option<u32>)> {
    let (value, version) = host.shared(&name(to, sign))?;
    Some((value.and_then(|value| decode(&value)).unwrap_or_default(), version))
}

fn decode(value: &[u8]) -> Option<Seen> {
    let (better, rest) = value.split_first_chunk()?;
    let (same, until) = rest.split_first_chunk()?;
    Some(Seen {
        better: u16::from_be_bytes(*better),
        same: u16::from_be_bytes(*same),
        paused_until: u64::from_be_bytes(until.try_into().ok()?),
    })
}

fn name(to: &str, sign: Sign) -> String {
    format!("pointsman.escalation.{to}.{}", sign.name())
}
