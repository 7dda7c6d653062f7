//! Reads an answer in passing and says by what signs it is bad.

use serde_json::Value;

use super::assembly::{Assembly, Choice, Finish, LogProbability};
use super::body::{Body, LONGEST};
use super::course::{self, Course};
use super::expectation::{Expectation, Wanted};
use super::{Sign, refusal, repetition, schema};
use crate::answer::UsageReader;
use crate::answer::sse::{Piece, Reader};
use crate::api::ApiFormat;
use crate::media_type::MediaType;
use crate::target::Usage;

/// Tokens that a limit may be missed by: not everybody counts the last ones.
const SLACK: u64 = 2;

/// How the answer is framed, and what is kept of it until it can be parsed.
#[derive(Debug)]
enum Framing {
    Json(Body),
    Events { lines: Reader, data: Vec<u8>, too_long: bool },
}

/// Reads one answer that comes in pieces. Where they are cut does not matter.
///
/// It holds at most 256 KiB of text and as much of calls of each of at most 8 choices, and one JSON
/// text of at most 512 KiB. The body must be plain: encoded ones (`content-encoding`) are not for it.
#[derive(Debug)]
pub struct Examiner {
    expectation: Expectation,
    counts: UsageReader,
    course: Course,
    framing: Framing,
    assembly: Assembly,
    /// A part of it could not be read.
    gap: bool,
}

impl Examiner {
    /// An examiner for an answer of this `content-type`; `None` for one that it cannot read.
    pub fn new(expectation: Expectation, format: ApiFormat, content_type: &[u8]) -> Option<Self> {
        let framing = match MediaType::parse(content_type) {
            MediaType::EventStream => {
                Framing::Events { lines: Reader::new(), data: Vec::new(), too_long: false }
            }
            _ => Framing::Json(Body::default()),
        };
        Some(Examiner {
            expectation,
            counts: UsageReader::new(content_type)?,
            course: Course::default(),
            framing,
            assembly: Assembly::new(format),
            gap: false,
        })
    }

    /// Reads the next piece.
    pub fn read(&mut self, bytes: &[u8]) {
        self.counts.read(bytes);
        let Examiner { expectation, framing, assembly, course, gap, .. } = self;
        match framing {
            Framing::Json(body) => {
                let json = body.read(bytes);
                *gap |= body.too_long;
                if let Some(json) = json {
                    match serde_json::from_slice::<Value>(&json) {
                        Ok(answer) => {
                            course.read(&answer);
                            assembly.whole(&answer);
                            assembly.judge(expectation);
                        }
                        Err(_) => *gap = true,
                    }
                }
            }
            Framing::Events { lines, data, too_long } => lines.read(bytes, |piece| match piece {
                Piece::Data(more) if data.len() + more.len() <= LONGEST => {
                    data.extend_from_slice(more);
                }
                Piece::Data(_) => *too_long = true,
                Piece::End => {
                    course.ended |= is_done(data);
                    if !is_nothing(data) || *too_long {
                        match serde_json::from_slice::<Value>(data) {
                            Ok(event) if !*too_long => {
                                course.read(&event);
                                assembly.event(&event);
                                // Here, because where a stream is cut must not matter.
                                assembly.judge(expectation);
                            }
                            _ => *gap = true,
                        }
                    }
                    data.clear();
                    *too_long = false;
                }
            }),
        }
    }

    /// The sign that the answer shows. `ended` says that no more of it arrives; before that, only
    /// what no further byte can change is one, so that a stock phrase, say, waits for the model to
    /// stop. Of several choices, the client may take any: all must show a sign, and the first one's
    /// is given.
    pub fn sign(&self, ended: bool) -> Option<Sign> {
        if self.course.failed {
            return Some(Sign::Error);
        }
        let foreign = matches!(&self.framing, Framing::Json(body) if body.foreign);
        if foreign || self.course.pending && matches!(self.framing, Framing::Json(_)) {
            return None;
        }
        if let Some(sign) = ended.then(|| self.sign_of_end()).flatten() {
            return Some(sign);
        }
        let choices = self.assembly.choices();
        let awaited = choices.len() < self.expectation.n.max(1) && !ended;
        if awaited {
            return None;
        }
        if choices.is_empty() {
            return (!self.is_partial(ended)).then_some(Sign::Empty);
        }
        let mut first = None;
        for choice in choices {
            let sign = self.sign_of(choice, ended)?;
            first.get_or_insert(sign);
        }
        first
    }

    /// The sign of what stops before its end, or is not an answer.
    fn sign_of_end(&self) -> Option<Sign> {
        match &self.framing {
            Framing::Json(body) if !body.closed => return Some(Sign::Unfinished),
            Framing::Events { data, .. } if !self.course.ended && !is_done(data) => {
                // The last event may lack the empty line behind it. Of what it says, only counts
                // whether it is an error, or the end.
                let mut last = Course::default();
                match serde_json::from_slice::<Value>(data) {
                    Ok(event) if course::is_error(&event) => return Some(Sign::Error),
                    Ok(event) => last.read(&event),
                    Err(_) => {}
                }
                return (!last.ended && !self.gap).then_some(Sign::Unfinished);
            }
            _ => {}
        }
        (!self.course.begun && !self.gap).then_some(Sign::Error)
    }

