//! Text that runs in a circle.

/// Bytes at the end that are looked at.
const TAIL: usize = 4096;
/// The least bytes of a run, and how often its phrase stands there at least. Refrains, laughter,
/// rulers and rows of equal cells stay below.
const RUN: usize = 1000;
const TIMES: usize = 10;

/// Whether a text ends with one phrase over and over. `cut` says that a limit ended it; a model that
/// stops, or may still stop, may have been asked for such a text: it must be twice as long.
pub(super) fn is_endless(text: &str, cut: bool) -> bool {
    let factor = if cut { 1 } else { 2 };
    let (run, times) = (RUN * factor, TIMES * factor);
    if text.len() < run {
        return false;
    }
    // Read backwards, a text that ends in a circle begins with one. The prefix function of Knuth,
    // Morris and Pratt (1977) gives the shortest period of every beginning.
    let mut tail: Vec<u8> = Vec::new();
    let mut borders: Vec<usize> = Vec::new();
    let mut border = 0;
    for (at, byte) in text.bytes().rev().take(TAIL).enumerate() {
        if at > 0 {
            while border > 0 && tail.get(border) != Some(&byte) {
                border = borders.get(border - 1).copied().unwrap_or(0);
            }
            border += usize::from(tail.get(border) == Some(&byte));
        }
        tail.push(byte);
        borders.push(border);
        let length = at + 1;
        let period = length - border;
        // What has no short period so far has none with more bytes either.
        if period > TAIL / times {
            return false;
        }
        if length >= run && length >= times * period && is_phrase(text, period, length, run, cut) {
            return true;
        }
    }
    false
}

/// Whether what stands there over and over is words, or white space. Zeros and rulers may be meant,
/// unless they are twice as many and nothing but a limit ended them.
fn is_phrase(text: &str, period: usize, length: usize, run: usize, cut: bool) -> bool {
    // As many characters as the period has bytes: they lie within the run.
    let mut phrase = text.chars().rev().take(period);
    if phrase.clone().any(char::is_alphabetic) {
        return true;
    }
    phrase.all(char::is_whitespace) || cut && length >= 2 * run
}
