//! Do the final numbers of two answers agree?

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Pair, Unscorable, regex};

/// 1 when the final numbers agree, otherwise 0. An answer cut off before it marked a final number
/// has none.
///
/// # Errors
/// The strong answer has no final number.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let strong = final_number(&pair.strong.text, pair.strong.is_truncated())
        .ok_or(Unscorable("the strong answer has no final number"))?;
    let cheap = final_number(&pair.cheap.text, pair.cheap.is_truncated());
    Ok(if cheap.is_some_and(|cheap| strong.agrees_with(cheap)) { 1.0 } else { 0.0 })
}

/// Whether the text marks a number as its final answer, instead of merely ending in one.
pub fn has_marked_number(text: &str) -> bool {
    let text = clean(text);
    marked(&text).is_some_and(|(_, part)| first_or_result(part).is_some())
}

/// Whether the last line holds a number.
pub fn ends_in_number(text: &str) -> bool {
    let text = clean(text);
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    numbers(last).next().is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    None,
    Money,
    Cents,
    Percent,
}

/// A number with what was written around it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    value: f64,
    unit: Unit,
    /// Of a bare number that is marked as the answer, the unit that it had when it was found: "She
    /// earns 84 cents. #### 84".
    found_in: Unit,
    /// Decimals as written; `None` for fractions and scaled numbers, which are exact.
    decimals: Option<u32>,
}

impl Number {
    /// As they are written, or in the units in which they were found.
    fn agrees_with(self, other: Number) -> bool {
        self.equals(other) || self.in_its_unit().equals(other.in_its_unit())
    }

    fn in_its_unit(self) -> Number {
        match self.unit {
            Unit::None => Number { unit: self.found_in, ..self },
            _ => self,
        }
    }

    fn equals(self, other: Number) -> bool {
        use Unit::{Cents, Money, None, Percent};
        let hundredth = |number: Number| number.value / 100.0;
        let as_written = same(self, self.value, other, other.value);
        match (self.unit, other.unit) {
            (a, b) if a == b => as_written,
            (None, Money) | (Money, None) => as_written,
            (Cents, Money) => same(self, hundredth(self), other, other.value),
            (Money, Cents) => same(self, self.value, other, hundredth(other)),
            // 84 cents is 84, or 0.84 of what is meant; 50 % is 50, or 0.5.
            (Cents | Percent, None) => {
                as_written || same(self, hundredth(self), other, other.value)
            }
            (None, Cents | Percent) => {
                as_written || same(self, self.value, other, hundredth(other))
            }
            _ => false,
        }
    }
}

/// Equal, or one is the other rounded to at least two decimals.
fn same(a: Number, a_value: f64, b: Number, b_value: f64) -> bool {
    let scale = a_value.abs().max(b_value.abs()).max(1.0);
    let difference = (a_value - b_value).abs();
    if difference <= 1e-9 * scale {
        return true;
    }
    let coarser = match (a.decimals, b.decimals) {
        (Some(a), Some(b)) if a != b => a.min(b),
        (Some(decimals), None) | (None, Some(decimals)) => decimals,
        _ => return false,
    };
    (2..=12).contains(&coarser) && difference <= 0.500_001 * 10f64.powi(-(coarser as i32))
}

/// The number that a text ends up with: after `####`, in `\boxed{}`, after "the answer is", or the
/// last one.
fn final_number(text: &str, truncated: bool) -> Option<Number> {
    let text = clean(text);
    if let Some((before, part)) = marked(&text)
        && let Some(number) = first_or_result(part)
    {
        let found = numbers(before).filter(|found| found.value == number.value).last();
        return Some(Number { found_in: found.map_or(Unit::None, |found| found.unit), ..number });
    }
    if truncated {
        return None;
    }
    concluding(&text)
}

/// The last number of a text. Behind an amount of money, fractions in the same sentence measure
/// what it is for: "it costs $3 more for 1/2 pound of almonds and 1/3 pound of walnuts".
fn concluding(text: &str) -> Option<Number> {
    let sentence = text.trim_end().rsplit(". ").next().unwrap_or(text);
    let is_fraction = |number: &Number| number.unit == Unit::None && number.decimals.is_none();
    let mut last = None;
    for number in numbers(sentence) {
        let amount = last.is_some_and(|last: Number| last.unit == Unit::Money);
        if !(amount && is_fraction(&number)) {
            last = Some(number);
        }
    }
    last.or_else(|| numbers(text).last())
}

