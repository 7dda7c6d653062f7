//! Numbers in words.

const SMALL: [&str; 21] = [
    "zero none zéro cero ноль 零",
    "one eins un une uno una um uma один одна 一",
    "two zwei deux dos due dois duas два две 二 两",
    "three drei trois tres tre três три 三",
    "four vier quatre cuatro quattro quatro четыре 四",
    "five fünf cinq cinco cinque пять 五",
    "six sechs seis sei шесть 六",
    "seven sieben sept siete sette sete семь 七",
    "eight acht huit ocho otto oito восемь 八",
    "nine neun neuf nueve nove девять 九",
    "ten zehn dix diez dieci dez десять 十",
    "eleven elf onze undici одиннадцать",
    "twelve zwölf douze doce dodici двенадцать",
    "thirteen dreizehn treize trece tredici treze",
    "fourteen vierzehn quatorze catorce quattordici",
    "fifteen fünfzehn quinze quince quindici",
    "sixteen sechzehn seize dieciséis sedici",
    "seventeen siebzehn diecisiete diciassette",
    "eighteen achtzehn dieciocho diciotto",
    "nineteen neunzehn diecinueve diciannove",
    "twenty zwanzig vingt veinte venti vinte двадцать",
];
const TENS: [&str; 7] = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// The value of one word: "five", "fifty-six".
pub fn word(text: &str) -> Option<u64> {
    let lower = text.to_lowercase();
    let small = |word: &str| {
        let index = SMALL.iter().position(|names| names.split(' ').any(|name| name == word));
        let tens = TENS.iter().position(|name| *name == word).map(|index| 10 * (index + 3));
        index.or(tens).map(|value| value as u64)
    };
    match lower.split_once('-') {
        Some((tens, ones)) => {
            let (tens, ones) = (small(tens)?, small(ones)?);
            (tens >= 20 && tens % 10 == 0 && (1..10).contains(&ones)).then_some(tens + ones)
        }
        None => small(&lower),
    }
}

/// The first number that is spelt out in English, or one word of another language.
pub fn first(words: &[&str]) -> Option<u64> {
    (0..words.len()).find_map(|start| spelt(&words[start..]))
}

/// "three quarters", "half", "two and a half", when that is the first that is said in words.
pub fn fraction(words: &[&str]) -> Option<f64> {
    const PARTS: [(f64, &str); 7] = [
        (2.0, "half halves"),
        (3.0, "third thirds"),
        (4.0, "quarter quarters fourth fourths"),
        (5.0, "fifth fifths"),
        (6.0, "sixth sixths"),
        (8.0, "eighth eighths"),
        (10.0, "tenth tenths"),
    ];
    let below = |text: &str| {
        let lower = text.to_lowercase();
        PARTS.iter().find(|(_, names)| names.split(' ').any(|it| it == lower)).map(|it| it.0)
    };
    let article = |text: &str| matches!(text.to_lowercase().as_str(), "a" | "an");
    let at = words.iter().position(|it| word(it).is_some() || below(it).is_some())?;
    let count = |at: usize| word(words.get(at)?).map(|it| it as f64);
    if let (Some(above), Some(below)) = (count(at), words.get(at + 1).and_then(|it| below(it))) {
        // "Twenty third" is a place in an order.
        return (above < 20.0 && (above == 1.0 || words[at + 1].ends_with('s')))
            .then_some(above / below);
    }
    if let (Some(whole), Some("and")) = (count(at), words.get(at + 1).copied()) {
        let behind = words.get(at + 2).copied()?;
        let above = if article(behind) { 1.0 } else { word(behind)? as f64 };
        return Some(whole + above / below(words.get(at + 3)?)?);
    }
    let is_half = words[at].eq_ignore_ascii_case("half");
    let is_whole = words.get(at + 1).is_none_or(|it| matches!(*it, "of" | "the"));
    (is_half && is_whole).then_some(0.5)
}

/// Writes the words of a number as digits.
fn end_number(words: &mut Vec<&str>, out: &mut String) {
    if let Some(value) = spelt(words) {
        out.push_str(&value.to_string());
    }
    words.clear();
}

