//! The word lists of the guards, from `model/cache/*.txt`: an entry per line, `#` before comments.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::stem::stem;

/// What "first" and "1st" are read as.
pub(in crate::guards) const FIRST: &str = "1st";

/// What may stand between those who do something and what they do.
pub(in crate::guards) const HELPING: &str = "do does did can could will would shall should may might must have has had to not ever \
    really actually also just need want am is are";

type Set = LazyLock<HashSet<&'static str>>;
type Table = LazyLock<HashMap<&'static str, &'static str>>;

/// A file of `model/cache` as its entries.
macro_rules! entries {
    ($file:literal) => {
        include_str!(concat!("../../../../../model/cache/", $file))
            .lines()
            .filter(|line| !line.starts_with('#'))
    };
}

/// Digits of a number that is written out.
pub(super) fn number(word: &str) -> Option<&'static str> {
    static TABLE: Table =
        LazyLock::new(|| entries!("numbers.txt").filter_map(|it| it.split_once('=')).collect());
    TABLE.get(word).copied()
}

/// The canonical sign of a unit or a currency.
pub(super) fn unit(word: &str) -> Option<&'static str> {
    static TABLE: Table = LazyLock::new(|| {
        let units = entries!("units.txt").filter_map(|it| it.split_once('='));
        units.flat_map(|(sign, names)| names.split(',').map(move |name| (name, sign))).collect()
    });
    TABLE.get(word).copied()
}

/// Whether this is a name, in lower case too.
pub(super) fn is_name(word: &str) -> bool {
    static SET: Set = LazyLock::new(|| entries!("names.txt").collect());
    SET.contains(word)
}

/// Whether this word negates a sentence.
pub(in crate::guards) fn is_negation(word: &str) -> bool {
    static SET: Set = LazyLock::new(|| entries!("negations.txt").collect());
    SET.contains(word)
}

/// The stem of the first word of the group of synonyms that has a word of this stem.
pub(super) fn synonym(word_stem: &str) -> Option<&'static str> {
    static TABLE: Table = LazyLock::new(|| {
        let groups = entries!("synonyms.txt").filter_map(|group| {
            let first = stem(group.split('/').next()?);
            Some(group.split('/').map(move |word| (stem(word), first)))
        });
        groups.flatten().collect()
    });
    TABLE.get(word_stem).copied()
}

/// What a word cannot stand for.
pub(in crate::guards) fn opposites(word: &str) -> &'static [&'static str] {
    static TABLE: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
        let mut table: HashMap<&str, Vec<&str>> = HashMap::new();
        for (a, b) in entries!("opposites.txt").filter_map(|it| it.split_once('/')) {
            table.entry(a).or_default().push(b);
            table.entry(b).or_default().push(a);
        }
        table
    });
    TABLE.get(word).map_or(&[], Vec::as_slice)
}

/// Whether this word says which way a relation goes between what stands left and right of it.
pub(in crate::guards) fn is_connective(word: &str) -> bool {
    static SET: Set = LazyLock::new(|| entries!("connectives.txt").collect());
    SET.contains(word)
}

/// Whether this word carries no content of its own.
pub fn is_stopword(word: &str) -> bool {
    static SET: Set = LazyLock::new(|| entries!("stopwords.txt").collect());
    SET.contains(word)
}

/// Whether a list has this word.
pub(in crate::guards) fn is_of(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|it| it == word)
}

/// Languages with their commonest words.
pub(super) fn languages() -> &'static [(&'static str, Vec<&'static str>)] {
    static TABLE: LazyLock<Vec<(&str, Vec<&str>)>> = LazyLock::new(|| {
        let languages = entries!("languages.txt").filter_map(|it| it.split_once('='));
        languages.map(|(language, words)| (language, words.split(',').collect())).collect()
    });
    &TABLE
}
