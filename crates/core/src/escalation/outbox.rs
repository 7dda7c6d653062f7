//! Pairs on their way to `pointsman capture`.

use std::cell::{Cell, RefCell};

use crate::control_plane::{Caller, paths};
use crate::target::Capture;

/// Most bytes of pairs that a worker keeps until they are sent.
pub(super) const WAITING_BYTES: usize = 4 << 20;

/// What a worker has to send, and whether anybody takes it. Each function gives back a message when
/// something goes wrong for the first time since something went right.
#[derive(Debug)]
pub struct Outbox {
    capture: Capture,
    /// They are sent on the clock's tick: a call that a request makes ends with the request.
    waiting: RefCell<Vec<String>>,
    /// Whether it was complained that nobody takes them.
    complained: Cell<bool>,
}

impl Outbox {
    pub fn new(capture: Capture) -> Self {
        Outbox { capture, waiting: RefCell::default(), complained: Cell::default() }
    }

    /// Which requests are wanted.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Keeps a pair until the next [`Outbox::send`], if there is room.
    pub fn keep(&self, pair: String) -> Option<String> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.iter().map(String::len).sum::<usize>() + pair.len() > WAITING_BYTES {
            return self.complain("more comes than can be sent");
        }
        waiting.push(pair);
        None
    }

    /// Sends what waits.
    pub fn send(&self, host: &impl Caller) -> Option<String> {
        let mut complaint = None;
        for pair in self.waiting.take() {
            let cluster = self.capture.cluster.as_str();
            let headers = vec![
                (":method", "POST"),
                (":path", paths::CAPTURES),
                (":authority", cluster),
                ("content-type", "application/json"),
            ];
            if host.call(cluster, headers, pair.as_bytes()).is_none() {
                complaint = complaint.or(self.complain("the cluster cannot be asked"));
            }
        }
        complaint
    }

    /// `pointsman capture` has answered, or did not.
    pub fn on_response(&self, host: &impl Caller) -> Option<String> {
        match host.call_header(":status") {
            Some(status) if status.starts_with(b"2") => {
                self.complained.set(false);
                None
            }
            Some(status) => {
                self.complain(&format!("it answers {}", String::from_utf8_lossy(&status)))
            }
            None => self.complain("it does not answer"),
        }
    }

    fn complain(&self, what: &str) -> Option<String> {
        let cluster = &self.capture.cluster;
        let message = || format!("capture at {cluster}: {what}; escalated requests are not kept");
        (!self.complained.replace(true)).then(message)
    }
}
