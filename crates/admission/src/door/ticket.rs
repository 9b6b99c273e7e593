//! The ticket: a place in time, which whoever waits carries themselves. The house keeps four bits of it.
//!
//! It is read by nobody but workers, is worth nothing at another space, and says nothing of an address: what it carries of that is a hash under a key of that crowd alone, which is destroyed with the door.
//! The bytes are described in `docs/formats/ticket.md`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::network::Turn;
use crate::pass::wire;
use crate::pass::{Refusal, Scope};

const VERSION: u8 = 1;
const KIND: u8 = b'T';
const CONTEXT: &str = "hiwar 2026-11 ticket at the door, version 1";
const CONTEXT_DOOR: &str = "hiwar 2026-11 ticket of one door, version 1";
/// 128 bits: a forger would have to ask 2¹²⁷ times.
const MAC_BYTES: usize = 16;
const BODY_BYTES: usize = 38;
const BYTES: usize = BODY_BYTES + MAC_BYTES;
/// Characters of a ticket's text: base64url (RFC 4648 §5) of its bytes, always as many.
pub const TICKET_CHARS: usize = wire::chars(BYTES);
const _: () = assert!(TICKET_CHARS <= 96);

/// Whom a place is kept for. Each has a part that is its own as long as any of it waits: who returns of the places ([`reserve`](super::places::reserve)), the others of the ranks of a
/// [draw](super::draw).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Whoever was inside a moment ago.
    Returning = 0,
    /// Signed in, and a follower of the host.
    Follower = 1,
    /// Heard an earlier conversation here.
    Earlier = 2,
    /// Anybody.
    Anybody = 3,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Returning, Self::Follower, Self::Earlier, Self::Anybody];
}

/// What the house can [vouch](crate::Voucher) for: each is the class of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// See [`Class::Follower`].
    Follower = 1,
    /// See [`Class::Earlier`].
    Earlier = 2,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Follower, Self::Earlier];
}

impl From<Known> for Class {
    fn from(known: Known) -> Self {
        match known {
            Known::Follower => Self::Follower,
            Known::Earlier => Self::Earlier,
        }
    }
}

/// What a ticket is good for when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// To be drawn.
    Draw(Turn),
    /// A place. How long they were told at first that they would wait: by that a promise is judged.
    Place {
        /// Milliseconds. Zero: nothing was promised; whoever finds no place then comes as others do.
        promised: Duration,
    },
    /// A rank, for which there was no time yet: nothing is promised.
    Rank(u64),
}

impl Worth {
    /// Of whoever has no turn: all tickets are given out, or their network has had more than are counted. They come again as others do, and nothing is kept for them.
    pub const NO_TURN: Self = Self::Rank(u64::MAX);
}

/// A place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which it is of its space's; good once.
    pub serial: u64,
    /// Of which crowd of that space's.
    pub opening: u16,
    /// Whom it is for.
    pub class: Class,
    /// The hash of the narrowest network that it was given to.
    pub network: u64,
    /// When to come back. Whole milliseconds on the wire.
    pub due: SystemTime,
    /// For what.
    pub worth: Worth,
}

/// Makes and checks tickets; every worker of a house has the same.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

/// A ticket as text.
pub type Text = [u8; TICKET_CHARS];

