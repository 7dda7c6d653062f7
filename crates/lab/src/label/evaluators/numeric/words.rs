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

/// "two hundred and twenty five", from the first word on.
fn spelt(words: &[&str]) -> Option<u64> {
    let (mut total, mut group) = (0u64, word(words.first()?)?);
    let mut last_tens = group >= 20 && group % 10 == 0;
    for (index, next) in words.iter().enumerate().skip(1) {
        let lower = next.to_lowercase();
        let value = word(next);
        match (lower.as_str(), value) {
            ("hundred", _) if group < 100 => group *= 100,
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
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!(first(&words), Some(value), "{text}");
        }
        assert_eq!(first(&["no", "number"]), None);
    }
}
