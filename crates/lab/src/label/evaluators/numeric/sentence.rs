//! What a sentence says that marks no number as its answer.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::Final;
use super::convention::Convention;
use super::number::{Form, Number};
use super::scan::{Found, numbers};
use super::units::{Above, Dimension, Unit};

/// What a sentence says: the number of the kind that is asked for, the one behind "is" or "=",
/// otherwise the last.
pub fn in_sentence(
    sentence: &str,
    convention: Convention,
    question: &str,
    reference: Option<Number>,
) -> Option<Final> {
    let mut found = numbers(sentence, convention);
    keep_if_any(&mut found, |it| !is_denied(sentence, it));
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
    if is_denied(sentence, &last) {
        return Some(Final { denied: true, ..Final::certain(last.number) });
    }
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
    Some(Final { rivals: numbers, ..Final::certain(last.number) })
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
            r"(?i)(?:[,;(]\s*(?:and |und |et |y )?(?:not|nicht|pas|no|non|не)|\b(?:instead of|rather than|anstatt|statt|au lieu de|en lugar de|en vez de|invece di|вместо|used to be|previously|formerly|früher|no longer))\s+[$€£]?$",
        )
    });
    BEFORE.is_match(&sentence[..found.start])
}

/// "There are not 14", but "not only 14".
fn is_denied(sentence: &str, found: &Found) -> bool {
    static NOT: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)(?:^|[\s,;(])(?:not|\w+n't|nicht|pas|не)\s+(?:exactly |equal to |genau )?[$€£]?$",
        )
    });
    NOT.is_match(&sentence[..found.start])
}

/// Whether a text declines to answer ("I cannot say"): a number that follows does not count.
pub fn refuses(text: &str) -> bool {
    static REFUSAL: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)\b(?:can ?not|can't|could ?n[o']t|unable to|impossible to) (?:say|tell|determine|answer|know|give|provide)\b",
            r"|\b(?:don't|do not) know\b|\b(?:not enough|no|insufficient) information\b",
            r"|\bkann (?:ich |man )?(?:das |es )?nicht sagen\b|\bweiß (?:ich |es )*nicht\b|\bne (?:sais|peux) pas\b|\bno (?:lo )?(?:sé|puedo)\b|\bне (?:знаю|могу)\b",
        ))
    });
    REFUSAL.is_match(text)
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

/// What two units have in common that are compared at all.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    Money,
    Percent,
    Pound,
    Of(Dimension),
    Rate(Option<Dimension>, Dimension),
    Other,
}

impl Kind {
    fn of(unit: Unit) -> Self {
        match unit {
            Unit::None | Unit::Era { .. } => Kind::None,
            Unit::Money(_) | Unit::Cents | Unit::Pence => Kind::Money,
            Unit::Percent => Kind::Percent,
            Unit::Pound => Kind::Pound,
            Unit::Measure(dimension, _) => Kind::Of(dimension),
            // "$30" may be "$30 per month".
            Unit::Rate(Above::Money(_), ..) => Kind::Money,
            Unit::Rate(Above::Count, below, _) => Kind::Rate(None, below),
            Unit::Rate(Above::Of(above), below, _) => Kind::Rate(Some(above), below),
            Unit::Symbol(_) => Kind::Other,
        }
    }
}

/// Of the same kind as the reference, which has a kind: money, a time, a mass.
pub fn is_like(reference: Number, other: Number) -> bool {
    let form = std::mem::discriminant(&reference.form) == std::mem::discriminant(&other.form);
    let named = reference.unit != Unit::None || reference.form != Form::Plain;
    named && form && Kind::of(reference.unit) == Kind::of(other.unit)
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
