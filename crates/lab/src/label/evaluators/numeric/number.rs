//! A quantity as it is written, and when two of them are the same.

use super::units::{Above, Dimension, Unit};

/// Day of a month of a year; what is not written is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: Option<i32>,
    pub month: u32,
    pub day: Option<u32>,
    /// 5/6 may be a day in May or in June.
    pub may_be_swapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Plain,
    /// Up to this value.
    Range(f64),
    /// A time of the day, whose value is in seconds; whether its half of the day is certain.
    /// Of the zone, if one is written, the hash.
    Clock {
        certain: bool,
        zone: Option<u64>,
    },
    Date(Date),
    /// To this value: 3:2.
    Ratio(f64),
}

/// "at least 3", "less than 3".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Exact,
    AtLeast,
    MoreThan,
    AtMost,
    LessThan,
}

/// Another value that the same signs can mean: 1.500 is 1.5 or 1500.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub value: f64,
    /// Nothing in the text speaks against it.
    pub free: bool,
}

/// A number with what was written around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    pub value: f64,
    pub other: Option<Reading>,
    pub form: Form,
    pub bound: Bound,
    pub unit: Unit,
    /// Of a bare number that is marked as the answer, the unit that it had when it was found: "She
    /// earns 84 cents. #### 84".
    pub found_in: Unit,
    /// Decimals as written; `None` for fractions and scaled numbers, which are exact.
    pub decimals: Option<u32>,
}

/// Grams.
const POUND: f64 = 453.592_37;

/// Whether two quantities are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Different,
    /// It depends on how one of them is meant.
    Unclear,
}

impl Number {
    pub fn plain(value: f64, decimals: Option<u32>) -> Self {
        let (unit, found_in) = (Unit::None, Unit::None);
        let (form, bound) = (Form::Plain, Bound::Exact);
        Number { value, other: None, form, bound, unit, found_in, decimals }
    }

    pub fn of_form(form: Form, value: f64) -> Self {
        Number { form, ..Number::plain(value, None) }
    }

    /// Compares them as they are written, and in the units in which they were found.
    pub fn compare(self, other: Number) -> Verdict {
        use Bound::{AtLeast, AtMost, Exact, LessThan, MoreThan};
        match (self.compare_form(other), self.bound, other.bound) {
            (Verdict::Same, AtLeast | MoreThan, AtMost | LessThan)
            | (Verdict::Same, AtMost | LessThan, AtLeast | MoreThan) => Verdict::Different,
            // "At least 3" may be what "3" means, where the question asks for the least.
            (Verdict::Same, a, b) if a != b && (a == Exact || b == Exact) => Verdict::Unclear,
            (Verdict::Same, a, b) if a != b => Verdict::Different,
            (verdict, ..) => verdict,
        }
    }

    /// As [`Number::compare`], whatever the bounds are.
    fn compare_form(self, other: Number) -> Verdict {
        match (self.form, other.form) {
            (Form::Plain, Form::Plain) => self.compare_plain(other),
            (Form::Range(a), Form::Range(b)) => {
                let start = self.compare_plain(other);
                let end = Number { value: a, ..self }.compare_plain(Number { value: b, ..other });
                if end == Verdict::Same { start } else { end }
            }
            (Form::Clock { zone: Some(a), .. }, Form::Clock { zone: Some(b), .. }) if a != b => {
                // Two times may be one moment.
                if self.value == other.value { Verdict::Different } else { Verdict::Unclear }
            }
            (Form::Clock { certain: a, .. }, Form::Clock { certain: b, .. }) => {
                const HALF_A_DAY: f64 = 43_200.0;
                let apart = (self.value - other.value).abs();
                match (apart == 0.0, a == b) {
                    (true, _) => Verdict::Same,
                    (false, false) if apart == HALF_A_DAY => Verdict::Unclear,
                    _ => Verdict::Different,
                }
            }
            (Form::Date(a), Form::Date(b)) => a.compare(b),
            (Form::Ratio(a), Form::Ratio(b)) => yes(close(self.value * b, other.value * a)),
            (Form::Ratio(below), Form::Plain) if other.unit == Unit::None => {
                yes(close(self.value, other.value * below))
            }
            (Form::Plain, Form::Ratio(_) | Form::Clock { .. }) => other.compare_form(self),
            // "1h30" of a duration.
            (Form::Clock { .. }, Form::Plain) => match other.unit {
                Unit::Measure(Dimension::Duration, factor) => {
                    yes(close(self.value, other.value * factor))
                }
                _ => Verdict::Different,
            },
            _ => Verdict::Different,
        }
    }