fn clean(text: &str) -> String {
    static REMOVED: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"<<[^<>]*>>",                                         // calculator notes
            r"|\((?:rounded|to|correct to|approx)[^()\n]{0,60}\)", // (rounded to 2 decimals)
            r"|(?i:\bto (?:\d+|two|three|four) (?:decimal|significant)[a-z ]*)",
            r"|\\[,;!: ]|\{,\}|\\(?:left|right|displaystyle)\b",
        ))
    });
    static FRACTION: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\[dt]?frac\s*\{?(\d+)\}?\s*\{?(\d+)\}?"));
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}"));
    let text: String = text
        .chars()
        .map(|c| match c {
            '\u{2212}' | '\u{2013}' => '-',
            '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
            c => c,
        })
        .collect();
    let text = text.replace("\\$", "$").replace("\\%", "%");
    let text = FRACTION.replace_all(&text, " $1/$2");
    let text = TEXT.replace_all(&text, " $1");
    REMOVED.replace_all(&text, "").into_owned()
}

/// The part of a text that is marked as its answer, behind what comes before the mark.
fn marked(text: &str) -> Option<(&str, &str)> {
    if let Some(start) = text.rfind("####") {
        return Some((&text[..start], text[start + 4..].lines().next()?));
    }
    if let Some(start) = text.rfind(BOXED) {
        return Some((&text[..start], boxed(text)?));
    }
    static PHRASE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)\b(?:answer|result|solution)\**\s*(?:is|was|are|=|:|would be|will be)\**:?\s*")
    });
    let found = PHRASE.find_iter(text).last()?;
    let rest = &text[found.end()..];
    // A full stop between digits ends no sentence.
    let end = ["\n\n", ". ", ".\n"].iter().filter_map(|mark| rest.find(mark)).min();
    Some((&text[..found.start()], &rest[..end.unwrap_or(rest.len())]))
}

const BOXED: &str = "\\boxed{";

/// What the last `\boxed{…}` holds.
pub(super) fn boxed(text: &str) -> Option<&str> {
    let inside = &text[text.rfind(BOXED)? + BOXED.len()..];
    let mut depth = 1;
    for (index, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&inside[..index]);
        }
    }
    Some(inside)
}

/// The first number, or the one after the last `=`. Words count only here: "the answer is five".
fn first_or_result(part: &str) -> Option<Number> {
    let result = part.rsplit('=').next().unwrap_or(part);
    numbers(result).next().or_else(|| numbers(part).last()).or_else(|| number_word(part))
}

fn number_word(part: &str) -> Option<Number> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let mut words = part.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let value = words.find_map(|word| WORDS.iter().position(|w| word.eq_ignore_ascii_case(w)))?;
    Some(Number { value: value as f64, unit: Unit::None, found_in: Unit::None, decimals: Some(0) })
}

/// All numbers of a text, in order.
fn numbers(text: &str) -> impl Iterator<Item = Number> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?P<sign>-\s?)?(?P<currency>[$€£¥]\s?)?(?P<inner>-)?",
            r"(?:(?P<whole>\d+)\s+(?P<mixed>\d+)/(?P<below>[1-9]\d*)",
            r"|(?P<above>\d+)\s?/\s?(?P<under>[1-9]\d*)\b",
            r"|(?P<european>\d{1,3}(?:\.\d{3})+,\d{1,2}\b)",
            r"|(?P<plain>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)",
            r"(?P<power>[eE][+-]?\d{1,3}\b|\s?(?:\\times|×|x|\*)\s?10\^\{?-?\d{1,3}\}?)?)",
            r"\**\s?(?P<unit>%|percent\b|per cent\b|¢|cents?\b",
            r"|dollars?\b|euros?\b",
            r"|(?:hundred|thousand|million|billion|trillion)\b|[kKMB]\b)?",
        ))
    });
    NUMBER.captures_iter(text).filter_map(move |found| number(text, &found))
}

