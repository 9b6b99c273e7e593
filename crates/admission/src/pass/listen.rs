//! The pass to listen: a keyed BLAKE3 MAC over one log's id and a time. Millions are checked; each costs a hash.
//!
//! Every worker holds the key, so this pass grants nothing but hearing: whoever steals the key can hear, never speak.
//! Grants to rehearse ([`super::rehearsal`]) come of the same secret by another context.

use std::fmt;
use std::time::SystemTime;

use super::wire::{self, Fields};
use super::{PassId, Refusal, Scope};

const VERSION: u8 = 1;
const KIND: u8 = b'L';
/// Separates this use of the secret from every other, present or future.
const CONTEXT: &str = "hiwar 2026-11 pass to listen, version 1";

/// A pass to listen to one space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Which pass this is.
    pub id: PassId,
    /// The log that may be heard.
    pub scope: Scope,
    /// The first moment at which it is no longer good; whole seconds on the wire.
    pub expires: SystemTime,
}

impl Listen {
    /// Whether this pass opens that log. [`Refusal::WrongSpace`] if it is for another.
    pub fn admits(&self, log: &str) -> Result<(), Refusal> {
        if self.scope.as_str() == log { Ok(()) } else { Err(Refusal::WrongSpace) }
    }
}

/// The secret shared by the house and all workers; signs and checks passes to listen.
#[derive(Clone)]
pub struct ListenKey([u8; 32]);

impl ListenKey {
    /// From 32 random bytes, kept secret on disk.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(blake3::derive_key(CONTEXT, &secret))
    }

    /// The token of a pass: base64url, at most [`super::TOKEN_BYTES_MAX`] characters.
    pub fn sign(&self, pass: &Listen) -> String {
        let mut bytes = vec![VERSION, KIND];
        bytes.extend_from_slice(&pass.id.0);
        bytes.extend_from_slice(&wire::seconds(pass.expires).to_le_bytes());
        wire::put_text(&mut bytes, pass.scope.as_str());
        let mac = blake3::keyed_hash(&self.0, &bytes);
        bytes.extend_from_slice(mac.as_bytes());
        wire::encode(&bytes)
    }

    /// Reads a token and checks it: kind, then MAC (in constant time), then fields, then time. The caller still asks
    /// [`Listen::admits`].
    pub fn verify(&self, now: SystemTime, token: &str) -> Result<Listen, Refusal> {
        let bytes = wire::decode(token)?;
        if wire::head(&bytes)? != (VERSION, KIND) {
            return Err(Refusal::WrongKind);
        }
        let (signed, mac) = bytes.split_last_chunk::<32>().ok_or(Refusal::Malformed)?;
        if blake3::keyed_hash(&self.0, signed) != blake3::Hash::from_bytes(*mac) {
            return Err(Refusal::WrongSignature);
        }
        let mut fields = Fields::after_head(signed)?;
        let id = fields.id()?;
        let expires = fields.time()?;
        let scope = Scope::parse(fields.text()?).ok_or(Refusal::Malformed)?;
        fields.end()?;
        if now >= expires {
            return Err(Refusal::Expired);
        }
        Ok(Listen { id, scope, expires })
    }
}

impl fmt::Debug for ListenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: SystemTime = UNIX_EPOCH;

    fn key(byte: u8) -> ListenKey {
        ListenKey::from_bytes([byte; 32])
    }

    fn pass(scope: &str) -> Listen {
        Listen {
            id: PassId([7; 8]),
            scope: Scope::parse(scope).expect("a scope"),
            expires: NOW + Duration::from_secs(60),
        }
    }

    #[test]
    fn a_signed_pass_is_accepted_until_its_second() {
        let token = key(1).sign(&pass("demo"));
        assert_eq!(key(1).verify(NOW, &token), Ok(pass("demo")));
        assert!(key(1).verify(NOW + Duration::from_millis(59_999), &token).is_ok());
        assert_eq!(key(1).verify(NOW + Duration::from_secs(60), &token), Err(Refusal::Expired));
    }

    #[test]
    fn a_pass_of_another_house_is_refused() {
        assert_eq!(key(2).verify(NOW, &key(1).sign(&pass("demo"))), Err(Refusal::WrongSignature));
    }

    #[test]
    fn a_pass_opens_its_own_space_only() {
        let listen = key(1).verify(NOW, &key(1).sign(&pass("demo"))).expect("a good pass");
        assert_eq!(listen.admits("demo"), Ok(()));
        assert_eq!(listen.admits("demo2"), Err(Refusal::WrongSpace));
    }

    #[test]
    fn a_change_of_any_character_is_refused() {
        let token = key(1).sign(&pass("demo"));
        for at in 0..token.len() {
            for other in (0x20u8..0x7f).filter(|&other| other != token.as_bytes()[at]) {
                let mut changed = token.clone().into_bytes();
                changed[at] = other;
                let changed = String::from_utf8(changed).expect("still ASCII");
                assert!(key(1).verify(NOW, &changed).is_err(), "character {at} changed to {other}");
            }
        }
    }

    #[test]
    fn a_cut_or_lengthened_pass_is_refused() {
        let token = key(1).sign(&pass("demo"));
        for length in 0..token.len() {
            assert!(key(1).verify(NOW, &token[..length]).is_err());
        }
        assert!(key(1).verify(NOW, &format!("{token}A")).is_err());
        assert_eq!(key(1).verify(NOW, &"A".repeat(301)), Err(Refusal::TooLong));
    }

    #[test]
    fn the_longest_pass_fits() {
        let longest = pass(&"a".repeat(Scope::BYTES_MAX));
        let token = key(1).sign(&longest);
        assert!(token.len() <= super::super::TOKEN_BYTES_MAX);
        assert_eq!(key(1).verify(NOW, &token), Ok(longest));
    }

    #[test]
    fn a_well_signed_pass_with_an_unspeakable_time_or_scope_is_malformed() {
        for (expires, scope) in [(u64::MAX, "demo"), (60, "DEMO"), (60, ""), (60, "a b")] {
            let mut bytes = vec![VERSION, KIND];
            bytes.extend_from_slice(&[0; 8]);
            bytes.extend_from_slice(&expires.to_le_bytes());
            wire::put_text(&mut bytes, scope);
            let mac = blake3::keyed_hash(&key(1).0, &bytes);
            bytes.extend_from_slice(mac.as_bytes());
            assert_eq!(key(1).verify(NOW, &wire::encode(&bytes)), Err(Refusal::Malformed));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(token in "\\PC{0,400}") {
            prop_assert!(key(1).verify(NOW, &token).is_err());
        }

        #[test]
        fn random_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..220)) {
            prop_assert!(key(1).verify(NOW, &wire::encode(&bytes)).is_err());
        }
    }
}
