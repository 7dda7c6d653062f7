//! The calls of an answer, put together from the pieces that they come in.

use serde_json::Value;

use super::expectation::{Expectation, Tool};
use super::{Sign, schema};

/// Calls that are kept of one choice, and bytes of all of them together.
const CALLS: usize = 64;
const BYTES: usize = 256 * 1024;

/// A call of a function.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Its number in the answer.
    key: u64,
    id: String,
    name: String,
    /// As the model wrote them.
    arguments: String,
    /// They are a text of any form.
    free: bool,
    complete: bool,
    /// What belongs to it cannot be told for certain.
    unsure: bool,
    judged: bool,
    sign: Option<Sign>,
}

/// A call as far as it has come, or a piece of one.
pub(super) struct Piece<'v> {
    pub(super) key: u64,
    pub(super) id: &'v str,
    pub(super) name: &'v str,
    /// A text or, at some servers, an object.
    pub(super) arguments: &'v Value,
    pub(super) free: bool,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    bytes: usize,
    /// There was more than is kept.
    cut: bool,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn first_is_complete(&self) -> bool {
        self.calls.first().is_some_and(|call| call.complete)
    }

    pub(super) fn sign(&self) -> Option<Sign> {
        self.calls.iter().find_map(|call| call.sign)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Begins a call or adds to one.
    pub(super) fn add(&mut self, piece: &Piece) {
        if !self.has_room() {
            return;
        }
        self.bytes += piece.name.len() + piece.id.len();
        let known = self.calls.iter().rposition(|call| call.key == piece.key);
        // Some servers give all calls the same number. Others make up an ID for every piece.
        let same = |call: &Call| {
            let another = !piece.name.is_empty() && !call.id.is_empty() && !piece.id.is_empty();
            !(another && call.id != piece.id && call.is_whole())
        };
        let known = known.filter(|at| self.calls.get(*at).is_some_and(same));
        if known.is_none() {
            if self.calls.len() == CALLS {
                self.cut = true;
                return;
            }
            // Only what is whole is over: calls may come side by side.
            if let Some(last) = self.calls.last_mut() {
                last.complete |= last.is_whole();
            }
            self.calls.push(Call { key: piece.key, free: piece.free, ..Call::default() });
        }
        let at = known.unwrap_or(self.calls.len().saturating_sub(1));
        let Some(call) = self.calls.get_mut(at) else { return };
        if call.name.is_empty() {
            piece.name.clone_into(&mut call.name);
        } else if !piece.name.is_empty() && call.name != piece.name {
            call.unsure = true;
        }
        if call.id.is_empty() {
            piece.id.clone_into(&mut call.id);
        }
        self.bytes += call.write(piece.arguments);
    }

    /// More of the arguments of a call that has begun.
    pub(super) fn write(&mut self, key: u64, arguments: &Value) {
        if !self.has_room() {
            return;
        }
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.key == key) {
            self.bytes += call.write(arguments);
        }
    }

    /// Whether more is kept. Without the rest, a whole call cannot be told from a broken one.
    fn has_room(&mut self) -> bool {
        if self.bytes > BYTES {
            self.cut = true;
            self.calls.iter_mut().for_each(|call| call.unsure |= !call.complete);
        }
        !self.cut
    }

    /// A call is over, or cut by a limit that is reported later.
    pub(super) fn end(&mut self, key: u64) {
        for call in self.calls.iter_mut().filter(|call| call.key == key) {
            call.complete |= call.is_whole();
        }
    }

    /// All calls are over.
    pub(super) fn end_all(&mut self) {
        self.calls.iter_mut().for_each(|call| call.complete = true);
    }

    /// Judges what is complete, and forgets its arguments.
    pub(super) fn judge(&mut self, expectation: &Expectation) {
        for call in self.calls.iter_mut().filter(|call| call.complete && !call.judged) {
            call.judged = true;
            call.sign = call.judge(expectation);
            call.arguments = String::new();
        }
    }
}

impl Call {
    fn write(&mut self, arguments: &Value) -> usize {
        let before = self.arguments.len();
        match arguments {
            _ if self.complete => {}
            Value::String(text) => self.arguments.push_str(text),
            // Streams of messages begin a call with an empty one, and then send what is in it.
            Value::Object(fields) if !fields.is_empty() => {
                self.arguments.push_str(&arguments.to_string());
            }
            _ => {}
        }
        self.arguments.len() - before
    }

    fn is_whole(&self) -> bool {
        self.complete || objects(&self.arguments).is_some_and(|(count, _)| count > 0)
    }

    fn judge(&self, expectation: &Expectation) -> Option<Sign> {
        if self.unsure || self.name.is_empty() {
            return None;
        }
        let tool = expectation.tool(&self.name);
        if tool.is_none() && expectation.tools_known {
            return Some(Sign::UnknownTool);
        }
        if self.free {
            return None;
        }
        let Some((count, first)) = objects(&self.arguments) else {
            return Some(Sign::InvalidArguments);
        };
        let Tool { parameters: Some(schema), .. } = tool? else { return None };
        (count < 2 && schema::breaks(schema, &first)).then_some(Sign::InvalidArguments)
    }
}

/// How many objects arguments are, and the first. Nothing at all stands for a call without any; some
/// providers give all calls the same number, so that theirs stand one after the other. `None` when
/// they are something else.
fn objects(arguments: &str) -> Option<(usize, Value)> {
    let values = serde_json::Deserializer::from_slice(arguments.as_bytes()).into_iter::<Value>();
    let mut found = (0, Value::Object(serde_json::Map::new()));
    for value in values {
        let value = value.ok().filter(Value::is_object)?;
        if found.0 == 0 {
            found.1 = value;
        }
        found.0 += 1;
    }
    Some(found)
}
