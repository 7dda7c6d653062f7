//! What must hold for bytes that others have written, however broken: one function for each kind.
//!
//! `cargo fuzz` calls them with whatever libFuzzer finds, and the tests with the corpus and seeded
//! mutations of it. Each says whether anything could be read, and panics when something does not hold.

mod answer;
mod body;
mod config;
mod gateway;
mod model;
mod posts;
mod redis;
mod rows;
mod snapshot;
mod state;
mod store;
pub mod tree;

pub use body::body;

/// A target by its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("body", body),
    ("answer", answer::answer),
    ("snapshot", snapshot::snapshot),
    ("config", config::config),
    ("model", model::model),
    ("gateway", gateway::gateway),
    ("posts", posts::posts),
    ("redis", redis::redis),
    ("state", state::state),
    ("store", store::store),
    ("rows", rows::rows),
];

/// Runs one by its name; whether anything could be read.
///
/// # Panics
///
/// When there is none of this name, or something does not hold.
pub fn run(name: &str, data: &[u8]) -> bool {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data)
}

/// A directory in memory where the system has one, because some of what is tried is synced.
fn directory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// The first line, and what follows it.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// The first byte, and what follows it.
fn first_byte(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Bytes with some words replaced by what no fuzzer could guess: digests, signatures, packed numbers.
fn filled(data: &[u8], words: &[(&str, &[u8])]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((&byte, behind)) = rest.split_first() {
        match words.iter().find(|(word, _)| rest.starts_with(word.as_bytes())) {
            Some((word, meaning)) => {
                filled.extend_from_slice(meaning);
                rest = &rest[word.len()..];
            }
            None => {
                filled.push(byte);
                rest = behind;
            }
        }
    }
    filled
}

/// A file as it was, with damage: two bytes say how many are cut off at its end, then come three for
/// a place and one for the bits that are turned there.
fn damaged(file: &[u8], damage: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let Some((cut, edits)) = damage.split_first_chunk::<2>() else { return file };
    file.truncate(file.len().saturating_sub(usize::from(u16::from_le_bytes(*cut))));
    for [low, middle, high, bits] in edits.as_chunks::<4>().0 {
        let place = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
        if let Some(place) = place.checked_rem(file.len()) {
            file[place] ^= bits;
        }
    }
    file
}
