//! The passes of the stage: to create spaces, to invite, to ask for the word, to speak, to host. Ed25519, signed in the house alone.
//!
//! Only the house holds the private key. Anyone else may hold the [`StageVerifier`] and still not let anyone speak.

use std::fmt;
use std::time::SystemTime;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::wire::{self, Fields};
use super::{PassId, Refusal, Scope, is_id_byte};

const VERSION: u8 = 1;
const CREATE: u8 = b'C';
const INVITE: u8 = b'I';
const SPEAK: u8 = b'S';
const HOST: u8 = b'H';
const ASK: u8 = b'A';
const OPERATE: u8 = b'O';
/// Signed before the pass's own bytes, so that no other signature of this key can be taken for a pass.
const CONTEXT: &[u8] = b"hiwar 2026-11 pass of the stage, version 1\0";

/// Someone on the stage, as their pass names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    participant: String,
    name: String,
}

impl Person {
    /// Longest participant id, in bytes of `[a-z0-9-]`.
    pub const PARTICIPANT_BYTES_MAX: usize = 16;
    /// Longest name, in bytes of UTF-8: about 30 letters of Arabic. What letters a name may have is not asked here.
    pub const NAME_BYTES_MAX: usize = 64;

    /// A participant and the name to show, or `None` if either breaks its limit.
    pub fn new(participant: &str, name: &str) -> Option<Self> {
        let id_fits = (1..=Self::PARTICIPANT_BYTES_MAX).contains(&participant.len());
        let fits = id_fits && participant.bytes().all(is_id_byte) && name.len() <= Self::NAME_BYTES_MAX;
        fits.then(|| Self { participant: participant.to_owned(), name: name.to_owned() })
    }

    /// Who this is in the space.
    pub fn participant(&self) -> &str {
        &self.participant
    }

    /// What to call them. Chosen by a stranger: escape it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a pass of the stage allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To create spaces on this node.
    Create,
    /// To get passes to speak in one space, under a name of one's own.
    Invite(Scope),
    /// To hear one space, and to ask for the word there.
    Ask(Scope, Person),
    /// To speak in one space.
    Speak(Scope, Person),
    /// To speak in one space and to rule it.
    Host(Scope, Person),
    /// To say how this node works. It opens no space.
    Operate,
}

/// A checked pass of the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePass {
    /// Which pass this is; what a revocation names.
    pub id: PassId,
    /// The first moment at which it is no longer good; whole seconds on the wire.
    pub expires: SystemTime,
    /// What it allows.
    pub grant: Grant,
}

impl StagePass {
    /// The space that this pass is for; `None` for a pass to create or to operate.
    pub fn space(&self) -> Option<&Scope> {
        match &self.grant {
            Grant::Create | Grant::Operate => None,
            Grant::Invite(scope) | Grant::Ask(scope, _) | Grant::Speak(scope, _) | Grant::Host(scope, _) => Some(scope),
        }
    }

    /// May it create spaces?
    pub fn creates(&self) -> Result<(), Refusal> {
        if self.grant == Grant::Create { Ok(()) } else { Err(Refusal::WrongRole) }
    }

    /// May it say how this node works?
    pub fn operates(&self) -> Result<(), Refusal> {
        if self.grant == Grant::Operate { Ok(()) } else { Err(Refusal::WrongRole) }
    }

    /// Whom it names in that space. What they may do there is the space's to say.
    pub fn person(&self, space: &str) -> Result<&Person, Refusal> {
        match &self.grant {
            Grant::Ask(scope, person) | Grant::Speak(scope, person) | Grant::Host(scope, person) => {
                in_scope(scope, space).map(|()| person)
            }
            Grant::Create | Grant::Operate | Grant::Invite(_) => Err(Refusal::WrongRole),
        }
    }

    /// May it hand out passes to speak in that space?
    pub fn invites(&self, space: &str) -> Result<(), Refusal> {
        match &self.grant {
            Grant::Host(scope, _) | Grant::Invite(scope) => in_scope(scope, space),
            _ => Err(Refusal::WrongRole),
        }
    }

    /// May its holder see that space, whatever it allows there?
    pub fn sees(&self, space: &str) -> Result<(), Refusal> {
        in_scope(self.space().ok_or(Refusal::WrongRole)?, space)
    }
}

fn in_scope(scope: &Scope, space: &str) -> Result<(), Refusal> {
    if scope.as_str() == space { Ok(()) } else { Err(Refusal::WrongSpace) }
}

/// The house's private key.
#[derive(Clone)]
pub struct StageKey(SigningKey);

