//! Where an answer mentions options, and what it says of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::Pick;
use super::options::Options;
use super::plain::{lower, plain};

/// One or several options that are mentioned together: "A and C".
#[derive(Clone, Debug)]
struct Mention {
    options: BTreeSet<usize>,
    start: usize,
    end: usize,
    /// By a label, not by the option's text.
    label: bool,
    /// The label stands in brackets or before a closing mark, as no word of a sentence does.
    marked: bool,
}

/// Reads one answer.
pub struct Reader<'a> {
    options: &'a Options,
    text: String,
    lower: String,
    /// Labels and texts, each alone, in order.
    all: Vec<Mention>,
}

const CLOSERS: [char; 8] = [')', ']', '}', '"', '\'', '.', ':', ','];
const ENDS: &str = ".!?。！？;\n";

/// Words between "the answer is" and the label.
const BETWEEN: &str = r#"(?:(?:the|option|choice|letter|answer|number|no|clearly|therefore|thus|then|definitely|probably|most likely|certainly|actually|in fact|indeed|simply|la|le|el|o|a|il|lo|die|der|das|den|l|opci[oó]n|opção|opzione|lettre|letra|lettera|buchstabe|antwort|r[eé]ponse|respuesta|variante?|вариант|буква|选项|選項|optie|alternativ\w*)[\s:.#-]*){0,4}["'(\[{<]*$"#;
/// Names of an answer.
const NOUN: &str = r"(?:answer|choice|option|solution|response|pick|ans|antwort|lösung|r[eé]ponse|solution|choix|respuesta|solución|opción|risposta|soluzione|resposta|solução|antwoord|svaret?|vastaus|válasz|odpowied[zź]|odpov[eě]d\S?|odpovi[dď]|cevap|yanıt|jawaban|đáp án|ответ\w*|відповідь|απάντηση|答案|答え|答えは|正解|正确选项|選擇|选择|정답|답|उत्तर|الإجابة|الجواب|תשובה|คำตอบ)";

impl<'a> Reader<'a> {
    pub fn new(options: &'a Options, answer: &str) -> Self {
        let text = plain(answer);
        let lower = lower(&text);
        let mut reader = Reader { options, text, lower, all: Vec::new() };
        reader.all = reader.find_all();
        reader
    }

    /// What the answer picks: what it states, else what stands alone, else what it leaves over.
    pub fn pick(&self) -> Pick {
        if self.is_ambiguous() {
            return Pick::Unclear;
        }
        let mentions = self.mentions();
        let open: Vec<&Mention> = mentions.iter().filter(|it| !self.is_rejected(it)).collect();
        let stated = |it: &&&Mention| self.is_stated(it);
        let last_final =
            open.iter().rfind(|it| self.is_stated(it) && self.before(it).contains("final"));
        if let Some(found) = last_final.or_else(|| open.iter().rfind(stated)) {
            return Pick::These(found.options.clone());
        }
        let alone = |it: &&&Mention| it.label && self.is_alone(it);
        if let Some(found) = open.iter().rfind(alone) {
            return Pick::These(found.options.clone());
        }
        let leading: Vec<_> =
            mentions.iter().filter(|it| it.marked && self.begins_line(it)).collect();
        if let Some(first) = leading.first()
            && self.before_all(first).is_empty()
            && leading.iter().all(|it| it.options == first.options)
        {
            return Pick::These(first.options.clone());
        }
        let subject = open.iter().find(|it| !it.label && self.is_subject(it));
        let groups: [Vec<&Mention>; 2] = [
            open.iter().copied().filter(|it| it.label && it.marked).collect(),
            open.iter().copied().filter(|it| !it.label).collect(),
        ];
        for group in groups {
            if let Some(first) = group.first()
                && group.iter().all(|it| it.options == first.options)
            {
                return Pick::These(first.options.clone());
            }
        }
        subject.map_or(Pick::Nothing, |found| Pick::These(found.options.clone()))
    }

