//! Decision ids that only holders of the key can make.
//!
//! An id travels to the client and comes back with a reward. Its tag shows that the decision was
//! made by a filter of ours, before anything is looked up.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::hex;

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
        let mut text = hex::encode(id);
        text.push('.');
        text.push_str(&hex::encode(&self.tag(id)));
        text
    }

    /// The random part of an id that this key signed; `None` for any other text.
    pub fn verify(&self, text: &str) -> Option<DecisionId> {
        let (id, tag) = text.split_once('.')?;
        let id: DecisionId = hex::decode(id)?;
        let tag: [u8; TAG] = hex::decode(tag)?;
        // Every byte is looked at, so that the time says nothing about the tag.
        let differ = self.tag(&id).iter().zip(&tag).fold(0, |sum, (a, b)| sum | (a ^ b));
        (differ == 0).then_some(id)
    }
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
