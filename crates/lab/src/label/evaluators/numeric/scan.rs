//! Finds the quantities of a text.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::super::regex;
use super::around;
use super::convention::Convention;
use super::dates;
use super::measures::{KELVIN_OR_THOUSAND, meaning};
use super::number::{Form, Number, Reading};
use super::units::{Dimension, Meaning, Unit, currency, leading, per, unknown_sign};

/// Stands for a byte of a date or a time.
const TAKEN: char = '\u{1}';

/// A number and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub start: usize,
    /// Where its digits begin: behind sign and currency.
    pub digits: usize,
    pub end: usize,
    pub number: Number,
}

/// All quantities of a text, in order.
pub fn numbers(text: &str, convention: Convention) -> Vec<Found> {
    let placed = dates::find(text);
    // What they take is blanked out, byte by byte, so that places stay what they are.
    let mut bytes = text.as_bytes().to_vec();
    for &(start, end, _) in &placed {
        bytes[start..end].fill(TAKEN as u8);
    }
    let rest = String::from_utf8(bytes).unwrap_or_default();
    let mut found = plain(&rest, convention);
    join_ranges(&rest, &mut found);
    let placed =
        placed.into_iter().map(|(start, end, number)| Found { start, digits: start, end, number });
    found.extend(placed);
    found.sort_by_key(|it| it.start);
    found
}

fn plain(text: &str, convention: Convention) -> Vec<Found> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?P<sign>-\s?)?(?P<currency>(?:US\$|[$€£¥₹]|\b(?:EUR|USD|GBP|CHF|INR|Rs\.?))\s?)?(?P<inner>-)?",
            r"(?:(?P<whole>\d+)\s+(?P<mixed>\d+)/(?P<below>[1-9]\d*)",
            r"|(?P<above>\d+)\s?/\s?(?P<under>[1-9]\d*)\b",
            r"|(?P<plain>\d{1,3}(?:[ '_]\d{3})+(?:[.,]\d+)?\b|\d+(?:[.,٫٬]\d+)*|\.\d+)",
            r"(?P<power>[eE][+-]?\d{1,3}\b|\s?(?:\\times|×|x|\*|·)\s?10\^\{?-?\d{1,3}\}?)?)",
            r"(?:-|\**\s?)",
        ))
    });
    let found = NUMBER.captures_iter(text).filter_map(|found| number(text, &found, convention));
    // What a unit or a power took is not a number of its own.
    let mut numbers: Vec<Found> = Vec::new();
    for next in found {
        if numbers.last().is_none_or(|last| next.digits >= last.end) {
            numbers.push(next);
        }
    }
    numbers
}

/// A run of digits with points and commas: its value, its decimals, and what else it may mean.
fn read(digits: &str, convention: Convention) -> Option<(f64, u32, Option<Reading>)> {
    let bare: String = digits
        .chars()
        .filter(|c| !" '_٬".contains(*c))
        .map(|c| if c == '٫' { '.' } else { c })
        .collect();
    let parse = |text: &str| text.parse::<f64>().ok();
    let decimals = |text: &str| text.rsplit_once('.').map_or(0, |(_, tail)| tail.len() as u32);
    let points = bare.matches('.').count();
    let commas = bare.matches(',').count();
    let as_point = bare.replace(',', "");
    let as_comma = bare.replace('.', "").replace(',', ".");
    let certain = |text: &str| Some((parse(text)?, decimals(text), None));
    if points > 0 && commas > 0 {
        // The sign that comes last separates the decimals.
        let comma = bare.rfind(',') > bare.rfind('.');
        return certain(if comma { &as_comma } else { &as_point });
    }
    if points + commas == 0 {
        return certain(&bare);
    }
    if points + commas > 1 {
        return certain(&bare.replace(['.', ','], ""));
    }
    let (head, tail) = bare.split_once(['.', ','])?;
    let groups = tail.len() == 3 && (1..=3).contains(&head.len()) && !head.starts_with('0');
    let decimal = format!("{head}.{tail}");
    if !groups {
        return certain(&decimal);
    }
    let grouped = parse(&format!("{head}{tail}"))?;
    let value = parse(&decimal)?;
    let reading = |value, free| Some(Reading { value, free });
    Some(match (points == 1, convention) {
        (true, Convention::Comma) | (false, Convention::Point | Convention::English) => {
            (grouped, 0, None)
        }
        (true, Convention::Point) => (value, 3, None),
        // Whoever translates the words of an answer may leave its numbers as they are.
        (false, Convention::Comma) => (value, 3, reading(grouped, false)),
        (true, Convention::English) => (value, 3, reading(grouped, false)),
        (true, Convention::Unknown) => (value, 3, reading(grouped, true)),
        (false, Convention::Unknown) => (grouped, 0, reading(value, false)),
    })
}

