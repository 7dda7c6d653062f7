//! Conversations stay on their target, so that the provider's prefix cache stays warm and one
//! voice answers.
//!
//! What is remembered lives in a table of fixed size that the host shares between its workers. A
//! place of the table holds up to [`WAYS`] conversations; a new one takes the place of the one
//! that ends first. Nothing of the conversation is in it but a hash.

use crate::features::hash64;
use crate::prompt::{Prompt, Role};
use crate::target::{Target, Usage};

/// How conversations stay on their target.
#[derive(Clone, Debug, PartialEq)]
pub struct Sticky {
    /// The request header that names a conversation.
    pub header: Option<String>,
    /// Whether `user` names one.
    pub user: bool,
    /// How long a conversation is remembered after its last request.
    pub ttl_seconds: u32,
    /// How many conversations are remembered at once.
    pub max_conversations: usize,
    /// What a switch to a cheaper target costs, in the prices' money; without it none is made.
    pub switch_cost: Option<f64>,
}

impl Default for Sticky {
    fn default() -> Self {
        Sticky {
            header: None,
            user: false,
            ttl_seconds: 3600,
            max_conversations: 16 * 1024,
            switch_cost: None,
        }
    }
}

/// Conversations that share a place of the table.
pub const WAYS: usize = 4;
/// Bytes of one conversation: hash, target, end.
const ENTRY: usize = 16;
/// Length of the answer that a switch is weighed for when the request names none, in tokens.
const ANSWER_TOKENS: u64 = 500;

/// What a conversation is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    hash: u64,
    /// Whether there may have been requests of this conversation before.
    pub continues: bool,
}

impl Key {
    /// By a header's value, else by `user`, else by how the conversation begins: the system's
    /// words and the first of the user's.
    pub fn of(sticky: Option<&Sticky>, prompt: &Prompt, header: Option<&[u8]>) -> Self {
        if let Some(value) = header.filter(|value| !value.is_empty()) {
            return Key { hash: hash64(&[b"header", value]), continues: true };
        }
        if sticky.is_some_and(|sticky| sticky.user)
            && let Some(user) = prompt.parameters.user.as_deref().filter(|user| !user.is_empty())
        {
            return Key { hash: hash64(&[b"user", user.as_bytes()]), continues: true };
        }
        let said = |role: Role| {
            prompt.turns.iter().filter(move |turn| turn.role == role && !turn.text.is_empty())
        };
        let mut parts: Vec<&[u8]> = vec![b"prefix"];
        parts.extend(said(Role::System).map(|turn| turn.text.as_bytes()));
        parts.extend(said(Role::User).take(1).map(|turn| turn.text.as_bytes()));
        let answered = |role: &Role| matches!(role, Role::Assistant | Role::Tool);
        let continues = prompt.turns.iter().any(|turn| answered(&turn.role));
        Key { hash: hash64(&parts), continues }
    }

    /// Position in a table of `places`.
    pub fn place(self, places: usize) -> usize {
        usize::try_from(self.hash >> 32).unwrap_or(0) % places.max(1)
    }

