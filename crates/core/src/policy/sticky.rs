//! Conversations stay on their target, so that the provider's prefix cache stays warm and one
//! voice answers.
//!
//! What is remembered lives in a table of fixed size that the host shares between its workers. A
//! place of the table holds up to [`WAYS`] conversations; a new one takes the place of the one
//! that ends first. Nothing of the conversation is in it but a hash.

use crate::features::hash64;
use crate::identity::Identity;
use crate::prompt::{Prompt, Role};
use crate::target::{Billed, Target, Usage};

use super::beginning;

/// How conversations stay on their target.
#[derive(Clone, Debug, PartialEq)]
pub struct Sticky {
    /// The request header of one's own that names a conversation; no upstream sees it.
    pub header: Option<String>,
    /// All request headers that name a session, one's own first; the first that is there counts.
    pub headers: Vec<String>,
    /// The top-level fields of a body that name a session.
    pub fields: Vec<String>,
    /// Whether `user` names one.
    pub user: bool,
    /// How long a conversation is remembered after its last request.
    pub ttl_seconds: u32,
    /// How many conversations are remembered at once.
    pub max_conversations: usize,
    /// What a switch to a cheaper target costs, in the prices' money; without it none is made.
    pub switch_cost: Option<f64>,
}

/// Headers in which agents and chat programs name their session: Claude Code, Codex, opencode,
/// Mistral Vibe, Open WebUI, LiteLLM, OpenRouter, and what many call it.
pub const SESSION_HEADERS: [&str; 9] = [
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-opencode-session",
    "x-affinity",
    "x-openwebui-chat-id",
    "x-litellm-session-id",
    "x-session-id",
    "x-conversation-id",
];
/// The same for fields of the body: Codex, OpenHands and opencode, OpenRouter.
pub const SESSION_FIELDS: [&str; 2] = ["prompt_cache_key", "session_id"];

