//! Prompt and answer to the vector that the answer is judged by: the one implementation, used by
//! filter, trainer and command line.

use super::arithmetic::Arithmetic;
use super::conclusion::Conclusion;
use super::lexicon::{self, Kind};
use super::number::{Number, Numbers, same};
use super::prompt_facts::{KindCounts, PromptFacts};
use super::schema::{ANSWER_LEN, Slot};
use super::tokens::{Script, Token, Tokens, word_hash};
use super::vector::{Vector, log1p};
use super::words::{Sentences, WordSet};

/// Bytes that are read of a prompt, from its end: the question is what matters.
pub const MAX_PROMPT_BYTES: usize = 4 * 1024;
/// Bytes that are read from the beginning of an answer.
pub const ANSWER_HEAD_BYTES: usize = 12 * 1024;
/// Bytes that are read from its end, where its result is.
pub const ANSWER_TAIL_BYTES: usize = 4 * 1024;

/// Log-probabilities of an answer's tokens, natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogProbabilities {
    pub mean: f32,
    pub least: f32,
}

/// Everything counted in one pass over an answer.
#[derive(Default)]
struct Counts {
    words: usize,
    lines: usize,
    sentences: usize,
    list_lines: usize,
    headings: usize,
    fences: usize,
    formulas: usize,
    questions: usize,
    distinct: usize,
    shared: usize,
    kinds: KindCounts,
    numbers: usize,
    decimals: usize,
    long_decimals: usize,
    percents: usize,
    new_numbers: usize,
    reused: usize,
    repeated_results: usize,
    open: usize,
    stray: usize,
    scripts: [usize; Script::COUNT],
}

struct Reader {
    prompt: PromptFacts,
    counts: Counts,
    arithmetic: Arithmetic,
    conclusion: Conclusion,
    sentences: Sentences,
    seen: WordSet,
    results: Numbers,
    last_visible: u8,
}

/// Computes what an answer is judged by, `f32[ANSWER_LEN]`. Linear in the bytes read, of which there
/// is a limit; allocates nothing.
pub fn extract(
    prompt: &str,
    answer: &str,
    log_probabilities: Option<LogProbabilities>,
) -> [f32; ANSWER_LEN] {
    let prompt = prompt.trim().as_bytes();
    let answer = answer.trim().as_bytes();
    let from = prompt.len().saturating_sub(MAX_PROMPT_BYTES);
    let mut facts = PromptFacts::read(prompt.get(from..).unwrap_or_default());
    facts.bytes = prompt.len();
    let mut reader = Reader {
        prompt: facts,
        counts: Counts::default(),
        arithmetic: Arithmetic::default(),
        conclusion: Conclusion::default(),
        sentences: Sentences::default(),
        seen: WordSet::default(),
        results: Numbers::default(),
        last_visible: answer.last().copied().unwrap_or(0),
    };
    let (head, tail) = ends(answer);
    reader.read(head);
    reader.read(tail);
    let mut vector = Vector([0.0; ANSWER_LEN]);
    reader.write(&mut vector, answer, log_probabilities);
    vector.0
}

/// Beginning and end of what is longer than both together.
fn ends(answer: &[u8]) -> (&[u8], &[u8]) {
    if answer.len() <= ANSWER_HEAD_BYTES + ANSWER_TAIL_BYTES {
        return (answer, &[]);
    }
    let tail = answer.len() - ANSWER_TAIL_BYTES;
    (answer.get(..ANSWER_HEAD_BYTES).unwrap_or_default(), answer.get(tail..).unwrap_or_default())
}

impl Reader {
    fn read(&mut self, text: &[u8]) {
        let mut tokens = Tokens::of(text);
        loop {
            let opens_line = tokens.opens_line();
            let Some(token) = tokens.next() else { break };
            if matches!(token, Token::Open(b'('))
                && self.arithmetic.holds_value()
                && let Some(bytes) = remark(tokens.rest())
            {
                tokens.leave_out(bytes);
                continue;
            }
            let left = tokens.rest().len();
            self.take(&token, opens_line, left);
            self.arithmetic.take(&token, opens_line);
            self.conclusion.take(&token);
        }
        self.arithmetic.take(&Token::Line { blank: true }, true);
        self.sentences.end();
    }

