//! Code, formulas, addresses and identifiers that only one question has.

use super::facts::{Kind, QuestionFacts, in_one_line};
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    pair.either_way(|here, there| !holds_code(here, there))
}

/// Whether the code of one text stands in the other. It may stand there without marks, more or
/// less often, a path in its parts, and a long identifier in its words: "the class `Sink` of `io`"
/// is "`io.Sink`", "the cache dir" is "`cache_dir`".
fn holds_code(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let in_parts = |symbol: &str| {
        let stands = |part: &str| here.words.iter().any(|it| it.text.eq_ignore_ascii_case(part));
        symbol.contains('.') && symbol.split('.').all(|part| !part.is_empty() && stands(part))
    };
    let in_words = |symbol: &str| {
        let parts: Vec<&str> = symbol.split('_').collect();
        parts.len() > 1
            && here
                .words
                .windows(parts.len())
                .any(|words| words.iter().zip(&parts).all(|(word, part)| word.text == *part))
    };
    let mut symbols = there.of_kind(Kind::Symbol).map(|symbol| in_one_line(&symbol.to_lowercase()));
    symbols
        .all(|symbol| holds_whole(&here.written, &symbol) || in_parts(&symbol) || in_words(&symbol))
}

/// Whether a text has this piece, with no letter or digit directly before or behind it.
fn holds_whole(text: &str, piece: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(piece).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + piece.len()..]);
        let goes_on_before = joins(before.chars().next_back()) && joins(piece.chars().next());
        let goes_on_behind = joins(behind.chars().next()) && joins(piece.chars().next_back());
        !goes_on_before && !goes_on_behind
    })
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn other_code_is_refused() {
        refused(
            Disagreement::Code,
            &[
                ("What does `a.pop()` do?", "What does `a.push()` do?"),
                ("Solve x^2 = 4", "Solve x^3 = 4"),
                ("Is gpt-4 better at this?", "Is gpt-5 better at this?"),
                ("What is `cache_dir`?", "What is `cache_file`?"),
                ("What does `x` mean by itself?", "What does `y` mean by itself?"),
                ("Is x^2 convex?", "Is x^22 convex?"),
            ],
        );
    }

    #[test]
    fn code_may_go_without_its_marks() {
        agreed(&[
            ("What is the default of `cache_dir`?", "What is the default of the cache dir?"),
            ("Is `io.Sink` sealed?", "Is the class `Sink` of `io` sealed?"),
            (
                "What does `fs.ls` return for an empty bucket?",
                "What does fs.ls return for an empty bucket?",
            ),
        ]);
    }
}
