//! How good is the cheap model's answer, measured against the strong one? One file an evaluator.

use regex::Regex;
use serde::Serialize;

use super::answer::ModelAnswer;
use super::request::Request;

pub mod choice;
pub mod code;
pub mod exact;
pub mod f1;
mod fold;
pub mod human;
pub mod json;
pub mod judge;
pub mod numeric;
pub mod reading;
pub mod sandbox;
pub mod sql;
mod statement;
pub mod tool_call;

use sandbox::Sandbox;

/// Which evaluator to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Per row, by what the request asks for and the strong model answered.
    Auto,
    /// This one for every row.
    Only(Evaluator),
}

/// An evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluator {
    /// The final numbers agree.
    Numeric,
    /// The same option of a multiple choice, by its label or its text.
    Choice,
    /// The same text, ignoring case, punctuation and articles.
    Exact,
    /// Short texts say the same; otherwise the share of words in common.
    F1,
    /// Valid JSON, by the request's schema if it has one, with the same fields.
    Json,
    /// The same functions are called with equivalent arguments.
    ToolCall,
    /// The program compiles and gives the same outputs.
    Code,
    /// The query yields the same rows in SQLite.
    Sql,
    /// Another model compares the answers, in both orders.
    Judge,
    /// A person compares the answers on an HTML page.
    Human,
    /// A model reads the request by a rubric; there are no answers.
    Judged,
    /// The filter found the cheap answer bad, by a sign that leaves no doubt.
    Sign,
}

/// What an evaluator compares.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub request: &'a Request,
    pub strong: &'a ModelAnswer,
    pub cheap: &'a ModelAnswer,
}

/// Why an evaluator cannot score a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unscorable(pub &'static str);

impl Evaluator {
    /// The evaluator of a row. `judged` says that there is a judge for what nothing else can score.
    ///
    /// # Errors
    /// `auto` found none: a wrong evaluator would give wrong labels, which is worse than none.
    pub fn select(
        choice: Choice,
        request: &Request,
        strong: &ModelAnswer,
        judged: bool,
    ) -> Result<Self, Unscorable> {
        match choice {
            Choice::Only(evaluator) => Ok(evaluator),
            Choice::Auto => Self::select_for(request, strong, judged),
        }
    }

    fn select_for(
        request: &Request,
        strong: &ModelAnswer,
        judged: bool,
    ) -> Result<Self, Unscorable> {
        let question = request.question();
        let text = strong.conclusion().trim();
        Ok(if !strong.tool_calls.is_empty() {
            Evaluator::ToolCall
        } else if request.wants_json() || json::is_json(text) {
            Evaluator::Json
        } else if choice::applies(&question, text) {
            Evaluator::Choice
        } else if sql::applies(request, text) {
            Evaluator::Sql
        } else if code::applies(text) {
            Evaluator::Code
        } else if numeric::has_marked_number(text)
            || (asks_for_number(&question) && numeric::ends_in_number(text))
        {
            Evaluator::Numeric
        } else if text.split_whitespace().count() <= 5 {
            Evaluator::F1
        } else if judged {
            Evaluator::Judge
        } else {
            return Err(Unscorable("an open-ended answer needs a judge (--judge-url)"));
        })
    }

    /// Quality of the cheap answer in 0..1, without calls to anyone.
    ///
    /// # Errors
    /// The strong answer gives nothing to compare with, or this evaluator needs a judge.
    pub fn score(self, pair: &Pair, sandbox: &Sandbox) -> Result<f64, Unscorable> {
        if pair.cheap.is_empty() {
            return Ok(0.0);
        }
        let (strong, cheap) = (pair.strong.without_thinking(), pair.cheap.without_thinking());
        let pair = &Pair { request: pair.request, strong: &strong, cheap: &cheap };
        match self {
            Evaluator::Numeric => numeric::score(pair),
            Evaluator::Choice => choice::score(pair),
            Evaluator::Exact => exact::score(pair),
            Evaluator::F1 => f1::score(pair),
            Evaluator::Json => json::score(pair),
            Evaluator::ToolCall => tool_call::score(pair),
            Evaluator::Code => code::score(pair, sandbox),
            Evaluator::Sql => sql::score(pair),
            Evaluator::Judge => Err(Unscorable("a judge is needed")),
            Evaluator::Human => Err(Unscorable("a person is needed")),
            Evaluator::Judged => Err(Unscorable("a reader is needed")),
            Evaluator::Sign => Ok(0.0),
        }
    }

    /// Whether the evaluator finds the strong answer as good as itself. If not, nothing can be
    /// learnt from the row, and no call should be paid for it.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(
        self,
        request: &Request,
        strong: &ModelAnswer,
        sandbox: &Sandbox,
    ) -> Result<(), Unscorable> {
        if matches!(self, Evaluator::Judge | Evaluator::Human | Evaluator::Judged | Evaluator::Sign)
        {
            return Ok(());
        }
        match self.score(&Pair { request, strong, cheap: strong }, sandbox)? {
            1.0 => Ok(()),
            _ => Err(Unscorable("the strong answer does not pass its own evaluator")),
        }
    }
}

fn asks_for_number(question: &str) -> bool {
    use std::sync::LazyLock;
    static ASKS: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)\bhow (?:many|much|old|long|far|tall|heavy|fast|high|deep|big|large|often|wide)\b|\b(?:calculate|compute|evaluate)\b",
            r"|\bwhat (?:is|was|are|percent\w*|number|fraction) (?:the )?",
            r"(?:total|sum|average|mean|cost|price|number|value|difference|ratio|area|volume|distance|speed|weight|length|\w* ?percent\w*|\d)",
            r"|\bwhat (?:time|year|date)\b|\bwie\s?(?:viele?|lange?|alt|weit|hoch|groß|schwer|schnell|oft)\b|\bcombien\b|\bcuánt[oa]s?\b|\bquant[oiae]s?\b",
            r"|\bсколько\b|\bhoeveel\b|\bhur (?:många|mycket|långt)\b|\bhvor (?:mange|meget|mye)\b|\bile\b|\bkolik\b|\bkaç\b|\bberapa\b|多少|几[个点年天]|多[长远高大重]|いくつ|いくら|何[個人円時年分]|몇|얼마|कितन",
        ))
    });
    ASKS.is_match(question)
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern, compiled by the tests")
}

/// Text for comparison: lower case, no punctuation, no articles, single spaces. Signs inside a number
/// are part of it.
fn normalised_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() && !matches!(word.as_str(), "a" | "an" | "the") {
            words.push(std::mem::take(word));
        }
        word.clear();
    };
    let chars: Vec<char> = fold::fold(text).chars().flat_map(char::to_lowercase).collect();
    let is_digit = |index: usize| chars.get(index).is_some_and(char::is_ascii_digit);
    for (index, &c) in chars.iter().enumerate() {
        let behind_digit = index > 0 && is_digit(index - 1);
        let digits = (index + 1..).take_while(|&index| is_digit(index)).take(4).count();
        if is_ideograph(c) {
            // Scripts without spaces: a character is a word.
            end(&mut word);
            word.push(c);
            end(&mut word);
        } else if c.is_alphanumeric()
            || c == '.' && behind_digit && digits > 0
            || c == '-' && word.is_empty() && digits > 0 && !behind_digit
        {
            word.push(c);
        } else if c == ',' && behind_digit && digits > 0 {
            // Three digits are a group, others are decimals.
            if digits != 3 {
                word.push('.');
            }
        } else if !matches!(c, '\'' | '\u{2019}' | ',') {
            end(&mut word);
        }
    }
    end(&mut word);
    words
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}