impl TicketKey {
    /// From 32 random bytes, kept secret on disk.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(blake3::derive_key(CONTEXT, &secret))
    }

    /// The key of one door, of what only that door has. What another one signed is no ticket there: where a space's door is made anew its serials begin anew.
    pub fn of_door(&self, root: &[u8; 32]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(root);
        Self(blake3::derive_key(CONTEXT_DOOR, &bytes))
    }

    /// The text of a ticket to `space`: ASCII, URL-safe.
    pub fn sign(&self, space: &Scope, ticket: &Ticket) -> Text {
        let mut bytes = [0; BYTES];
        ticket.write(&mut bytes);
        let mac = self.mac(space, &bytes);
        bytes[BODY_BYTES..].copy_from_slice(&mac);
        let mut text = [0; TICKET_CHARS];
        wire::encode_into(&bytes, &mut text);
        text
    }

    /// Reads a ticket to `space` and checks it (in constant time). It may have been used, or not be due: that is for the door to say.
    ///
    /// # Errors
    /// [`Refusal::TooLong`], [`Refusal::Malformed`], [`Refusal::WrongKind`]; [`Refusal::WrongSignature`], also for a ticket to another space.
    pub fn verify(&self, space: &Scope, text: &[u8]) -> Result<Ticket, Refusal> {
        let mut bytes = [0; BYTES];
        if text.len() > TICKET_CHARS {
            return Err(Refusal::TooLong);
        }
        if text.len() != TICKET_CHARS || !wire::decode_into(text, &mut bytes) {
            return Err(Refusal::Malformed);
        }
        if bytes[..2] != [VERSION, KIND] {
            return Err(Refusal::WrongKind);
        }
        let (_, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(Refusal::Malformed)?;
        if !is_same(mac, &self.mac(space, &bytes)) {
            return Err(Refusal::WrongSignature);
        }
        Ticket::read(&bytes).ok_or(Refusal::Malformed)
    }

    fn mac(&self, space: &Scope, bytes: &[u8; BYTES]) -> [u8; MAC_BYTES] {
        // The space is not in the ticket: whoever shows it says where. Its length first, so that no two pairs are one message.
        let mut message = [0; BODY_BYTES + 1 + Scope::BYTES_MAX];
        let name = space.as_str().as_bytes();
        message[..BODY_BYTES].copy_from_slice(&bytes[..BODY_BYTES]);
        message[BODY_BYTES] = name.len() as u8;
        message[BODY_BYTES + 1..][..name.len()].copy_from_slice(name);
        let hash = blake3::keyed_hash(&self.0, &message[..BODY_BYTES + 1 + name.len()]);
        let (mac, _) = hash.as_bytes().split_first_chunk::<MAC_BYTES>().expect("32 bytes");
        *mac
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(secret)")
    }
}

/// Whether two MACs are the same, in a time that does not say where they differ.
fn is_same(one: &[u8; MAC_BYTES], other: &[u8; MAC_BYTES]) -> bool {
    let widen = |mac: &[u8; MAC_BYTES]| {
        let mut bytes = [0; 32];
        bytes[..MAC_BYTES].copy_from_slice(mac);
        blake3::Hash::from_bytes(bytes)
    };
    // `blake3::Hash` compares in constant time.
    widen(one) == widen(other)
}