impl Default for Sticky {
    fn default() -> Self {
        Sticky {
            header: None,
            headers: SESSION_HEADERS.map(str::to_owned).to_vec(),
            fields: SESSION_FIELDS.map(str::to_owned).to_vec(),
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
    /// Whatever is known by these numbers, which are hashes themselves.
    pub fn new(parts: &[u64], continues: bool) -> Self {
        let bytes: Vec<[u8; 8]> = parts.iter().map(|part| part.to_le_bytes()).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(<[u8; 8]>::as_slice).collect();
        Key { hash: hash64(&bytes), continues }
    }

    /// A caller's session by its name, else its `user`, else how the conversation begins; `None`
    /// when nothing tells it from others.
    ///
    /// `history` says that the body does not show how it begins.
    pub fn of(
        sticky: Option<&Sticky>,
        prompt: &Prompt,
        identity: Identity,
        history: bool,
    ) -> Option<Self> {
        if let Some(session) = identity.session {
            return Some(Key::new(&[identity.caller, session], true));
        }
        if sticky.is_some_and(|sticky| sticky.user)
            && let Some(user) = prompt.parameters.user.as_deref().filter(|user| !user.is_empty())
        {
            let user = hash64(&[b"user", user.as_bytes()]);
            return Some(Key::new(&[identity.caller, user], true));
        }
        let beginning = beginning::hash(&prompt.turns).filter(|_| !history)?;
        let answered = |role: &Role| matches!(role, Role::Assistant | Role::Tool);
        let continues = prompt.turns.iter().any(|turn| answered(&turn.role));
        Some(Key::new(&[identity.caller, beginning], continues))
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
/// switch costs. What was said before is still in the prefix cache of `from`, and not in that of
/// `to`.
pub fn is_worth_it(sticky: &Sticky, prompt: &Prompt, from: &Target, to: &Target) -> bool {
    let Some((cost, (from, to))) = sticky.switch_cost.zip(from.price.zip(to.price)) else {
        return false;
    };
    let output = prompt.parameters.max_tokens.unwrap_or(ANSWER_TOKENS);
    let input = prompt.tokens_estimate() as u64;
    let new = prompt.turns.last().map_or(0, |turn| turn.text.len().div_ceil(4) as u64);
    let warm = input.saturating_sub(new);
    let usage = Usage { input, output };
    let stay = Billed { usage, cached_input: warm, ..Billed::default() };
    let go = Billed { usage, cache_write: warm, ..Billed::default() };
    from.of_billed(&stay) - to.of_billed(&go) > cost
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

    fn of(body: &str, identity: Identity) -> Option<Key> {
        let mut body = body.as_bytes().to_vec();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
        let sticky = Sticky { user: true, ..Sticky::default() };
        Key::of(Some(&sticky), &prompt, identity, false)
    }

    const A: Identity = Identity { caller: 1, session: None };
    const B: Identity = Identity { caller: 2, session: None };

    #[test]
    fn a_conversation_is_known_by_who_begins_it_and_how() {
        let first = r#"{"messages":[{"role":"user","content":"a"}]}"#;
        let later = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#;
        let (one, two) = (of(first, A).unwrap(), of(later, A).unwrap());
        assert_eq!(one.hash, two.hash);
        assert!(!one.continues && two.continues);
        assert_ne!(of(later, B).unwrap().hash, two.hash, "another caller's");
        let other =
            r#"{"messages":[{"role":"system","content":"x"},{"role":"user","content":"a"}]}"#;
        assert_ne!(of(other, A).unwrap().hash, one.hash);
    }

    #[test]
    fn a_session_or_the_user_names_a_conversation_whatever_is_said_but_not_anothers() {
        let in_session = |caller, session| {
            let identity = Identity { caller, session: Some(session) };
            move |text: &str| of(&format!(r#"{{"messages":[{{"content":"{text}"}}]}}"#), identity)
        };
        assert_eq!(in_session(1, 7)("a"), in_session(1, 7)("b"));
        assert_ne!(in_session(1, 7)("a"), in_session(1, 8)("a"));
        assert_ne!(in_session(1, 7)("a"), in_session(2, 7)("a"));
        let user = |text| format!(r#"{{"user":"u","messages":[{{"content":"{text}"}}]}}"#);
        assert_eq!(of(&user("a"), A), of(&user("b"), A));
        assert_ne!(of(&user("a"), A), of(&user("a"), B));
    }

    #[test]
    fn what_shows_no_beginning_is_no_conversation() {
        let results = r#"{"messages":[{"role":"tool","content":"42"}]}"#;
        assert_eq!(of(results, A), None);
        let mut body = br#"{"input":"And then?"}"#.to_vec();
        let prompt = Prompt::parse(ApiFormat::Responses, &mut body, false).unwrap();
        assert_eq!(Key::of(None, &prompt, A, true), None, "it goes on from elsewhere");
        assert!(Key::of(None, &prompt, A, false).is_some());
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
        let price = |input, output| Some(Price::new(input, output));
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
    fn a_warm_prefix_is_a_reason_to_stay() {
        let price = |cached_input| Price { cached_input, ..Price::new(3.0, 15.0) };
        let to = Target { price: Some(Price::new(1.0, 5.0)), ..Target::named("cheap") };
        let turn = |text: String| Turn { text: text.into(), ..Turn::default() };
        let mut prompt = Prompt {
            turns: vec![turn("x".repeat(400_000)), turn("go on".to_owned())],
            ..Prompt::default()
        };
        prompt.parameters.max_tokens = Some(100);
        let sticky = Sticky { switch_cost: Some(0.0), ..Sticky::default() };
        let worth = |cached| {
            let from = Target { price: Some(price(cached)), ..Target::named("strong") };
            is_worth_it(&sticky, &prompt, &from, &to)
        };
        assert!(worth(None));
        assert!(!worth(Some(0.3)), "100,000 tokens at a tenth of the price are cheaper there");
    }

    #[test]
    fn draws_are_spread_evenly() {
        let below = (0..10_000_u64)
            .filter(|number| key(hash64(&[&number.to_le_bytes()])).draw() < 0.1)
            .count();
        assert!((800..1200).contains(&below), "{below}");
    }
}