fn number(text: &str, found: &Captures, convention: Convention) -> Option<Found> {
    // 10^3
    static POWER: LazyLock<Regex> = LazyLock::new(|| regex(r"^\^\{?(\d{1,3})\}?"));
    let part = |name| found.name(name).map(|part| part.as_str());
    let float = |name| part(name).and_then(|text| text.parse::<f64>().ok());
    let whole = found.get(0)?;
    let mut number = Number::plain(0.0, None);
    let first = ["whole", "above", "plain"].iter().find_map(|name| found.name(name))?;
    if let (Some(whole), Some(above), Some(below)) =
        (float("whole"), float("mixed"), float("below"))
    {
        number.value = whole + above / below;
    } else if let (Some(above), Some(under)) = (float("above"), float("under")) {
        number.value = above / under;
    } else {
        let digits = part("plain")?;
        let (value, decimals, other) = read(digits, convention)?;
        (number.value, number.decimals, number.other) = (value, Some(decimals), other);
    }
    if let Some(power) = part("power") {
        let exponent: String =
            power.rsplit(['^', 'e', 'E']).next()?.chars().filter(|c| !"{}+".contains(*c)).collect();
        number = scaled(number, 10f64.powi(exponent.parse().ok()?));
    }
    let mut powered = None;
    if part("power").is_none()
        && let Some(found) = POWER.captures(&text[first.end()..])
    {
        number.value = number.value.powi(found[1].parse().ok()?);
        number.decimals = None;
        powered = found.get(0).map(|it| first.end() + it.end());
    }
    let mut end = powered.unwrap_or(whole.end());
    let mut last = end;
    let hyphen = text[..end].ends_with('-');
    let sign = part("currency").map(str::trim);
    while let Some((meaning, taken)) = unit_at(text, end, hyphen, sign.is_some()) {
        last = end + taken;
        match meaning {
            Meaning::Scale(factor) => number = scaled(number, factor),
            Meaning::Unit(unit) => {
                number.unit = unit;
                break;
            }
        }
        let gap = text[last..].chars().take_while(|c| *c == ' ').count();
        end = last + gap;
    }
    if let Some(powered) = powered.filter(|_| last == end) {
        last = powered;
    } else if last == whole.end() {
        last = first
            .end()
            .max(found.name("power").map_or(0, |it| it.end()))
            .max(found.name("below").or(found.name("under")).map_or(0, |it| it.end()));
    }
    if let Some(sign) = sign
        && !matches!(number.unit, Unit::Cents | Unit::Pence)
    {
        number.unit = currency(sign);
    }
    last = with_surroundings(text, (first.start(), last), hyphen, &mut number);
    let before = &text[..whole.start()];
    let minus = part("sign").is_some_and(|sign| around::is_minus(before, sign, TAKEN));
    let in_words = part("sign").is_none() && around::is_minus_in_words(around::tail(before));
    if minus || in_words || part("inner").is_some() {
        number.value = -number.value;
        number.other = number.other.map(|it| Reading { value: -it.value, ..it });
    }
    // The sign of "n - 1" is not the number's.
    let own = found.name("sign").filter(|_| !minus).map_or(whole.start(), |it| it.end());
    number.bound = around::bound(around::tail(&text[..own]), &text[last..]);
    Some(Found { start: own, digits: first.start(), end: last, number })
}

/// The unit or scale word at a place behind a number, with the bytes that it takes.
fn unit_at(text: &str, at: usize, hyphen: bool, is_money: bool) -> Option<(Meaning, usize)> {
    let (found, taken) = leading(&text[at..])?;
    let (word, rest) = text[at..].split_at(taken);
    // "762 M&Ms" are sweets, "1990s" a decade. Behind a hyphen only names of units count: "a 5-km
    // run", but not "5-3".
    let is_sweets = rest.starts_with('&');
    let is_decade = word == "s" && text[..at].ends_with('0');
    if is_sweets || is_decade || hyphen && word.len() < 2 {
        return None;
    }
    let apart = text[..at].ends_with(' ') && !rest.trim_start().starts_with(char::is_alphanumeric);
    let kelvin = (word == "K" && apart && !is_money).then(|| meaning(KELVIN_OR_THOUSAND)).flatten();
    Some((kelvin.unwrap_or(found), taken))
}

/// What else belongs to a number between two places, and where it ends: "per month", "BC", "x".
fn with_surroundings(
    text: &str,
    (start, end): (usize, usize),
    hyphen: bool,
    number: &mut Number,
) -> usize {
    let (before, digits, after) = (&text[..start], &text[start..end], &text[end..]);
    if let Some((unit, taken)) = per(number.unit, after) {
        number.unit = unit;
        return end + taken;
    }
    if number.unit != Unit::None || hyphen {
        return end;
    }
    let found = around::era(after)
        .or_else(|| unknown_sign(after))
        .or_else(|| around::glued(before, digits, after));
    let Some((unit, taken)) = found else { return end };
    number.unit = unit;
    end + taken
}

