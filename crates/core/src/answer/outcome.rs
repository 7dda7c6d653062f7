//! What an answer says of itself, read in passing: why it ended, whether it has text or tool
//! calls, whether the model refused, whether it is an answer at all.

use super::calls::{self, CallKey, Calls, UNNUMBERED};
use crate::api_field::ApiField::{self, *};
use crate::api_field::Way;
use crate::names::names;
use crate::skim::Step::{Field, Item as Element};
use crate::skim::{Step, Token};

/// Longest value of a word that is looked at.
const WORD: usize = 64;
/// Most pieces of tool calls in one event.
const PIECES: usize = 64;

names! {
    /// Why an answer with a good status is none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// An error, or a response that failed, in the place of an answer or in the middle of it.
        Error = "error",
        /// It stops before its end.
        Unfinished = "unfinished",
        /// Something else than an answer.
        NoAnswer = "no_answer",
    }
}

/// What was found in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// There is text that is not only white space.
    pub text: bool,
    /// There is a tool call.
    pub tool_call: bool,
    /// There is audio or an image.
    pub media: bool,
    /// The arguments of a tool call are not a JSON object.
    pub invalid_tool_call: bool,
    /// The model, or the provider's filter, refused.
    pub refused: bool,
    /// The answer was cut at the token limit.
    pub truncated: bool,
    /// The provider still works on it.
    pub pending: bool,
    /// Why it is no answer, or no whole one.
    pub fault: Option<Fault>,
}

/// What an event, or a part of a message, has said so far; its kind may come last.
#[derive(Debug, Default)]
struct Part {
    kind: Vec<u8>,
    /// There is text that is not only white space.
    said: bool,
}

/// A piece of a tool call's arguments.
#[derive(Debug, Default)]
struct Piece {
    number: Option<u32>,
    arguments: Vec<u8>,
}

/// Reads one or more JSON texts; memory is bounded.
#[derive(Debug, Default)]
pub(super) struct OutcomeReader {
    found: Outcome,
    /// The text that stands where something is looked for, without escapes.
    word: Vec<u8>,
    /// Of the present event, and of a part of the present message.
    event: Part,
    part: Part,
    /// Number of the present choice or block, and what it holds of tool calls.
    number: Option<u32>,
    pieces: Vec<Piece>,
    calls: Calls,
    /// What an answer is made of was seen, and its end.
    begun: bool,
    ended: bool,
    failed: bool,
    working: bool,
    /// The present JSON text is complete.
    closed: bool,
}

impl OutcomeReader {
    /// A new JSON text begins.
    pub(super) fn reset(&mut self) {
        self.event = Part::default();
        self.part = Part::default();
        self.number = None;
        self.pieces.clear();
        self.word.clear();
    }

    /// What was found in an answer that is over; `events` says that it is a stream of events.
    pub(super) fn outcome(&self, events: bool) -> Outcome {
        Outcome {
            invalid_tool_call: self.calls.are_invalid(),
            pending: self.working && !events,
            fault: self.fault(events),
            ..self.found
        }
    }

    /// The same, but only why it is none: that takes no look into tool calls.
    pub(super) fn fault(&self, events: bool) -> Option<Fault> {
        let whole = if events { self.ended } else { self.closed };
        if self.failed {
            Some(Fault::Error)
        } else if self.closed && !self.begun {
            Some(Fault::NoAnswer)
        } else {
            (!whole).then_some(Fault::Unfinished)
        }
    }

    /// Something is met on this way.
    pub(super) fn read(&mut self, way: Way, token: Token) {
        match token {
            Token::Text(text) => self.text(way, text),
            Token::Escape(byte) => self.escape(way, byte),
            Token::TextEnd => self.text_end(way),
            Token::Literal(literal) => self.literal(way, literal),
            Token::Open => self.open(way),
            Token::Close => self.close(way),
        }
    }

    fn text(&mut self, way: Way, text: &[u8]) {
        let room = WORD.saturating_sub(self.word.len());
        self.word.extend(text.iter().take(room));
        if is_arguments(way) {
            self.arguments(text);
        } else if !text.trim_ascii().is_empty() {
            self.said(way);
        }
    }

    fn escape(&mut self, way: Way, byte: u8) {
        if is_arguments(way) {
            self.arguments(&[b'\\', byte]);
        } else if !matches!(byte, b'n' | b'r' | b't') {
            self.said(way);
        }
    }

