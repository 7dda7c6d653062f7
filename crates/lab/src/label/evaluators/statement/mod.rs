//! Short texts: what two of them say, and whether it is the same.
//!
//! The share of words in common does not see that one word turns a sentence around. So what both
//! say is compared first: a denial, a word replaced by another, an order that matters.

mod language;
mod operators;
mod tokens;
mod variants;

use super::f1::word_f1;
use super::numeric::Quantity;
use super::{Unscorable, normalised_words};
use tokens::{is_place, stem};
use variants::Variants;

/// How good the cheap text is, 0 to 1: 1 when it says what the strong one says, at most 0.5 when it
/// puts something else in its place, 0 when it says the contrary; otherwise the F1 of the words.
///
/// # Errors
/// The strong text has no words, or one is a bare yes or no and the other does not say which.
pub fn compare(strong: &str, cheap: &str, question: &str) -> Result<f64, Unscorable> {
    let (strong, cheap) = values(strong, cheap);
    let variants = &Variants::of(question);
    let read = |text: &str| tokens::read(text, question, variants);
    let (a, b) = (read(strong), read(cheap));
    if a.words.is_empty() && a.answer.is_none() {
        if a.denies
            && let Some(quality) = bare_denial(strong, cheap, &b)
        {
            return Ok(quality);
        }
        return Err(Unscorable("the strong answer has no words"));
    }
    let asked = tokens::read(question, "", variants);
    let unclear = Unscorable("whether the answer means yes or no cannot be told");
    match (a.answer, b.answer) {
        (Some(a), Some(b)) if a != b => return Ok(0.0),
        (Some(_), Some(_)) if a.words.is_empty() || b.words.is_empty() => return Ok(1.0),
        (Some(yes), None) if a.words.is_empty() => return b.answers(yes, &asked).ok_or(unclear),
        (None, Some(yes)) if b.words.is_empty() => return a.answers(yes, &asked).ok_or(unclear),
        _ => {}
    }
    if a.denies != b.denies {
        return Ok(0.0);
    }
    let share = word_f1(strong, cheap);
    if a.has_or != b.has_or || a.is_elsewhere(&b) {
        return Ok(share.min(0.5));
    }
    let (missing, more) = (a.without(&b), b.without(&a));
    // The words in common do not see an operator.
    if missing.iter().chain(&more).any(|it| matches!(it, Word::Operator(_))) {
        return Ok(share.min(0.5));
    }
    Ok(match (missing.is_empty(), more.is_empty()) {
        (true, true) if a.same_order(&b) || a.is_same_list(&b, question) => 1.0,
        (true, true) => 0.0,
        (false, false) => share.min(0.5),
        (true, false) if !a.is_within(&b) => share.min(0.5),
        (true, false) if b.states(&a, &more, &asked) => 1.0,
        (false, true) if !b.is_within(&a) => share.min(0.5),
        (false, true) if asked.has_all(&missing) && !asked.has_all(&b.contents()) => 1.0,
        _ => share,
    })
}

/// Of "x = 5" what x is, where the other text only says that.
fn values<'a>(strong: &'a str, cheap: &'a str) -> (&'a str, &'a str) {
    let value = |text: &'a str| {
        let (name, value) = text.split_once('=')?;
        let name = name.trim();
        let named = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let short = (1..=2).contains(&name.chars().count()) && named;
        (short && !value.contains('=') && !value.trim().is_empty()).then(|| value.trim())
    };
    match (value(strong), value(cheap)) {
        (Some(value), None) if !cheap.contains('=') => (value, cheap),
        (None, Some(value)) if !strong.contains('=') => (strong, value),
        _ => (strong, cheap),
    }
}

/// "None", "neither", "can't": a strong text that only denies. `None` when the other may mean it.
fn bare_denial(strong: &str, cheap: &str, said: &Statement) -> Option<f64> {
    let words = |text: &str| normalised_words(text).join(" ").replace("cant", "cannot");
    if words(strong) == words(cheap) {
        return Some(1.0);
    }
    (!said.denies && said.answer.is_none() && !said.words.is_empty()).then_some(0.0)
}

