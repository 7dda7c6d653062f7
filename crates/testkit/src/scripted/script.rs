//! What a scripted model answers, step by step.

use std::time::Duration;

use bytes::Bytes;
use pointsman_core::api::ApiFormat;

use crate::said::Said;

/// What happens next while an answer's body is sent.
#[derive(Clone, Debug)]
pub enum Step {
    /// A piece: one chunk, or one frame.
    Send(Bytes),
    /// The same piece so many times.
    Repeat(Bytes, usize),
    /// Nothing for this long.
    Pause(Duration),
    /// Nothing until the test opens the next gate of this request.
    Gate,
    /// Nothing any more, until the client leaves.
    Silence,
    /// The connection ends here, in order; over HTTP/2 the stream does.
    Close,
    /// The connection is reset here; over HTTP/2 the stream is.
    Reset,
}

/// How the body's end is known over HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By a `content-length`: of the steps, or whatever else is claimed.
    Length(Option<usize>),
    Chunked,
    /// By the connection's end.
    UntilClose,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// What stands in front of the head, over HTTP/1.1 only.
    pub(super) before: Bytes,
    pub(super) framing: Framing,
    pub(super) steps: Vec<Step>,
    pub(super) trailers: Vec<(String, String)>,
}

impl Script {
    /// A body of one piece, with its length.
    pub fn body(media: &str, body: impl Into<Bytes>) -> Self {
        Script {
            status: 200,
            headers: vec![("content-type".to_owned(), media.to_owned())],
            before: Bytes::new(),
            framing: Framing::Length(None),
            steps: vec![Step::Send(body.into())],
            trailers: Vec::new(),
        }
    }

    /// JSON with its length.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Script::body("application/json", body)
    }

    /// Events, each a chunk of its own.
    pub fn events<E: Into<Bytes>>(events: impl IntoIterator<Item = E>) -> Self {
        Script {
            framing: Framing::Chunked,
            steps: events.into_iter().map(|event| Step::Send(event.into())).collect(),
            ..Script::body("text/event-stream", "")
        }
    }

    /// What a model does, as an API's answer.
    pub fn of(said: &Said, api: ApiFormat, streamed: bool) -> Self {
        match streamed {
            true => Script::events(said.events(api)),
            false => Script::json(said.whole(api)),
        }
    }

    /// No body at all.
    pub fn nothing(status: u16) -> Self {
        Script { status, headers: Vec::new(), steps: Vec::new(), ..Script::json("") }
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Raw bytes in front of the head, such as an informational response.
    pub fn preceded_by(mut self, bytes: &'static [u8]) -> Self {
        self.before = Bytes::from_static(bytes);
        self
    }

    /// Each piece is a chunk.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// The `content-length`, whatever is sent.
    pub fn claiming(mut self, length: usize) -> Self {
        self.framing = Framing::Length(Some(length));
        self
    }

    /// The connection's end is the body's.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self.then(Step::Close)
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same bytes in pieces of these lengths, over and over, with this time between them.
    pub fn in_pieces(mut self, lengths: &[usize], pause: Duration) -> Self {
        let mut rest = self.bytes();
        let mut lengths = lengths.iter().cycle();
        self.steps.clear();
        while !rest.is_empty() {
            let length = lengths.next().copied().unwrap_or(1).clamp(1, rest.len());
            self.steps.push(Step::Send(rest.split_to(length)));
            if !pause.is_zero() {
                self.steps.push(Step::Pause(pause));
            }
        }
        self
    }

    /// The same with something in the middle: in front of this byte of the body.
    pub fn interrupted(mut self, at: usize, step: Step) -> Self {
        let (mut before, mut step) = (at, Some(step));
        let mut steps = Vec::new();
        for it in std::mem::take(&mut self.steps) {
            match it {
                Step::Send(mut bytes) if step.is_some() && before <= bytes.len() => {
                    steps.push(Step::Send(bytes.split_to(before)));
                    steps.extend(step.take());
                    steps.push(Step::Send(bytes));
                }
                other => {
                    if let Step::Send(bytes) = &other {
                        before = before.saturating_sub(bytes.len());
                    }
                    steps.push(other);
                }
            }
        }
        assert!(step.is_none(), "the body has no byte {at}");
        self.steps = steps;
        self
    }

    /// Lasts as long as nobody closes a connection: all bytes of the body.
    pub fn bytes(&self) -> Bytes {
        let mut bytes = Vec::new();
        for step in &self.steps {
            match step {
                Step::Send(piece) => bytes.extend_from_slice(piece),
                Step::Repeat(piece, times) => bytes.extend(piece.repeat(*times)),
                _ => {}
            }
        }
        bytes.into()
    }

    /// How many bytes the steps send.
    pub(super) fn length(&self) -> usize {
        let length = |step: &Step| match step {
            Step::Send(piece) => piece.len(),
            Step::Repeat(piece, times) => piece.len() * times,
            _ => 0,
        };
        self.steps.iter().map(length).sum()
    }

    /// The head over HTTP/1.1.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            Framing::Length(claimed) => {
                head += &format!("content-length: {}\r\n", claimed.unwrap_or(self.length()));
            }
            Framing::Chunked => head += "transfer-encoding: chunked\r\n",
            Framing::UntilClose => head += "connection: close\r\n",
        }
        [&self.before[..], head.as_bytes(), b"\r\n"].concat()
    }

    /// A piece as it goes over HTTP/1.1.
    pub(super) fn framed(&self, piece: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Chunked if piece.is_empty() => Vec::new(),
            Framing::Chunked => {
                [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
            }
            _ => piece.to_vec(),
        }
    }

    /// What ends the body over HTTP/1.1.
    pub(super) fn end(&self) -> String {
        if self.framing != Framing::Chunked {
            return String::new();
        }
        let trailers = self.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("0\r\n{}\r\n", trailers.collect::<String>())
    }
}
