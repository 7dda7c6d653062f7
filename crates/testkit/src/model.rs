//! A model that misbehaves on request: the header `x-reply` chooses how. Raw sockets, because an
//! HTTP library would not let it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;

/// How long `x-reply: slow` thinks.
pub const SLOW: Duration = Duration::from_millis(400);

/// A listening model. It serves until the process ends.
pub struct Model {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Model {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let requests = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(&stream, &counter));
            }
        });
        Ok(Model { address, requests })
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One connection, until either side has had enough.
fn serve(stream: &TcpStream, counter: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some((reply, body)) = read(&mut reader) {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        if !answer(stream, &reply, number, &body) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// The wish and the body of the next request.
fn read(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut reply, mut length, mut chunked) = (String::new(), 0, false);
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            if first {
                continue;
            }
            break;
        }
        first = false;
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => chunked = true,
            "x-reply" => value.clone_into(&mut reply),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    while chunked {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        reader.read_exact(&mut piece).ok()?;
        body.extend_from_slice(&piece[..size]);
        chunked = size > 0;
    }
    Some((reply, body))
}

/// The answer with this number, as the default reply has it.
pub fn completion(number: usize) -> String {
    saying(number, &format!("answer {number}"))
}

/// The answer with this number that says a text.
fn saying(number: usize, text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        "{{\"id\":\"c{number}\",\"object\":\"chat.completion\",\"choices\":[{{\"index\":0,\
         \"message\":{{\"role\":\"assistant\",\"content\":{text}}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":5}}}}"
    )
}

/// The events of the answer with this number.
pub fn events(number: usize) -> Vec<String> {
    vec![
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"answer {number}\"}},\
             \"finish_reason\":\"stop\"}}]}}\n\n"
        ),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}\n\n"
            .into(),
        "data: [DONE]\n\n".into(),
    ]
}

/// Answers; returns whether the connection is of further use.
fn answer(mut stream: &TcpStream, reply: &str, number: usize, body: &[u8]) -> bool {
    let json = completion(number);
    let whole = |status: &str, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let events_head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let stream_of = |events: &[String], end: &str| {
        let chunks: String = events.iter().map(|event| chunk(event)).collect();
        format!("{events_head}{chunks}{end}")
    };
    let all = events(number);
    let (text, goes_on) = match reply {
        "sse" => (stream_of(&all, "0\r\n\r\n"), true),
        // It ends in order, but before its last event.
        "sse-unfinished" => (stream_of(&all[..2], "0\r\n\r\n"), true),
        // It breaks off in the middle of an event.
        "sse-cut" => (format!("{}{}", stream_of(&all[..1], ""), chunk("data: {\"cho")), false),
        "sse-error" => {
            let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n".to_owned();
            (stream_of(&[all[0].clone(), error, all[2].clone()], "0\r\n\r\n"), true)
        }
        // It announces more than it sends.
        "short" => {
            let text = whole("200 OK", "", &json);
            (text[..text.len() - 20].to_owned(), false)
        }
        "not-json" => (whole("200 OK", "", "{\"choices\": ["), true),
        "error" => (whole("500 Internal Server Error", "", "{\"error\":{}}"), true),
        "overloaded" => (whole("429 Too Many Requests", "", "{\"error\":{}}"), true),
        "error-200" => (whole("200 OK", "", "{\"error\":{\"message\":\"no\"}}"), true),
        "no-store" => (whole("200 OK", "cache-control: no-store\r\n", &json), true),
        "gzip" => (whole("200 OK", "content-encoding: gzip\r\n", &json), true),
        "large" => {
            let filler = "x".repeat(2 << 20);
            (whole("200 OK", "", &json.replace("answer", &filler)), true)
        }
        "echo" => (whole("200 OK", "", &String::from_utf8_lossy(body)), true),
        // The same as an answer that may be kept.
        "quote" => (whole("200 OK", "", &saying(number, &String::from_utf8_lossy(body))), true),
        // Says which question it is to, and which answer, before and behind it.
        "stamped" => {
            let question = String::from_utf8_lossy(body);
            let text = format!("{{\"number\":{number},\"to\":{question},\"again\":{number}}}");
            (whole("200 OK", "", &saying(number, &text)), true)
        }
        // It never answers; the client has to leave.
        "never" => {
            let mut stream = stream;
            let _ = stream.read(&mut [0]);
            (String::new(), false)
        }
        // It says in two ways where it ends.
        "two-lengths" => {
            let head = events_head.replace("\r\n\r\n", "\r\ncontent-length: 5\r\n\r\n");
            let head = head.replace("text/event-stream", "application/json");
            (format!("{head}{}0\r\n\r\n", chunk(&json)), true)
        }
        "switching" => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n";
            (format!("{head}upgrade: websocket\r\n\r\n"), false)
        }
        "sse-no-cache" => {
            let text = stream_of(&all, "0\r\n\r\n");
            (text.replacen("\r\n", "\r\ncache-control: no-cache\r\n", 1), true)
        }
        "slow" => {
            std::thread::sleep(SLOW);
            (whole("200 OK", "", &json), true)
        }
        // With a header of the test's choice.
        _ => match reply.strip_prefix("with ") {
            Some(header) => (whole("200 OK", &format!("{header}\r\n"), &json), true),
            None => (whole("200 OK", "", &json), true),
        },
    };
    stream.write_all(text.as_bytes()).is_ok() && goes_on
}
