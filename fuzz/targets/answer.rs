//! Answers of models, whole and as events.

use pointsman_core::answer::{Outcome, UsageReader, sse};
use pointsman_core::api::ApiFormat;
use pointsman_core::target::Billed;
use pointsman_core::verdict::{Examiner, Expectation, LogProbability, Sign};

use super::first_line;

const CONTENT_TYPES: [&[u8]; 2] = [b"application/json", b"text/event-stream"];

/// A line with the request, then the answer's body: read in every format, it says the same wherever
/// it is cut into pieces, and no more than is in it.
pub fn answer(data: &[u8]) -> bool {
    let (request, body) = first_line(data);
    let mut says = false;
    let odd = 1 + body.len() % 61;
    for content_type in CONTENT_TYPES {
        let counted = counted(content_type, body, body.len().max(1));
        for size in [1, odd] {
            assert_eq!(self::counted(content_type, body, size), counted, "in pieces of {size}");
        }
        for format in ApiFormat::ALL {
            let expectation = Expectation::read(format, request);
            let read = |size| examined(format, &expectation, content_type, body, size);
            let whole = read(body.len().max(1));
            says |= !whole.text.is_empty();
            assert!(whole.text.len() <= body.len(), "{} bytes of text", whole.text.len());
            if let Some(LogProbability { mean, min }) = whole.log_probability {
                assert!(min <= mean + 1e-3 && mean <= 0.0, "log-probabilities {min} and {mean}");
            }
            for size in [1, odd] {
                assert_eq!(read(size), whole, "{} in pieces of {size}", format.name());
            }
        }
    }
    let events = sse::events(body);
    let together: Vec<u8> = events.into_iter().flat_map(|event| body[event].to_vec()).collect();
    assert_eq!(together, body, "events are all of a stream");
    says
}

/// What an answer costs, and what it says of itself.
fn counted(content_type: &[u8], body: &[u8], size: usize) -> (Option<Billed>, Option<Outcome>) {
    let reader = UsageReader::new(content_type).expect("a known content type");
    let mut reader = reader.with_outcome();
    body.chunks(size).for_each(|piece| reader.read(piece));
    assert_eq!(reader.billed().map(|billed| billed.usage), reader.usage());
    (reader.billed(), reader.outcome())
}

/// All that an examiner says.
#[derive(Debug, PartialEq)]
struct Said {
    early: Option<Sign>,
    at_the_end: Option<Sign>,
    text: String,
    is_cut: bool,
    ran_tools: bool,
    calls: bool,
    log_probability: Option<LogProbability>,
}

fn examined(
    format: ApiFormat,
    expectation: &Expectation,
    content_type: &[u8],
    body: &[u8],
    size: usize,
) -> Said {
    let examiner = Examiner::new(expectation.clone(), format, content_type);
    let mut examiner = examiner.expect("a known content type");
    for piece in body.chunks(size) {
        examiner.read(piece);
        // Asked at any time.
        examiner.sign(false);
    }
    Said {
        early: examiner.sign(false),
        at_the_end: examiner.sign(true),
        text: examiner.text().to_owned(),
        is_cut: examiner.is_cut(),
        ran_tools: examiner.ran_tools(),
        calls: examiner.first_call_complete(),
        log_probability: examiner.log_probability(),
    }
}
