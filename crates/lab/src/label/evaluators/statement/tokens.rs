//! From a text to its words: which carry meaning, and what small words do to them.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::super::fold::fold;
use super::super::is_ideograph;
use super::super::numeric::{Quantity, all_numbers, number_word, readable, tail};
use super::language;
use super::operators::{self, Operator};
use super::variants::{Variants, common_spelling};
use super::{Statement, Token, Word};

/// Words that add nothing to a short answer.
const FILLERS: &str = "a an the is are was were be been being am it its it's this that these those there here of in at on for by \
    and so thus therefore hence answer correct about approximately around roughly exactly just simply very please as which who also yet \
    you i we he she they would do does did has have had \
    der die das den dem des ein eine einen einem einer ist sind war waren wurde wurden wird werden worden es im am um von und also etwa ungefähr \
    le la les l un une du de des est sont était c' et à au aux en environ donc \
    el los las unos unas y es son era del al aproximadamente il lo gli i e è sono di da nel della \
    o os as um uma é são do dos das no na em het een is zijn van en \
    это и в на является 的 了 是 は が を に で す だ と 입니다 은 는 이 가 을 를";
const NEGATIONS: &str = "not no never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt wont isnt arent wasnt werent \
    shouldnt wouldnt couldnt hasnt havent hadnt mustnt lacks lacking fails refuses hardly barely scarcely seldom \
    nicht kein keine keinen keinem keiner nie niemals ohne nichts pas jamais aucun aucune sans rien nunca jamás ningún ninguna sin nada tampoco \
    non mai nessun nessuna senza niente não nenhum nenhuma sem nem не нет ни никогда без нельзя niet geen nooit zonder inte ingen inget aldrig utan \
    ikke aldri nigdy bez brak ei eivät değil yok hayır không chưa tidak bukan नहीं मत لا ليس لن لم غير לא אין ไม่ 不 没 沒 無 无 非 未 别 勿";
/// Negations that are parts of words.
const NEGATING_PARTS: [&str; 8] = ["ない", "ません", "なかった", "않", "없", "아니", "못하", "ไม่"];
const YES: &str = "yes yeah yep true correct ja oui sí si да sim sì tak evet 是 是的 对 對 はい 네 예 نعم हाँ wahr richtig vrai verdadero vero";
const NO: &str = "no nope false incorrect nein non нет não nie hayır 不 不是 否 いいえ 아니요 لا नहीं falsch faux falso";
const COPULAS: &str = "is are was were be it's equals ist sind war heißt lautet est sont était es son era è sono é são является is costs named called 是 は = == هي هو היא הוא है";
const OR: &str = "or oder ou или 或 または また ή eller lub";
/// Small words that are the answer when they differ: in the box, on the box.
const PLACES: &str =
    "in on at by for into onto auf unter über neben vor hinter sur sous dans sobre bajo";

macro_rules! word_set {
    ($words:expr) => {{
        static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| $words.split_whitespace().collect());
        &*SET
    }};
}

/// Reads a text; how it writes numbers, its question may show.
pub(super) fn read(text: &str, question: &str, variants: &Variants) -> Statement {
    let text = readable(&with_digits(&variants.expand(&fold(text))));
    let quantities = all_numbers(&text, question);
    let mut reader = TokenReader {
        foreign: language::foreign(&text),
        spelling: variants.spelling,
        ..TokenReader::default()
    };
    let mut place = 0;
    for (start, end, quantity) in quantities {
        if start >= place {
            reader.read(&text, place, start);
            if !reader.excluded {
                // Version 3.10 is not 3.1.
                let version = language::is_version(tail(&text[..start]), &text[start..end]);
                let word = || Word::Text(text[start..end].trim().to_owned());
                reader.add(if version { word() } else { Word::Quantity(quantity) });
            }
            place = end;
        }
    }
    reader.read(&text, place, text.len());
    let mut statement = reader.end();
    let parts = NEGATING_PARTS.iter().map(|part| text.matches(part).count()).sum::<usize>();
    statement.denies ^= parts % 2 == 1;
    statement
}

/// Collects the words of a text.
#[derive(Default)]
struct TokenReader {
    statement: Statement,
    begins_item: bool,
    /// The word that begins now stands behind a comma.
    apart: bool,
    /// What is read is said not to be: "Canberra, not Sydney".
    excluded: bool,
    /// Words that are small words of another language only: the English "war".
    foreign: Vec<&'static str>,
    /// British and American spelling are the same.
    spelling: bool,
}

/// Words that exclude what follows them, behind a comma.
const EXCLUDING: &str = "not nicht pas no non não не niet inte ikke statt";

impl TokenReader {
    /// Reads the part of a text between two places.
    fn read(&mut self, text: &str, start: usize, end: usize) {
        let mut word = String::new();
        let mut at = start;
        while let Some(c) = text[at..end].chars().next() {
            let next = at + c.len_utf8();
            if let Some((operator, length)) = operators::at(text, at, end) {
                self.take(&mut word, Some(c));
                self.operate(operator);
                at += length;
                continue;
            }
            match c {
                c if is_ideograph(c) => {
                    self.take(&mut word, None);
                    word.push(c);
                    self.take(&mut word, text[next..end].chars().next());
                }
                c if c.is_alphanumeric() => word.push(c),
                // C, C++ and C# are three languages.
                '+' | '#' if !word.is_empty() => word.push(c),
                '\'' | '\u{2019}' => {}
                c => {
                    self.take(&mut word, Some(c));
                    self.punctuate(c);
                }
            }
            at = next;
        }
        self.take(&mut word, text[end..].chars().next().filter(|it| it.is_alphanumeric()));
    }

