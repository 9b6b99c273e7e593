//! The voucher: the house's word for somebody at a door, that they follow the host or heard an earlier conversation. It opens nothing: whoever shows one is drawn among their like
//! (`docs/adr/0029-a-place-in-time.md`), and one that is forged, over or for another space is as none.
//!
//! Whoever signs people in [issues](VoucherKey::issue) it; a worker checks it, and looks nothing up. It says of whom it is only that two of theirs are of one: the account is hashed, for each space
//! otherwise. Bytes in `docs/formats/ticket.md`.

use std::fmt;
use std::time::SystemTime;

use super::wire::{self, Fields};
use super::{Refusal, Scope};
use crate::door::ticket::Known;

const VERSION: u8 = 1;
const KIND: u8 = b'V';
const CONTEXT: &str = "hiwar 2026-11 voucher at the door, version 1";
const CONTEXT_HOLDER: &str = "hiwar 2026-11 holder of a voucher, version 1";

/// What the house says of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// What they are.
    pub known: Known,
    /// Who they are, at this space: a hash under a key of the house.
    pub holder: [u8; 8],
    /// At which space's door it is good.
    pub scope: Scope,
    /// The first moment at which it is no longer good; whole seconds on the wire.
    pub expires: SystemTime,
}

/// Issues and checks vouchers; house and workers have the same.
#[derive(Clone)]
pub struct VoucherKey {
    mac: [u8; 32],
    holder: [u8; 32],
}

impl VoucherKey {
    /// From 32 random bytes, kept secret on disk.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self { mac: blake3::derive_key(CONTEXT, &secret), holder: blake3::derive_key(CONTEXT_HOLDER, &secret) }
    }

    /// Vouches for whoever has that account, at that space's door, until then: a text of at most [`super::TOKEN_BYTES_MAX`] characters. Of one account all vouchers for a space are one
    /// holder's, however often and as whatever it is vouched for: together they are good for as many tickets as one.
    pub fn issue(&self, scope: &Scope, known: Known, account: &[u8], expires: SystemTime) -> String {
        let mut whose = Vec::new();
        // Its length first, so that no two pairs are one text.
        wire::put_text(&mut whose, scope.as_str());
        whose.extend_from_slice(account);
        let hash = blake3::keyed_hash(&self.holder, &whose);
        let (holder, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        self.sign(known as u8, *holder, wire::seconds(expires), scope.as_str())
    }

    fn sign(&self, known: u8, holder: [u8; 8], expires: u64, scope: &str) -> String {
        let mut bytes = vec![VERSION, KIND, known];
        bytes.extend_from_slice(&holder);
        bytes.extend_from_slice(&expires.to_le_bytes());
        wire::put_text(&mut bytes, scope);
        let mac = blake3::keyed_hash(&self.mac, &bytes);
        bytes.extend_from_slice(mac.as_bytes());
        wire::encode(&bytes)
    }

    /// Reads a voucher for that space's door and checks it: kind, then MAC (in constant time), then fields, then time and space.
    ///
    /// # Errors
    /// As of a pass; [`Refusal::WrongSpace`] if it is for another.
    pub fn verify(&self, now: SystemTime, scope: &Scope, text: &str) -> Result<Voucher, Refusal> {
        let bytes = wire::decode(text)?;
        if wire::head(&bytes)? != (VERSION, KIND) {
            return Err(Refusal::WrongKind);
        }
        let (signed, mac) = bytes.split_last_chunk::<32>().ok_or(Refusal::Malformed)?;
        if blake3::keyed_hash(&self.mac, signed) != blake3::Hash::from_bytes(*mac) {
            return Err(Refusal::WrongSignature);
        }
        let mut fields = Fields::after_head(signed)?;
        let known = fields.byte()?;
        let known = Known::ALL.into_iter().find(|other| *other as u8 == known).ok_or(Refusal::Malformed)?;
        let (holder, expires) = (fields.id()?.0, fields.time()?);
        let theirs = Scope::parse(fields.text()?).ok_or(Refusal::Malformed)?;
        fields.end()?;
        if now >= expires {
            return Err(Refusal::Expired);
        }
        if theirs != *scope {
            return Err(Refusal::WrongSpace);
        }
        Ok(Voucher { known, holder, scope: theirs, expires })
    }
}

