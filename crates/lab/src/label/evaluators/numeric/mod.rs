//! Do the final numbers of two answers agree?

mod convention;
mod dates;
mod mark;
mod number;
mod scan;
mod units;
mod words;

use std::sync::LazyLock;

use regex::Regex;

use super::{Pair, Unscorable, regex};
use convention::Convention;
pub(super) use mark::{boxed, clean as readable};
use mark::{clean, first_or_result, marked, spelt};
use number::{Form, Number, Verdict};
use scan::{Found, numbers};
use units::Unit;
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
    let reference = Some(strong.number);
    let Some(cheap) =
        final_number(&pair.cheap.text, pair.cheap.is_truncated(), &question, reference)
    else {
        return Ok(0.0);
    };
    match compare(strong.number, cheap.number, &question) {
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

/// In the question's light: what it asks for "in metres" is in metres.
fn compare(a: Number, b: Number, question: &str) -> Verdict {
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
    marked(&text).is_some_and(|(_, part)| first_or_result(part, Convention::Unknown).is_some())
}

/// Whether the last line holds a number.
pub fn ends_in_number(text: &str) -> bool {
    let text = clean(text);
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    !numbers(last, Convention::Unknown).is_empty()
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
    /// Whether two are surely the same.
    pub fn is_same(self, other: Quantity) -> bool {
        self.0.compare(other.0) == Verdict::Same
    }
}

/// The number that a text ends up with.
#[derive(Clone, Debug)]
struct Final {
    number: Number,
    /// Others that it may be, when nothing marks it.
    rivals: Vec<Number>,
}

impl Final {
    fn certain(number: Number) -> Self {
        Final { number, rivals: Vec::new() }
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
        && let Some(number) = first_or_result(part, convention)
    {
        let earlier = numbers(before, convention);
        let found = earlier.iter().map(|it| it.number).rfind(|it| it.value == number.value);
        let found_in = found.map_or(Unit::None, |found| found.unit);
        return Some(Final::certain(Number { found_in, ..number }));
    }
    if truncated {
        return None;
    }
    concluding(&text, convention, question, reference)
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
    let Some(mut last) = said.next() else { return spelt(text).map(Final::certain) };
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

/// What a sentence says: the number of the kind that is asked for, the one behind "is" or "=",
/// otherwise the last.
fn in_sentence(
    sentence: &str,
    convention: Convention,
    question: &str,
    reference: Option<Number>,
) -> Option<Final> {
    let mut found = numbers(sentence, convention);
    keep_if_any(&mut found, |it| !is_aside(sentence, it) && !is_excluded(sentence, it));
    let is_year =
        |number: &Number| number.unit == Unit::None && (1900.0..2100.0).contains(&number.value);
    let is_reference = |it: &Found| reference.is_some_and(|other| other.value == it.number.value);
    if !asks_for_year(question) {
        keep_if_any(&mut found, |it| {
            !(is_year(&it.number) && dates_something(sentence, it)) || is_reference(it)
        });
    }
    // Behind an amount of money, fractions measure what it is for: "it costs $3 more for 1/2 pound of
    // almonds and 1/3 pound of walnuts".
    let is_fraction = |it: &Found| {
        it.number.unit == Unit::None && it.number.decimals.is_none()
            || matches!(it.number.unit, Unit::Pound | Unit::Measure(..))
                && it.number.decimals.is_none()
    };
    if let Some(money) = found.iter().position(|it| matches!(it.number.unit, Unit::Money(_))) {
        let mut index = 0;
        found.retain(|it| {
            index += 1;
            index <= money + 1 || it.number.form != Form::Plain || !is_fraction(it)
        });
    }
    let last = *found.last()?;
    if sentence[..last.digits].trim_end_matches(|c: char| "$€£ *-".contains(c)).ends_with('=') {
        return Some(Final::certain(last.number));
    }
    let numbers: Vec<Number> = found.iter().map(|it| it.number).collect();
    if let Some(reference) = reference {
        let like: Vec<Number> =
            numbers.iter().copied().filter(|it| is_like(reference, *it)).collect();
        if let [only] = like[..] {
            return Some(Final::certain(only));
        }
    }
    let said: Vec<&Found> = found.iter().filter(|it| is_said(&sentence[..it.start])).collect();
    if let [only] = said[..] {
        return Some(Final::certain(only.number));
    }
    Some(Final { number: last.number, rivals: numbers })
}

fn keep_if_any(found: &mut Vec<Found>, keep: impl Fn(&Found) -> bool) {
    if found.iter().any(&keep) {
        found.retain(keep);
    }
}

/// In parentheses: "$18 (for 2 people)".
fn is_aside(sentence: &str, found: &Found) -> bool {
    let before = &sentence[..found.start];
    before.rfind('(') > before.rfind(')') && sentence[found.end..].contains(')')
}

/// "5, not 6", "5 instead of 6".
fn is_excluded(sentence: &str, found: &Found) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)(?:[,;(]\s*(?:and |und |et |y )?(?:not|nicht|pas|no|non|не)|\b(?:instead of|rather than|anstatt|statt|au lieu de|en lugar de|en vez de|invece di|вместо))\s+[$€£]?$",
        )
    });
    BEFORE.is_match(&sentence[..found.start])
}

/// "in 2024", "since 1999".
fn dates_something(sentence: &str, found: &Found) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:in|since|by|from|of|until|before|after|during|around|year|im jahr|seit|en|depuis|desde|nel|dal|em|в|с|for)\s+(?:the year\s+|early\s+|late\s+)?$|\($",
        )
    });
    BEFORE.is_match(&sentence[..found.start]) || sentence[found.end..].starts_with(['年', '년'])
}

fn asks_for_year(question: &str) -> bool {
    static YEAR: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:what|which|in what|in which) year|\bwhen\b|\bwann\b|welche[sm] jahr|\bquand\b|quelle année|cuándo|qué año|quando|когда|哪一?年|何年|몇 년",
        )
    });
    YEAR.is_match(question)
}

/// Of the same kind as the reference, which has a kind: money, a time, a mass.
fn is_like(reference: Number, other: Number) -> bool {
    let kind = |unit: Unit| match unit {
        Unit::None => 0,
        Unit::Money(_) | Unit::Cents => 1,
        Unit::Percent => 2,
        Unit::Pound => 3,
        Unit::Measure(dimension, _) => 4 + dimension as u32,
    };
    let form = std::mem::discriminant(&reference.form) == std::mem::discriminant(&other.form);
    let named = reference.unit != Unit::None || reference.form != Form::Plain;
    named && form && kind(reference.unit) == kind(other.unit)
}

/// Behind a verb that says how much something is.
fn is_said(before: &str) -> bool {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)(?:=|:|\b(?:is|are|was|were|be|equals?|totals?|totaling|makes?|gives?|costs?|becomes|remain\w*|get|gets",
            r"|(?:ends? up|left|finish\w*|remain\w*) with|ist|sind|beträgt|kostet|ergibt|est|sont|coûte|fait|es|son|cuesta|è|sono|costa|é|custa|is dus|равно|составляет|стоит))",
            r"\s*(?:about|approximately|around|roughly|exactly|only|just|a total of|then|now|also|etwa|genau|de|environ|\*|~|≈)*\s*[$€£]?\s*$|[是为為は]\s*$",
        ))
    });
    SAID.is_match(before)
}

#[cfg(test)]
mod tests;
