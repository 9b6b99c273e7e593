//! The grant to rehearse: a server's leave to be joined by a load generator as by a crowd, at one origin, until a time.
//!
//! Here it is not the server that doubts its guest. The generator doubts the server: it may load nobody who did not ask
//! for it. So the one who holds a grant asks the server that it names to prove that it was issued there, as follows.
//!
//! * The *claims* are the token without its MAC. The holder sends them, and a random nonce of 32 bytes.
//! * Who has the key computes the MAC from the claims, and from the MAC and the nonce the *proof*
//!   ([`RehearsalKey::prove`]).
//! * The holder, who has the MAC in the token, computes the same and compares ([`RehearsalToken::is_proven`]).
//!
//! Nobody learns the MAC who did not have it: neither who listens on the wire, nor a server of somebody else that is
//! asked by mistake. Since the MAC covers all claims, a proof vouches for each of them: a holder who allows himself more
//! listeners or more time has a token that nobody proves.
//!
//! Claims carry no MAC, so a server proves whatever claims it is sent, issued or not. That gives nothing away. A proof
//! convinces only who has the MAC to compare with; and a proof does not lead to the MAC, because it is a keyed hash
//! under a key that is derived one way from it. Whoever asks for proofs of claims of his own making holds numbers that
//! no generator expects. What no proof can tell is whether who answers only passed the question on: over `https` the
//! certificate rules that out, over `http` nothing does.
//!
//! Then the generator's listeners come, and each says that it is none of the audience: it wears a *badge*, the claims and a second proof, from the MAC too
//! ([`RehearsalToken::badge`]). A worker that has the key finds out whether it is genuine ([`RehearsalKey::admit`]), and counts apart who wears one. A badge
//! is no secret of worth: who copies it off the wire is not counted until the grant ends, and can make neither another badge nor a token of it.

use std::fmt;
use std::time::SystemTime;

use super::origin::Origin;
use super::wire::{self, Fields};
use super::{PassId, Refusal, TOKEN_BYTES_MAX};

const VERSION: u8 = 1;
const KIND: u8 = b'R';
/// Separates this use of the secret from every other, above all from passes to listen.
const CONTEXT: &str = "hiwar 2026-11 grant to rehearse, version 1";
/// Separates the key of proofs from the MAC that it is derived from.
const PROOF_CONTEXT: &str = "hiwar 2026-11 proof of a rehearsal grant, version 1";

/// Separates the proof on a badge from those that a server answers with: asking a server for proofs makes no badge.
const BADGE_CONTEXT: &str = "hiwar 2026-11 badge of a rehearsed listener, version 1";

/// The longest badge, in characters: claims of the length of a token, a dot, and 32 bytes.
pub const BADGE_BYTES_MAX: usize = TOKEN_BYTES_MAX + 1 + 43;

/// What a grant to rehearse says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// Which grant this is.
    pub id: PassId,
    /// The server that may be joined.
    pub origin: Origin,
    /// By how many at once, for each generator that holds the grant.
    pub listeners_max: u32,
    /// The first moment at which it is no longer good; whole seconds on the wire.
    pub expires: SystemTime,
}

/// 32 bytes that were never used before: what a proof answers.
pub type Nonce = [u8; 32];

/// What a server answers to claims and a nonce. Compared by [`RehearsalToken::is_proven`] and nothing else.
pub type Proof = [u8; 32];

/// The server's side: signs grants, and proves that it did. From the secret of passes to listen, which every worker
/// holds: whoever steals it may hear and rehearse the server that it was stolen from, and no other.
#[derive(Clone)]
pub struct RehearsalKey([u8; 32]);

