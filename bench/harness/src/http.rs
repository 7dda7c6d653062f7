//! Just enough HTTP/1.1: where a message ends, and what its headers say.
//!
//! Client and upstream share the machine with what is measured, so they must cost next to nothing.

use memchr::memmem;

/// The head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where the body begins.
    pub length: usize,
    pub body: Framing,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
}

/// Reads the head at the start of `bytes`, once it is complete.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let end = memmem::find(bytes, b"\r\n\r\n")?;
    let head = &bytes[..end];
    let body = match field(head, "content-length") {
        Some(digits) => Framing::Length(digits.parse().ok()?),
        None if field(head, "transfer-encoding").is_some() => Framing::Chunked,
        None => Framing::Length(0),
    };
    Some(Head { length: end + 4, body })
}

/// The value of a header, by its name in lower case.
pub fn field<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (own, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        own.eq_ignore_ascii_case(name.as_bytes())
            .then(|| str::from_utf8(value).ok().map(str::trim))?
    })
}

/// How many bytes the message at the start of `bytes` has, once that is known.
pub fn length(bytes: &[u8], head: Head) -> Option<usize> {
    match head.body {
        Framing::Length(length) => Some(head.length + length),
        // One message at a time is under way, so the last chunk ends what is there.
        Framing::Chunked => bytes.ends_with(b"\r\n0\r\n\r\n").then_some(bytes.len()),
    }
}

/// The body of a complete message, its chunks joined.
pub fn body(bytes: &[u8], head: Head) -> Vec<u8> {
    let mut rest = &bytes[head.length..];
    if head.body != Framing::Chunked {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    while let Some(end) = memmem::find(rest, b"\r\n") {
        let size = str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    body
}

/// The status of an answer.
pub fn status(bytes: &[u8]) -> Option<u16> {
    str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_its_length_says() {
        let message = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let head = head(message).unwrap();
        assert_eq!(length(message, head), Some(message.len()));
        assert_eq!((status(message), body(message, head).as_slice()), (Some(200), &b"abc"[..]));
    }

    #[test]
    fn chunks_are_joined_and_the_last_one_ends_the_message() {
        let message =
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let head = head(message).unwrap();
        assert_eq!(length(message, head), Some(message.len()));
        assert_eq!(length(&message[..message.len() - 4], head), None);
        assert_eq!(body(message, head), b"abc");
    }
}