/// The text with the numbers in it as digits.
pub fn in_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut words: Vec<&str> = Vec::new();
    for (index, part) in text.split(' ').enumerate() {
        let bare = part.trim_matches(|c: char| !c.is_alphanumeric());
        let joins = !words.is_empty() && matches!(bare, "hundred" | "thousand" | "million");
        let is_number = bare == part && (word(part).is_some() || joins);
        if is_number
            && words.last().is_none_or(|last| joins || word(last).is_some_and(|it| it >= 20))
        {
            if index > 0 && words.is_empty() {
                out.push(' ');
            }
            words.push(part);
            continue;
        }
        let had = !words.is_empty();
        end_number(&mut words, &mut out);
        if index > 0 || had {
            out.push(' ');
        }
        match word(bare).filter(|_| !bare.is_empty()) {
            Some(value) => out.push_str(&part.replace(bare, &value.to_string())),
            None => out.push_str(part),
        }
    }
    end_number(&mut words, &mut out);
    out
}

/// A number, or a dozen.
fn counted(text: &str) -> Option<u64> {
    word(text).or_else(|| text.eq_ignore_ascii_case("dozen").then_some(12))
}

/// "two hundred and twenty five", from the first word on.
fn spelt(words: &[&str]) -> Option<u64> {
    let (mut total, mut group) = (0u64, counted(words.first()?)?);
    let mut last_tens = group >= 20 && group % 10 == 0;
    for (index, next) in words.iter().enumerate().skip(1) {
        let lower = next.to_lowercase();
        let value = word(next);
        match (lower.as_str(), value) {
            ("hundred", _) if group < 100 => group *= 100,
            ("dozen", _) if group < 100 => group *= 12,
            ("thousand" | "million" | "billion", _) => {
                let scale = match lower.as_str() {
                    "thousand" => 1_000,
                    "million" => 1_000_000,
                    _ => 1_000_000_000,
                };
                total += group.checked_mul(scale)?;
                group = 0;
            }
            ("and", _)
                if words.get(index + 1).is_some_and(|next| word(next).is_some())
                    && (group >= 100 && group % 100 == 0 || group == 0 && total > 0) =>
            {
                continue;
            }
            (_, Some(value)) if last_tens && value < 10 && value > 0 => group += value,
            (_, Some(value)) if group >= 100 && group % 100 == 0 && value < 100 => group += value,
            (_, Some(value)) if group == 0 && total > 0 => group = value,
            _ => break,
        }
        last_tens = value.is_some_and(|value| value >= 20 && value % 10 == 0);
    }
    Some(total + group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_have_their_values() {
        for (text, value) in [
            ("five", 5),
            ("fifty-six", 56),
            ("fifty six", 56),
            ("one hundred and twenty five", 125),
            ("two thousand and one", 2001),
            ("three million", 3_000_000),
            ("zwölf", 12),
            ("vingt", 20),
            ("nineteen eggs", 19),
            ("two and three", 2),
            ("seventy", 70),
            ("a dozen", 12),
            ("two dozen eggs", 24),
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!(first(&words), Some(value), "{text}");
        }
        assert_eq!(first(&["no", "number"]), None);
    }

    #[test]
    fn fractions_in_words_have_their_values() {
        for (text, value) in [
            ("three quarters", Some(0.75)),
            ("half", Some(0.5)),
            ("half of it", Some(0.5)),
            ("two and a half", Some(2.5)),
            ("the twenty third", None),
            ("three", None),
            ("half a cup", None),
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!(fraction(&words), value, "{text}");
        }
    }

    #[test]
    fn numbers_in_words_become_digits() {
        for (text, digits) in [
            ("between three and four weeks.", "between 3 and 4 weeks."),
            ("twenty one days", "21 days"),
            ("two hundred people", "200 people"),
            ("no number", "no number"),
        ] {
            assert_eq!(in_digits(text), digits, "{text}");
        }
    }
}
