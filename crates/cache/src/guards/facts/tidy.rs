//! What of a text's words depends on the words next to them.

use super::lists;
use super::marked::MARK;
use super::quantity::drop_idle_zeros;
use super::word::{Kind, Word};

/// Whether this numbers an item of a list: "1. Open the file 2. Read it".
pub(super) fn is_enumerator(chunk: &str, next: Option<&&str>) -> bool {
    let digits = chunk.strip_suffix(['.', ')']).unwrap_or_default();
    let opens = next.and_then(|next| next.chars().next());
    matches!(digits.len(), 1 | 2)
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && opens.is_some_and(|c| c.is_uppercase() || c == MARK)
}

/// Without a measure in the text, a span of time is a word like others: "these days", "the best
/// time of year".
fn spare_idle_times(words: &mut [Word]) {
    const TIMES: &[&str] = &["s", "min", "h", "d", "wk", "mo", "y", "decade", "century"];
    let measures = words.array_windows().any(|[count, unit]| {
        unit.kind == Kind::Unit
            && (matches!(count.kind, Kind::Number | Kind::Symbol)
                || matches!(&*count.text, "many" | "per"))
    });
    if !measures {
        let times = words.iter_mut().filter(|word| TIMES.contains(&&*word.text));
        times.for_each(|word| word.kind = Kind::Plain);
    }
}

/// "2.50 miles" are "2.5 miles".
fn read_amounts(words: &mut [Word]) {
    for at in 1..words.len() {
        let (numbers, units) = words.split_at_mut(at);
        if let (Some(number), Some(unit)) = (numbers.last_mut(), units.first())
            && number.kind == Kind::Number
            && unit.kind == Kind::Unit
        {
            drop_idle_zeros(&mut number.text);
        }
    }
}

/// "Why or why not?" behind a question is the question once more.
fn drop_why_not(words: &mut Vec<Word>) {
    let tail = ["why", "or", "why", "not"];
    let kept = words.len().saturating_sub(tail.len());
    if kept > 0 && words.iter().skip(kept).map(|word| &*word.text).eq(tail) {
        words.truncate(kept);
    }
}

/// Puts words in the form in which they are compared.
pub(super) fn tidy(words: &mut Vec<Word>) {
    drop_why_not(words);
    read_amounts(words);
    spare_idle_times(words);
    order_coordinated(words);
}

/// "B and A" is "A and B", where nothing but these two words is joined: "job and study" at an end or
/// before a preposition, not "… attack B and C attack …".
fn order_coordinated(words: &mut [Word]) {
    const JOINING: &[&str] = &["and", "or"];
    const ARTICLES: &[&str] = &["a", "an", "the"];
    const BEHIND: &[&str] =
        &["for", "in", "at", "on", "to", "from", "by", "with", "of", "under", "as"];
    let is_thing = |word: &Word| {
        matches!(word.kind, Kind::Plain | Kind::Name)
            && !lists::is_stopword(&word.text)
            && !lists::is_negation(&word.text)
    };
    for at in 1..words.len() {
        if !words.get(at).is_some_and(|word| JOINING.contains(&&*word.text)) {
            continue;
        }
        let article = words.get(at + 1).is_some_and(|word| ARTICLES.contains(&&*word.text));
        let (left, right) = (at - 1, at + 1 + usize::from(article));
        let ends = words.get(right + 1).is_none_or(|word| BEHIND.contains(&&*word.text));
        if let (Some(a), Some(b)) = (words.get(left), words.get(right))
            && ends
            && is_thing(a)
            && is_thing(b)
            && b.text < a.text
        {
            words.swap(left, right);
        }
    }
}
