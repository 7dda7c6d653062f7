//! Decision ids that only holders of the key can make.
//!
//! An id travels to the client and comes back with a reward. Its tag shows that the decision was
//! made by a filter of ours, before anything is looked up.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The random part of a decision id.
pub type DecisionId = [u8; 16];

/// Bytes of the tag: HMAC-SHA-256 (RFC 2104), cut to 96 bits.
const TAG: usize = 12;

/// Makes and checks ids: 32 hex digits and, behind a dot, the 24 of the tag.
#[derive(Clone)]
pub struct Signer {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("Signer")
    }
}

impl Signer {
    /// A signer with a shared secret of any length.
    pub fn new(key: &str) -> Option<Self> {
        Some(Signer { mac: Hmac::new_from_slice(key.as_bytes()).ok()? })
    }

    fn tag(&self, id: &DecisionId) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(id);
        let mut tag = [0; TAG];
        tag.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(tag, byte)| *tag = byte);
        tag
    }

    /// The id with its tag.
    pub fn sign(&self, id: &DecisionId) -> String {
        let mut text = hex(id);
        text.push('.');
        text.push_str(&hex(&self.tag(id)));
        text
    }

    /// The random part of an id that this key signed; `None` for any other text.
    pub fn verify(&self, text: &str) -> Option<DecisionId> {
        let (id, tag) = text.split_once('.')?;
        let id: DecisionId = from_hex(id)?;
        let tag: [u8; TAG] = from_hex(tag)?;
        // Every byte is looked at, so that time tells nothing about the tag.
        let differ = self.tag(&id).iter().zip(&tag).fold(0, |sum, (a, b)| sum | (a ^ b));
        (differ == 0).then_some(id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_by_its_key_alone() {
        let signer = Signer::new("a shared secret").unwrap();
        let id = [7; 16];
        let text = signer.sign(&id);
        assert_eq!(text.len(), 57);
        assert_eq!(signer.verify(&text), Some(id));
        assert_eq!(Signer::new("another secret").unwrap().verify(&text), None);
    }

    #[test]
    fn a_changed_id_is_refused() {
        let signer = Signer::new("a shared secret").unwrap();
        let text = signer.sign(&[7; 16]);
        for position in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[position] = if forged[position] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(signer.verify(&forged), None, "{forged}");
        }
        for odd in ["", ".", "zz", "é.é", &format!("{text}0"), &format!("0{text}")] {
            assert_eq!(signer.verify(odd), None, "{odd}");
        }
    }
}