    fn take(&mut self, token: &Token, opens_line: bool, left: usize) {
        const BOXED: u32 = word_hash("boxed");
        let counts = &mut self.counts;
        match token {
            Token::Word(word) => {
                counts.words += 1;
                let (kind, _) = lexicon::look_up(word.hash);
                if let Some(count) = counts.kinds.get_mut(kind) {
                    *count += 1;
                }
                if kind == Kind::Final as usize {
                    self.conclusion.mark(left);
                }
                if self.seen.add(word.hash) {
                    counts.distinct += 1;
                }
                counts.shared += usize::from(self.prompt.words.has(word.hash));
                self.sentences.add(word.hash);
                if let Some(count) = counts.scripts.get_mut(word.script as usize) {
                    *count += word.length;
                }
            }
            Token::Number(number) => self.number(number, opens_line),
            Token::Line { blank } => {
                counts.lines += usize::from(!blank);
                self.sentences.end();
            }
            Token::Sentence(mark) => {
                counts.sentences += 1;
                counts.questions += usize::from(*mark == b'?');
                self.sentences.end();
            }
            Token::Operator { spaced: true, operator: b'-' | b'*' | b'+' } if opens_line => {
                counts.list_lines += 1;
            }
            Token::Hashes(length) => {
                counts.headings += usize::from(opens_line && *length < 4);
                if *length == 4 {
                    self.conclusion.mark(left);
                }
            }
            Token::Fence => counts.fences += 1,
            Token::Dollar => counts.formulas += 1,
            Token::Command(hash) => {
                counts.formulas += 1;
                if *hash == BOXED {
                    self.conclusion.mark(left);
                }
            }
            Token::Open(_) => counts.open += 1,
            Token::Close(_) => match counts.open.checked_sub(1) {
                Some(open) => counts.open = open,
                None => counts.stray += 1,
            },
            _ => {}
        }
    }

    fn number(&mut self, number: &Number, opens_line: bool) {
        let counts = &mut self.counts;
        counts.numbers += 1;
        counts.decimals += usize::from(number.decimals > 0);
        counts.long_decimals += usize::from(number.decimals > 2);
        counts.percents += usize::from(number.percent);
        self.sentences.add(number.value.to_bits() as u32 ^ (number.value.to_bits() >> 32) as u32);
        let given = self.prompt.given.mark(number.value);
        let known = given || self.prompt.known.has(number.value) || self.results.has(number.value);
        if self.arithmetic.awaits_result() {
            counts.repeated_results += usize::from(known);
            self.results.add(number.value);
        } else if known {
            counts.reused += 1;
        } else if !opens_line {
            // What opens a line is the number of a step.
            counts.new_numbers += 1;
        }
    }

    fn write(&self, vector: &mut Vector, answer: &[u8], log: Option<LogProbabilities>) {
        self.write_prompt(vector);
        self.write_shape(vector, answer);
        self.write_words(vector);
        self.write_arithmetic(vector);
        self.write_conclusion(vector);
        vector.flag(Slot::HasLogProbabilities, log.is_some());
        if let Some(log) = log {
            let limited =
                |value: f32| if value.is_finite() { value.clamp(-20.0, 0.0) } else { -20.0 };
            vector.set(Slot::MeanLogProbability, limited(log.mean));
            vector.set(Slot::LeastLogProbability, limited(log.least));
        }
    }

