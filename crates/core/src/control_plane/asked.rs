//! Questions that were asked a short while ago: whoever asks again was not content.
//!
//! As with conversations ([`crate::policy::sticky`]) the table has a fixed size, the host shares
//! it between its workers, and nothing of the question is in it but a hash.

use super::DecisionId;
use crate::features::hash64;
use crate::prompt::{Prompt, Role};

/// Places of the table.
pub const PLACES: usize = 1024;
/// Questions that share a place.
const WAYS: usize = 4;
/// Bytes of one question: hash, decision, end.
const ENTRY: usize = 28;

/// What a question is known by: who asks ([`crate::identity::Identity`]), and the words. `None` when
/// the last word is not the user's, as in the middle of an agent's work.
pub fn key(prompt: &Prompt, caller: u64) -> Option<u64> {
    let last = prompt.turns.last().filter(|turn| turn.role == Role::User)?;
    let words: Vec<String> = last.text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return None;
    }
    let user = prompt.parameters.user.as_deref().unwrap_or_default();
    Some(hash64(&[b"asked", &caller.to_le_bytes(), user.as_bytes(), words.join(" ").as_bytes()]))
}

/// Position in the table.
pub fn place(key: u64) -> usize {
    usize::try_from(key >> 32).unwrap_or(0) % PLACES
}

/// The decision of the same question, if it was asked before `now`, in seconds, and not too long
/// ago; and the bytes of the place with this decision remembered until `end`.
pub fn swap(
    place: &[u8],
    key: u64,
    id: &DecisionId,
    now: u32,
    end: u32,
) -> (Option<DecisionId>, Vec<u8>) {
    let (entries, _) = place.as_chunks::<ENTRY>();
    let mut kept: Vec<[u8; ENTRY]> =
        entries.iter().copied().filter(|entry| end_of(entry) > now).collect();
    let is_same = |entry: &[u8; ENTRY]| entry.starts_with(&key.to_le_bytes());
    let before = kept.iter().find(|entry| is_same(entry));
    let before = before.and_then(|entry| DecisionId::try_from(entry.get(8..24)?).ok());
    kept.retain(|entry| !is_same(entry));
    kept.sort_by_key(|entry| std::cmp::Reverse(end_of(entry)));
    kept.truncate(WAYS - 1);
    let mut bytes = kept.concat();
    bytes.extend_from_slice(&key.to_le_bytes());
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(&end.to_le_bytes());
    (before, bytes)
}

fn end_of(entry: &[u8; ENTRY]) -> u32 {
    entry.last_chunk::<4>().map_or(0, |end| u32::from_le_bytes(*end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::ApiFormat;

    fn key_of(body: &str, who: u64) -> Option<u64> {
        let mut body = body.as_bytes().to_vec();
        key(&Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap(), who)
    }

    #[test]
    fn a_question_is_known_by_its_words_and_who_asks() {
        let asked =
            |text: &str| format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let one = key_of(&asked("What is  it?"), 1);
        assert!(one.is_some());
        assert_eq!(key_of(&asked("what is it? "), 1), one);
        assert_ne!(key_of(&asked("what is it?"), 2), one);
        assert_ne!(key_of(&asked("what is that?"), 1), one);
        let at_work = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"tool","content":"c"}]}"#;
        assert_eq!(key_of(at_work, 1), None);
    }

    #[test]
    fn the_decision_before_is_found_once_and_until_its_end() {
        let (before, place) = swap(&[], 7, &[1; 16], 100, 160);
        assert_eq!(before, None);
        let (before, place) = swap(&place, 7, &[2; 16], 159, 219);
        assert_eq!(before, Some([1; 16]));
        assert_eq!(swap(&place, 7, &[3; 16], 160, 220).0, Some([2; 16]));
        assert_eq!(swap(&place, 7, &[3; 16], 219, 279).0, None, "too long ago");
        assert_eq!(swap(&place, 8, &[3; 16], 160, 220).0, None);
        assert_eq!(swap(b"not an entry", 7, &[3; 16], 160, 220).0, None);
    }

    #[test]
    fn a_place_is_bounded() {
        let mut place = Vec::new();
        for number in 0..100 {
            place = swap(&place, u64::from(number), &[1; 16], 10, 1000 + number).1;
        }
        assert_eq!(place.len(), WAYS * ENTRY);
        assert!(swap(&place, 97, &[1; 16], 10, 2000).0.is_some());
    }
}
