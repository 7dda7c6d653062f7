//! Envoy's access log on its way to standard output.
//!
//! Whoever does not read our output must not hold up Envoy, which writes into a pipe of ours, nor
//! keep us from ending.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pointsman_core::target::Target;

use super::super::print;
use super::line::Lines;

/// Lines that wait to be printed.
const WAITING: usize = 1024;
/// How long the last lines may take.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(String),
    /// Lines that found no room.
    Lost(u64),
    Targets(Vec<Target>),
}

/// Prints a line for each request.
pub(super) struct Printer {
    sender: SyncSender<Message>,
    printed: JoinHandle<()>,
}

impl Printer {
    pub(super) fn start(log: Option<ChildStdout>, lines: Lines, as_json: bool) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let printed = std::thread::spawn(move || print_all(&receiver, lines, as_json));
        if let Some(log) = log {
            let sender = sender.clone();
            std::thread::spawn(move || follow(log, &sender));
        }
        Printer { sender, printed }
    }

    /// After a change of the file.
    pub(super) fn set_targets(&self, targets: Vec<Target>) {
        let _ = self.sender.try_send(Message::Targets(targets));
    }

    /// Waits a moment for the last lines, once Envoy has ended.
    pub(super) fn finish(self) {
        drop(self.sender);
        let deadline = Instant::now() + PATIENCE;
        while !self.printed.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn follow(log: ChildStdout, sender: &SyncSender<Message>) {
    let mut lost = 0;
    for line in BufReader::new(log).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line).into_owned();
        if lost > 0 && sender.try_send(Message::Lost(lost)).is_ok() {
            lost = 0;
        }
        match sender.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => lost += 1,
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

fn print_all(receiver: &Receiver<Message>, mut lines: Lines, as_json: bool) {
    for message in receiver {
        let text = match message {
            Message::Line(line) if as_json => Some(line),
            Message::Line(line) => lines.read(&line),
            Message::Lost(lost) => {
                report!(
                    "warning: {lost} requests were not printed, because nobody reads the output"
                );
                None
            }
            Message::Targets(targets) => {
                lines.set_targets(targets);
                None
            }
        };
        // A closed output is no reason to end: the router serves on.
        text.into_iter().for_each(|text| drop(print(text)));
    }
}
