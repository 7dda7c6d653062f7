//! From a text to its words: which carry meaning, and what small words do to them.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::super::is_ideograph;
use super::super::numeric::{all_numbers, number_word, readable};
use super::{Statement, Token, Word};

/// Words that add nothing to a short answer.
const FILLERS: &str = "a an the is are was were be been being am it its it's this that these those there here of in at on for by \
    and so thus therefore hence answer correct about approximately around roughly exactly just simply very please as which who also \
    you i we he she they would do does did has have had \
    der die das den dem des ein eine einen einem einer ist sind war waren wurde wurden wird werden worden es im am um von und also etwa ungefähr \
    le la les l un une du de des est sont était c' et à au aux en environ donc \
    el los las unos unas y es son era del al aproximadamente il lo gli i e è sono di da nel della \
    o os as um uma é são do dos das no na em het een is zijn van en \
    это и в на является 的 了 是 は が を に で す だ と 입니다 은 는 이 가 을 를";
const NEGATIONS: &str = "not no never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt wont isnt arent wasnt werent \
    shouldnt wouldnt couldnt hasnt havent hadnt mustnt lacks lacking fails refuses \
    nicht kein keine keinen keinem keiner nie niemals ohne nichts pas jamais aucun aucune sans rien nunca jamás ningún ninguna sin nada tampoco \
    non mai nessun nessuna senza niente não nenhum nenhuma sem nem не нет ни никогда без нельзя niet geen nooit zonder inte ingen inget aldrig utan \
    ikke aldri nigdy bez brak ei eivät değil yok hayır không chưa tidak bukan नहीं मत لا ليس لن لم غير לא אין ไม่ 不 没 沒 無 无 非 未 别 勿";
/// Negations that are parts of words.
const NEGATING_PARTS: [&str; 8] = ["ない", "ません", "なかった", "않", "없", "아니", "못하", "ไม่"];
const YES: &str = "yes yeah yep true correct ja oui sí si да sim sì tak evet 是 是的 对 對 はい 네 예 نعم हाँ wahr richtig vrai verdadero vero";
const NO: &str = "no nope false incorrect nein non нет não nie hayır 不 不是 否 いいえ 아니요 لا नहीं falsch faux falso";
const COPULAS: &str = "is are was were be it's equals ist sind war heißt lautet est sont était es son era è sono é são является is costs named called 是 は";
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
pub(super) fn read(text: &str, question: &str) -> Statement {
    let text = readable(&with_digits(text));
    let quantities = all_numbers(&text, question);
    let mut reader = TokenReader::default();
    let mut place = 0;
    for (start, end, quantity) in quantities {
        if start >= place {
            reader.read(&text[place..start]);
            if !reader.excluded {
                reader.add(Word::Quantity(quantity));
            }
            place = end;
        }
    }
    reader.read(&text[place..]);
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
}

/// Words that exclude what follows them, behind a comma.
const EXCLUDING: &str = "not nicht pas no non não не niet inte ikke statt";

impl TokenReader {
    fn read(&mut self, text: &str) {
        let mut word = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                c if is_ideograph(c) => {
                    self.take(&mut word, None);
                    word.push(c);
                    self.take(&mut word, chars.peek().copied());
                }
                c if c.is_alphanumeric() => word.extend(c.to_lowercase()),
                // C, C++ and C# are three languages.
                '+' | '#' if !word.is_empty() => word.push(c),
                '\'' | '\u{2019}' => {}
                c => {
                    self.take(&mut word, Some(c));
                    if !c.is_whitespace() {
                        self.apart = matches!(c, ',' | ';' | '(' | '—' | '，');
                        self.excluded = false;
                    }
                    if matches!(c, ':' | '：')
                        && let Some(last) = self.statement.words.last_mut()
                    {
                        last.is_copula = true;
                    }
                    self.begins_item |=
                        matches!(c, ',' | ';' | '/' | '、' | '，' | '；' | '\n' | '&');
                }
            }
        }
        self.take(&mut word, None);
    }

    fn take(&mut self, word: &mut String, next: Option<char>) {
        let word = std::mem::take(word);
        if word.is_empty() {
            return;
        }
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
        if word_set!(NEGATIONS).contains(word.as_str()) {
            self.statement.denies ^= true;
            return;
        }
        self.statement.has_or |= word_set!(OR).contains(word.as_str());
        self.begins_item |= matches!(word.as_str(), "and" | "und" | "et" | "y" | "и" | "和" | "と");
        self.add(Word::Text(word));
    }

    fn add(&mut self, word: Word) {
        let (is_filler, is_copula) = match &word {
            Word::Text(text) => (
                word_set!(FILLERS).contains(text.as_str())
                    || word_set!(COPULAS).contains(text.as_str()),
                word_set!(COPULAS).contains(text.as_str()),
            ),
            Word::Quantity(_) => (false, false),
        };
        let begins_item = std::mem::take(&mut self.begins_item);
        self.statement.words.push(Token { word, is_filler, is_copula, begins_item });
    }

    fn end(self) -> Statement {
        self.statement
    }
}

/// Numbers in words as digits, so that units behind them are read.
fn with_digits(text: &str) -> String {
    const ARTICLES: [&str; 10] =
        ["un", "une", "una", "uno", "um", "uma", "sei", "dos", "one", "none"];
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let end = |word: &mut String, out: &mut String| {
        let known =
            !ARTICLES.contains(&word.to_lowercase().as_str()) && !word.chars().any(is_ideograph);
        match number_word(word).filter(|_| known) {
            Some(value) => out.push_str(&value.to_string()),
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