    fn sign_of(&self, choice: &Choice, ended: bool) -> Option<Sign> {
        if choice.filtered {
            return Some(Sign::ContentFilter);
        }
        if choice.refused {
            return Some(Sign::Refusal);
        }
        if let Some(sign) = choice.calls.sign() {
            return Some(sign);
        }
        let partial = self.is_partial(ended);
        let text = choice.visible();
        let limited = matches!(choice.finish, Finish::Length | Finish::Window);
        if !partial && repetition::is_endless(text, limited) {
            return Some(Sign::Repetition);
        }
        let truncated = match choice.finish {
            Finish::Length => self.is_below_limit(),
            Finish::Window => true,
            _ => false,
        };
        if truncated {
            return Some(Sign::Truncated);
        }
        let whole = match choice.finish {
            Finish::Stop => true,
            Finish::Open => ended || self.is_whole_json(),
            _ => false,
        };
        if partial || !whole {
            // With calls to make, a model may say something first.
            let certain = !partial && !self.expectation.may_call() && !self.expectation.continues;
            let certain = certain && self.expectation.wanted != Wanted::Text;
            return (certain && !may_begin_json(text)).then_some(Sign::InvalidJson);
        }
        self.sign_of_whole(choice, text)
    }

    /// The sign of a choice that is whole, and not cut.
    fn sign_of_whole(&self, choice: &Choice, text: &str) -> Option<Sign> {
        if choice.other || !choice.calls.is_empty() || self.expectation.continues {
            return None;
        }
        if text.trim().is_empty() {
            return Some(Sign::Empty);
        }
        if refusal::is_refusal(text) {
            return Some(Sign::Refusal);
        }
        if self.expectation.wanted == Wanted::Text {
            return None;
        }
        let last = choice.text.get(choice.part..).unwrap_or_default();
        let parsed = [text, last]
            .into_iter()
            .find_map(|text| serde_json::from_slice::<Value>(text.trim().as_bytes()).ok());
        let Some(value) = parsed else { return Some(Sign::InvalidJson) };
        let breaks = match &self.expectation.wanted {
            Wanted::Schema(schema) => schema::breaks(schema, &value),
            // An object, by the API. Arrays have been taken for long.
            _ => !(value.is_object() || value.is_array()),
        };
        breaks.then_some(Sign::SchemaMismatch)
    }

    /// Whether an answer that reached a limit is shorter than what the client allowed. Of several
    /// choices the counts are a sum, which says too much rather than too little.
    fn is_below_limit(&self) -> bool {
        match (self.expectation.max_tokens, self.usage()) {
            (None, _) => true,
            (Some(limit), Some(usage)) => usage.output.saturating_add(SLACK) < limit,
            (Some(_), None) => false,
        }
    }

    /// It is JSON, and came to its end.
    fn is_whole_json(&self) -> bool {
        matches!(&self.framing, Framing::Json(body) if body.closed)
    }

    /// What there is of the answer's text is not all that arrived: some may stand in an event that
    /// no empty line ends.
    fn is_partial(&self, ended: bool) -> bool {
        let rest = match &self.framing {
            Framing::Json(_) => false,
            Framing::Events { data, too_long, .. } => *too_long || !is_nothing(data),
        };
        self.is_cut() || ended && rest
    }

    /// The text of the first choice that is to be seen.
    pub fn text(&self) -> &str {
        self.assembly.first().map_or("", Choice::visible)
    }

    /// About as many tokens as that text has: one for every four bytes.
    pub fn text_tokens(&self) -> usize {
        self.text().len().div_ceil(4)
    }

    /// Whether a bound was passed, or a part could not be read: then nothing that takes the whole
    /// answer is known any more.
    pub fn is_cut(&self) -> bool {
        self.gap || self.assembly.is_cut()
    }

    /// Whether the first call of the first choice has all its arguments.
    pub fn first_call_complete(&self) -> bool {
        self.assembly.first().is_some_and(|choice| choice.calls.first_is_complete())
    }

    /// Whether the provider used a tool of its own for this answer, which may have had an effect.
    pub fn ran_tools(&self) -> bool {
        self.assembly.ran_tools
    }

    /// The token counts, when they were reported.
    pub fn usage(&self) -> Option<Usage> {
        self.counts.usage()
    }

    /// The log-probabilities of the first choice's tokens, when they were reported.
    pub fn log_probability(&self) -> Option<LogProbability> {
        self.assembly.log_probability()
    }
}

/// The data of an event without any, or of the one that ends a stream of chat completions.
fn is_nothing(data: &[u8]) -> bool {
    data.trim_ascii().is_empty() || is_done(data)
}

fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Whether JSON can begin like this.
fn may_begin_json(text: &str) -> bool {
    let text = text.trim_start().as_bytes();
    let Some(first) = text.first() else { return true };
    matches!(first, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9')
        || [&b"true"[..], b"false", b"null"]
            .iter()
            .any(|word| word.iter().zip(text).all(|(a, b)| a == b))
}