fn number(text: &str, found: &Captures) -> Option<Number> {
    let part = |name| found.name(name).map(|part| part.as_str());
    let float = |name| part(name).and_then(|text| text.parse::<f64>().ok());
    let places = |text: &str| text.split_once('.').map_or(0, |(_, decimals)| decimals.len() as u32);
    let mut number = Number { value: 0.0, unit: Unit::None, found_in: Unit::None, decimals: None };
    if let (Some(whole), Some(above), Some(below)) =
        (float("whole"), float("mixed"), float("below"))
    {
        number.value = whole + above / below;
    } else if let (Some(above), Some(under)) = (float("above"), float("under")) {
        number.value = above / under;
    } else {
        let plain = match part("european") {
            Some(european) => european.replace('.', "").replace(',', "."),
            None => part("plain")?.replace(',', ""),
        };
        number.value = plain.parse().ok()?;
        number.decimals = Some(places(&plain));
    }
    let mut scale = |factor: f64| {
        number.value *= factor;
        number.decimals = None;
    };
    if let Some(power) = part("power") {
        let exponent: String =
            power.rsplit(['^', 'e', 'E']).next()?.chars().filter(|c| !"{}+".contains(*c)).collect();
        scale(10f64.powi(exponent.parse().ok()?));
    }
    // "762 M&Ms" are sweets.
    let after = text[found.get(0)?.end()..].chars().next();
    match part("unit").filter(|_| after != Some('&')).unwrap_or_default() {
        "hundred" => scale(1e2),
        "thousand" | "k" | "K" => scale(1e3),
        "million" | "M" => scale(1e6),
        "billion" | "B" => scale(1e9),
        "trillion" => scale(1e12),
        "%" | "percent" | "per cent" => number.unit = Unit::Percent,
        "¢" | "cent" | "cents" => number.unit = Unit::Cents,
        "dollar" | "dollars" | "euro" | "euros" => number.unit = Unit::Money,
        _ => {}
    }
    if part("currency").is_some() {
        number.unit = Unit::Money;
    }
    // "5 - 3" and "10-12" hold no negative number, "= -3" does.
    let before = text[..found.get(0)?.start()].trim_end().chars().next_back();
    let operand = before.is_some_and(|c| c.is_alphanumeric() || ")]%$".contains(c));
    if (part("sign").is_some() && !operand) || part("inner").is_some() {
        number.value = -number.value;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(a: &str, b: &str) -> bool {
        let number = |text| final_number(text, false).expect("a number");
        let (there, back) = (number(a).agrees_with(number(b)), number(b).agrees_with(number(a)));
        assert_eq!(there, back, "{a} | {b}");
        there
    }

    #[test]
    fn the_same_final_number_in_other_words_agrees() {
        for (a, b) in [
            ("She makes 9 * $2 = $18 every day.", "so 9 * 2 = $<<9*2=18>>18.\n#### 18"),
            ("The total is $1,234.50.", "#### 1234.5"),
            ("\\boxed{42}", "The answer is 42."),
            ("\\boxed{\\frac{1}{2}}", "The answer is 0.5"),
            ("It is 1 1/2 cups.", "#### 1.5"),
            ("**Answer:** 50%", "The answer is 0.5"),
            ("Answer: 50%", "the answer is 50"),
            ("a cost of 84 cents", "#### $0.84"),
            ("3 stamps at 15 cents are 45 cents.\n#### 45", "3 * $0.15 = $0.45\n#### 0.45"),
            ("That is $1.20 in all. The answer is 1.20", "It costs 120 cents."),
            ("It costs 0.75 dollars.", "75 cents"),
            ("A quarter: \\boxed{25\\%}", "The share is 25%, so the answer is 25."),
            ("The fare is $20.00", "x = 20"),
            ("Altogether 750 cents.", "So $750, in cents.\n#### 750"),
            ("The answer is \u{2212}15.", "#### -15"),
            ("The answer is five.", "5"),
            ("450 + 312 = 762 M&Ms.", "#### 762"),
            ("2.5 million people", "2,500,000"),
            ("1.234,56 Euro", "1234.56"),
            ("6.02 × 10^23", "6.02e23"),
            ("It is 3.33", "It is 3.3333"),
            ("$36.67 (rounded to 2 decimal places)", "36.67"),
            ("$\\boxed{\\$18}$. Check: 9 * 2", "18"),
            ("The answer is 3 + 4 = 7.", "7"),
            ("So 5 - 2 = 3. It costs $3 more for 1/2 pound and 1/3 pound.", "#### 3"),
            ("He has **12** apples left.", "12"),
            ("16 - 7 = 9", "9"),
            ("10-12", "12"),
            ("#### 72\n\n(Note: there are 24 hours in 1 day)", "72"),
        ] {
            assert!(agree(a, b), "{a} | {b}");
        }
    }

    #[test]
    fn another_final_number_disagrees() {
        for (a, b) in [
            ("#### 18", "#### 19"),
            ("#### 18", "so 18 eggs, hence 9 * 2 = 17"),
            ("The answer is 50%", "The answer is 5"),
            ("$5", "5 cents"),
            ("5 dollars", "5 cents"),
            ("$5", "5%"),
            ("#### 3", "#### -3"),
            ("\\boxed{1/3}", "\\boxed{1/4}"),
            ("It is 3.3", "It is 3.4"),
            ("1,000", "1"),
            ("2 million", "2 thousand"),
            ("#### 2.5", "#### 3"),
        ] {
            assert!(!agree(a, b), "{a} | {b}");
        }
    }

    #[test]
    fn an_answer_without_a_number_has_none() {
        assert_eq!(final_number("I cannot tell.", false), None);
        assert_eq!(final_number("It costs 80,000 + 50,000 = 130,00", true), None);
        assert!(final_number("#### 5", true).is_some());
    }

    #[test]
    fn marks_are_recognised() {
        assert!(has_marked_number("so\n#### 5") && has_marked_number("The answer is: **5**"));
        assert!(!has_marked_number("There were 5 of them.") && ends_in_number("There were 5."));
    }
}