    /// The answer is the label of one option and the text of another.
    fn is_ambiguous(&self) -> bool {
        let bare = self.lower.trim_matches(|c: char| !c.is_alphanumeric());
        let label = self.options.label(bare);
        let text = self.options.texts().iter().position(|text| text == bare);
        matches!((label, text), (Some(label), Some(text)) if label != text)
    }

    /// Labels and texts, each alone, in order; of two that begin together the longer first.
    fn find_all(&self) -> Vec<Mention> {
        let mut found = self.labels();
        for (index, text) in self.options.texts().iter().enumerate() {
            let own = self.places_of(text).map(|(start, end)| Mention {
                options: BTreeSet::from([index]),
                start,
                end,
                label: false,
                marked: false,
            });
            found.extend(own);
        }
        found.sort_by_key(|it| (it.start, std::cmp::Reverse(it.end)));
        found
    }

    fn mentions(&self) -> Vec<Mention> {
        // "(B) Jupiter" is one mention, and the longer of two texts holds the shorter.
        let mut kept: Vec<Mention> = Vec::new();
        for mention in &self.all {
            if let Some(last) = kept.last_mut() {
                if mention.start < last.end {
                    continue;
                }
                let between = &self.lower[last.end..mention.start];
                if last.label && last.options == mention.options && is_closing(between) {
                    last.end = mention.end;
                    last.marked = true;
                    continue;
                }
                if last.label == mention.label && joins(between) {
                    last.options.extend(&mention.options);
                    last.end = mention.end;
                    last.marked |= mention.marked;
                    continue;
                }
            }
            kept.push(mention.clone());
        }
        kept.retain(|it| !it.label || it.marked || self.is_stated(it) || self.is_alone(it));
        kept
    }

    /// Words that are labels.
    fn labels(&self) -> Vec<Mention> {
        let mut found = Vec::new();
        let mut start = None;
        let chars: Vec<(usize, char)> = self.text.char_indices().collect();
        for (place, &(at, c)) in chars.iter().enumerate() {
            if start.is_none() && c.is_alphanumeric() {
                start = Some(at);
            }
            let next = chars.get(place + 1).map(|&(_, next)| next);
            let ends = next.is_none_or(|next| !next.is_alphanumeric() || kind(next) != kind(c));
            if let Some(first) = start.filter(|_| ends) {
                start = None;
                let end = at + c.len_utf8();
                found.extend(self.label(first, end));
            }
        }
        found
    }

    fn label(&self, start: usize, end: usize) -> Option<Mention> {
        let word = &self.text[start..end];
        let option = self.options.label(word)?;
        let (before, after) = (&self.text[..start], &self.text[end..]);
        let opened = before.ends_with(['(', '[', '{', '"', '\'', '<']);
        let named = [
            "option ",
            "choice ",
            "letter ",
            "answer ",
            "number ",
            "opción ",
            "nummer ",
            "número ",
            "numéro ",
            "вариант ",
            "номер ",
        ]
        .iter()
        .any(|name| self.lower[..start].ends_with(name));
        let next = after.chars().next();
        let closed = next.is_some_and(|c| matches!(c, ')' | ']' | ':'))
            || (next == Some('.')
                && before
                    .trim_end_matches(['(', ' '])
                    .chars()
                    .next_back()
                    .is_none_or(|c| c == '\n'));
        // "a" and "I" are words, and so is any number.
        let is_word = matches!(word, "a" | "A" | "i" | "I" | "e" | "o" | "d" | "y")
            || !self.options.has_letters();
        let apart = next.is_none_or(|c| {
            c == '\n' || CLOSERS.contains(&c) || !c.is_alphanumeric() && !c.is_whitespace()
        });
        let follows = AFTER_LABEL.is_match(&self.lower[end..]);
        let contraction = next == Some('\'') && after[1..].starts_with(char::is_alphabetic);
        let decimal = matches!(next, Some('.' | ','))
            && after[1..].starts_with(|c: char| c.is_ascii_digit())
            || before.ends_with(['.', ',', '-'])
                && self.text[..start].len() > 1
                && before[..before.len() - 1].ends_with(|c: char| c.is_ascii_digit());
        if contraction || decimal || (is_word && !opened && !apart && !follows && !named) {
            return None;
        }
        let options = BTreeSet::from([option]);
        Some(Mention { options, start, end, label: true, marked: opened || closed || named })
    }

