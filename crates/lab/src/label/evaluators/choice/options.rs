//! The options of a question.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::plain::{fold, lower};

/// The labels of lists, in the order in which they are given out.
const ALPHABETS: [&[&str]; 9] = [
    &["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"],
    &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"],
    &["А", "Б", "В", "Г", "Д", "Е", "Ж"],
    &["①", "②", "③", "④", "⑤", "⑥", "⑦", "⑧"],
    &["Α", "Β", "Γ", "Δ", "Ε"],
    &["I", "II", "III", "IV", "V", "VI"],
    &["ア", "イ", "ウ", "エ", "オ"],
    &["가", "나", "다", "라", "마"],
    &["أ", "ب", "ج", "د", "ه"],
];
const DIGITS: usize = 1;

/// Labels of one alphabet and the texts behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    alphabet: usize,
    /// In lower case, without punctuation at the ends.
    texts: Vec<String>,
}

impl Options {
    /// The last list of at least two options, one a line or all in one line.
    pub fn read(question: &str) -> Option<Options> {
        static LINE: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r"(?m)^[ \t>*_•·-]*[(\[]?(\w{1,4}|[①-⑧])(?:[)\].:,]+|[ \t]+[-–—][ \t]|[*_]+[)\].:]?|\t)[ \t*_]*(\S[^\n]*)$|^[ \t>*_-]*([①-⑧])[ \t]*(\S[^\n]*)$",
            )
        });
        static INLINE: LazyLock<Regex> = LazyLock::new(|| {
            regex(r"(?:^|[\s,;:?])(?:[(\[](\w{1,4})[)\]]|(\w{1,4})\)|([A-Ja-j])[.:]\s|([①-⑧]))")
        });
        let question: String = question.chars().map(fold).collect();
        let lines = LINE.captures_iter(&question).filter_map(|found| {
            let label = found.get(1).or(found.get(3))?.as_str();
            Some((label.to_owned(), found.get(2).or(found.get(4))?.as_str().to_owned()))
        });
        if let Some(list) = last_list(lines.collect()) {
            return Some(list);
        }
        let labels: Vec<_> = INLINE
            .captures_iter(&question)
            .filter_map(|found| {
                let whole = found.get(0)?;
                let label = (1..=4).find_map(|group| found.get(group))?;
                Some((label.as_str().to_owned(), whole.start(), whole.end()))
            })
            .collect();
        let ends = labels.iter().skip(1).map(|(_, start, _)| *start).chain([question.len()]);
        let texts = labels.iter().zip(ends).map(|((label, _, start), end)| {
            let text = question.get(*start..end).unwrap_or_default();
            (label.clone(), text.lines().next().unwrap_or_default().to_owned())
        });
        let list = last_list(texts.collect())?;
        // "A. Smith wrote to B. Jones" lists nothing.
        let dotted = !question.contains([')', ']', '①']);
        (!dotted || list.texts.len() > 2).then_some(list)
    }

    /// The number of the option that a word labels.
    pub fn label(&self, word: &str) -> Option<usize> {
        position(self.alphabet, word).filter(|&index| index < self.texts.len())
    }

    /// The texts, by number.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether the labels are not digits.
    pub fn has_letters(&self) -> bool {
        self.alphabet != DIGITS
    }
}

fn position(alphabet: usize, word: &str) -> Option<usize> {
    let upper = word.to_uppercase();
    ALPHABETS[alphabet].iter().position(|label| *label == upper)
}

/// Follows every alphabet through the labels; the list that grew last is the question's, because
/// examples come first.
fn last_list(items: Vec<(String, String)>) -> Option<Options> {
    let mut running: Vec<Vec<String>> = vec![Vec::new(); ALPHABETS.len()];
    let mut last = None;
    for (label, text) in items {
        for (alphabet, list) in running.iter_mut().enumerate() {
            match position(alphabet, &label) {
                Some(0) => *list = vec![tidy(&text)],
                Some(index) if index == list.len() && index > 0 => {
                    list.push(tidy(&text));
                    last = Some(Options { alphabet, texts: list.clone() });
                }
                _ => {}
            }
        }
    }
    last
}

fn tidy(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || ".,;:!?*_\"'()[]。".contains(c);
    let text = lower(text.trim_matches(ends));
    let joined =
        [" or", " and", " oder", " ou", " o"].iter().find_map(|word| text.strip_suffix(word));
    joined.unwrap_or(&text).trim_matches(ends).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(question: &str) -> Vec<String> {
        Options::read(question).map(|options| options.texts).unwrap_or_default()
    }

    #[test]
    fn options_are_read_from_lines_and_from_one_line_in_many_alphabets() {
        for question in [
            "Which?\nA. Mars\nB. Venus",
            "Which?\n(a) Mars\n(b) Venus",
            "Which?\n- **A)** Mars\n- **B)** Venus",
            "Which?\n1) Mars\n2) Venus",
            "Which?\n① Mars\n② Venus",
            "Что?\nА) Mars\nБ) Venus",
            "Which? A) Mars B) Venus",
            "Is it (a) Mars or (b) Venus?",
            "哪个？\nA、Mars\nB、Venus",
            "Which?\nA: one\nB: two\nC: three\n\nWhich?\nA: Mars\nB: Venus",
        ] {
            let texts = texts(question);
            assert_eq!(texts.len(), 2, "{question}: {texts:?}");
            assert!(texts[0].starts_with("mars") && texts[1] == "venus", "{question}: {texts:?}");
        }
    }

    #[test]
    fn prose_lists_no_options() {
        for question in ["Which planet is largest?", "A. Smith wrote to B. Jones.", "Sum 1 and 2."]
        {
            assert_eq!(Options::read(question), None, "{question}");
        }
    }
}
