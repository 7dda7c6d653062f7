//! State that lives with the provider that made it: stored responses and conversations, threads,
//! containers, files, thoughts that only their maker can read.
//!
//! A request that builds on such state can be answered by one target only. What the answers say
//! they left behind is remembered as it passes by ([`MadeState`]), and what a request builds on is
//! looked for in its body ([`NamedState`]), each as a hash of its name or of the beginning of its
//! secret.

use crate::features::hash64;

mod made;
mod named;
mod path;

pub(crate) use made::MadeState;
pub use named::NamedState;
pub use path::in_path;

/// Bytes of a name or a secret that are looked at: enough to tell any two apart, and so little
/// that the first piece of a streamed one has them.
const BYTES: usize = 128;

/// What a piece of state is known by. `None` for no name at all.
fn state_id(name: &[u8]) -> Option<u64> {
    let name = name.get(..BYTES).unwrap_or(name);
    (!name.is_empty()).then(|| hash64(&[b"state", name]))
}

/// A text that is read for its beginning.
#[derive(Debug, Default)]
struct Beginning(Vec<u8>);

impl Beginning {
    fn push(&mut self, text: &[u8]) {
        let room = BYTES.saturating_sub(self.0.len());
        self.0.extend(text.iter().take(room));
    }

    /// What the text is known by; the next one begins.
    fn take(&mut self) -> Option<u64> {
        let id = state_id(&self.0);
        self.0.clear();
        id
    }
}

#[cfg(test)]
mod tests;
