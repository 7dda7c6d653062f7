//! Do the final numbers of two answers agree?

mod around;
mod convention;
mod dates;
mod mark;
mod measures;
mod number;
mod scan;
mod sentence;
mod signs;
mod units;
mod words;

use std::sync::LazyLock;

use regex::Regex;

use super::{Pair, Unscorable, regex};
pub(super) use around::tail;
use convention::Convention;
pub(super) use mark::{boxed, clean as readable};
use mark::{clean, first_or_result, marked, spelt};
use number::{Bound, Form, Number, Verdict};
use scan::numbers;
use sentence::{in_sentence, is_like};
use units::{Dimension, Unit};
pub(super) use words::word as number_word;

/// 1 when the final quantities agree: value, unit, both ends of a range, time or date; otherwise 0.
/// An answer cut off before it marked a final number has none.
///
/// # Errors
/// The strong answer has no final number, or whether they agree depends on how one is meant.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    const UNCLEAR: Unscorable =
        Unscorable("whether the numbers agree depends on how they are read");
    let question = pair.request.question();
    let strong = final_number(&pair.strong.text, pair.strong.is_truncated(), &question, None)
        .ok_or(Unscorable("the strong answer has no final number"))?;
    if strong.denied {
        return Err(Unscorable("the strong answer says which number it is not"));
    }
    let reference = Some(strong.number);
    let Some(cheap) =
        final_number(&pair.cheap.text, pair.cheap.is_truncated(), &question, reference)
    else {
        return Ok(0.0);
    };
    let verdict = compare_all(&strong, &cheap, &question);
    match verdict {
        Verdict::Same if cheap.denied => Ok(0.0),
        _ if cheap.denied => Err(Unscorable("the cheap answer says which number it is not")),
        Verdict::Same if cheap.refuses => {
            Err(Unscorable("the cheap answer names the number, but says that it cannot tell"))
        }
        Verdict::Same => Ok(1.0),
        Verdict::Unclear => Err(UNCLEAR),
        // Nothing says which of several numbers is the answer, and one of them would be right.
        Verdict::Different
            if cheap
                .rivals
                .iter()
                .any(|it| compare(strong.number, *it, &question) == Verdict::Same) =>
        {
            Err(Unscorable("which of the cheap answer's numbers is its answer cannot be told"))
        }
        Verdict::Different => Ok(0.0),
    }
}

/// Compares all that two answers consist of. A formula is compared only with the same formula, and a
/// list only with one as long: the 3 alone does not tell "3 and 4" from "3", or "3 + 2i" from "3 - 2i".
fn compare_all(strong: &Final, cheap: &Final, question: &str) -> Verdict {
    let first = compare(strong.number, cheap.number, question);
    if first == Verdict::Different {
        return first;
    }
    if strong.formula != cheap.formula || strong.others.len() != cheap.others.len() {
        return Verdict::Unclear;
    }
    let others = strong.others.iter().zip(&cheap.others);
    let verdicts: Vec<Verdict> = others.map(|(a, b)| compare(*a, *b, question)).collect();
    [Verdict::Different, Verdict::Unclear]
        .into_iter()
        .find(|it| verdicts.contains(it))
        .unwrap_or(first)
}

/// In the question's light: what it asks for "in metres" is in metres, and what "at least" is asked
/// for is at least that.
fn compare(a: Number, b: Number, question: &str) -> Verdict {
    static BOUNDS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:least|most|minimum|maximum|max|min|fewest|lowest|highest|up to|limit\w*|how many more|mindestens|höchstens|mindest\w*|höchst\w*|minim\w+|maxim\w+|máxim\w+|mínim\w+|massim\w+)\b|至少|最多|最少|最低|最大",
        )
    });
    let exact = |it: Number| it.bound == Bound::Exact;
    if exact(a) != exact(b) && BOUNDS.is_match(question) {
        let plain = |it: Number| Number { bound: Bound::Exact, ..it };
        return compare(plain(a), plain(b), question);
    }
    if let Some(verdict) = compare_points(a, b, question) {
        return verdict;
    }
    let is_measure = |it: Number| matches!(it.unit, Unit::Measure(..));
    let bare = |it: Number| it.unit == Unit::None;
    if (is_measure(a) && bare(b) || bare(a) && is_measure(b))
        && let Some(unit) = asked_unit(question)
    {
        let with = |it: Number| if bare(it) { Number { unit, ..it } } else { it };
        return with(a).compare(with(b));
    }
    a.compare(b)
}

/// Where one is in percentage points and the other in percent: a share that rose from 20 % by 5 % is at
/// 21 %, and by 5 points at 25 %. Of a share itself, both are the same.
fn compare_points(a: Number, b: Number, question: &str) -> Option<Verdict> {
    static CHANGE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:rose|ris\w+|rais\w+|increas\w+|decreas\w+|reduc\w+|gr[eo]w\w*|fell|fall\w*|drop\w*|declin\w+|chang\w+|differ\w*|gain\w*|los[est]\w*|gaps?|shift\w*|swings?|leads?|margins?|higher|lower|more|less|up|down|by how much|stieg\w*|gestiegen|sank\w*|gesunken|w[uä]chs\w*|änder\w*|veränder\w*|unterschied\w*)\b",
        )
    });
    static SHARE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:per\s?cent\w*|shares?|fractions?|proportions?|rates?|prozent\w*|anteil\w*)\b|%",
        )
    });
    let in_percent = |it: Number| match it.unit {
        Unit::Measure(Dimension::Points, factor) => {
            Some(Number { value: it.value * factor, unit: Unit::Percent, ..it })
        }
        _ => None,
    };
    let verdict = match (in_percent(a), in_percent(b)) {
        (Some(a), None) if b.unit == Unit::Percent => a.compare(b),
        (None, Some(b)) if a.unit == Unit::Percent => a.compare(b),
        _ => return None,
    };
    Some(match verdict {
        Verdict::Same if CHANGE.is_match(question) => Verdict::Different,
        Verdict::Same if !SHARE.is_match(question) => Verdict::Unclear,
        verdict => verdict,
    })
}