    fn places_of<'b>(&'b self, text: &'b str) -> impl Iterator<Item = (usize, usize)> + 'b {
        let bare = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() || is_dense(c));
        let found = if text.is_empty() { None } else { Some(self.lower.match_indices(text)) };
        found.into_iter().flatten().filter_map(move |(start, found)| {
            let end = start + found.len();
            let before = self.lower[..start].chars().next_back();
            let after = self.lower[end..].chars().next();
            (bare(before) && bare(after)).then_some((start, end))
        })
    }

    /// The sentence up to the mention.
    fn before(&self, mention: &Mention) -> &str {
        let all = &self.lower[..mention.start];
        let mut start = 0;
        for (at, c) in all.char_indices().filter(|&(_, c)| ENDS.contains(c)) {
            let next = at + c.len_utf8();
            let ends = c != '.' || all[next..].starts_with(char::is_whitespace);
            let label = c == '.' && all[..at].ends_with("no");
            if ends && !label {
                start = next;
            }
        }
        &all[start..]
    }

    fn before_all(&self, mention: &Mention) -> &str {
        self.lower[..mention.start].trim_matches(|c: char| !c.is_alphanumeric())
    }

    /// The sentence behind the mention, up to the next label.
    fn after(&self, mention: &Mention) -> &str {
        let all = &self.lower[mention.end..];
        let skipped = all.trim_start_matches([')', ']', '"', '\'', '}']);
        let ends = |(at, c): &(usize, char)| {
            ENDS.contains(*c)
                && (*c != '.' || skipped[at + 1..].chars().next().is_none_or(char::is_whitespace))
        };
        let end = skipped.char_indices().find(ends).map_or(skipped.len(), |(at, _)| at);
        let base = mention.end + (all.len() - skipped.len());
        let next = self.all.iter().map(|it| it.start).find(|&start| start >= base);
        let end = next.map_or(end, |next| end.min(next - base));
        &skipped[..end]
    }

    /// "The answer is" stands before the mention.
    fn is_cued(&self, mention: &Mention) -> bool {
        static CUE: LazyLock<Regex> = LazyLock::new(|| {
            regex(&format!(
                r#"{NOUN}\w*[^.!?\n]{{0,60}}?(?:[\s"'](?:is|be|was|are|ist|lautet|wäre|est|es|sería|serait|è|é|será|sarà|är|er|on|jest|je|to|α?είναι)\s|['’]s\s|=|:|[—–-]|是|为|為|は|은|는|である|है|هي|هو)\s*:?\s*{BETWEEN}"#
            ))
        });
        static DIRECT: LazyLock<Regex> = LazyLock::new(|| {
            regex(&format!(
                r#"(?:(?:answer|ans|antwort|r[eé]ponse|respuesta|risposta|resposta|antwoord|svaret?|vastaus|odpowied[zź]|odpověď|cevap|yanıt|jawaban|đáp án|ответ|відповідь|答案|答え|正解|정답)\s*[>("'\[]*|(?:选|選|选择|選擇)\s*{BETWEEN})$"#
            ))
        });
        let before = self.before(mention);
        CUE.is_match(before) || DIRECT.is_match(before)
    }

    fn is_stated(&self, mention: &Mention) -> bool {
        static CONCLUSION: LazyLock<Regex> = LazyLock::new(|| {
            regex(&format!(
                r#"(?:^|[\s,;(])(?:so|thus|therefore|hence|thats why|that's why|actually|correction|finally|i(?:'d| would| will|'ll)? (?:choose|pick|select|go with|go for|say)|i am going with|must be|has to be|can only be|it is|it's|that is|that's|leaves(?: us with)?|leaving|select|choose|pick|also|damit|daher|somit|folglich|es ist|ich wähle|donc|c'est|alors|ainsi|je choisis|por lo tanto|por tanto|entonces|así que|es la|elijo|quindi|perciò|dunque|portanto|logo|então|значит|поэтому|итак|это|следовательно)[\s,:]+{BETWEEN}|(?:所以|因此|故|应该是|應該是|よって|したがって|따라서)[\s,:选是]*["(\[]*$|\b(?:not\b[^.!?\n]{{1,40}}\b(?:but|rather)|nicht\b[^.!?\n]{{1,40}}\bsondern|pas\b[^.!?\n]{{1,40}}\bmais|no\b[^.!?\n]{{1,40}}\bsino|non\b[^.!?\n]{{1,40}}\bma)\s+{BETWEEN}"#
            ))
        });
        static RIGHT: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r"^[^.!?\n]{0,50}?(?:\b(?:is|are|would be|seems|looks|must be|ist|sind|est|es|è|é)|['’]s|[:—–-]|=)\s+(?:therefore |thus |clearly |definitely |indeed |obviously |in fact |actually )?(?:the |die |der |la |le |el |o |a |l')?(?:only |single |most )?(?:correct|right|best|true|accurate|valid|answer|richtig\w*|korrekt\w*|antwort|lösung|correcte?|bonne|juste|correcta|respuesta|giusta|corretta|certa|correta)\b|^\s*(?:です|だ。|である|입니다|예요|是正确|正确|是对的|為正確|が正しい|が正解|이 정답|가 정답|верн|правильн)",
            )
        });
        let (before, after) = (self.before(mention), self.after(mention));
        self.is_cued(mention)
            || CONCLUSION.is_match(before) && (mention.label || self.closes(mention))
            || RIGHT.is_match(after) && !WRONG_AFTER.is_match(after)
    }

    /// Nothing but punctuation follows in the sentence.
    fn closes(&self, mention: &Mention) -> bool {
        !self.after(mention).contains(char::is_alphanumeric)
    }

    fn is_rejected(&self, mention: &Mention) -> bool {
        static DENIED: LazyLock<Regex> = LazyLock::new(|| {
            regex(&format!(
                r#"(?:\b(?:not|n't|isn't|never|cannot be|can't be|nicht|kein\w*|pas|no es|non è|não é|не|rather than|instead of|statt|anstatt|plutôt que|en lugar de|unlike|except|excluding|eliminate|eliminating|rule out|ruling out|discard\w*|reject\w*|wrong|incorrect)[\s,:]+|(?:不是|不选|并非|不應選|排除)\s*){BETWEEN}"#
            ))
        });
        static SUPPOSED: LazyLock<Regex> = LazyLock::new(|| {
            regex(&format!(
                r"\b(?:some|many|most people|most students|others|people|students|they|beginners|critics)\b[^.!?\n]{{0,30}}\b(?:say|says|said|think|believe|argue|choose|pick|claim|prefer|might|may|would|could)\b|\b(?:you|one|we|i)\b[^.!?\n]{{0,20}}\b(?:might|may|could)\b|\b(?:at first|initially|first (?:thought|guess|glance)|tempt\w*|distractor|mistake\w*|misconception|if the answer|if it were|were it|manche|einige|viele|mancher|certains|d'aucuns|on pourrait|algunos|muchos|alcuni|man könnte|некоторые)\b|有人|有些人|\b(?:wrong|incorrect|bad|poor|falsche?|mauvaise|incorrecta) {NOUN}\w*[^.,;!?\n]{{0,30}}$"
            ))
        });
        static CONTRAST: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r"\b(?:but|however|yet|actually|aber|jedoch|mais|cependant|pero|ma|mas|но|однако)\b|但是?|然而|しかし",
            )
        });
        let (before, after) = (self.before(mention), self.after(mention));
        let clause = CONTRAST.find_iter(before).last().map_or(before, |it| &before[it.end()..]);
        DENIED.is_match(before)
            || SUPPOSED.is_match(clause)
            || WRONG_AFTER.is_match(after) && !self.is_cued(mention)
    }

    /// Nothing else stands on the line, or in the sentence.
    fn is_alone(&self, mention: &Mention) -> bool {
        let start = self.lower[..mention.start].rfind('\n').map_or(0, |at| at + 1);
        let end =
            self.lower[mention.end..].find('\n').map_or(self.lower.len(), |at| mention.end + at);
        let line = [&self.lower[start..mention.start], &self.lower[mention.end..end]];
        let sentence = [self.before(mention), self.after(mention)];
        let is_bare = |parts: [&str; 2]| parts.iter().all(|it| !it.contains(char::is_alphanumeric));
        // "A. It is small" begins a walk through the options.
        is_bare(line) || is_bare(sentence) && is_bare([line[1], ""])
    }

    fn begins_line(&self, mention: &Mention) -> bool {
        let start = self.lower[..mention.start].rfind('\n').map_or(0, |at| at + 1);
        !self.lower[start..mention.start].contains(char::is_alphanumeric)
    }

    /// The sentence is about the option: "Jupiter is larger than the Earth".
    fn is_subject(&self, mention: &Mention) -> bool {
        static VERB: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r"^\W*(?:is|are|was|were|has|ist|sind|war|hat|est|sont|es|son|è|sono|é|são|является)\b|^是|^は",
            )
        });
        let before = self.before(mention).trim_matches(|c: char| !c.is_alphanumeric());
        ["", "the", "a", "an", "it is", "der", "die", "das", "le", "la", "el"].contains(&before)
            && VERB.is_match(&self.lower[mention.end..])
    }
}

