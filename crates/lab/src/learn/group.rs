//! Groups: near-duplicate prompts fall on the same side of every split.

use super::split::Split;
use pointsman_core::prompt::{Prompt, Role};

/// Words that decide the group: templates differ at the end, copies agree at the beginning.
const GROUP_WORDS: usize = 24;
/// Fewest words before the answer options that make a question; "Which is true?" does not, so
/// its options count too.
const QUESTION_WORDS: usize = 8;

/// Identifies the group of near-duplicates that a prompt belongs to.
///
/// Taken from the text up to its first answer option (`A.`, `A)`, `(A)` at the start of a line),
/// lower-cased, letters and digits only, of which the first 24 words count; a question of fewer
/// than eight words takes its options along. So the same question with its options shuffled,
/// re-spaced or re-punctuated is one group.
pub fn group_id(text: &str) -> u64 {
    let mut hash = Fnv::default();
    let mut words = 0;
    'lines: for line in text.lines() {
        if words >= QUESTION_WORDS && is_option(line) {
            break;
        }
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            word.chars().flat_map(char::to_lowercase).for_each(|c| hash.write(c as u32));
            hash.write(u32::from(' '));
            words += 1;
            if words == GROUP_WORDS {
                break 'lines;
            }
        }
    }
    hash.0
}

/// Group of the first user turn, where a conversation says what it is about.
pub(super) fn prompt_group(prompt: &Prompt) -> u64 {
    let user = prompt.turns.iter().find(|t| t.role == Role::User && !t.text.trim().is_empty());
    group_id(user.or(prompt.turns.first()).map_or("", |turn| &turn.text))
}

/// Side of a row that carries no `split`: one group in five is for validation.
pub(super) fn by_group(group_id: u64) -> Split {
    if mix(group_id).is_multiple_of(5) { Split::Val } else { Split::Train }
}

/// Fold of a row in cross-validation. Not the same digits that [`by_group`] splits by.
pub(super) fn fold(group_id: u64, folds: usize) -> usize {
    ((mix(group_id) >> 32) % folds as u64) as usize
}

/// A place in an order that the seed decides.
pub(super) fn shuffled(group_id: u64, seed: u64) -> u64 {
    mix(group_id ^ mix(seed))
}

/// Does this line begin with a capital letter marked as an answer option?
fn is_option(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches('(');
    let mut chars = line.chars();
    matches!(chars.next(), Some('A'..='J')) && matches!(chars.next(), Some('.' | ')' | ':'))
}

/// FNV-1a, 64 bit, over code points.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, value: u32) {
        for byte in value.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Finaliser of SplitMix64: FNV's low bits alone are not even enough to divide by.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_options_and_spacing_keep_the_group() {
        let one = "Find the degree of the extension  Q(sqrt(2)) over Q.\nA. 0\nB. 4";
        let other = "find the degree of the extension Q(sqrt(2)) over Q\n(A) 4\n(B) 0\n(C) 1";
        assert_eq!(group_id(one), group_id(other));
    }

    #[test]
    fn other_questions_are_other_groups() {
        assert_ne!(group_id("What is 2 + 2?"), group_id("What is 2 + 3?"));
        assert_ne!(
            group_id("Which is true?\nA. Ice floats"),
            group_id("Which is true?\nA. It sinks")
        );
    }

    #[test]
    fn one_group_in_five_is_for_validation() {
        let val = (0..10_000).filter(|i| by_group(group_id(&format!("q {i}"))) == Split::Val);
        assert!((1800..2200).contains(&val.count()));
    }
}
