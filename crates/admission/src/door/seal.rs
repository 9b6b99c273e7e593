//! What the house says in public of a door is sealed: whoever has its public key can show others what it said, and nobody else can have said it.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Separates this use of the house's secret from its passes: none of them can be taken for the other.
const CONTEXT: &str = "hiwar 2026-11 seal of what is said of a door, version 1";

/// Bytes of a seal.
pub const SEAL_BYTES: usize = 64;

/// Seals (Ed25519, RFC 8032); in the house alone.
#[derive(Clone)]
pub struct SealKey(SigningKey);

impl SealKey {
    /// From the 32 secret random bytes of the house.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&blake3::derive_key(CONTEXT, secret)))
    }

    /// What others check it by.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Seals something. `what`: which kind of thing it is.
    pub fn seal(&self, what: &str, bytes: &[u8]) -> [u8; SEAL_BYTES] {
        self.0.sign(&message(what, bytes)).to_bytes()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(secret)")
    }
}

/// Whether whoever has the secret of that public key sealed it.
pub fn is_sealed(public: &[u8; 32], what: &str, bytes: &[u8], seal: &[u8; SEAL_BYTES]) -> bool {
    let key = VerifyingKey::from_bytes(public);
    key.is_ok_and(|key| key.verify_strict(&message(what, bytes), &Signature::from_bytes(seal)).is_ok())
}

/// A hash of it, under its kind: as short as that, however much it is.
fn message(what: &str, bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(what, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_key_one_kind_and_one_content() {
        let key = SealKey::from_bytes(&[1; 32]);
        let seal = key.seal("a kind", b"said");
        assert!(is_sealed(&key.public(), "a kind", b"said", &seal));
        assert!(!is_sealed(&key.public(), "another", b"said", &seal));
        assert!(!is_sealed(&key.public(), "a kind", b"Said", &seal));
        assert!(!is_sealed(&SealKey::from_bytes(&[2; 32]).public(), "a kind", b"said", &seal));
        assert!(!is_sealed(&[0xff; 32], "a kind", b"said", &seal));
    }
}