    fn compare_plain(self, other: Number) -> Verdict {
        if let Some(verdict) = self.compare_signs(other) {
            return verdict;
        }
        let same = |a: Number, b: Number| a.equals(b) || a.in_its_unit().equals(b.in_its_unit());
        if same(self, other) {
            return Verdict::Same;
        }
        let read = |number: Number| {
            number.other.map(|it| (Number { value: it.value, decimals: None, ..number }, it.free))
        };
        let verdict = |free: bool| if free { Verdict::Same } else { Verdict::Unclear };
        match (read(self), read(other)) {
            (Some((a, free)), _) if same(a, other) => verdict(free),
            (_, Some((b, free))) if same(self, b) => verdict(free),
            (Some((a, free)), Some((b, also))) if same(a, b) => verdict(free && also),
            _ => Verdict::Different,
        }
    }

    /// Where one of the units is a sign without a meaning here, or a year's era.
    fn compare_signs(self, other: Number) -> Option<Verdict> {
        use Unit::{Era, None, Symbol};
        let unclear = match (self.unit, other.unit) {
            (Symbol(a), Symbol(b)) if a != b => return Some(Verdict::Different),
            (Era { before: a }, Era { before: b }) if a != b => return Some(Verdict::Different),
            (a, b) if a == b => return Option::None,
            (Symbol(_), _) | (_, Symbol(_)) => true,
            // A year of our own era is written without.
            (Era { before }, None) | (None, Era { before }) => before,
            _ => return Option::None,
        };
        let same = same(self, self.value, other, other.value);
        Some(match (same, unclear) {
            (true, true) => Verdict::Unclear,
            (true, false) => Verdict::Same,
            (false, _) => Verdict::Different,
        })
    }

    fn in_its_unit(self) -> Number {
        match self.unit {
            Unit::None => Number { unit: self.found_in, ..self },
            _ => self,
        }
    }

    fn equals(self, other: Number) -> bool {
        use Unit::{Cents, Measure, Money, None, Pence, Percent, Pound, Rate};
        if let Some((a, b)) = self.without_thousands(other) {
            return a.equals(b);
        }
        let hundredth = |number: Number| number.value / 100.0;
        let as_written = same(self, self.value, other, other.value);
        match (self.unit, other.unit) {
            (Money(a), Money(b)) => as_written && (a == b || a.is_none() || b.is_none()),
            (Measure(a, factor), Measure(b, scale)) => {
                if a == b {
                    return as_written && factor == scale
                        || same_measure(self, factor, other, scale);
                }
                converted(a, self.value * factor, b, other.value * scale)
            }
            (Pound, Money(code)) | (Money(code), Pound) => {
                as_written && matches!(code, Some("GBP"))
            }
            (Pound, Measure(Dimension::Mass, scale)) => same_measure(self, POUND, other, scale),
            (Measure(Dimension::Mass, scale), Pound) => same_measure(self, scale, other, POUND),
            (Rate(a, below, factor), Rate(b, under, scale)) => {
                let any = |it: Above| it == Above::Money(Option::None);
                let money = matches!((a, b), (Above::Money(_), Above::Money(_)));
                below == under
                    && (a == b || money && (any(a) || any(b)))
                    && (as_written && factor == scale || same_measure(self, factor, other, scale))
            }
            // The question says per what.
            (Rate(Above::Money(a), ..), Money(b)) | (Money(b), Rate(Above::Money(a), ..)) => {
                as_written && (a == b || a.is_none() || b.is_none())
            }
            (Rate(..), None) | (None, Rate(..)) => as_written,
            (Percent, Measure(Dimension::Fraction, scale)) => {
                close(hundredth(self), other.value * scale)
            }
            (Measure(Dimension::Fraction, factor), Percent) => {
                close(self.value * factor, hundredth(other))
            }
            (a, b) if a == b => as_written,
            // A unit that only one of them names may be the question's.
            (None, Money(_) | Measure(..) | Pound) | (Money(_) | Measure(..) | Pound, None) => {
                as_written
            }
            (Cents, Money(_)) | (Pence, Money(Some("GBP")) | Pound) => {
                same(self, hundredth(self), other, other.value)
            }
            (Money(_), Cents) | (Money(Some("GBP")) | Pound, Pence) => {
                same(self, self.value, other, hundredth(other))
            }
            // 84 cents is 84, or 0.84 of what is meant; 50 % is 50, or 0.5.
            (Cents | Pence | Percent, None) => {
                as_written || same(self, hundredth(self), other, other.value)
            }
            (None, Cents | Pence | Percent) => {
                as_written || same(self, self.value, other, hundredth(other))
            }
            _ => false,
        }
    }
}

