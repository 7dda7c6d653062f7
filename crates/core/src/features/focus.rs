//! What of a conversation is read, and how much each part counts.

use super::counts::ONE;
use super::{FOCUS_HEAD_BYTES, FOCUS_TAIL_BYTES};
use crate::prompt::{Prompt, Role, Turn};

/// User turns that are read, the one in focus among them.
pub(crate) const FOCUS_TURNS: usize = 4;
/// Bytes read from the beginning and from the end of a turn that counts less than the one in focus.
const DECAYED_WINDOW: (usize, usize) = (3 * 1024, 1024);

/// A user turn up to this long is a follow-up when there is another before it, in bytes.
const FOLLOW_UP_BYTES: usize = 48;

/// The text that the model is asked about.
pub(super) struct Focus<'p> {
    /// The last user turns, newest first, each with its weight in eighths; 0 where there is none.
    turns: [(&'p str, u32); FOCUS_TURNS],
}

impl<'p> Focus<'p> {
    pub(super) fn of(prompt: &'p Prompt) -> Self {
        let spoken = |turn: &&Turn| !turn.text.trim_ascii().is_empty();
        let users = prompt.turns.iter().rev().filter(|turn| turn.role == Role::User).filter(spoken);
        let mut turns = [("", 0); FOCUS_TURNS];
        let mut weight = ONE;
        for (place, turn) in turns.iter_mut().zip(users) {
            // White space around it is the sender's habit, not a question.
            let text = turn.text.trim();
            *place = (text, weight);
            if text.len() > FOLLOW_UP_BYTES {
                weight /= 2;
            }
        }
        if let [first @ ("", 0), ..] = &mut turns {
            let any = prompt.turns.iter().rev().find(spoken);
            *first = (any.map_or("", |turn| turn.text.trim()), ONE);
        }
        Focus { turns }
    }

    /// The last user turn.
    pub(super) fn text(&self) -> &'p str {
        let [(text, _), ..] = self.turns;
        text
    }

    pub(super) fn is_follow_up(&self) -> bool {
        let [(text, _), (_, before), ..] = self.turns;
        before > 0 && text.len() <= FOLLOW_UP_BYTES
    }

    /// Oldest first, so that the end of what is read is the end of the question.
    pub(super) fn excerpts(&self) -> impl Iterator<Item = Excerpt<'p>> {
        let whole = |(_, weight): &&(&str, u32)| *weight == ONE;
        let opening = self.turns.iter().filter(whole).count().saturating_sub(1);
        self.turns.iter().enumerate().rev().filter(|(_, (_, weight))| *weight > 0).map(
            move |(age, &(text, weight))| {
                let whole = weight == ONE;
                let (window, bytes) = if whole {
                    ((FOCUS_HEAD_BYTES, FOCUS_TAIL_BYTES), text.len())
                } else {
                    let (head, tail) = DECAYED_WINDOW;
                    (DECAYED_WINDOW, text.len().min(head + tail))
                };
                Excerpt { text, window, bytes, weight, opens: age == opening }
            },
        )
    }
}

/// A part of the conversation to read.
pub(super) struct Excerpt<'p> {
    pub(super) text: &'p str,
    /// Bytes read from its beginning and from its end. What lies between is skipped.
    pub(super) window: (usize, usize),
    /// Bytes it counts as.
    pub(super) bytes: usize,
    /// How much each of its words counts, in eighths.
    pub(super) weight: u32,
    /// Its first word shows the kind of task.
    pub(super) opens: bool,
}

impl<'p> Excerpt<'p> {
    /// What is read of it: its beginning and its end, cut between characters.
    pub(super) fn pieces(&self) -> [&'p str; 2] {
        let (head, tail) = self.window;
        if self.text.len() <= head + tail {
            return [self.text, ""];
        }
        let head = self.text.floor_char_boundary(head);
        let tail = self.text.ceil_char_boundary(self.text.len() - tail);
        [self.text.get(..head).unwrap_or_default(), self.text.get(tail..).unwrap_or_default()]
    }
}