impl Ticket {
    /// What a ticket's text says, whoever wrote it: only its key can tell whether that is true. For whoever holds one and wants to know.
    pub fn unchecked(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; BYTES];
        let is_one = text.len() == TICKET_CHARS && wire::decode_into(text, &mut bytes) && bytes[..2] == [VERSION, KIND];
        is_one.then(|| Self::read(&bytes)).flatten()
    }

    fn write(&self, bytes: &mut [u8; BYTES]) {
        let (worth, detail) = match self.worth {
            Worth::Draw(Turn { round, within }) => (0, u64::from(round) | u64::from(within) << 16),
            Worth::Place { promised } => (1, u64::try_from(promised.as_millis()).unwrap_or(u64::MAX)),
            Worth::Rank(rank) => (2, rank),
        };
        bytes[..4].copy_from_slice(&[VERSION, KIND, self.class as u8, worth]);
        bytes[4..6].copy_from_slice(&self.opening.to_le_bytes());
        let due = self.due.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        for (place, number) in [self.serial, self.network, due, detail].into_iter().enumerate() {
            bytes[6 + 8 * place..][..8].copy_from_slice(&number.to_le_bytes());
        }
    }

    fn read(bytes: &[u8; BYTES]) -> Option<Self> {
        let number = |place: usize| -> Option<u64> {
            let field = bytes.get(6 + 8 * place..)?.first_chunk::<8>()?;
            Some(u64::from_le_bytes(*field))
        };
        let detail = number(3)?;
        let worth = match bytes[3] {
            0 if detail >> 32 == 0 => Worth::Draw(Turn { round: detail as u16, within: (detail >> 16) as u16 }),
            1 => Worth::Place { promised: Duration::from_millis(detail) },
            2 => Worth::Rank(detail),
            _ => return None,
        };
        let class = Class::ALL.into_iter().find(|class| *class as u8 == bytes[2])?;
        let due = UNIX_EPOCH.checked_add(Duration::from_millis(number(2)?))?;
        let opening = u16::from_le_bytes([bytes[4], bytes[5]]);
        Some(Self { serial: number(0)?, opening, class, network: number(1)?, due, worth })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Ticket = Ticket {
        serial: 1,
        opening: 2,
        class: Class::Anybody,
        network: 2,
        due: UNIX_EPOCH,
        worth: Worth::Place { promised: Duration::ZERO },
    };

    fn key(byte: u8) -> TicketKey {
        TicketKey::from_bytes([byte; 32])
    }

    fn space(name: &str) -> Scope {
        Scope::parse(name).expect("a scope")
    }

    fn ticket() -> impl Strategy<Value = Ticket> {
        let turn = (any::<u16>(), any::<u16>()).prop_map(|(round, within)| Worth::Draw(Turn { round, within }));
        let place = any::<u32>().prop_map(|ms| Worth::Place { promised: Duration::from_millis(ms.into()) });
        (
            (any::<u64>(), any::<u16>()),
            prop::sample::select(&Class::ALL[..]),
            any::<u64>(),
            any::<u32>(),
            prop_oneof![turn, place, any::<u64>().prop_map(Worth::Rank)],
        )
            .prop_map(|((serial, opening), class, network, due, worth)| {
                let due = UNIX_EPOCH + Duration::from_millis(1_000 * u64::from(due) + 7);
                Ticket { serial, opening, class, network, due, worth }
            })
    }

    proptest! {
        #[test]
        fn a_signed_ticket_says_what_it_was_given_for(ticket in ticket()) {
            let text = key(1).sign(&space("demo"), &ticket);
            prop_assert!(text.is_ascii());
            prop_assert_eq!(key(1).verify(&space("demo"), &text), Ok(ticket));
            prop_assert_eq!(Ticket::unchecked(&text), Some(ticket));
            prop_assert_eq!(key(1).verify(&space("demo2"), &text), Err(Refusal::WrongSignature));
            prop_assert_eq!(key(2).verify(&space("demo"), &text), Err(Refusal::WrongSignature));
            let doors = [key(1).of_door(&[1; 32]), key(1).of_door(&[2; 32]), key(2).of_door(&[1; 32])];
            let text = doors[0].sign(&space("demo"), &ticket);
            prop_assert_eq!(key(1).of_door(&[1; 32]).verify(&space("demo"), &text), Ok(ticket));
            for other in [&doors[1], &doors[2], &key(1)] {
                prop_assert_eq!(other.verify(&space("demo"), &text), Err(Refusal::WrongSignature));
            }
        }

        #[test]
        fn a_change_of_any_character_is_refused(ticket in ticket(), at in 0..TICKET_CHARS, other in 0x20u8..0x7f) {
            let mut text = key(1).sign(&space("demo"), &ticket);
            prop_assume!(text[at] != other);
            text[at] = other;
            prop_assert!(key(1).verify(&space("demo"), &text).is_err());
        }

        #[test]
        fn garbage_is_refused_without_panic(text in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(key(1).verify(&space("demo"), &text).is_err());
        }
    }

    #[test]
    fn a_well_signed_ticket_of_an_unknown_kind_is_malformed() {
        for (at, value, refusal) in [
            (0, 2, Refusal::WrongKind),
            (1, b'L', Refusal::WrongKind),
            (2, 4, Refusal::Malformed),
            (3, 3, Refusal::Malformed),
        ] {
            let mut bytes = [0; BYTES];
            PLACE.write(&mut bytes);
            bytes[at] = value;
            let mac = key(1).mac(&space("demo"), &bytes);
            bytes[BODY_BYTES..].copy_from_slice(&mac);
            let mut text = [0; TICKET_CHARS];
            wire::encode_into(&bytes, &mut text);
            assert_eq!(key(1).verify(&space("demo"), &text), Err(refusal));
        }
    }

    #[test]
    fn a_cut_or_lengthened_ticket_is_refused() {
        let text = key(1).sign(&space("demo"), &PLACE);
        for length in 0..text.len() {
            assert_eq!(key(1).verify(&space("demo"), &text[..length]), Err(Refusal::Malformed));
        }
        assert_eq!(key(1).verify(&space("demo"), &[&text[..], b"A"].concat()), Err(Refusal::TooLong));
    }
}
