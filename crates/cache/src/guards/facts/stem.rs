//! English stems.

/// The stem of an English word: plural, past, gerund and adverb endings are dropped. Rough, and
/// the same on both sides.
pub(super) fn stem(word: &str) -> &str {
    let strip = |ending: &str, least: usize| {
        word.strip_suffix(ending).filter(|stem| stem.chars().count() >= least)
    };
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word;
    }
    if let Some(stem) = strip("ies", 2).or_else(|| strip("ied", 2)) {
        return stem;
    }
    let stem = strip("ingly", 3)
        .or_else(|| strip("edly", 3))
        .or_else(|| strip("ing", 3))
        .or_else(|| strip("ed", 3))
        .or_else(|| strip("ly", 4))
        .or_else(|| strip("es", 3))
        .or_else(|| strip("s", 2))
        .unwrap_or(word);
    let stem =
        stem.strip_suffix(['e', 'y', 'i']).filter(|s| s.chars().count() >= 2).unwrap_or(stem);
    // stopped, running
    let mut ends = stem.chars().rev();
    match (ends.next(), ends.next()) {
        (Some(a), Some(b)) if a == b && !matches!(a, 'l' | 's' | 'e' | 'o') && stem.len() > 3 => {
            &stem[..stem.len() - a.len_utf8()]
        }
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for (a, b) in [
            ("stopped", "stopping"),
            ("cities", "city"),
            ("models", "model"),
            ("quickly", "quick"),
            ("making", "make"),
            ("boxes", "box"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert_ne!(stem("class"), stem("clas"));
    }
}
