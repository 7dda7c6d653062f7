//! A request that goes by, and what it asks of its answer.

use crate::acceptance;
use crate::api::ApiFormat;
use crate::exchange::Host;
use crate::prompt::{Envelopes, Prompt};
use crate::verdict::Expectation;

/// Longest body that is kept until all of it is here.
const BYTES: usize = 1 << 20;

/// A request on its way to a target.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) format: ApiFormat,
    /// What is here of it; empty once it is read.
    body: Vec<u8>,
    /// It has more bytes than are kept.
    cut: bool,
    /// What it asks of its answer, once all of it is here.
    pub(super) expectation: Option<Expectation>,
    /// The text that a model judges the answer against.
    pub(super) asked: Option<String>,
}

impl Question {
    pub(super) fn new(format: ApiFormat) -> Self {
        Question { format, body: Vec::new(), cut: false, expectation: None, asked: None }
    }

    /// The next `size` bytes of the body pass by. `judged` says that a model judges the answer.
    pub(super) fn pass(&mut self, host: &impl Host, size: usize, ended: bool, judged: bool) {
        self.cut |= self.body.len() + size > BYTES;
        if self.cut {
            self.body = Vec::new();
        } else {
            self.body.extend(host.request_body(size));
        }
        if ended {
            self.read(judged);
        }
    }

    /// All of the body is here: what counts of it is read, and the rest not kept while the model
    /// thinks.
    pub(super) fn read(&mut self, judged: bool) {
        if self.cut {
            return;
        }
        let mut body = std::mem::take(&mut self.body);
        let expectation = Expectation::read(self.format, &body);
        if judged && !expectation.in_tool_loop {
            let envelopes = Envelopes::default();
            let prompt = Prompt::parse_with(self.format, &mut body, false, &envelopes).ok();
            self.asked = prompt.map(|prompt| acceptance::asked(&prompt).to_owned());
        }
        self.expectation = Some(expectation);
    }
}