impl RehearsalKey {
    /// From the 32 random bytes that [`super::listen::ListenKey`] is made from.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(blake3::derive_key(CONTEXT, &secret))
    }

    /// The token of a grant: base64url, at most [`super::TOKEN_BYTES_MAX`] characters.
    pub fn sign(&self, rehearsal: &Rehearsal) -> String {
        let mut bytes = vec![VERSION, KIND];
        bytes.extend_from_slice(&rehearsal.id.0);
        bytes.extend_from_slice(&wire::seconds(rehearsal.expires).to_le_bytes());
        bytes.extend_from_slice(&rehearsal.listeners_max.to_le_bytes());
        wire::put_text(&mut bytes, &rehearsal.origin.to_string());
        let mac = self.mac(&bytes);
        bytes.extend_from_slice(mac.as_bytes());
        wire::encode(&bytes)
    }

    /// Reads a token and checks it: kind, then MAC (in constant time), then fields, then time.
    pub fn verify(&self, now: SystemTime, token: &str) -> Result<Rehearsal, Refusal> {
        let bytes = decode(token)?;
        let (signed, mac) = bytes.split_last_chunk::<32>().ok_or(Refusal::Malformed)?;
        if self.mac(signed) != blake3::Hash::from_bytes(*mac) {
            return Err(Refusal::WrongSignature);
        }
        read(now, signed)
    }

    /// What claims say, and the proof that a grant which says so was issued with this key, if one was. Whether it was,
    /// this key cannot tell; the module says why that does no harm.
    pub fn prove(&self, now: SystemTime, claims: &str, nonce: &Nonce) -> Result<(Rehearsal, Proof), Refusal> {
        let signed = decode(claims)?;
        let rehearsal = read(now, &signed)?;
        let proof = proof(self.mac(&signed).as_bytes(), nonce, &rehearsal.origin);
        Ok((rehearsal, *proof.as_bytes()))
    }

    /// The grant of who wears this badge, `CLAIMS.PROOF`: claims, then proof (in constant time), then fields, then time.
    pub fn admit(&self, now: SystemTime, badge: &str) -> Result<Rehearsal, Refusal> {
        if badge.len() > BADGE_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (claims, proof) = badge.split_once('.').ok_or(Refusal::Malformed)?;
        let signed = decode(claims)?;
        let proof = wire::decode(proof)?;
        let proof = <[u8; 32]>::try_from(&*proof).map_err(|_| Refusal::Malformed)?;
        if badge_proof(self.mac(&signed).as_bytes()) != blake3::Hash::from_bytes(proof) {
            return Err(Refusal::WrongSignature);
        }
        read(now, &signed)
    }

    fn mac(&self, signed: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, signed)
    }
}

impl fmt::Debug for RehearsalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RehearsalKey(secret)")
    }
}

/// The holder's side: a token that was read, and that is not to be believed until the server it names has proven it.
#[derive(Clone)]
pub struct RehearsalToken {
    rehearsal: Rehearsal,
    claims: String,
    mac: [u8; 32],
}

impl RehearsalToken {
    /// Reads a token: kind, then fields, then time. The MAC needs a key, so it stays unchecked.
    pub fn read(now: SystemTime, token: &str) -> Result<Self, Refusal> {
        let bytes = decode(token)?;
        let (signed, mac) = bytes.split_last_chunk::<32>().ok_or(Refusal::Malformed)?;
        Ok(Self { rehearsal: read(now, signed)?, claims: wire::encode(signed), mac: *mac })
    }

    /// What it says.
    pub fn rehearsal(&self) -> &Rehearsal {
        &self.rehearsal
    }

    /// The token without its MAC, base64url: what a server is asked to prove, and anybody may see.
    pub fn claims(&self) -> &str {
        &self.claims
    }

    /// What each listener of this rehearsal shows, so that it is not counted as one of the audience; at most [`BADGE_BYTES_MAX`] characters of
    /// base64url and a dot. To be shown to the server that has proven the grant, and to no other.
    pub fn badge(&self) -> String {
        format!("{}.{}", self.claims, wire::encode(badge_proof(&self.mac).as_bytes()))
    }

    /// Whether that is the proof for this nonce of the server that issued this token; in constant time.
    pub fn is_proven(&self, nonce: &Nonce, answered: &Proof) -> bool {
        proof(&self.mac, nonce, &self.rehearsal.origin) == blake3::Hash::from_bytes(*answered)
    }
}