fn scaled(number: Number, factor: f64) -> Number {
    let other = number.other.map(|it| Reading { value: it.value * factor, ..it });
    Number { value: number.value * factor, other, decimals: None, ..number }
}

/// "5 dollars and 20 cents", "7 pounds 20 pence", "7 Euro 20".
fn has_hundredths(text: &str, last: &Found, next: &Found) -> bool {
    let (whole, part) = (last.number.unit, next.number.unit);
    let bare = text.get(last.end..next.start).unwrap_or("-");
    let digits = text.get(next.digits..next.end).unwrap_or_default();
    match (whole, part) {
        (Unit::Money(_), Unit::Cents) | (Unit::Money(Some("GBP")) | Unit::Pound, Unit::Pence) => {
            true
        }
        (Unit::Money(_), Unit::None) => {
            bare.trim().is_empty()
                && digits.len() == 2
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !text[..last.end].ends_with(|c: char| c.is_ascii_digit())
                && !text[next.end..].trim_start().starts_with(char::is_alphanumeric)
        }
        _ => false,
    }
}

/// "5-10", "5 to 10", "between 5 and 10".
fn join_ranges(text: &str, found: &mut Vec<Found>) {
    static TO: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^(?:-|\s?[–—~～〜]\s?|\s+(?:to|bis|à|through|hasta|bis zu|до)\s+|\s?(?:至|到|から)\s?)[$€£]?$",
        )
    });
    static AND: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s+(?:and|und|et|y|e|и)\s+[$€£]?$"));
    static BETWEEN: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\b(?:between|zwischen|entre|tra|fra|между)\s+[$€£]?$"));
    static OR: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^\s+(?:or|oder|ou|or even|или)\s+[$€£]?$"));
    static NEXT: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s*(?:and|und|et|y|e)?\s*$"));
    static CHANGE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:rose|ris\w+|rais\w+|increas\w+|grew|grow\w*|fell|drop\w*|went|go(?:es)?|chang\w+|climb\w*|jump\w*|mov\w+|improv\w+|up|rounds?|rounded|st[ie]\w+|erhöht\w*|wuchs|augment\w+|pass\w+|subi\w*|aument\w+|pas[aó]\w*)\b[^.\n]*$",
        )
    });
    // "From 3 to 4 weeks" is how long something takes, "from 3 to 4" of all else what it became.
    static FROM: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:from|von|de)\b[^.\n]*$"));
    let mut joined: Vec<Found> = Vec::new();
    for &next in found.iter() {
        if let Some(last) = joined.last_mut()
            && last.number.form == Form::Plain
        {
            let between = text.get(last.end..next.digits).unwrap_or_default();
            let before = &text[..last.start];
            let worded = between.chars().any(char::is_alphabetic);
            let counted = !text[next.end..].trim_start().starts_with(['=', '-', '+'])
                && !before.trim_end().ends_with(['=', '+', '*', '×', '/'])
                && !before.ends_with('-');
            // "5 dollars and 20 cents", "1 hour 30 minutes": one quantity.
            let follows = NEXT.is_match(text.get(last.end..next.start).unwrap_or_default());
            if follows && has_hundredths(text, last, &next) {
                let pounds = last.number.unit == Unit::Pound;
                last.number.unit = if pounds { currency("£") } else { last.number.unit };
                last.number.value += next.number.value / 100.0;
                last.number.decimals = Some(2);
                last.end = next.end;
                continue;
            }
            if let (Unit::Measure(a, larger), Unit::Measure(b, smaller)) =
                (last.number.unit, next.number.unit)
                && next.number.form == Form::Plain
                && a == b
                && larger > smaller
                && follows
            {
                last.number.value += next.number.value * smaller / larger;
                last.number.decimals = None;
                last.end = next.end;
                continue;
            }
            let lasts = matches!(
                next.number.unit,
                Unit::Measure(Dimension::Duration | Dimension::Months, _)
            );
            let is_change = || CHANGE.is_match(before) || !lasts && FROM.is_match(before);
            let is_range = TO.is_match(between) && !(worded && is_change())
                || AND.is_match(between) && BETWEEN.is_match(before)
                // Two answers are none of them.
                || OR.is_match(between) && last.number.unit == next.number.unit;
            let is_range = is_range && last.number.value < next.number.value.abs();
            let unit = |number: Number| number.unit != Unit::None;
            let fits =
                !unit(last.number) || !unit(next.number) || last.number.unit == next.number.unit;
            if is_range && counted && fits {
                let unit = if unit(next.number) { next.number.unit } else { last.number.unit };
                let form = Form::Range(next.number.value.abs());
                last.number = Number { form, unit, ..last.number };
                last.end = next.end;
                continue;
            }
        }
        joined.push(next);
    }
    *found = joined;
}
