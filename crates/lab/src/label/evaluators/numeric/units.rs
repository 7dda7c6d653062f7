//! Units and scale words behind a number.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
pub use super::measures::meaning;

/// What a unit measures. Two quantities of one dimension can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// In metres.
    Length,
    /// In square metres.
    Area,
    /// In litres.
    Volume,
    /// In grams.
    Mass,
    /// In seconds.
    Duration,
    /// In months, which have no fixed length in seconds.
    Months,
    /// In metres per second.
    Speed,
    Celsius,
    Fahrenheit,
    Kelvin,
    /// In bytes.
    Data,
    /// In joules.
    Energy,
    /// In watts.
    Power,
    /// In degrees.
    Angle,
    /// In hertz.
    Frequency,
    /// In pascals.
    Pressure,
    /// In newtons.
    Force,
    /// In amperes.
    Current,
    /// In volts.
    Voltage,
    /// In ohms.
    Resistance,
    /// In coulombs.
    Charge,
    /// In farads.
    Capacitance,
    /// In henries.
    Inductance,
    /// In teslas.
    FluxDensity,
    /// In becquerels.
    Activity,
    /// In sieverts.
    Dose,
    /// In grays.
    Absorbed,
    /// In moles.
    Amount,
    /// In decibels.
    Level,
    /// Of one.
    Fraction,
    /// In percentage points, the difference between two shares: no percent of anything.
    Points,
    /// "300 K": kelvins when compared with a temperature, thousands otherwise.
    KelvinOrThousand,
}

/// What is counted per something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Above {
    Count,
    Money(Option<&'static str>),
    Of(Dimension),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    None,
    /// The ISO code; `None` for an amount of the currency in question.
    Money(Option<&'static str>),
    Cents,
    /// Of a pound.
    Pence,
    Percent,
    /// A mass or a currency.
    Pound,
    /// How many of the dimension's own unit one is.
    Measure(Dimension, f64),
    /// "$30 per month": how many of the upper's own unit per one of the lower's one is.
    Rate(Above, Dimension, f64),
    /// A year, before the common era or in it.
    Era {
        before: bool,
    },
    /// A sign that is glued to the number and has no meaning here, by its hash: 3x, √2, 2π. Only the
    /// same sign is the same.
    Symbol(u64),
}

/// A sign that only says of itself that it is another than others.
pub fn symbol(sign: &str) -> Unit {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    sign.hash(&mut hasher);
    Unit::Symbol(hasher.finish())
}

/// What a word behind a number means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Scale(f64),
    Unit(Unit),
}

/// The meaning at the start of a text behind a number, with the bytes that it takes.
pub fn leading(text: &str) -> Option<(Meaning, usize)> {
    // "per cent", and units of several signs, before the words they begin with.
    for (phrase, name) in [
        ("percentage points", "pp"),
        ("percentage point", "pp"),
        ("percentage-points", "pp"),
        ("percentage-point", "pp"),
        ("percent points", "pp"),
        ("per cent points", "pp"),
        ("% points", "pp"),
        ("%-points", "pp"),
        ("%-point", "pp"),
        ("%-punkte", "pp"),
        ("p.p.", "pp"),
        ("basis points", "bp"),
        ("basis point", "bp"),
        ("puntos porcentuales", "pp"),
        ("punti percentuali", "pp"),
        ("pontos percentuais", "pp"),
        ("points de pourcentage", "pp"),
        ("per cent", "percent"),
        ("por ciento", "percent"),
        ("pour cent", "percent"),
        ("per cento", "percent"),
        ("por cento", "percent"),
        ("km/h", "km/h"),
        ("m/s", "m/s"),
        ("kilometers per hour", "km/h"),
        ("kilometres per hour", "km/h"),
        ("miles per hour", "mph"),
        ("meters per second", "m/s"),
        ("metres per second", "m/s"),
        ("square meters", "m²"),
        ("square metres", "m²"),
        ("square kilometers", "km²"),
        ("square kilometres", "km²"),
        ("square feet", "ft²"),
        ("square miles", "sqmi"),
        ("cubic meters", "m³"),
        ("cubic metres", "m³"),
        ("cubic centimeters", "cm³"),
        ("degrees celsius", "°C"),
        ("degrees fahrenheit", "°F"),
        ("degrees c", "°C"),
        ("degrees f", "°F"),
        ("grad celsius", "°C"),
        ("° c", "°C"),
        ("° f", "°F"),
        ("light years", "ly"),
        ("light-years", "ly"),
    ] {
        let found = text.get(..phrase.len()).is_some_and(|it| it.eq_ignore_ascii_case(phrase));
        if found && !text[phrase.len()..].starts_with(char::is_alphanumeric) {
            return meaning(name).map(|meaning| (meaning, phrase.len()));
        }
    }
    let is_sign = |c: char| c.is_alphanumeric() || "%‰°℃℉$€£¥¢₹₽²³^µμ％".contains(c);
    // No unit is longer than this.
    let text = &text[..text.floor_char_boundary(96)];
    let end = text.find(|c| !is_sign(c)).unwrap_or(text.len());
    let word = &text[..end];
    if let Some(meaning) = meaning(word) {
        return Some((meaning, end));
    }
    // "5kg" of "5kg", "℃" of "℃。", "万" of "万人", "元" of "元左右".
    let dense = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
    let lengths = word.char_indices().skip(1).map(|(at, _)| at).filter(|&at| at <= 18);
    let mut parts: Vec<usize> = lengths.collect();
    parts.reverse();
    parts.into_iter().find_map(|at| {
        let (part, rest) = word.split_at(at);
        let splits =
            part.chars().next_back().is_some_and(|c| dense(c) || "%‰°℃℉$€£¥¢₹％".contains(c));
        let meaning = splits.then(|| meaning(part)).flatten()?;
        (!rest.is_empty()).then_some((meaning, at))
    })
}