impl fmt::Debug for RehearsalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RehearsalToken({:?}, secret)", self.rehearsal)
    }
}

/// The bytes of a token or of claims, if they are of this kind.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = wire::decode(text)?;
    if wire::head(&bytes)? == (VERSION, KIND) { Ok(bytes) } else { Err(Refusal::WrongKind) }
}

fn read(now: SystemTime, signed: &[u8]) -> Result<Rehearsal, Refusal> {
    let mut fields = Fields::after_head(signed)?;
    let id = fields.id()?;
    let expires = fields.time()?;
    let listeners_max = fields.number()?;
    let text = fields.text()?;
    fields.end()?;
    // The one way of writing it, so that one grant has one text.
    let origin = Origin::parse(text).filter(|origin| origin.to_string() == text).ok_or(Refusal::Malformed)?;
    if now >= expires {
        return Err(Refusal::Expired);
    }
    Ok(Rehearsal { id, origin, listeners_max, expires })
}

/// The nonce has one length, so nothing else is the same bytes as a nonce and an origin.
fn proof(mac: &[u8; 32], nonce: &Nonce, origin: &Origin) -> blake3::Hash {
    let key = blake3::derive_key(PROOF_CONTEXT, mac);
    blake3::Hasher::new_keyed(&key).update(nonce).update(origin.to_string().as_bytes()).finalize()
}

