//! Dates, times of the day and ratios.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::super::regex;
use super::number::{Date, Form, Number};
use super::units::{Dimension, Unit, symbol};

/// The months in the languages that are known, by number.
const MONTHS: [&str; 12] = [
    "january jan januar jänner janvier enero gennaio janeiro januari января январь",
    "february feb februar février fevrier febrero febbraio fevereiro februari февраля февраль",
    "march mar märz maerz mars marzo março maart марта март",
    "april apr avril abril aprile апреля апрель",
    "may mai mayo maggio maio mei мая май",
    "june jun juni juin junio giugno junho июня июнь",
    "july jul juli juillet julio luglio julho июля июль",
    "august aug août aout agosto augustus августа август",
    "september sep sept septembre septiembre settembre setembro сентября сентябрь",
    "october oct okt oktober octobre octubre ottobre outubro октября октябрь",
    "november nov novembre noviembre novembro ноября ноябрь",
    "december dec dez dezember décembre diciembre dicembre dezembro декабря декабрь",
];

fn month(name: &str) -> Option<u32> {
    let name = name.to_lowercase();
    let index = MONTHS.iter().position(|names| names.split(' ').any(|it| it == name))?;
    Some(index as u32 + 1)
}

/// A quantity and the bytes that it takes.
pub type Placed = (usize, usize, Number);

type Read = fn(&Captures) -> Option<Number>;