impl StageKey {
    /// From 32 random bytes, kept secret on disk.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// What checks the passes signed with this key.
    pub fn verifier(&self) -> StageVerifier {
        StageVerifier(self.0.verifying_key())
    }

    /// The token of a pass: base64url, at most [`super::TOKEN_BYTES_MAX`] characters.
    pub fn sign(&self, pass: &StagePass) -> String {
        let mut message = CONTEXT.to_vec();
        let (kind, scope, person) = match &pass.grant {
            Grant::Create => (CREATE, None, None),
            Grant::Operate => (OPERATE, None, None),
            Grant::Invite(scope) => (INVITE, Some(scope), None),
            Grant::Ask(scope, person) => (ASK, Some(scope), Some(person)),
            Grant::Speak(scope, person) => (SPEAK, Some(scope), Some(person)),
            Grant::Host(scope, person) => (HOST, Some(scope), Some(person)),
        };
        message.extend_from_slice(&[VERSION, kind]);
        message.extend_from_slice(&pass.id.0);
        message.extend_from_slice(&wire::seconds(pass.expires).to_le_bytes());
        if let Some(scope) = scope {
            wire::put_text(&mut message, scope.as_str());
        }
        if let Some(person) = person {
            wire::put_text(&mut message, &person.participant);
            wire::put_text(&mut message, &person.name);
        }
        let signature = self.0.sign(&message);
        message.extend_from_slice(&signature.to_bytes());
        wire::encode(&message[CONTEXT.len()..])
    }
}

impl fmt::Debug for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StageKey(secret)")
    }
}

/// The public half: checks passes of the stage, cannot make them.
#[derive(Clone, Debug)]
pub struct StageVerifier(VerifyingKey);

impl StageVerifier {
    /// Reads a token and checks it: kind, then signature (strictly: one pass has one signature), then fields, then
    /// time. What it allows is asked of the [`StagePass`].
    pub fn verify(&self, now: SystemTime, token: &str) -> Result<StagePass, Refusal> {
        let bytes = wire::decode(token)?;
        let (version, kind) = wire::head(&bytes)?;
        if version != VERSION || !matches!(kind, CREATE | INVITE | ASK | SPEAK | HOST | OPERATE) {
            return Err(Refusal::WrongKind);
        }
        let (signed, signature) = bytes.split_last_chunk::<64>().ok_or(Refusal::Malformed)?;
        let message = [CONTEXT, signed].concat();
        self.0.verify_strict(&message, &Signature::from_bytes(signature)).map_err(|_| Refusal::WrongSignature)?;
        let mut fields = Fields::after_head(signed)?;
        let id = fields.id()?;
        let expires = fields.time()?;
        let grant = match kind {
            CREATE => Grant::Create,
            OPERATE => Grant::Operate,
            INVITE => Grant::Invite(scope(&mut fields)?),
            ASK => Grant::Ask(scope(&mut fields)?, person(&mut fields)?),
            SPEAK => Grant::Speak(scope(&mut fields)?, person(&mut fields)?),
            _ => Grant::Host(scope(&mut fields)?, person(&mut fields)?),
        };
        fields.end()?;
        if now >= expires {
            return Err(Refusal::Expired);
        }
        Ok(StagePass { id, expires, grant })
    }
}

fn scope(fields: &mut Fields<'_>) -> Result<Scope, Refusal> {
    Scope::parse(fields.text()?).ok_or(Refusal::Malformed)
}