    fn write_prompt(&self, vector: &mut Vector) {
        let prompt = &self.prompt;
        vector.count(Slot::PromptBytes, prompt.bytes);
        vector.count(Slot::PromptSentences, prompt.sentences);
        vector.count(Slot::PromptNumbers, prompt.given.len());
        vector.size(Slot::PromptLargest, prompt.given.largest());
        vector.count(Slot::PromptDecimals, prompt.decimals);
        vector.count(Slot::PromptMath, prompt.formulas);
        for (slot, kind) in [
            (Slot::PromptCompare, Kind::Compare),
            (Slot::PromptParts, Kind::Part),
            (Slot::PromptRates, Kind::Rate),
            (Slot::PromptTime, Kind::Time),
            (Slot::PromptConditions, Kind::Condition),
            (Slot::PromptRemainder, Kind::Remainder),
            (Slot::PromptOrder, Kind::Order),
        ] {
            vector.count(slot, prompt.kind(kind));
        }
    }

    fn write_shape(&self, vector: &mut Vector, answer: &[u8]) {
        let counts = &self.counts;
        vector.count(Slot::Bytes, answer.len());
        vector.count(Slot::Words, counts.words);
        vector.count(Slot::Lines, counts.lines);
        vector.count(Slot::Sentences, counts.sentences);
        vector.ratio(Slot::BytesPerPromptByte, answer.len(), self.prompt.bytes);
        vector.count(Slot::ListLines, counts.list_lines);
        vector.count(Slot::Headings, counts.headings);
        vector.count(Slot::Fences, counts.fences);
        vector.flag(Slot::Structured, matches!(answer.first(), Some(b'{' | b'[' | b'`')));
        vector.count(Slot::Formulas, counts.formulas);
        vector.share(Slot::DistinctWords, counts.distinct, counts.words);
        vector.count(Slot::RepeatedSentences, self.sentences.repeated);
        let ends = b".!?}])`\"'*$|>".contains(&self.last_visible)
            || self.last_visible.is_ascii_digit()
            || self.last_visible >= 0x80;
        vector.flag(Slot::CutOff, !ends);
        vector.count(Slot::Unbalanced, counts.open + counts.stray);
        vector.flag(Slot::OpenFence, counts.fences % 2 == 1);
        vector.count(Slot::Questions, counts.questions);
        vector.flag(Slot::Empty, answer.is_empty());
        vector.share(Slot::SharedWords, counts.shared, counts.words);
        let covered = self.seen.shared(&self.prompt.words);
        vector.share(Slot::CoveredWords, covered, self.prompt.words.len());
        vector.set(Slot::ScriptChange, script_change(&self.prompt.scripts, &counts.scripts));
    }

    fn write_words(&self, vector: &mut Vector) {
        for (slot, kind) in [
            (Slot::Hedges, Kind::Hedge),
            (Slot::Reversals, Kind::Reversal),
            (Slot::Mistakes, Kind::Mistake),
            (Slot::Approximations, Kind::Approximation),
            (Slot::Assumptions, Kind::Assumption),
            (Slot::Refusals, Kind::Refusal),
            (Slot::Conclusions, Kind::Conclusion),
            (Slot::StepWords, Kind::Step),
            (Slot::Negations, Kind::Negation),
            (Slot::Algebra, Kind::Algebra),
            (Slot::Compare, Kind::Compare),
            (Slot::Parts, Kind::Part),
            (Slot::Rates, Kind::Rate),
            (Slot::Time, Kind::Time),
            (Slot::Remainder, Kind::Remainder),
            (Slot::FirstPerson, Kind::FirstPerson),
        ] {
            let count = self.counts.kinds.get(kind as usize).copied();
            vector.count(slot, count.unwrap_or(0));
        }
    }