    fn arguments(&mut self, text: &[u8]) {
        let Some(piece) = self.pieces.last_mut() else { return };
        piece.arguments.extend_from_slice(text);
        if piece.arguments.len() > calls::BYTES {
            piece.arguments.clear();
            self.calls.give_up();
        }
    }

    /// There is more than white space here.
    fn said(&mut self, way: Way) {
        match way {
            [Field(Choices), Element, Field(Message | Delta), Field(Content)]
            | [Field(Choices), Element, Field(Text)]
            | [Field(ContentBlock | Delta), Field(Text)] => self.found.text = true,
            [Field(Choices), Element, Field(Message | Delta), Field(Refusal)] => {
                self.found.refused = true;
            }
            [Field(Delta)] => self.event.said = true,
            [Field(Error)] | [Field(Response), Field(Error)] => self.failed = true,
            [part @ .., Field(Text)] if is_part(part) => self.part.said = true,
            [part @ .., Field(Refusal)] if is_part(part) => self.found.refused = true,
            _ => {}
        }
    }

    fn text_end(&mut self, way: Way) {
        let word = std::mem::take(&mut self.word);
        match way {
            [Field(Type)] => {
                self.event.kind.clone_from(&word);
                self.event_kind(&word);
            }
            [Field(Object)] => self.failed |= word == b"error",
            [Field(Delta)] => self.event_said(),
            [part @ .., Field(Type)] if is_part(part) => self.part.kind.clone_from(&word),
            [item @ .., Field(Type)] if is_item(item) => self.item_kind(&word),
            [Field(ContentBlock), Field(Type)] => self.found.tool_call |= is_tool_use(&word),
            [item @ .., Field(Arguments)] if is_item(item) => {
                let piece = self.pieces.pop().unwrap_or_default();
                self.calls.check(&piece.arguments);
            }
            [Field(Choices), Element, Field(FinishReason)]
            | [Field(StopReason)]
            | [Field(Delta | Message), Field(StopReason)]
            | [Field(IncompleteDetails), Field(Reason)]
            | [Field(Response), Field(IncompleteDetails), Field(Reason)] => self.reason(&word),
            [Field(Status)] | [Field(Response), Field(Status)] => self.status(&word),
            _ => {}
        }
        self.word = word;
        self.word.clear();
    }

    /// Why it ended.
    fn reason(&mut self, word: &[u8]) {
        self.ended = true;
        match word {
            b"length" | b"max_tokens" | b"max_output_tokens" | b"model_context_window_exceeded" => {
                self.found.truncated = true;
            }
            b"content_filter" | b"refusal" => self.found.refused = true,
            b"tool_calls" | b"tool_use" | b"function_call" => self.found.tool_call = true,
            b"error" => self.failed = true,
            _ => {}
        }
    }

    /// How far a response of OpenAI has come; the last word counts.
    fn status(&mut self, word: &[u8]) {
        self.working = matches!(word, b"queued" | b"in_progress");
        match word {
            b"completed" | b"incomplete" => self.ended = true,
            b"failed" | b"cancelled" => self.failed = true,
            _ => {}
        }
    }

    fn event_kind(&mut self, word: &[u8]) {
        match word {
            b"error" | b"response.failed" => self.failed = true,
            b"message_stop" | b"response.completed" | b"response.incomplete" => self.ended = true,
            b"message" | b"message_start" => self.begun = true,
            _ => self.event_said(),
        }
    }

    /// An event may have both: its kind and a text.
    fn event_said(&mut self) {
        let said = self.event.said;
        match self.event.kind.as_slice() {
            b"response.output_text.delta" => self.found.text |= said,
            b"response.refusal.delta" => self.found.refused |= said,
            b"response.audio.delta" | b"response.output_audio.delta" => self.found.media |= said,
            kind if kind.starts_with(b"response.image_generation_call.") => {
                self.found.media = true;
            }
            _ => {}
        }
    }

    fn item_kind(&mut self, kind: &[u8]) {
        if kind == b"image_generation_call" {
            self.found.media = true;
        } else if kind.ends_with(b"_call") {
            self.found.tool_call = true;
        }
    }

