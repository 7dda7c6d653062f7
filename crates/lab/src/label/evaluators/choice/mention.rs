//! Where an answer mentions options, and what it says of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::options::Options;
use super::plain::{is_closing, is_dense, joins, kind, lower, plain};
use super::{Pick, cues, verdicts};

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
const ENDS: &str = ".!?。！？;।\n";
/// What Korean and Japanese write behind a label without a space.
const ENDINGS: [&str; 7] = ["입니다", "이에요", "예요", "이다", "번", "です", "だ"];

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
        if let Some(right) = verdicts::right(&self.lower, self.options) {
            return Pick::These(right);
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
        let leads = |it: &&Mention| (it.marked || self.leads(it)) && self.begins_line(it);
        let leading: Vec<_> = mentions.iter().filter(leads).collect();
        if let Some(first) = leading.first()
            && self.before_all(first).is_empty()
            && leading.iter().all(|it| it.options == first.options)
        {
            return Pick::These(first.options.clone());
        }
        let groups: [Vec<&Mention>; 2] = [
            open.iter().copied().filter(|it| it.label && it.marked).collect(),
            open.iter().copied().filter(|it| !it.label).collect(),
        ];
        for group in &groups {
            if let Some(first) = group.first()
                && group.iter().all(|it| it.options == first.options)
            {
                return Pick::These(first.options.clone());
            }
        }
        if open.is_empty() { self.leave_over(&mentions) } else { self.choose(&open, &groups[1]) }
    }

    /// Of several options that are mentioned, the one that the sentence is about, or comes to.
    fn choose(&self, open: &[&Mention], texts: &[&Mention]) -> Pick {
        let maybe = || Pick::Maybe(open.iter().flat_map(|it| it.options.clone()).collect());
        if let (Some(first), Some(last)) = (texts.first(), texts.last())
            && first.end <= last.start
            && cues::has_contrast(&self.lower[first.end..last.start])
        {
            // "Mercury is close to the Sun, but the hottest planet is Venus."
            let comes_to = cues::is_behind_verb(self.before(last)) && self.closes(last);
            return if comes_to { Pick::These(last.options.clone()) } else { maybe() };
        }
        let subject = texts.iter().find(|it| self.is_subject(it));
        subject.map_or_else(maybe, |found| Pick::These(found.options.clone()))
    }

    /// The option that is left when all others are rejected.
    fn leave_over(&self, rejected: &[Mention]) -> Pick {
        let rejected: BTreeSet<usize> =
            rejected.iter().flat_map(|it| it.options.iter().copied()).collect();
        let mut rest = (0..self.options.texts().len()).filter(|it| !rejected.contains(it));
        match (rest.next(), rest.next()) {
            (Some(only), None) if rejected.len() > 1 => Pick::These(BTreeSet::from([only])),
            _ => Pick::Nothing,
        }
    }

    /// The sentence up to the mention, from its last comma on.
    fn clause(&self, mention: &Mention) -> &str {
        self.before(mention).rsplit([',', ';']).next().unwrap_or_default()
    }

    /// A label at the very start, with the reason behind it.
    fn leads(&self, mention: &Mention) -> bool {
        mention.label
            && self.before_all(mention).is_empty()
            && cues::gives_reason(&self.lower[mention.end..])
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
        kept.retain(|it| {
            let rejected =
                || cues::is_ruled_out(self.after(it)) || cues::is_denied(self.before(it));
            !it.label
                || it.marked
                || self.is_stated(it)
                || self.is_alone(it)
                || self.leads(it)
                || cues::is_subject(self.clause(it), &self.lower[it.end..])
                || rejected()
        });
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
                found.extend(self.label(first, end).or_else(|| self.with_ending(first, end)));
            }
        }
        found
    }

    /// "나입니다"
    fn with_ending(&self, start: usize, end: usize) -> Option<Mention> {
        let word = &self.text[start..end];
        let stem = ENDINGS.iter().find_map(|it| word.strip_suffix(it))?;
        self.label(start, start + stem.len())
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
        .any(|name| self.lower[..start].ends_with(name))
            || after.starts_with(['번', '番']);
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
        let follows = cues::follows_label(&self.lower[end..]);
        // "B'dir" is Turkish for "is B".
        let contraction = next == Some('\'')
            && after[1..].starts_with(char::is_alphabetic)
            && !cues::is_turkish(after);
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
        // Scripts without spaces begin a word behind any sign: "③氮气".
        let dense = text.starts_with(is_dense);
        let bare = move |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() || is_dense(c));
        let found = if text.is_empty() { None } else { Some(self.lower.match_indices(text)) };
        found.into_iter().flatten().filter_map(move |(start, found)| {
            let end = start + found.len();
            let before = self.lower[..start].chars().next_back();
            let after = self.lower[end..].chars().next();
            ((dense || bare(before)) && bare(after)).then_some((start, end))
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
        cues::is_cue(self.before(mention))
    }

    fn is_stated(&self, mention: &Mention) -> bool {
        let before = self.before(mention);
        self.is_cued(mention)
            || cues::concludes(before) && (mention.label || self.closes(mention))
            // A correction may begin in the sentence before: "Hmm. No. A."
            || cues::corrects(&self.lower[..mention.start]) && self.closes(mention) && mention.start > 0
            || cues::is_right(self.after(mention))
    }

    /// Nothing but punctuation follows in the sentence.
    fn closes(&self, mention: &Mention) -> bool {
        !self.after(mention).contains(char::is_alphanumeric)
    }

    fn is_rejected(&self, mention: &Mention) -> bool {
        let (before, after) = (self.before(mention), self.after(mention));
        cues::is_denied(before)
            || cues::is_supposed(before)
            || cues::is_granted(before)
            || cues::is_replaced(after)
            || !mention.label && cues::is_compared(before)
            || cues::is_wrong(after) && !self.is_cued(mention)
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