    fn write_arithmetic(&self, vector: &mut Vector) {
        let (counts, tally) = (&self.counts, &self.arithmetic.tally);
        vector.count(Slot::Numbers, counts.numbers);
        vector.count(Slot::Decimals, counts.decimals);
        vector.count(Slot::LongDecimals, counts.long_decimals);
        vector.count(Slot::Percents, counts.percents);
        vector.count(Slot::EquationsRight, tally.right);
        vector.count(Slot::EquationsRounded, tally.rounded);
        vector.count(Slot::EquationsWrong, tally.wrong);
        vector.flag(Slot::AnyWrong, tally.wrong > 0);
        vector.flag(Slot::LastWrong, tally.last_wrong);
        vector.count(Slot::EquationsOpen, tally.open);
        let [additions, subtractions, products, divisions] = tally.operators;
        vector.count(Slot::Additions, additions);
        vector.count(Slot::Subtractions, subtractions);
        vector.count(Slot::Products, products);
        vector.count(Slot::Divisions, divisions);
        vector.count(Slot::LongestExpression, tally.longest);
        vector.count(Slot::BrokenResults, tally.broken);
        vector.count(Slot::NegativeResults, tally.negative);
        let steps = tally.right + tally.rounded + tally.wrong;
        vector.ratio(Slot::StepsPerNumber, steps, self.prompt.given.len());
        let (used, given) = (self.prompt.given.marked(), self.prompt.given.len());
        vector.share(Slot::UsedNumbers, used, given);
        vector.count(Slot::UnusedNumbers, given.saturating_sub(used));
        vector.count(Slot::NewNumbers, counts.new_numbers);
        vector.share(Slot::ReusedNumbers, counts.reused, counts.reused + counts.new_numbers);
        vector.count(Slot::RepeatedResults, counts.repeated_results);
    }

    fn write_conclusion(&self, vector: &mut Vector) {
        let conclusion = &self.conclusion;
        vector.flag(Slot::FinalMarked, conclusion.marked);
        vector.flag(Slot::FinalDisagree, conclusion.disagree);
        vector.count(Slot::FinalBytes, if conclusion.marked { conclusion.mark_end } else { 0 });
        let Some((number, negative)) = conclusion.result() else { return };
        let value = number.value;
        vector.flag(Slot::FinalNumber, true);
        vector.flag(Slot::FinalWhole, same(value, value.round()));
        vector.flag(Slot::FinalNegative, negative);
        vector.flag(Slot::FinalZero, value == 0.0);
        vector.size(Slot::FinalSize, value);
        vector.count(Slot::FinalDecimals, number.decimals);
        let signed = if negative { -value } else { value };
        let last = self.arithmetic.result;
        vector.flag(Slot::FinalIsResult, last.is_some_and(|last| same(last, signed)));
        vector.flag(Slot::FinalIsComputed, self.results.has(value));
        vector.flag(Slot::FinalIsGiven, self.prompt.known.has(value));
        let largest = self.prompt.given.largest();
        vector.set(Slot::FinalBeyond, log1p(value) - log1p(largest));
        vector.flag(Slot::FinalRound, value >= 10.0 && same(value, (value / 10.0).round() * 10.0));
    }
}

/// Bytes of a remark in brackets, as in `24 (boxes) + 3`, with the closing one.
fn remark(rest: &[u8]) -> Option<usize> {
    /// The longest remark.
    const MOST: usize = 80;
    let first = rest.first()?;
    if !first.is_ascii_alphabetic() {
        return None;
    }
    let end = rest.iter().take(MOST).position(|byte| matches!(byte, b')' | b'\n'))?;
    let text = rest.get(..end)?;
    (rest.get(end) == Some(&b')') && !text.contains(&b'(') && end > 1).then_some(end + 1)
}

/// Half the sum of the differences of the shares of all scripts: 0 for the same, 1 for another.
fn script_change(prompt: &[usize; Script::COUNT], answer: &[usize; Script::COUNT]) -> f32 {
    let (of_prompt, of_answer) = (prompt.iter().sum::<usize>(), answer.iter().sum::<usize>());
    if of_prompt == 0 || of_answer == 0 {
        return 0.0;
    }
    let share = |count: usize, of: usize| count as f32 / of as f32;
    let difference = |(a, b): (&usize, &usize)| (share(*a, of_prompt) - share(*b, of_answer)).abs();
    prompt.iter().zip(answer).map(difference).sum::<f32>() / 2.0
}