impl Number {
    /// Reads "300 K" by the number it is compared with; `None` when neither needs it.
    fn without_thousands(self, other: Number) -> Option<(Number, Number)> {
        const BOTH: Dimension = Dimension::KelvinOrThousand;
        let is_both = |it: Number| matches!(it.unit, Unit::Measure(BOTH, _));
        let is_warm = |it: Number| matches!(it.unit, Unit::Measure(a, _) if converted_to_celsius(a, 0.0).is_some());
        let read = |it: Number, other: Number| match is_both(it) {
            true if is_warm(other) => Number { unit: Unit::Measure(Dimension::Kelvin, 1.0), ..it },
            true => Number { value: it.value * 1e3, unit: Unit::None, decimals: None, ..it },
            false => it,
        };
        match (is_both(self), is_both(other)) {
            (true, true) | (false, false) => None,
            _ => Some((read(self, other), read(other, self))),
        }
    }
}

impl Date {
    fn compare(self, other: Date) -> Verdict {
        let fits = |a: Option<i64>, b: Option<i64>| a.is_none() || b.is_none() || a == b;
        let same = |a: Date, b: Date| {
            a.month == b.month
                && fits(a.day.map(i64::from), b.day.map(i64::from))
                && fits(a.year.map(i64::from), b.year.map(i64::from))
        };
        let swapped = |date: Date| Date {
            month: date.day.unwrap_or(date.month),
            day: Some(date.month),
            ..date
        };
        match (self.may_be_swapped, other.may_be_swapped) {
            (true, false) if same(swapped(self), other) != same(self, other) => Verdict::Unclear,
            (false, true) if same(self, swapped(other)) != same(self, other) => Verdict::Unclear,
            _ => yes(same(self, other)),
        }
    }
}

fn yes(same: bool) -> Verdict {
    if same { Verdict::Same } else { Verdict::Different }
}

fn converted_to_celsius(dimension: Dimension, value: f64) -> Option<f64> {
    match dimension {
        Dimension::Celsius => Some(value),
        Dimension::Fahrenheit => Some((value - 32.0) / 1.8),
        Dimension::Kelvin => Some(value - 273.15),
        _ => None,
    }
}

fn converted(a: Dimension, a_value: f64, b: Dimension, b_value: f64) -> bool {
    let celsius = converted_to_celsius;
    match (celsius(a, a_value), celsius(b, b_value)) {
        (Some(a), Some(b)) => (a - b).abs() < 0.06,
        // "20 °" of a temperature.
        _ => {
            (a == Dimension::Angle || b == Dimension::Angle)
                && (celsius(a, 0.0).is_some() || celsius(b, 0.0).is_some())
                && close(a_value, b_value)
        }
    }
}

/// In different units of one dimension. Between systems of units, one of them may be rounded.
fn same_measure(a: Number, factor: f64, b: Number, scale: f64) -> bool {
    const ROUNDING: f64 = 0.01;
    let in_b = a.value * factor / scale;
    if close(in_b, b.value) {
        return true;
    }
    let power = (factor / scale).log10();
    let is_decimal = (power - power.round()).abs() < 1e-9;
    let near = |value: f64, written: Number| {
        let step = written.decimals.map_or(0.0, |decimals| 10f64.powi(-(decimals as i32)));
        (value - written.value).abs() <= 0.500_001 * step
            && (value - written.value).abs() <= ROUNDING * written.value.abs()
    };
    !is_decimal && (near(in_b, b) || near(b.value * scale / factor, a))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// Equal, or one is the other rounded to at least two decimals.
fn same(a: Number, a_value: f64, b: Number, b_value: f64) -> bool {
    if close(a_value, b_value) {
        return true;
    }
    let coarser = match (a.decimals, b.decimals) {
        (Some(a), Some(b)) if a != b => a.min(b),
        (Some(decimals), None) | (None, Some(decimals)) => decimals,
        _ => return false,
    };
    let difference = (a_value - b_value).abs();
    (2..=12).contains(&coarser) && difference <= 0.500_001 * 10f64.powi(-(coarser as i32))
}