static AFTER_LABEL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s+(?:because|since|as|for|and|or|is|are|was|would|seems|which|und|oder|weil|ist|car|et|ou|est|porque|y|es|perché|è|é|[-–—(=]|\w{1,2}\b\s*[.)]?\s*$)",
    )
});
static WRONG_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^[^.!?\n]{0,80}?(?:\b(?:wrong|incorrect|false|not (?:the )?(?:correct|right|true|answer|best|it)|is not\b|isn't|is no\b|cannot be|can't be|distractor|ruled out|eliminated|excluded|falsch|nicht|faux|fausse|incorrecta?|n'est pas|no es|errat[ao]|sbagliat[ao]|non è|não é|неверн\w*|неправильн\w*|не является)\b|错|錯|不对|不正确|不是|间违|間違|違う|틀)",
    )
});

/// Scripts that are written without spaces end a word of another script: "答案是B".
fn kind(c: char) -> u8 {
    match c {
        c if is_dense(c) => 0,
        c if c.is_ascii_digit() => 1,
        _ => 2,
    }
}

fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{e00}'..='\u{e7f}')
}

fn is_closing(between: &str) -> bool {
    between.chars().count() <= 4
        && between.chars().all(|c| c.is_whitespace() || ").]:,-–—\"'(".contains(c))
}

/// "A and C", "A, B", "A/B".
fn joins(between: &str) -> bool {
    let word = between.trim_matches(|c: char| c.is_whitespace() || ")(]['\",".contains(c));
    let joins = [
        "and",
        "or",
        "&",
        "/",
        "und",
        "oder",
        "et",
        "ou",
        "y",
        "e",
        "и",
        "или",
        "和",
        "与",
        "或",
        "と",
        "option",
        "and option",
        "or option",
    ];
    joins.contains(&word) || (word.is_empty() && between.contains(',') && !between.contains('\n'))
}