    /// A number from 0 to 1 that is the same for the whole conversation.
    pub fn draw(self) -> f64 {
        // Another mix than the place's, or a share of places would be the share of conversations.
        let mixed = (self.hash ^ self.hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Digest by which a target is remembered: positions change with the configuration.
fn digest(target: &Target) -> u32 {
    hash64(&[target.name.as_bytes()]) as u32
}

/// Where a conversation went, according to the bytes of its place; `now` in seconds.
pub fn recall(place: &[u8], key: Key, targets: &[Target], now: u32) -> Option<usize> {
    let (_, target, _) = entries(place).find(|(hash, _, end)| *hash == key.hash && *end > now)?;
    targets.iter().position(|candidate| digest(candidate) == target)
}

/// The bytes of a place with a conversation remembered in it until `end`, in seconds.
pub fn remember(place: &[u8], key: Key, target: &Target, now: u32, end: u32) -> Vec<u8> {
    let others = entries(place).filter(|(hash, _, end)| *hash != key.hash && *end > now);
    let mut kept: Vec<(u64, u32, u32)> = others.collect();
    kept.sort_by_key(|(_, _, end)| std::cmp::Reverse(*end));
    kept.truncate(WAYS - 1);
    kept.push((key.hash, digest(target), end));
    let mut bytes = Vec::with_capacity(kept.len() * ENTRY);
    for (hash, target, end) in kept {
        bytes.extend_from_slice(&hash.to_le_bytes());
        bytes.extend_from_slice(&target.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
    }
    bytes
}

/// Hash, target, end. Bytes that are not an entry are skipped: the table may be an older version's.
fn entries(place: &[u8]) -> impl Iterator<Item = (u64, u32, u32)> {
    let (entries, _) = place.as_chunks::<ENTRY>();
    entries.iter().map(|bytes| {
        let all = u128::from_le_bytes(*bytes);
        (all as u64, (all >> 64) as u32, (all >> 96) as u32)
    })
}

/// Whether going from target `from` to the cheaper `to` saves more on this request than the
/// switch costs.
pub fn is_worth_it(sticky: &Sticky, prompt: &Prompt, from: &Target, to: &Target) -> bool {
    let Some((cost, (from, to))) = sticky.switch_cost.zip(from.price.zip(to.price)) else {
        return false;
    };
    let output = prompt.parameters.max_tokens.unwrap_or(ANSWER_TOKENS);
    let usage = Usage { input: prompt.tokens_estimate() as u64, output };
    from.of(usage) - to.of(usage) > cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{ApiFormat, Turn};
    use crate::target::Price;

    fn targets() -> [Target; 2] {
        [Target::named("cheap"), Target::named("strong")]
    }

    fn key(number: u64) -> Key {
        Key { hash: number, continues: true }
    }

    fn of(body: &str, header: Option<&[u8]>) -> Key {
        let mut body = body.as_bytes().to_vec();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
        Key::of(Some(&Sticky { user: true, ..Sticky::default() }), &prompt, header)
    }

    #[test]
    fn a_conversation_is_known_by_how_it_begins() {
        let first = of(r#"{"messages":[{"role":"user","content":"a"}]}"#, None);
        let later = of(
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#,
            None,
        );
        assert_eq!(first.hash, later.hash);
        assert!(!first.continues && later.continues);
        let other =
            r#"{"messages":[{"role":"system","content":"x"},{"role":"user","content":"a"}]}"#;
        assert_ne!(of(other, None).hash, first.hash);
    }

    #[test]
    fn a_header_or_the_user_names_a_conversation_whatever_is_said() {
        let by_header = |body| of(body, Some(b"c-7")).hash;
        let (a, b) = (r#"{"messages":[{"content":"a"}]}"#, r#"{"messages":[{"content":"b"}]}"#);
        assert_eq!(by_header(a), by_header(b));
        assert_ne!(of(a, Some(b"c-8")).hash, by_header(a));
        assert_eq!(of(a, Some(b"")), of(a, None), "an empty header names nothing");
        let user = |text| format!(r#"{{"user":"u","messages":[{{"content":"{text}"}}]}}"#);
        assert_eq!(of(&user("a"), None).hash, of(&user("b"), None).hash);
    }

    #[test]
    fn what_is_remembered_is_recalled_until_its_end() {
        let targets = targets();
        let place = remember(&[], key(7), &targets[1], 100, 160);
        assert_eq!(recall(&place, key(7), &targets, 159), Some(1));
        assert_eq!(recall(&place, key(7), &targets, 160), None);
        assert_eq!(recall(&place, key(8), &targets, 159), None);
        let renamed = [Target::named("other"), Target::named("another")];
        assert_eq!(recall(&place, key(7), &renamed, 159), None, "the target is gone");
        let reversed = [Target::named("strong"), Target::named("cheap")];
        assert_eq!(recall(&place, key(7), &reversed, 159), Some(0), "it has another position");
        assert_eq!(recall(b"not an entry", key(7), &targets, 0), None);
    }

    #[test]
    fn a_place_is_bounded_and_the_one_that_ends_first_makes_room() {
        let targets = targets();
        let mut place = Vec::new();
        for number in 0..100_u64 {
            let end = 1000 + number as u32;
            place = remember(&place, key(number), &targets[0], 10, end);
        }
        assert_eq!(place.len(), WAYS * ENTRY);
        let known = (0..100).filter(|n| recall(&place, key(*n), &targets, 10).is_some());
        assert_eq!(known.collect::<Vec<_>>(), [96, 97, 98, 99]);
        let again = remember(&place, key(99), &targets[1], 10, 2000);
        assert_eq!(again.len(), WAYS * ENTRY, "a known conversation takes no second entry");
        assert_eq!(recall(&again, key(99), &targets, 10), Some(1));
    }

    #[test]
    fn a_switch_is_worth_it_when_it_saves_more_than_it_costs() {
        let price = |input, output| Some(Price { input, output });
        let from = Target { price: price(10.0, 30.0), ..Target::named("strong") };
        let to = Target { price: price(1.0, 3.0), ..Target::named("cheap") };
        let mut prompt = Prompt {
            turns: vec![Turn { text: "x".repeat(40_000).into(), ..Turn::default() }],
            ..Prompt::default()
        };
        // 10,000 tokens in and 1,000 out: 0.13 against 0.013.
        prompt.parameters.max_tokens = Some(1000);
        let sticky = |switch_cost| Sticky { switch_cost, ..Sticky::default() };
        assert!(is_worth_it(&sticky(Some(0.116)), &prompt, &from, &to));
        assert!(!is_worth_it(&sticky(Some(0.118)), &prompt, &from, &to));
        assert!(!is_worth_it(&sticky(None), &prompt, &from, &to));
        assert!(!is_worth_it(&sticky(Some(0.0)), &prompt, &Target::named("unpriced"), &to));
    }

    #[test]
    fn draws_are_spread_evenly() {
        let below = (0..10_000_u64)
            .filter(|number| key(hash64(&[&number.to_le_bytes()])).draw() < 0.1)
            .count();
        assert!((800..1200).contains(&below), "{below}");
    }
}
