//! The characters that may stand in one place of a match.

use super::letters::{folded, in_word};

/// Most letters of a range whose other case is looked up: more than an alphabet has.
const MAX_FOLDED: usize = 1024;

/// The characters that may stand in a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) ranges: Vec<(char, char)>,
    pub(super) classes: Vec<(Class, bool)>,
    pub(super) negated: bool,
    pub(super) ignores_case: bool,
}

/// Characters that have a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    Digit,
    Space,
    Word,
    /// Of ASCII, as `[[:alpha:]]`.
    Ascii(fn(&char) -> bool),
}

impl Set {
    pub(super) fn contains(&self, letter: char) -> bool {
        let found = self.holds(letter) || self.ignores_case && self.holds(folded(letter));
        found != self.negated
    }

    /// Adds the letters from one to another; without regard to case, if that is so here.
    pub(super) fn add(&mut self, low: char, high: char) {
        self.ranges.push((low, high));
        if self.ignores_case {
            let letters = (low..=high).take(MAX_FOLDED).filter(|letter| folded(*letter) != *letter);
            self.ranges.extend(letters.map(folded).map(|letter| (letter, letter)));
        }
    }

    fn holds(&self, letter: char) -> bool {
        let in_class = |(class, wanted): &(Class, bool)| {
            let inside = match class {
                Class::Digit => letter.is_ascii_digit(),
                Class::Space => letter.is_whitespace(),
                Class::Word => in_word(letter),
                Class::Ascii(is) => is(&letter),
            };
            inside == *wanted
        };
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter))
            || self.classes.iter().any(in_class)
    }
}

/// `\d` and the like.
pub(super) fn class(letter: char) -> Option<(Class, bool)> {
    Some(match letter {
        'd' => (Class::Digit, true),
        'D' => (Class::Digit, false),
        's' => (Class::Space, true),
        'S' => (Class::Space, false),
        'w' => (Class::Word, true),
        'W' => (Class::Word, false),
        _ => return None,
    })
}
