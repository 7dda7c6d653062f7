//! What a person at the terminal sees of a run.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pointsman_lab::label::Observer;

/// Progress on standard error: a bar on a terminal, a line every few seconds otherwise.
pub struct Terminal {
    bar: ProgressBar,
    last_line: Mutex<Instant>,
    is_terminal: bool,
}

/// Time between two lines of progress without a terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

impl Terminal {
    /// Nothing is shown before a stage begins.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        let last_line = Mutex::new(Instant::now());
        Terminal { bar, last_line, is_terminal: io::stderr().is_terminal() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Terminal {
    fn begin(&self, stage: &'static str, rows: Option<u64>) {
        self.bar.reset();
        self.bar.set_message(stage);
        let template = match rows {
            Some(rows) => {
                self.bar.set_length(rows);
                "{msg} [{bar:30}] {pos}/{len} rows, {per_sec}, {eta} left"
            }
            None => "{msg} {pos} rows, {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
        if !self.is_terminal {
            let mut last_line = self.last_line.lock().unwrap_or_else(|e| e.into_inner());
            if last_line.elapsed() >= PLAIN_INTERVAL {
                *last_line = Instant::now();
                report!("{}: {} rows", self.bar.message(), self.bar.position());
            }
        }
    }

    fn say(&self, line: &str) {
        if self.is_terminal { self.bar.println(line) } else { report!("{line}") }
    }
}