    fn part_end(&mut self) {
        let Part { kind, said } = std::mem::take(&mut self.part);
        match kind.as_slice() {
            b"refusal" => self.found.refused = true,
            b"image" | b"image_url" | b"output_image" | b"audio" | b"output_audio" => {
                self.found.media = true;
            }
            // What the model thinks is no answer yet.
            b"reasoning_text" | b"thinking" | b"redacted_thinking" => {}
            kind if is_tool_use(kind) => self.found.tool_call = true,
            _ => self.found.text |= said,
        }
    }

    fn literal(&mut self, way: Way, literal: &[u8]) {
        // The end of a stream of chat completions is no JSON: it reads as an array with a word.
        if way == [Element] && literal == b"DONE" {
            self.ended = true;
        }
        let number = || str::from_utf8(literal).ok()?.parse().ok();
        match way {
            [Field(Choices), Element, Field(Index)] | [Field(Index)] => self.number = number(),
            [call @ .., Field(Index)] if is_call(call) => {
                if let Some(piece) = self.pieces.last_mut() {
                    piece.number = number();
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, way: Way) {
        match way {
            [] => self.closed = false,
            [Field(Choices | Output | Content | Response | Message | ContentBlock)] => {
                self.begun = true;
            }
            [Field(Error)]
            | [Field(Response), Field(Error)]
            | [Field(Choices), Element, Field(Error)] => self.failed = true,
            [Field(Choices), Element, Field(Message | Delta), Field(Audio | Images)] => {
                self.found.media = true;
            }
            [Field(Choices), Element] => self.number = None,
            call if is_call(call) => {
                self.found.tool_call = true;
                self.begin_piece(None);
            }
            [Field(Choices), Element, Field(Message | Delta), Field(FunctionCall)] => {
                self.found.tool_call = true;
                self.begin_piece(Some(UNNUMBERED - 1));
            }
            item if is_item(item) => {
                self.pieces.clear();
                self.begin_piece(None);
            }
            [Field(Delta)] => self.begin_piece(Some(UNNUMBERED)),
            _ => {}
        }
    }

    fn begin_piece(&mut self, number: Option<u32>) {
        if self.pieces.len() == PIECES {
            self.pieces.clear();
            self.calls.give_up();
        }
        self.pieces.push(Piece { number, arguments: Vec::new() });
    }

    fn close(&mut self, way: Way) {
        match way {
            [] => {
                self.closed = true;
                let block = self.number.unwrap_or(UNNUMBERED);
                self.add_pieces(|number| (block, number));
            }
            [Field(Choices), Element] => {
                let choice = self.number.take().unwrap_or(0);
                self.add_pieces(|number| (choice, number));
            }
            part if is_part(part) => self.part_end(),
            _ => {}
        }
    }

    fn add_pieces(&mut self, key: impl Fn(u32) -> CallKey) {
        for piece in self.pieces.drain(..) {
            if !piece.arguments.is_empty() {
                self.calls.add(key(piece.number.unwrap_or(UNNUMBERED)), &piece.arguments);
            }
        }
    }
}

/// A call in a chat completion.
fn is_call(way: Way) -> bool {
    matches!(way, [Field(Choices), Element, Field(Message | Delta), Field(ToolCalls), Element])
}

/// An item of a response, as a whole or in an event of its own.
fn is_item(way: Way) -> bool {
    matches!(
        way,
        [Field(Output), Element]
            | [Field(Response), Field(Output), Element]
            | [Field(ApiField::Item)]
    )
}

/// A part of a message's content.
fn is_part(way: Way) -> bool {
    match way {
        [Field(Content), Element]
        | [Field(Choices), Element, Field(Message | Delta), Field(Content), Element] => true,
        [item @ .., Field(Content), Step::Item] => is_item(item),
        _ => false,
    }
}

/// The arguments of a tool call, or a piece of them.
fn is_arguments(way: Way) -> bool {
    match way {
        [Field(Delta), Field(PartialJson)]
        | [
            Field(Choices),
            Element,
            Field(Message | Delta),
            Field(FunctionCall),
            Field(Arguments),
        ] => true,
        [call @ .., Field(Function), Field(Arguments)] => is_call(call),
        [item @ .., Field(Arguments)] => is_item(item),
        _ => false,
    }
}

fn is_tool_use(kind: &[u8]) -> bool {
    matches!(kind, b"tool_use" | b"server_tool_use" | b"mcp_tool_use")
}
