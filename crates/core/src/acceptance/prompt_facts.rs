//! What of a prompt bears on its answer.

use super::lexicon::{self, Kind};
use super::number::Numbers;
use super::tokens::{Script, Token, Tokens};
use super::words::WordSet;

/// Counts of one text, by kind of word.
pub(super) type KindCounts = [usize; Kind::COUNT + 1];

/// Facts about a prompt, from one pass over its text.
#[derive(Clone, Debug, Default)]
pub(super) struct PromptFacts {
    pub(super) bytes: usize,
    pub(super) sentences: usize,
    pub(super) decimals: usize,
    pub(super) formulas: usize,
    pub(super) kinds: KindCounts,
    /// Numbers in digits.
    pub(super) given: Numbers,
    /// Those, and numbers in words.
    pub(super) known: Numbers,
    pub(super) words: WordSet,
    pub(super) scripts: [usize; Script::COUNT],
}

impl PromptFacts {
    pub(super) fn read(text: &[u8]) -> Self {
        let mut facts = PromptFacts { bytes: text.len(), ..PromptFacts::default() };
        for token in Tokens::of(text) {
            match token {
                Token::Word(word) => {
                    let (kind, number) = lexicon::look_up(word.hash);
                    if let Some(count) = facts.kinds.get_mut(kind) {
                        *count += 1;
                    }
                    if let Some(number) = number {
                        facts.known.add(number);
                    }
                    facts.words.add(word.hash);
                    if let Some(count) = facts.scripts.get_mut(word.script as usize) {
                        *count += word.length;
                    }
                }
                Token::Number(number) => {
                    facts.given.add(number.value);
                    facts.known.add(number.value);
                    facts.decimals += usize::from(number.decimals > 0);
                }
                Token::Sentence(_) => facts.sentences += 1,
                Token::Dollar | Token::Command(_) => facts.formulas += 1,
                _ => {}
            }
        }
        facts
    }

    pub(super) fn kind(&self, kind: Kind) -> usize {
        self.kinds.get(kind as usize).copied().unwrap_or(0)
    }
}
