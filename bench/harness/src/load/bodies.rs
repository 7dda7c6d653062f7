//! Requests of an exact size, no text like another.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

/// More than a processor remembers the branches of.
const COUNT: usize = 499;

const WORDS: &str = "account archive balance bridge budget canal carriage catalogue chapter circuit \
    clerk climate column compare contract copper customs delivery describe diagram district echo \
    engine estimate evening explain fabric ferry figure forecast garden gradient harbour hospital \
    improve index island journal kettle ladder lantern ledger letter library list machine market \
    measure meeting method migrate minute mirror network notebook office orchard outline parcel \
    pattern permit planet platform pressure program quarter question railway recipe record reduce \
    report river sample schedule season sentence service signal station storage summary supplier \
    table theory ticket timber tower translate valley vessel village voltage weather window";

/// Chat requests whose bodies have exactly `size` bytes, as they go over the wire.
pub fn requests(size: usize) -> Vec<Vec<u8>> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut random = SmallRng::seed_from_u64(size as u64);
    (0..COUNT).map(|_| request(&sized(size, &words, &mut random))).collect()
}

/// A chat request with this text.
pub fn asking(text: &str) -> Vec<u8> {
    request(&body(text))
}

/// The body of a chat request with this text.
pub fn body(text: &str) -> Vec<u8> {
    json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
        .to_string()
        .into_bytes()
}

/// Prose with numbers, questions and line breaks, which take two bytes in JSON.
fn sized(size: usize, words: &[&str], random: &mut SmallRng) -> Vec<u8> {
    let room = size.saturating_sub(body("").len());
    let (mut text, mut taken) = (String::new(), 0);
    while taken < room {
        let word = words.choose(random).copied().unwrap_or("word");
        let piece = match random.random_range(0..14) {
            0 => format!("{word}? "),
            1 => format!("{word}, {} ", random.random_range(2..2000)),
            2 => format!("{word}.\n"),
            3 => format!("the {word} of "),
            _ => format!("{word} "),
        };
        taken += piece.len() + usize::from(piece.ends_with('\n'));
        text += &piece;
    }
    while taken > room {
        taken -= if text.pop() == Some('\n') { 2 } else { 1 };
    }
    text += &"x".repeat(room - taken);
    body(&text)
}

fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_size_and_differ() {
        for size in [512, 2048, 131_072] {
            let requests = requests(size);
            let length = format!("content-length: {size}\r\n");
            assert!(requests.iter().all(|request| {
                let head = crate::http::head(request).unwrap();
                request.len() == head.length + size
                    && String::from_utf8_lossy(&request[..head.length]).contains(&length)
            }));
            assert_ne!(requests[0], requests[1]);
        }
    }
}
