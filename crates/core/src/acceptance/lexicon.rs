//! What kind of thing a word of an answer or a prompt says.

use super::tokens::word_hash;
use super::word_lists::{LISTS, NUMBER_WORDS};

/// What a list of words stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hedge,
    Reversal,
    Mistake,
    Approximation,
    Assumption,
    Refusal,
    Conclusion,
    Step,
    Negation,
    Algebra,
    Compare,
    Part,
    Rate,
    Time,
    Remainder,
    FirstPerson,
    Condition,
    Order,
    Final,
    /// Belongs to no list.
    None,
}

impl Kind {
    /// Number of kinds that words belong to.
    pub(super) const COUNT: usize = Kind::None as usize;
}

const TABLE: usize = 1024;

/// From the hash of a word to its kind and the number that it says, filled by the compiler.
struct Lexicon {
    entries: [(u32, u8, f32); TABLE],
}

const FREE: u8 = u8::MAX;

static LEXICON: Lexicon = Lexicon::build();

impl Lexicon {
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
    const fn place(entries: &[(u32, u8, f32); TABLE], hash: u32) -> usize {
        let mut at = hash as usize % TABLE;
        while entries[at].1 != FREE && entries[at].0 != hash {
            at = (at + 1) % TABLE;
        }
        at
    }

    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
    const fn build() -> Self {
        let mut entries = [(0, FREE, f32::NAN); TABLE];
        let mut list = 0;
        while list < LISTS.len() {
            let (kind, words) = LISTS[list];
            let mut word = 0;
            while word < words.len() {
                let hash = word_hash(words[word]);
                let at = Self::place(&entries, hash);
                if entries[at].1 == FREE {
                    entries[at] = (hash, kind as u8, f32::NAN);
                }
                word += 1;
            }
            list += 1;
        }
        let mut word = 0;
        while word < NUMBER_WORDS.len() {
            let (name, value) = NUMBER_WORDS[word];
            let hash = word_hash(name);
            let at = Self::place(&entries, hash);
            if entries[at].1 == FREE {
                entries[at] = (hash, Kind::None as u8, f32::NAN);
            }
            entries[at].2 = value as f32;
            word += 1;
        }
        Lexicon { entries }
    }
}

/// The place of a word's kind among all kinds, [`Kind::COUNT`] for none, and the number that it
/// stands for, if it does.
pub(super) fn look_up(hash: u32) -> (usize, Option<f64>) {
    let mut at = hash as usize % TABLE;
    while let Some(&(own, kind, number)) = LEXICON.entries.get(at) {
        if kind == FREE {
            break;
        }
        if own == hash {
            return (usize::from(kind), (!number.is_nan()).then_some(f64::from(number)));
        }
        at = (at + 1) % TABLE;
    }
    (Kind::COUNT, None)
}