/// A word that carries meaning, or a quantity.
#[derive(Clone, Debug)]
enum Word {
    Text(String),
    Quantity(Quantity),
    /// Of a formula.
    Operator(String),
}

impl Word {
    fn is_same(&self, other: &Word) -> bool {
        match (self, other) {
            (Word::Text(a), Word::Text(b)) => a == b || stem(a) == stem(b),
            (Word::Quantity(a), Word::Quantity(b)) => a.is_same(*b),
            (Word::Operator(a), Word::Operator(b)) => a == b,
            _ => false,
        }
    }
}

/// One word of a text.
#[derive(Clone, Debug)]
struct Token {
    word: Word,
    is_filler: bool,
    is_copula: bool,
    /// A comma, or a word such as "and", stands before it.
    begins_item: bool,
}

impl Token {
    fn is_cyrillic(&self) -> bool {
        matches!(&self.word, Word::Text(text) if text.contains(|c: char| matches!(c, '\u{400}'..='\u{4ff}')))
    }

    /// "a German composer" behind a comma says more of what stands before it.
    fn begins_apposition(&self) -> bool {
        let article = |text: &str| {
            matches!(text, "a" | "an" | "ein" | "eine" | "un" | "une" | "una" | "um" | "uma")
        };
        self.begins_item && matches!(&self.word, Word::Text(text) if article(text))
    }
}

#[derive(Clone, Debug, Default)]
struct Statement {
    /// The text begins with yes or no.
    answer: Option<bool>,
    denies: bool,
    has_or: bool,
    words: Vec<Token>,
}

impl Statement {
    /// Words that carry meaning.
    fn contents(&self) -> Vec<&Word> {
        let content = self.words.iter().filter(|it| !it.is_filler).map(|it| &it.word);
        let content: Vec<&Word> = content.collect();
        // Nothing but small words: they are what is said.
        if content.is_empty() { self.words.iter().map(|it| &it.word).collect() } else { content }
    }

    /// The words that `other` does not have, each as often as it is there.
    fn without<'a>(&'a self, other: &'a Statement) -> Vec<&'a Word> {
        let mut rest = other.contents();
        let unmatched = |word: &&Word| match rest.iter().position(|it| it.is_same(word)) {
            Some(index) => {
                rest.swap_remove(index);
                false
            }
            None => true,
        };
        self.contents().into_iter().filter(unmatched).collect()
    }

    fn has_all(&self, words: &[&Word]) -> bool {
        let own: Vec<&Word> = self.words.iter().map(|it| &it.word).collect();
        words.iter().all(|word| own.iter().any(|it| it.is_same(word)))
    }

    /// As [`Statement::has_all`], also in another form of the word: "schrieb", "geschrieben".
    fn mentions_all(&self, words: &[&Word]) -> bool {
        let related = |a: &Word, b: &Word| match (a, b) {
            (Word::Text(a), Word::Text(b)) => {
                a.len().min(b.len()) > 4 && (a.contains(b.as_str()) || b.contains(a.as_str()))
            }
            _ => false,
        };
        let has = |word: &Word| {
            self.words.iter().any(|it| it.word.is_same(word) || related(&it.word, word))
        };
        words.iter().all(|&word| has(word))
    }

    /// Each has a small word of place or time that the other does not have.
    fn is_elsewhere(&self, other: &Statement) -> bool {
        let (a, b) = (self.places(), other.places());
        a.iter().any(|word| !b.contains(word)) && b.iter().any(|word| !a.contains(word))
    }

    fn places(&self) -> Vec<&str> {
        let texts = self.words.iter().filter_map(|it| match &it.word {
            Word::Text(text) => Some(text.as_str()),
            Word::Quantity(_) | Word::Operator(_) => None,
        });
        texts.filter(|text| is_place(text)).collect()
    }

