//! A text as the words that guards compare: lower case, split, with what spelling says of each.

use super::lists;
use super::marked::MARK;
use super::quantity::quantity;
use super::tidy::{is_enumerator, tidy};
use super::word::{Kind, Word};

/// The words of a text, in order; each [`MARK`] is the next piece of `code`. "France's capital" is
/// read as "capital of France".
pub(super) fn words(text: &str, code: &[String]) -> Vec<Word> {
    let titled = is_titled(text);
    let mut words = Vec::new();
    let mut sentence_start = true;
    let mut code = code.iter();
    let mut owner = None;
    let chunks: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == '—' || c == '–').collect();
    for (position, chunk) in chunks.iter().enumerate() {
        let numeric = |at: Option<usize>| {
            let neighbour = at.and_then(|at| chunks.get(at)).and_then(|chunk| chunk.chars().next());
            neighbour.is_some_and(|c| c.is_ascii_digit())
        };
        if *chunk == "-" && numeric(position.checked_sub(1)) && numeric(position.checked_add(1)) {
            push(&mut words, "-", Kind::Symbol);
            continue;
        }
        if sentence_start && is_enumerator(chunk, chunks.get(position + 1)) {
            continue;
        }
        let before = words.len();
        if chunk.contains(MARK) {
            let pieces = chunk.matches(MARK).filter_map(|_| code.next());
            pieces.for_each(|piece| push(&mut words, piece, Kind::Symbol));
        } else {
            read_chunk(chunk, sentence_start, titled, &mut words);
        }
        if words[before..].iter().any(Word::is_content)
            && let Some(owner) = owner.take()
        {
            push(&mut words, "of", Kind::Plain);
            words.push(owner);
        }
        if is_possessive(chunk) && words.last().is_some_and(Word::is_content) {
            owner = words.pop();
        }
        if chunk.chars().any(char::is_alphanumeric) {
            sentence_start = chunk.ends_with(['.', '!', '?', ':', '"', '\u{201d}']);
        }
    }
    words.extend(owner);
    tidy(&mut words);
    words
}

fn is_possessive(chunk: &str) -> bool {
    chunk.ends_with("'s") || chunk.ends_with("\u{2019}s")
}

fn push(words: &mut Vec<Word>, text: &str, kind: Kind) {
    if !text.is_empty() {
        words.push(Word { text: text.to_owned(), kind });
    }
}

/// Whether capitals are the text's style and say nothing of names.
fn is_titled(text: &str) -> bool {
    let (mut capital, mut all) = (0, 0);
    for word in text.split_whitespace() {
        all += 1;
        capital += usize::from(word.chars().next().is_some_and(char::is_uppercase));
    }
    all >= 4 && capital * 4 >= all * 3
}

/// Characters that make a word mean its letters.
const SYMBOLIC: &[char] =
    &['=', '<', '>', '+', '*', '^', '_', '\\', '{', '}', '[', ']', '@', '#', '|', '~', '°'];

fn read_chunk(chunk: &str, sentence_start: bool, titled: bool, words: &mut Vec<Word>) {
    if matches!(chunk, "&") {
        return push(words, "and", Kind::Plain);
    }
    if chunk.len() <= 2 && !chunk.is_empty() && chunk.chars().all(|c| "+*/=<>^".contains(c)) {
        return push(words, chunk, Kind::Symbol);
    }
    let outer = |c: char| !c.is_alphanumeric() && !"+#$€£¥%°_".contains(c);
    let core = chunk.trim_matches(outer);
    let core = core.strip_suffix("()").unwrap_or(core);
    if core.is_empty() {
        return;
    }
    if let Some((number, unit)) = quantity(core) {
        if let Some(sign) = unit.prefix {
            push(words, sign, Kind::Unit);
        }
        push(words, &number, Kind::Number);
        if let Some(unit) = unit.suffix {
            push(words, unit, Kind::Unit);
        }
        return;
    }
    // "2-year-old" counts years.
    if let Some((count, rest)) = core.split_once('-')
        && quantity(count).is_some()
        && rest.chars().all(|c| c.is_alphabetic() || c == '-')
    {
        read_chunk(count, false, titled, words);
        return rest.split('-').for_each(|part| read_word(part, false, titled, words));
    }
    let has_digit = core.chars().any(|c| c.is_ascii_digit());
    let dotted = core.split('.').filter(|part| part.len() > 1).count() > 1;
    let path = core.contains("//") || core.matches('/').count() > 1;
    if has_digit || dotted || path || core.contains(SYMBOLIC) || core.contains("::") {
        return push(words, &core.to_lowercase(), Kind::Symbol);
    }
    for (position, part) in core.split(['-', '/', '.', ',', '&', '(', ')', ';', ':']).enumerate() {
        read_word(part, sentence_start && position == 0, titled, words);
    }
}

/// What "nt" denies in haste: "dont", "cant".
const DENIABLE: &[&str] = &[
    "do", "does", "did", "is", "are", "was", "were", "ca", "wo", "could", "should", "would", "has",
    "have", "had",
];