/// All that is not a plain number, in order, without overlaps.
pub fn find(text: &str) -> Vec<Placed> {
    static NAMES: LazyLock<String> = LazyLock::new(|| MONTHS.join(" ").replace(' ', "|"));
    static PATTERNS: LazyLock<Vec<(Regex, Read)>> = LazyLock::new(|| {
        let names = NAMES.as_str();
        let day_month = format!(
            r"(?i)\b(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?\s*(?:of\s+|de\s+|день\s+)?(?P<name>{names})\b\.?(?:,?\s*(?:de\s+|del\s+)?(?P<y>\d{{4}})\b)?"
        );
        let month_day = format!(
            r"(?i)\b(?P<name>{names})\b\.?\s+(?:the\s+)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y>\d{{4}})\b)?"
        );
        let month_year =
            format!(r"(?i)\b(?P<name>{names})\b\.?,?\s+(?:of\s+|de\s+|del\s+)?(?P<y>\d{{4}})\b");
        vec![
            (regex(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"), dated as Read),
            (
                regex(
                    r"(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월](?:\s?(?P<d>\d{1,2})\s?[日일号])?",
                ),
                dated,
            ),
            (regex(r"(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日일号]"), dated),
            (
                regex(r"\b(?P<d>\d{1,2})(?P<sep>[./-])(?P<m>\d{1,2})[./-](?P<y>\d{4}|\d{2})\b"),
                dated,
            ),
            (regex(&day_month), dated),
            (regex(&month_day), dated),
            (regex(&month_year), dated),
            (
                regex(
                    r"(?i)\b(?P<h>\d{1,2})[:h](?P<min>[0-5]\d)(?::(?P<s>[0-5]\d))?(?:\s?(?P<half>[ap]\.?m\b\.?|uhr\b|o'clock))?(?:\s?(?P<zone>(?-i)UTC|GMT|[A-Z]{1,3}[SD]?T)\b)?",
                ),
                clock,
            ),
            (
                regex(r"(?i)\b(?P<h>\d{1,2})\.(?P<min>[0-5]\d)\s?(?P<half>uhr\b|[ap]\.?m\b\.?)"),
                clock,
            ),
            (regex(r"(?i)\b(?P<h>\d{1,2})\s?(?P<half>[ap]\.?m\b\.?|uhr\b|o'clock)"), clock),
            (regex(r"(?P<h>\d{1,2})\s?[点點時시](?:\s?(?P<min>[0-5]?\d)\s?[分분])?"), clock),
            (regex(r"\b0(?:[xX](?P<hex>[0-9a-fA-F]{1,13})|[bB](?P<bin>[01]{1,52}))\b"), based),
            (
                regex(r#"\b(?P<feet>\d{1,3})'\s?(?P<inches>\d{1,2}(?:\.\d+)?)(?:"|''|\b)"#),
                feet_and_inches,
            ),
            (regex(r"\b(?P<a>\d+(?:\.\d+)?):(?P<b>\d+(?:\.\d+)?)\b"), ratio),
        ]
    });
    let mut found: Vec<Placed> = Vec::new();
    for (pattern, read) in PATTERNS.iter() {
        for captures in pattern.captures_iter(text) {
            let (Some(whole), Some(number)) = (captures.get(0), read(&captures)) else { continue };
            let (start, end) = (whole.start(), whole.end());
            let next = text[end..].chars().next();
            // 5時 is a time, 5時間 are five hours.
            let glued = next.is_some_and(|c| c.is_ascii_digit() || matches!(c, '間' | '间'))
                || text[..start].ends_with(|c: char| c.is_ascii_digit() || c == ':');
            if !glued && found.iter().all(|&(a, b, _)| end <= a || start >= b) {
                found.push((start, end, number));
            }
        }
    }
    found.sort_by_key(|&(start, ..)| start);
    found
}

fn part(found: &Captures, name: &str) -> Option<u32> {
    found.name(name)?.as_str().parse().ok()
}

fn dated(found: &Captures) -> Option<Number> {
    // "The other 3 may leave" has no date.
    if found.name("name").is_some_and(|it| matches!(it.as_str(), "may" | "march"))
        && found.name("y").is_none()
    {
        return None;
    }
    let (mut day, named) = (part(found, "d"), found.name("name").map(|name| month(name.as_str())));
    let year = found.name("y").and_then(|year| {
        let value: i32 = year.as_str().parse().ok()?;
        Some(if year.as_str().len() == 2 { value + 2000 } else { value })
    });
    let mut month = match named {
        Some(month) => month?,
        None => part(found, "m")?,
    };
    let mut may_be_swapped = false;
    if let Some(separator) = found.name("sep") {
        let (first, second) = (day?, month);
        // The point is written between day and month; the slash by Americans between month and day.
        if second > 12 {
            (day, month) = (Some(second), first);
        } else {
            may_be_swapped = separator.as_str() != "." && first <= 12 && first != second;
        }
    }
    let valid = (1..=12).contains(&month) && day.is_none_or(|day| (1..=31).contains(&day));
    let date = Date { year, month, day, may_be_swapped };
    valid.then(|| Number::of_form(Form::Date(date), f64::from(month)))
}

fn clock(found: &Captures) -> Option<Number> {
    let hour = part(found, "h")?;
    let minute = part(found, "min").unwrap_or(0);
    let second = part(found, "s").unwrap_or(0);
    let half = found.name("half").map(|half| half.as_str().to_lowercase());
    let half = half.as_deref().unwrap_or_default();
    let hour = match half.chars().next() {
        Some('p') if hour < 12 => hour + 12,
        Some('a') if hour == 12 => 0,
        _ => hour,
    };
    if hour > 24 {
        return None;
    }
    let certain = !matches!(half, "" | "o'clock") || hour > 12;
    let seconds = f64::from((hour * 60 + minute) * 60 + second);
    let zone = found.name("zone").and_then(|zone| match symbol(zone.as_str()) {
        Unit::Symbol(hash) => Some(hash),
        _ => None,
    });
    Some(Number::of_form(Form::Clock { certain, zone }, seconds))
}

/// 0x1F and 0b101.
fn based(found: &Captures) -> Option<Number> {
    let digits = |name: &str, base| {
        found.name(name).and_then(|it| i64::from_str_radix(it.as_str(), base).ok())
    };
    let value = digits("hex", 16).or_else(|| digits("bin", 2))?;
    Some(Number::plain(value as f64, Some(0)))
}

/// 6'2"
fn feet_and_inches(found: &Captures) -> Option<Number> {
    const FOOT: f64 = 0.3048;
    let side = |name: &str| found.name(name)?.as_str().parse::<f64>().ok();
    let (feet, inches) = (side("feet")?, side("inches").filter(|it| *it < 12.0)?);
    let unit = Unit::Measure(Dimension::Length, FOOT);
    Some(Number { unit, ..Number::plain(feet + inches / 12.0, None) })
}

fn ratio(found: &Captures) -> Option<Number> {
    let side = |name| found.name(name)?.as_str().parse::<f64>().ok();
    Some(Number::of_form(Form::Ratio(side("b")?), side("a")?))
}