fn person(fields: &mut Fields<'_>) -> Result<Person, Refusal> {
    let participant = fields.text()?;
    Person::new(participant, fields.text()?).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Listen, ListenKey};
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: SystemTime = UNIX_EPOCH;

    fn key() -> StageKey {
        StageKey::from_bytes([3; 32])
    }

    fn demo() -> Scope {
        Scope::parse("demo").expect("a scope")
    }

    fn person() -> Person {
        Person::new("p1", "ليلى").expect("a person")
    }

    fn pass(grant: Grant) -> StagePass {
        StagePass { id: PassId([9; 8]), expires: NOW + Duration::from_secs(60), grant }
    }

    fn grants() -> [Grant; 6] {
        let people = [Grant::Ask, Grant::Speak, Grant::Host].map(|grant| grant(demo(), person()));
        let [ask, speak, host] = people;
        [Grant::Create, Grant::Invite(demo()), ask, speak, host, Grant::Operate]
    }

    #[test]
    fn every_kind_is_accepted_as_signed_until_its_second() {
        for grant in grants() {
            let token = key().sign(&pass(grant.clone()));
            assert_eq!(key().verifier().verify(NOW, &token), Ok(pass(grant)));
            assert_eq!(key().verifier().verify(NOW + Duration::from_secs(60), &token), Err(Refusal::Expired));
        }
    }

    #[test]
    fn each_grant_allows_its_own_and_nothing_else() {
        let table = [
            // create, invite, be somebody, see, operate
            (Grant::Create, [true, false, false, false, false]),
            (Grant::Invite(demo()), [false, true, false, true, false]),
            (Grant::Ask(demo(), person()), [false, false, true, true, false]),
            (Grant::Speak(demo(), person()), [false, false, true, true, false]),
            (Grant::Host(demo(), person()), [false, true, true, true, false]),
            (Grant::Operate, [false, false, false, false, true]),
        ];
        for (grant, allowed) in table {
            let pass = pass(grant.clone());
            let asked = [
                pass.creates().is_ok(),
                pass.invites("demo").is_ok(),
                pass.person("demo").is_ok(),
                pass.sees("demo").is_ok(),
                pass.operates().is_ok(),
            ];
            assert_eq!(asked, allowed, "{grant:?}");
            for elsewhere in [pass.invites("other").is_ok(), pass.person("other").is_ok(), pass.sees("other").is_ok()] {
                assert!(!elsewhere, "{grant:?} in another space");
            }
        }
    }

    #[test]
    fn a_pass_for_another_space_is_named_as_such() {
        let pass = pass(Grant::Host(demo(), person()));
        assert_eq!(pass.person("other"), Err(Refusal::WrongSpace));
        assert_eq!(pass.creates(), Err(Refusal::WrongRole));
    }

    #[test]
    fn a_flip_of_any_bit_is_refused() {
        let verifier = key().verifier();
        for grant in grants() {
            let token = key().sign(&pass(grant));
            let bytes = wire::decode(&token).expect("our own token");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(verifier.verify(NOW, &wire::encode(&flipped)).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_change_of_the_last_character_is_refused() {
        let token = key().sign(&pass(Grant::Host(demo(), person())));
        let (head, last) = token.split_at(token.len() - 1);
        for other in (0x20u8..0x7f).map(char::from).filter(|other| *other != last.chars().next().unwrap_or(' ')) {
            assert!(key().verifier().verify(NOW, &format!("{head}{other}")).is_err());
        }
    }

    #[test]
    fn another_house_s_pass_is_refused() {
        let other = StageKey::from_bytes([4; 32]);
        for grant in grants() {
            let token = other.sign(&pass(grant));
            assert_eq!(key().verifier().verify(NOW, &token), Err(Refusal::WrongSignature));
        }
    }

    #[test]
    fn a_pass_to_listen_is_not_a_pass_of_the_stage_nor_the_reverse() {
        let listen = Listen { id: PassId([1; 8]), scope: demo(), expires: NOW + Duration::from_secs(60) };
        let listen_key = ListenKey::from_bytes([3; 32]);
        let long = Listen { scope: Scope::parse(&"a".repeat(40)).expect("a scope"), ..listen.clone() };
        for listen in [listen, long] {
            assert_eq!(key().verifier().verify(NOW, &listen_key.sign(&listen)), Err(Refusal::WrongKind));
        }
        for grant in grants() {
            assert_eq!(listen_key.verify(NOW, &key().sign(&pass(grant))), Err(Refusal::WrongKind));
        }
    }

    #[test]
    fn the_longest_pass_fits() {
        let person = Person::new(&"p".repeat(16), &"ل".repeat(32)).expect("a person");
        let longest = pass(Grant::Host(Scope::parse(&"s".repeat(40)).expect("a scope"), person));
        let token = key().sign(&longest);
        assert!(token.len() <= super::super::TOKEN_BYTES_MAX, "{}", token.len());
        assert_eq!(key().verifier().verify(NOW, &token), Ok(longest));
    }

    #[test]
    fn people_keep_their_limits() {
        for (participant, name) in
            [("", "x"), ("P1", "x"), ("p 1", "x"), (&*"p".repeat(17), "x"), ("p1", &*"n".repeat(65))]
        {
            assert_eq!(Person::new(participant, name), None);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(token in "\\PC{0,400}") {
            prop_assert!(key().verifier().verify(NOW, &token).is_err());
        }

        #[test]
        fn random_bytes_behind_an_honest_head_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let token = wire::encode(&[&[VERSION, HOST], &bytes[..]].concat());
            prop_assert!(key().verifier().verify(NOW, &token).is_err());
        }
    }
}