/// The MAC covers the claims, so the proof need not.
fn badge_proof(mac: &[u8; 32]) -> blake3::Hash {
    blake3::keyed_hash(&blake3::derive_key(BADGE_CONTEXT, mac), b"")
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::super::listen::{Listen, ListenKey};
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: SystemTime = UNIX_EPOCH;
    const NONCE: Nonce = [5; 32];

    fn key(byte: u8) -> RehearsalKey {
        RehearsalKey::from_bytes([byte; 32])
    }

    fn rehearsal(origin: &str) -> Rehearsal {
        Rehearsal {
            id: PassId([7; 8]),
            origin: Origin::parse(origin).expect("an origin"),
            listeners_max: 10_000,
            expires: NOW + Duration::from_secs(60),
        }
    }

    fn token() -> String {
        key(1).sign(&rehearsal("https://talk.example"))
    }

    fn held(token: &str) -> RehearsalToken {
        RehearsalToken::read(NOW, token).expect("a token")
    }

    /// Whether the server with that key convinces who holds the token.
    fn is_proven_by(key: &RehearsalKey, token: &str) -> bool {
        let held = held(token);
        let (_, proof) = key.prove(NOW, held.claims(), &NONCE).expect("a proof");
        held.is_proven(&NONCE, &proof)
    }

    /// The token of bytes with a MAC of that key, whatever they say.
    fn signed(key: &RehearsalKey, bytes: &[u8]) -> String {
        wire::encode(&[bytes, key.mac(bytes).as_bytes()].concat())
    }

    /// The bytes before the MAC, with this in the place of what is behind the id.
    fn claims_bytes(expires: u64, listeners_max: u32, origin: &str) -> Vec<u8> {
        let mut bytes = vec![VERSION, KIND];
        bytes.extend_from_slice(&[7; 8]);
        bytes.extend_from_slice(&expires.to_le_bytes());
        bytes.extend_from_slice(&listeners_max.to_le_bytes());
        wire::put_text(&mut bytes, origin);
        bytes
    }

    #[test]
    fn a_signed_grant_is_good_until_its_second_for_every_side() {
        let (expected, at) = (rehearsal("https://talk.example"), |seconds| NOW + Duration::from_secs(seconds));
        let held = held(&token());
        assert_eq!(held.rehearsal(), &expected);
        assert_eq!(key(1).verify(at(59), &token()), Ok(expected.clone()));
        assert_eq!(key(1).prove(at(59), held.claims(), &NONCE).map(|(says, _)| says), Ok(expected));
        assert!(RehearsalToken::read(at(59), &token()).is_ok());
        assert_eq!(key(1).verify(at(60), &token()), Err(Refusal::Expired));
        assert_eq!(key(1).prove(at(60), held.claims(), &NONCE), Err(Refusal::Expired));
        assert_eq!(RehearsalToken::read(at(60), &token()).err(), Some(Refusal::Expired));
    }

    #[test]
    fn the_server_that_issued_a_grant_proves_it_and_no_other_does() {
        assert!(is_proven_by(&key(1), &token()));
        assert!(!is_proven_by(&key(2), &token()));
        // The same secret for another purpose makes other MACs.
        let listen = Listen { id: PassId([7; 8]), scope: Scope::parse("demo").expect("a scope"), expires: NOW };
        let listen = ListenKey::from_bytes([1; 32]).sign(&listen);
        assert_eq!(RehearsalToken::read(NOW, &listen).err(), Some(Refusal::WrongKind));
        assert_eq!(key(1).verify(NOW, &listen), Err(Refusal::WrongKind));
        assert_eq!(ListenKey::from_bytes([1; 32]).verify(NOW, &token()), Err(Refusal::WrongKind));
    }

    #[test]
    fn a_proof_is_for_one_nonce_and_one_grant() {
        let held_here = held(&token());
        let (_, proof) = key(1).prove(NOW, held_here.claims(), &NONCE).expect("a proof");
        assert!(held_here.is_proven(&NONCE, &proof));
        assert!(!held_here.is_proven(&[6; 32], &proof), "an answer from before");
        for at in 0..proof.len() {
            let mut other = proof;
            other[at] ^= 1;
            assert!(!held_here.is_proven(&NONCE, &other), "byte {at}");
        }
        let others = [
            rehearsal("https://victim.example"),
            Rehearsal { listeners_max: 10_001, ..rehearsal("https://talk.example") },
            Rehearsal { expires: NOW + Duration::from_secs(61), ..rehearsal("https://talk.example") },
            Rehearsal { id: PassId([8; 8]), ..rehearsal("https://talk.example") },
        ];
        for other in others {
            assert!(!held(&key(1).sign(&other)).is_proven(&NONCE, &proof), "{other:?}");
        }
    }

    #[test]
    fn what_the_wire_carries_makes_no_token() {
        let held = held(&token());
        let (_, proof) = key(1).prove(NOW, held.claims(), &NONCE).expect("a proof");
        let claims = wire::decode(held.claims()).expect("base64url");
        for stolen in [proof, NONCE, blake3::derive_key(PROOF_CONTEXT, &proof)] {
            let made = wire::encode(&[&claims[..], &stolen].concat());
            assert_eq!(key(1).verify(NOW, &made), Err(Refusal::WrongSignature));
            assert!(!is_proven_by(&key(1), &made));
        }
    }

    #[test]
    fn a_holder_who_allows_himself_more_is_not_proven() {
        let mac = *key(1).mac(&claims_bytes(60, 10_000, "https://talk.example")).as_bytes();
        for claims in [
            claims_bytes(60, u32::MAX, "https://talk.example"),
            claims_bytes(6_000, 10_000, "https://talk.example"),
            claims_bytes(60, 10_000, "https://victim.example"),
        ] {
            let forged = wire::encode(&[&claims[..], &mac].concat());
            assert_eq!(key(1).verify(NOW, &forged), Err(Refusal::WrongSignature));
            assert!(!is_proven_by(&key(1), &forged));
        }
    }

    #[test]
    fn a_change_of_any_character_is_refused_or_not_proven() {
        let token = token();
        for at in 0..token.len() {
            for other in (0x20u8..0x7f).filter(|&other| other != token.as_bytes()[at]) {
                let mut changed = token.clone().into_bytes();
                changed[at] = other;
                let changed = String::from_utf8(changed).expect("still ASCII");
                assert!(key(1).verify(NOW, &changed).is_err(), "character {at} changed to {other}");
                if RehearsalToken::read(NOW, &changed).is_ok() {
                    assert!(!is_proven_by(&key(1), &changed), "character {at} changed to {other}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_or_lengthened_is_refused() {
        let (token, claims) = (token(), held(&token()).claims().to_owned());
        for length in 0..token.len() {
            assert!(key(1).verify(NOW, &token[..length]).is_err(), "{length}");
            assert!(RehearsalToken::read(NOW, &token[..length]).is_err(), "{length}");
        }
        for length in 0..claims.len() {
            assert!(key(1).prove(NOW, &claims[..length], &NONCE).is_err(), "{length}");
        }
        let longer = |text: &str, more: &[u8]| wire::encode(&[&wire::decode(text).expect("bytes"), more].concat());
        for more in [&[0][..], &[0; 32]] {
            assert_eq!(key(1).prove(NOW, &longer(&claims, more), &NONCE), Err(Refusal::Malformed));
            assert_eq!(RehearsalToken::read(NOW, &longer(&token, more)).err(), Some(Refusal::Malformed));
            let trailing = [&wire::decode(&claims).expect("bytes"), more].concat();
            assert_eq!(key(1).verify(NOW, &signed(&key(1), &trailing)), Err(Refusal::Malformed));
        }
        assert_eq!(key(1).prove(NOW, &token, &NONCE), Err(Refusal::Malformed), "a whole token is no claims");
        assert_eq!(key(1).prove(NOW, &"A".repeat(TOKEN_BYTES_MAX + 1), &NONCE), Err(Refusal::TooLong));
        assert_eq!(RehearsalToken::read(NOW, &"A".repeat(TOKEN_BYTES_MAX + 1)).err(), Some(Refusal::TooLong));
    }

    #[test]
    fn a_well_signed_grant_with_an_unspeakable_time_or_origin_is_malformed() {
        for (expires, origin) in [
            (u64::MAX, "https://talk.example"),
            (60, ""),
            (60, "talk.example"),
            (60, "https://Talk.example"),
            (60, "https://talk.example:443"),
            (60, "https://talk.example/"),
            (60, "https://talk.example/listen"),
            (60, "https://[0:0::1]"),
        ] {
            let bytes = claims_bytes(expires, 1, origin);
            assert_eq!(key(1).verify(NOW, &signed(&key(1), &bytes)), Err(Refusal::Malformed), "{origin}");
            assert_eq!(key(1).prove(NOW, &wire::encode(&bytes), &NONCE), Err(Refusal::Malformed), "{origin}");
        }
    }

    #[test]
    fn who_holds_a_grant_wears_a_badge_until_it_ends() {
        let badge = held(&token()).badge();
        assert!(badge.len() <= BADGE_BYTES_MAX);
        assert_eq!(key(1).admit(NOW + Duration::from_secs(59), &badge), Ok(rehearsal("https://talk.example")));
        assert_eq!(key(1).admit(NOW + Duration::from_secs(60), &badge), Err(Refusal::Expired));
        assert_eq!(key(2).admit(NOW, &badge), Err(Refusal::WrongSignature), "of another house");
    }

    #[test]
    fn a_badge_is_not_forged_of_anything_that_travels() {
        let held = held(&token());
        let (_, proof) = key(1).prove(NOW, held.claims(), &NONCE).expect("a proof");
        let (claims, worn) =
            (held.claims(), wire::decode(held.badge().split_once('.').expect("a dot").1).expect("bytes"));
        for forged in [&proof[..], &NONCE, &blake3::derive_key(BADGE_CONTEXT, &proof)] {
            assert_eq!(key(1).admit(NOW, &format!("{claims}.{}", wire::encode(forged))), Err(Refusal::WrongSignature));
        }
        // Nor is a token, or the server's proof, made of a badge.
        let made = wire::encode(&[&wire::decode(claims).expect("bytes")[..], &worn].concat());
        assert_eq!(key(1).verify(NOW, &made), Err(Refusal::WrongSignature));
        assert!(!held.is_proven(&NONCE, &Proof::try_from(&*worn).expect("32 bytes")));
        // Nor one for more listeners, or more time.
        let more = wire::encode(&claims_bytes(60, u32::MAX, "https://talk.example"));
        assert_eq!(key(1).admit(NOW, &format!("{more}.{}", wire::encode(&worn))), Err(Refusal::WrongSignature));
    }

    #[test]
    fn a_change_of_a_badge_is_refused() {
        let badge = held(&token()).badge();
        for at in 0..badge.len() {
            assert!(key(1).admit(NOW, &badge[..at]).is_err(), "{at}");
            for other in (0x20u8..0x7f).filter(|&other| other != badge.as_bytes()[at]) {
                let mut changed = badge.clone().into_bytes();
                changed[at] = other;
                let changed = String::from_utf8(changed).expect("still ASCII");
                assert!(key(1).admit(NOW, &changed).is_err(), "character {at} changed to {other}");
            }
        }
        assert_eq!(key(1).admit(NOW, &format!("{badge}A")), Err(Refusal::Malformed));
        assert_eq!(key(1).admit(NOW, &"A".repeat(BADGE_BYTES_MAX + 1)), Err(Refusal::TooLong));
        assert_eq!(key(1).admit(NOW, &token()), Err(Refusal::Malformed), "a token is no badge");
    }

    #[test]
    fn the_longest_grant_fits() {
        let host = format!("{}.{}", "a".repeat(63), "b".repeat(22));
        let longest = Rehearsal { listeners_max: u32::MAX, ..rehearsal(&format!("https://{host}:65535")) };
        assert_eq!(longest.origin.to_string().len(), Origin::BYTES_MAX);
        let token = key(1).sign(&longest);
        assert!(token.len() <= TOKEN_BYTES_MAX, "{}", token.len());
        assert_eq!(key(1).verify(NOW, &token), Ok(longest));
        assert!(is_proven_by(&key(1), &token));
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let (mac, token) = (held(&token()).mac, held(&token()));
        assert!(
            !format!("{token:?}").contains(&wire::encode(&mac)) && !format!("{token:?}").contains(&format!("{mac:?}"))
        );
        assert_eq!(format!("{:?}", key(1)), "RehearsalKey(secret)");
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(token in "\\PC{0,400}") {
            prop_assert!(key(1).verify(NOW, &token).is_err());
            prop_assert!(RehearsalToken::read(NOW, &token).is_err());
            prop_assert!(key(1).prove(NOW, &token, &NONCE).is_err());
            prop_assert!(key(1).admit(NOW, &token).is_err());
        }

        #[test]
        fn random_bytes_behind_an_honest_head_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..220)) {
            let token = wire::encode(&[&[VERSION, KIND], &bytes[..]].concat());
            prop_assert!(key(1).verify(NOW, &token).is_err());
        }

        #[test]
        fn every_grant_is_proven_by_its_own_key_alone(
            id in any::<[u8; 8]>(),
            port in 1..=u16::MAX,
            listeners_max in any::<u32>(),
            seconds in 1..u64::from(u32::MAX),
            nonce in any::<Nonce>(),
            secret in any::<[u8; 32]>(),
            other in any::<[u8; 32]>(),
        ) {
            let (key, other_key) = (RehearsalKey::from_bytes(secret), RehearsalKey::from_bytes(other));
            let origin = Origin::parse(&format!("http://10.0.0.1:{port}")).expect("an origin");
            let expires = NOW + Duration::from_secs(seconds);
            let rehearsal = Rehearsal { id: PassId(id), origin, listeners_max, expires };
            let held = RehearsalToken::read(NOW, &key.sign(&rehearsal)).expect("a token");
            let (says, proof) = key.prove(NOW, held.claims(), &nonce).expect("a proof");
            prop_assert_eq!(&says, &rehearsal);
            prop_assert!(held.is_proven(&nonce, &proof));
            let (_, wrong) = other_key.prove(NOW, held.claims(), &nonce).expect("a proof");
            prop_assert_eq!(held.is_proven(&nonce, &wrong), secret == other);
        }
    }
}