impl fmt::Debug for VoucherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VoucherKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::ListenKey;

    const NOW: SystemTime = UNIX_EPOCH;
    const EXPIRES: Duration = Duration::from_secs(60);

    fn key(byte: u8) -> VoucherKey {
        VoucherKey::from_bytes([byte; 32])
    }

    fn space(name: &str) -> Scope {
        Scope::parse(name).expect("a scope")
    }

    fn voucher(account: &str) -> String {
        key(1).issue(&space("demo"), Known::Follower, account.as_bytes(), NOW + EXPIRES)
    }

    #[test]
    fn a_voucher_is_good_at_its_door_until_its_second() {
        let (demo, text) = (space("demo"), voucher("amal"));
        let read = key(1).verify(NOW, &demo, &text).expect("a good voucher");
        assert_eq!((read.known, &read.scope, read.expires), (Known::Follower, &demo, NOW + EXPIRES));
        assert!(key(1).verify(NOW + EXPIRES - Duration::from_millis(1), &demo, &text).is_ok());
        assert_eq!(key(1).verify(NOW + EXPIRES, &demo, &text), Err(Refusal::Expired));
        assert_eq!(key(1).verify(NOW, &space("demo2"), &text), Err(Refusal::WrongSpace));
        assert_eq!(key(2).verify(NOW, &demo, &text), Err(Refusal::WrongSignature));
        assert_eq!(ListenKey::from_bytes([1; 32]).verify(NOW, &text), Err(Refusal::WrongKind));
    }

    #[test]
    fn all_vouchers_of_an_account_are_one_holders_at_a_door_and_anothers_at_the_next() {
        let holder = |scope: &str, known, account: &str, seconds| {
            let text = key(1).issue(&space(scope), known, account.as_bytes(), NOW + Duration::from_secs(seconds));
            key(1).verify(NOW, &space(scope), &text).expect("a good voucher").holder
        };
        let amal = holder("demo", Known::Follower, "amal", 60);
        assert_eq!(amal, holder("demo", Known::Earlier, "amal", 90));
        for other in [
            holder("demo", Known::Follower, "basim", 60),
            holder("demo2", Known::Follower, "amal", 60),
            holder("demo2", Known::Follower, "", 60),
        ] {
            assert_ne!(amal, other);
        }
    }

    #[test]
    fn a_change_of_any_character_is_refused() {
        let text = voucher("amal");
        for at in 0..text.len() {
            for other in (0x20u8..0x7f).filter(|&other| other != text.as_bytes()[at]) {
                let mut changed = text.clone().into_bytes();
                changed[at] = other;
                let changed = String::from_utf8(changed).expect("still ASCII");
                assert!(key(1).verify(NOW, &space("demo"), &changed).is_err(), "character {at} changed to {other}");
            }
            assert!(key(1).verify(NOW, &space("demo"), &text[..at]).is_err());
        }
        assert!(key(1).verify(NOW, &space("demo"), &format!("{text}A")).is_err());
    }

    #[test]
    fn a_well_signed_voucher_for_what_nobody_vouches_for_is_malformed() {
        for (known, expires, scope) in [(0, 60, "demo"), (3, 60, "demo"), (1, u64::MAX, "demo"), (1, 60, "a b")] {
            let text = key(1).sign(known, [7; 8], expires, scope);
            assert_eq!(key(1).verify(NOW, &space("demo"), &text), Err(Refusal::Malformed), "{known} {expires} {scope}");
        }
        let longest = space(&"a".repeat(Scope::BYTES_MAX));
        let text = key(1).issue(&longest, Known::Earlier, &[7; 1_000], NOW + EXPIRES);
        assert!(text.len() <= super::super::TOKEN_BYTES_MAX && key(1).verify(NOW, &longest, &text).is_ok());
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(text in "\\PC{0,400}", bytes in prop::collection::vec(any::<u8>(), 0..220)) {
            prop_assert!(key(1).verify(NOW, &space("demo"), &text).is_err());
            prop_assert!(key(1).verify(NOW, &space("demo"), &wire::encode(&bytes)).is_err());
        }
    }
}