    /// A sign between two words.
    fn punctuate(&mut self, c: char) {
        if !c.is_whitespace() {
            self.apart = matches!(c, ',' | ';' | '(' | '—' | '，');
            self.excluded = false;
        }
        let last = self.statement.words.last_mut();
        // "Столица — Париж": Russian writes a dash for "is".
        let says =
            matches!(c, ':' | '：') || c == '—' && last.as_ref().is_some_and(|it| it.is_cyrillic());
        if let Some(last) = last.filter(|_| says) {
            last.is_copula = true;
        }
        self.begins_item |= matches!(c, ',' | ';' | '/' | '、' | '，' | '；' | '\n' | '&');
    }

    fn operate(&mut self, operator: Operator) {
        match operator {
            Operator::Not => self.statement.denies ^= true,
            Operator::Says(word) => {
                if word == "or" {
                    self.statement.has_or = true;
                }
                self.add(Word::Text(word.to_owned()));
            }
            Operator::Sign(sign) => self.add(Word::Operator(sign.to_owned())),
        }
    }

    fn take(&mut self, word: &mut String, next: Option<char>) {
        let written = std::mem::take(word);
        if written.is_empty() {
            return;
        }
        let lower = written.to_lowercase();
        let (word, is_topic) = language::without_particle(&lower);
        let word = word.to_owned();
        let apart = std::mem::take(&mut self.apart);
        if self.excluded {
            return;
        }
        let first = self.statement.words.is_empty() && self.statement.answer.is_none();
        let ends = next.is_none_or(|c| ",.:;!?—–，。！、\n".contains(c));
        if first && ends {
            let said = |set: &HashSet<&str>| set.contains(word.as_str());
            if said(word_set!(YES)) || said(word_set!(NO)) {
                // "不是" is a denied yes.
                let denied = std::mem::take(&mut self.statement.denies);
                self.statement.answer = Some(said(word_set!(YES)) != denied);
                return;
            }
        }
        if apart && !self.statement.words.is_empty() && word_set!(EXCLUDING).contains(word.as_str())
        {
            self.excluded = true;
            return;
        }
        if self.is_small(word_set!(NEGATIONS), &word)
            || self.foreign.contains(&"nu") && word == "nu"
        {
            self.statement.denies ^= true;
            return;
        }
        if let Some(value) = language::roman(&written, next)
            && !self.statement.words.is_empty()
        {
            self.add(Word::Quantity(Quantity::whole(value)));
            return;
        }
        self.statement.has_or |= word_set!(OR).contains(word.as_str());
        self.begins_item |= matches!(word.as_str(), "and" | "und" | "et" | "y" | "и" | "和" | "と");
        // Names are written as they are: Dorian Gray.
        let is_name = !first && written.starts_with(char::is_uppercase);
        let folds = self.spelling && !is_name;
        self.add(Word::Text(if folds { common_spelling(&word).into_owned() } else { word }));
        if let Some(last) = self.statement.words.last_mut() {
            last.is_copula |= is_topic;
        }
    }

    fn add(&mut self, word: Word) {
        let (is_filler, is_copula) = match &word {
            Word::Text(text) => {
                let is_copula = self.is_small(word_set!(COPULAS), text);
                (is_copula || self.is_small(word_set!(FILLERS), text), is_copula)
            }
            Word::Quantity(_) | Word::Operator(_) => (false, false),
        };
        let begins_item = std::mem::take(&mut self.begins_item);
        self.statement.words.push(Token { word, is_filler, is_copula, begins_item });
    }

    /// Whether a word is one of the small words of the text's own language.
    fn is_small(&self, set: &HashSet<&str>, word: &str) -> bool {
        set.contains(word) && !self.foreign.contains(&word)
    }

    fn end(self) -> Statement {
        self.statement
    }
}

/// Numbers in words as digits, so that units behind them are read.
fn with_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let end = |word: &mut String, out: &mut String| {
        match in_digits(word, out) {
            Some(digits) => out.push_str(&digits),
            None => out.push_str(word),
        }
        word.clear();
    };
    for c in text.chars() {
        if c.is_alphanumeric() || c == '-' {
            word.push(c);
        } else {
            end(&mut word, &mut out);
            out.push(c);
        }
    }
    end(&mut word, &mut out);
    out
}

/// A number, a place in an order or a half in digits; `before` is what stands before.
fn in_digits(word: &str, before: &str) -> Option<String> {
    const ARTICLES: [&str; 10] =
        ["un", "une", "una", "uno", "um", "uma", "sei", "dos", "one", "none"];
    const ORDER: [&str; 10] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth",
    ];
    let lower = word.to_lowercase();
    if ARTICLES.contains(&lower.as_str()) || word.chars().any(is_ideograph) {
        return None;
    }
    // "5 second", "one third".
    let counted =
        before.trim_end().ends_with(|c: char| c.is_ascii_digit()) || before.ends_with("one ");
    if let Some(place) = ORDER.iter().position(|it| *it == lower).filter(|_| !counted) {
        let ending = ["st", "nd", "rd"].get(place).unwrap_or(&"th");
        return Some(format!("{}{ending}", place + 1));
    }
    if lower == "half" && !counted {
        return Some("1/2".into());
    }
    number_word(word).map(|value| value.to_string())
}

/// Whether a word says where or when, relative to what follows.
pub(super) fn is_place(word: &str) -> bool {
    word_set!(PLACES).contains(word)
}

/// Without the endings of English plurals and tenses.
pub(super) fn stem(word: &str) -> &str {
    if word.len() < 5 || !word.is_ascii() {
        return word;
    }
    ["ing", "ed", "es", "s", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending))
        .filter(|stem| stem.len() > 2)
        .unwrap_or(word)
}
