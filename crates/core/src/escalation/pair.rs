//! A request that was escalated, with both its answers: what labels are made of.

use serde_json::json;

use crate::exchange::{Host, uniform};
use crate::sign::Sign;
use crate::target::Capture;

use super::ledger::Answer;

/// Longest name of a request that is not one by which somebody hides a text.
const MAX_ID_BYTES: usize = 64;

/// What is here of it.
#[derive(Debug)]
pub(super) struct Pair {
    max_bytes: usize,
    id: String,
    path: String,
    sign: Sign,
    request: Vec<u8>,
    bad: Answer,
    /// The other target's answer, once its headers are here.
    answer: Option<Answer>,
}

impl Pair {
    /// Begins one, if the request is among those that are drawn. `token` names a request that has no
    /// other name.
    pub(super) fn begin(
        capture: &Capture,
        host: &impl Host,
        token: &[u8],
        (sign, bad): (Sign, &Answer),
    ) -> Option<Self> {
        if uniform(host.random()) >= f64::from(capture.share) || bad.body.len() > capture.max_bytes
        {
            return None;
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let id = host.request_header("x-request-id").filter(|id| id.len() <= MAX_ID_BYTES);
        Some(Pair {
            max_bytes: capture.max_bytes,
            id: text(id.unwrap_or_else(|| token.to_vec()))?,
            path: host.request_header(":path").and_then(text)?,
            sign,
            request: Vec::new(),
            bad: bad.clone(),
            answer: None,
        })
    }

    /// More of the request; false when it is too long.
    pub(super) fn ask(&mut self, piece: &[u8]) -> bool {
        append(&mut self.request, piece, self.max_bytes)
    }

    /// The other target answers.
    pub(super) fn answers(&mut self, events: bool) {
        self.answer = Some(Answer { events, body: Vec::new() });
    }

    /// More of its answer; false when it is too long.
    pub(super) fn answer(&mut self, piece: &[u8]) -> bool {
        let most = self.max_bytes;
        self.answer.as_mut().is_some_and(|answer| append(&mut answer.body, piece, most))
    }

    /// What `pointsman capture` takes; `None` when something is no text, or never came.
    pub(super) fn json(&self, to: &str) -> Option<String> {
        let answer = |answer: &Answer| {
            let body = str::from_utf8(&answer.body).ok().filter(|body| !body.is_empty())?;
            Some(json!({"events": answer.events, "body": body}))
        };
        let request = str::from_utf8(&self.request).ok()?;
        Some(
            json!({
                "id": self.id,
                "path": self.path,
                "sign": self.sign.name(),
                "strong_target": to,
                "request": request,
                "cheap_response": answer(&self.bad)?,
                "response": answer(self.answer.as_ref()?)?,
            })
            .to_string(),
        )
    }
}

fn append(bytes: &mut Vec<u8>, piece: &[u8], most: usize) -> bool {
    let fits = bytes.len() + piece.len() <= most;
    if fits {
        bytes.extend(piece);
    }
    fits
}