fn read_word(part: &str, sentence_start: bool, titled: bool, words: &mut Vec<Word>) {
    let part = part.trim_matches(|c: char| !c.is_alphanumeric() && c != '\'' && c != '\u{2019}');
    let lower = part.to_lowercase().replace('\u{2019}', "'");
    let lower = lower.trim_matches('\'');
    if lower.is_empty() {
        return;
    }
    let hasty = |lower: &'_ str| lower.strip_suffix("nt").is_some_and(|it| DENIABLE.contains(&it));
    let denied = if hasty(lower) { lower.strip_suffix("nt") } else { lower.strip_suffix("n't") };
    if let Some(stem) = denied {
        let verb = match stem {
            "ca" => "can",
            "wo" => "will",
            "sha" => "shall",
            stem => stem,
        };
        push(words, verb, Kind::Plain);
        return push(words, "not", Kind::Plain);
    }
    if lower == "cannot" {
        push(words, "can", Kind::Plain);
        return push(words, "not", Kind::Plain);
    }
    let mut pieces = lower.split('\'');
    let word = pieces.next().unwrap_or_default();
    // `'s` may be "is" or a possessive; both go without saying.
    let ending = pieces.next().and_then(|ending| match ending {
        "re" => Some("are"),
        "ll" => Some("will"),
        "ve" => Some("have"),
        "m" => Some("am"),
        _ => None,
    });
    let spelled: String = part.chars().take_while(|c| *c != '\'' && *c != '\u{2019}').collect();
    let kind = if let Some(number) = lists::number(word) {
        push(words, number, Kind::Number);
        None
    } else if let Some(unit) = lists::unit(word).filter(|_| !is_abbreviation(&spelled, words)) {
        push(words, unit, Kind::Unit);
        None
    } else if lists::is_name(word)
        || !is_small(word, &spelled) && is_name(&spelled, sentence_start, titled)
    {
        Some(Kind::Name)
    } else {
        Some(Kind::Plain)
    };
    if let Some(kind) = kind {
        push(words, word, kind);
    }
    if let Some(ending) = ending {
        push(words, ending, Kind::Plain);
    }
}

/// Whether two capitals are a name's and no unit's: "ML", but not "5 ML".
fn is_abbreviation(spelled: &str, before: &[Word]) -> bool {
    let counted = before.last().is_some_and(|word| word.kind == Kind::Number);
    spelled.len() == 2 && spelled.bytes().all(|byte| byte.is_ascii_uppercase()) && !counted
}

/// Whether this is a small word, capitalised or not: "The", but neither "IT" nor "May".
fn is_small(word: &str, spelled: &str) -> bool {
    lists::is_stopword(word)
        && !matches!(word, "may" | "will")
        && spelled.chars().any(char::is_lowercase)
}

/// Whether the spelling says that this is a name.
fn is_name(spelled: &str, sentence_start: bool, titled: bool) -> bool {
    let mut letters = spelled.chars();
    let Some(first) = letters.next() else { return false };
    let inner = letters.clone().any(char::is_uppercase);
    if titled {
        // All in capitals is style too, but "mRNA" or "iPhone" is not.
        return inner && first.is_lowercase();
    }
    if inner {
        return true;
    }
    let alone = letters.next().is_none();
    first.is_uppercase() && !sentence_start && !(alone && first == 'I')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Kind)> {
        words(text, &[]).into_iter().map(|word| (word.text, word.kind)).collect()
    }

    fn only(text: &str, kind: Kind) -> Vec<String> {
        of(text).into_iter().filter(|word| word.1 == kind).map(|word| word.0).collect()
    }

    #[test]
    fn numbers_and_units_are_canonical() {
        assert_eq!(only("1,000.50 and $5, 3rd, twelve", Kind::Number), ["1000.5", "5", "3", "12"]);
        assert_eq!(only("5km is 5 kilometres, $3, 10%", Kind::Unit), ["km", "km", "usd", "%"]);
        assert_eq!(only("How many hours are in 3 days?", Kind::Unit), ["h", "d"]);
        assert_eq!(only("When is the best time of year?", Kind::Unit), Vec::<String>::new());
        assert_eq!(
            only("x^2 in node.js on gpt-4 with a_b()", Kind::Symbol),
            ["x^2", "node.js", "gpt-4", "a_b"]
        );
    }

    #[test]
    fn capitals_inside_a_sentence_are_names() {
        assert_eq!(only("Can Alice call NASA? Yes, I can.", Kind::Name), ["alice", "nasa"]);
        assert_eq!(only("How To Cook Rice In Ten Minutes", Kind::Name), Vec::<String>::new());
        assert_eq!(only("what is the capital of france", Kind::Name), ["france"]);
    }

    #[test]
    fn contractions_are_written_out() {
        let text: Vec<String> =
            of("I can't, you're right; don't!").into_iter().map(|w| w.0).collect();
        assert_eq!(text, ["i", "can", "not", "you", "are", "right", "do", "not"]);
    }
}