    fn same_order(&self, other: &Statement) -> bool {
        let (a, b) = (self.contents(), other.contents());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
    }

    /// The words stand in `other` in the same order.
    fn is_within(&self, other: &Statement) -> bool {
        let mut rest = other.contents().into_iter();
        self.contents().iter().all(|word| rest.any(|it| it.is_same(word)))
    }

    /// The same items in another order, which the question does not ask for.
    fn is_same_list(&self, other: &Statement, question: &str) -> bool {
        const ORDER: [&str; 12] = [
            "order",
            "rank",
            "sort",
            "first",
            "sequence",
            "chronolog",
            "steps",
            "reihenfolge",
            "ordre",
            "orden",
            "ordine",
            "顺序",
        ];
        let question = question.to_lowercase();
        let (mut a, mut b) = (self.items(), other.items());
        if a.len() < 2 && b.len() < 2 || ORDER.iter().any(|word| question.contains(word)) {
            return false;
        }
        // "Obama, Barack" is Barack Obama.
        if a.len() + b.len() == 3 {
            let (two, one) = if a.len() == 2 { (&a, &b) } else { (&b, &a) };
            return [two[1].as_str(), two[0].as_str()].join(" ") == one[0];
        }
        a.sort();
        b.sort();
        a == b
    }

    fn items(&self) -> Vec<String> {
        let mut items: Vec<String> = vec![String::new()];
        for token in &self.words {
            if token.begins_item && items.last().is_some_and(|item| !item.is_empty()) {
                items.push(String::new());
            }
            if !token.is_filler
                && let Some(item) = items.last_mut()
            {
                let word = match &token.word {
                    Word::Text(text) => stem(text).to_owned(),
                    Word::Operator(sign) => sign.clone(),
                    Word::Quantity(quantity) => format!("{quantity:?}"),
                };
                *item = if item.is_empty() { word } else { format!("{item} {word}") };
            }
        }
        items.retain(|item| !item.is_empty());
        items
    }

    /// The text answers the question with these words: "The capital of France is Paris."
    fn states(&self, answer: &Statement, more: &[&Word], asked: &Statement) -> bool {
        let words = answer.contents();
        let run = |tokens: &[Token]| {
            let mut left = words.iter();
            let mut next = left.next();
            for token in tokens.iter().filter(|it| !it.is_filler) {
                match next {
                    Some(word) if word.is_same(&token.word) => next = left.next(),
                    Some(_) => return false,
                    None => break,
                }
            }
            next.is_none()
        };
        let places: Vec<usize> = (0..self.words.len())
            .filter(|&at| !self.words[at].is_filler && run(&self.words[at..]))
            .collect();
        let Some(&first) = places.last() else { return false };
        let content = |range: &[Token]| range.iter().filter(|it| !it.is_filler).count();
        let at_end = content(&self.words[first..]) == words.len();
        let before = &self.words[..first];
        let behind_verb = is_behind_verb(before);
        let at_start = content(before) == 0
            && self.words[first..].iter().any(|it| it.is_copula || it.begins_apposition());
        let offered = asked.has_all(&words);
        if asked.mentions_all(more) && !offered {
            return true;
        }
        at_end && behind_verb || at_start && !offered
    }

    /// What a sentence means as an answer to a yes-or-no question about the same: 1 for this
    /// answer, 0 for the other.
    fn answers(&self, yes: bool, asked: &Statement) -> Option<f64> {
        let contents = self.contents();
        let fits = asked.has_all(&contents) || self.words.iter().all(|it| it.is_filler);
        (fits && !contents.is_empty()).then_some(if self.denies != yes { 1.0 } else { 0.0 })
    }
}

/// "is Paris", "was written by Jane Austen": at most one word of meaning in between.
fn is_behind_verb(before: &[Token]) -> bool {
    let mut between = 0;
    for token in before.iter().rev() {
        if token.is_copula {
            return true;
        }
        between += usize::from(!token.is_filler);
        if between > 1 {
            return false;
        }
    }
    false
}