/// "per month" behind "$30", "/mL" behind "5 g": the unit of both, with the bytes that it takes.
pub fn per(above: Unit, text: &str) -> Option<(Unit, usize)> {
    static PER: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^(?:\s?/\s?|\s+(?:per|pro|par|por|al|each|every)\s+(?:an?\s+)?)"));
    static A: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s+an?\s+"));
    // "$360 a year", but "5 metres a second" is not written.
    let is_money = matches!(above, Unit::Money(_));
    let found = PER.find(text).or_else(|| A.find(text).filter(|_| is_money))?;
    let (upper, factor) = match above {
        Unit::None => (Above::Count, 1.0),
        Unit::Money(code) => (Above::Money(code), 1.0),
        Unit::Measure(dimension, factor) => (Above::Of(dimension), factor),
        _ => return None,
    };
    let rest = &text[found.end()..];
    match leading(rest) {
        Some((Meaning::Unit(Unit::Measure(below, scale)), taken)) => {
            let unit = match (upper, below) {
                (Above::Of(Dimension::Length), Dimension::Duration) => {
                    Unit::Measure(Dimension::Speed, factor / scale)
                }
                _ => Unit::Rate(upper, below, factor / scale),
            };
            Some((unit, found.end() + taken))
        }
        // "m/s²" and other signs that are glued together.
        _ if found.as_str() == "/" && upper != Above::Count => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"°^".contains(c));
            let end = end.unwrap_or(rest.len());
            let is_sign = rest[..end].starts_with(char::is_alphabetic) && end <= 4;
            is_sign.then(|| (symbol(&format!("{above:?}/{}", &rest[..end])), found.end() + end))
        }
        _ => None,
    }
}

/// A word that looks like a unit's sign, and is not known: 5 mX.
pub fn unknown_sign(text: &str) -> Option<(Unit, usize)> {
    const LONGEST: usize = 4;
    let rest = text.strip_prefix(' ').unwrap_or(text);
    let word = rest.chars().take_while(|c| c.is_alphanumeric()).take(LONGEST + 1);
    let word: Vec<char> = word.collect();
    let mixed = word.windows(2).any(|it| it[0].is_lowercase() && it[1].is_uppercase());
    let fits = mixed && word.len() <= LONGEST && word.iter().all(|it| it.is_alphabetic());
    let end: usize = word.iter().map(|it| it.len_utf8()).sum();
    fits.then(|| (symbol(&rest[..end]), text.len() - rest.len() + end))
}

/// The currency of a sign before the number.
pub fn currency(sign: &str) -> Unit {
    Unit::Money(match sign {
        "€" => Some("EUR"),
        "£" => Some("GBP"),
        "₹" => Some("INR"),
        "US$" | "USD" => Some("USD"),
        "EUR" => Some("EUR"),
        "GBP" => Some("GBP"),
        "¥" => Some("JPY"),
        "CHF" => Some("CHF"),
        "Rs" | "Rs." | "INR" => Some("INR"),
        _ => Some("USD"),
    })
}
