//! Damage to bodies, for tests that run without a fuzzer.

use rand::Rng;
use rand::rngs::SmallRng;

/// Bytes that mean something to a JSON parser, to a format or to a feature.
const SPICE: [&str; 29] = [
    "\"",
    "\\",
    "\\u",
    "\\ud83d",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "-",
    "null",
    "0.",
    "1e999",
    "\u{0}",
    "\n",
    "\u{feff}",
    "\u{10ffff}",
    "é",
    "中",
    "```",
    "$$",
    "|",
    "\"model\":",
    "\"messages\":[",
    "\"content\":",
    "\"type\":\"tool_result\"",
    "\"input\":",
    "<system-reminder>",
];

/// Changes a body at a few random places; pieces of `others` may come in.
pub fn body(body: &mut Vec<u8>, others: &[Vec<u8>], random: &mut SmallRng) {
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=body.len());
        match random.random_range(0..6) {
            0 => body.truncate(at),
            1 if at < body.len() => body[at] = random.random(),
            2 if at < body.len() => {
                let end = (at + random.random_range(1..30)).min(body.len());
                body.drain(at..end);
            }
            3 => {
                let other = &others[random.random_range(0..others.len())];
                let start = random.random_range(0..=other.len());
                let end = random.random_range(start..=other.len());
                body.splice(at..at, other[start..end].iter().copied());
            }
            4 if at < body.len() => {
                let end = (at + random.random_range(1..40)).min(body.len());
                let copy = body[at..end].repeat(random.random_range(1..9));
                body.splice(at..at, copy);
            }
            _ => {
                let spice = SPICE[random.random_range(0..SPICE.len())];
                body.splice(at..at, spice.bytes());
            }
        }
    }
}