/// The unit that a question asks for: "in km", "how many metres".
fn asked_unit(question: &str) -> Option<Unit> {
    static ASKED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:in|how many|wie viele?|combien de|cuántos|quanti|сколько)\s+(?:total\s+)?([\w°²³/]+)",
        )
    });
    let found = ASKED.captures_iter(question).filter_map(|found| match units::meaning(&found[1]) {
        Some(units::Meaning::Unit(unit @ Unit::Measure(..))) => Some(unit),
        _ => None,
    });
    found.last()
}

/// Whether the text marks a number as its final answer, instead of merely ending in one.
pub fn has_marked_number(text: &str) -> bool {
    let text = clean(text);
    let found = marked(&text).and_then(|(_, part)| first_or_result(part, Convention::Unknown));
    found.is_some_and(|found| found.formula.is_none())
}

/// Whether the last line holds a number, and is not marked as a formula.
pub fn ends_in_number(text: &str) -> bool {
    let text = clean(text);
    let found = marked(&text).and_then(|(_, part)| first_or_result(part, Convention::Unknown));
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    found.is_none_or(|found| found.formula.is_none())
        && !numbers(last, Convention::Unknown).is_empty()
}

/// The quantities of a text, for whoever compares more than the last of them.
pub(super) fn all_numbers(text: &str, question: &str) -> Vec<(usize, usize, Quantity)> {
    let numbers = numbers(text, convention::of(text, question));
    numbers.into_iter().map(|it| (it.start, it.end, Quantity(it.number))).collect()
}

/// A quantity of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantity(Number);

impl Quantity {
    pub fn whole(value: u64) -> Self {
        Quantity(Number::plain(value as f64, Some(0)))
    }

    /// Whether two are surely the same.
    pub fn is_same(self, other: Quantity) -> bool {
        self.0.compare(other.0) == Verdict::Same
    }
}

/// The number that a text ends up with.
#[derive(Clone, Debug, PartialEq)]
struct Final {
    number: Number,
    /// Others that it may be, when nothing marks it.
    rivals: Vec<Number>,
    /// Others that are part of it: "3 and 4".
    others: Vec<Number>,
    /// The number is only a part of this.
    formula: Option<String>,
    /// "There are not 14".
    denied: bool,
    /// "I cannot say; 14 are listed".
    refuses: bool,
}

impl Final {
    fn certain(number: Number) -> Self {
        let (rivals, others) = (Vec::new(), Vec::new());
        Final { number, rivals, others, formula: None, denied: false, refuses: false }
    }
}

/// After `####`, in `\boxed{}`, after "the answer is", or what the last sentence says.
fn final_number(
    text: &str,
    truncated: bool,
    question: &str,
    reference: Option<Number>,
) -> Option<Final> {
    let text = clean(text);
    let convention = convention::of(&text, question);
    if let Some((before, part)) = marked(&text)
        && let Some(found) = first_or_result(part, convention)
    {
        let number = found.number;
        let earlier = numbers(before, convention);
        let same = earlier.iter().map(|it| it.number).rfind(|it| it.value == number.value);
        let found_in = same.map_or(Unit::None, |found| found.unit);
        let number = Number { found_in, ..number };
        let (others, formula) = (found.others, found.formula);
        return Some(Final { others, formula, ..Final::certain(number) });
    }
    if truncated {
        return None;
    }
    // Where the number is: on the way to it, much is not known yet.
    let end = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let refuses = sentence::refuses(end);
    concluding(&text, convention, question, reference).map(|found| Final { refuses, ..found })
}

/// What the last sentence with a number says. When that is of another kind than the reference, an
/// earlier sentence may have said it; when nothing marks it, the sentence before is a rival.
fn concluding(
    text: &str,
    convention: Convention,
    question: &str,
    reference: Option<Number>,
) -> Option<Final> {
    let sentences: Vec<&str> = text.trim_end().split(". ").flat_map(|it| it.split('。')).collect();
    let mut said = sentences
        .iter()
        .rev()
        .filter_map(|sentence| in_sentence(sentence, convention, question, reference));
    let Some(mut last) = said.next() else { return in_words(text, convention) };
    let is_named = |it: &Number| it.unit != Unit::None || it.form != Form::Plain;
    if let Some(reference) = reference.filter(is_named)
        && !is_like(reference, last.number)
        && let Some(earlier) = said.clone().find(|it| is_like(reference, it.number))
    {
        return Some(earlier);
    }
    if !last.rivals.is_empty() {
        last.rivals.extend(said.next().filter(|it| it.rivals.is_empty()).map(|it| it.number));
    }
    Some(last)
}

/// Numbers in words, when there are no others: "between three and four weeks".
fn in_words(text: &str, convention: Convention) -> Option<Final> {
    let found = numbers(&words::in_digits(text), convention);
    let range = found.iter().rfind(|it| matches!(it.number.form, Form::Range(_)));
    range.map(|it| it.number).or_else(|| spelt(text)).map(Final::certain)
}

#[cfg(test)]
mod tests;
