//! The draw: in which order those come in who came while everybody came at once.
//!
//! Where somebody is drawn is a hash of where they come from, under a secret that nobody can know before and everybody can check after: its [commitment](DrawSecret::commitment)
//! is published before the opening, the secret itself afterwards. Whoever takes a hundred tickets has the place of the first: all others of theirs are behind it.
//!
//! Nobody holds a list of who waits. A [`Tally`] counts how many are drawn in each part of the order, so everybody's rank is a sum, the same wherever it is made.

use std::fmt;

use super::network::Turn;
use super::sip::SipKey;

/// Rounds that are told apart; whoever is in a later one comes at the end.
pub const ROUNDS: usize = 64;
/// Parts of a round that are told apart: of half a million, two thousand in each, and their order in it is by the same hash.
pub const PARTS: usize = 256;

/// How far behind each other the tickets of one address lie, of 2³²: a thousandth of the round.
const BEHIND: u32 = 1 << 22;

const CONTEXT_COMMITMENT: &str = "hiwar 2026-11 commitment to a draw, version 1";
const CONTEXT_OPENING: &str = "hiwar 2026-11 secret of one opening, version 1";
const CONTEXT_ORDER: &str = "hiwar 2026-11 order of a draw, version 2";

/// What decides a draw: 32 random bytes, made for one opening of one space.
#[derive(Clone)]
pub struct DrawSecret {
    secret: [u8; 32],
    order: SipKey,
}

/// Where somebody is drawn: by round, then by place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lot {
    /// The round.
    pub round: u16,
    /// How far in it, of 2³².
    pub fraction: u32,
}

impl DrawSecret {
    /// From 32 random bytes.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self { secret, order: SipKey::of(&blake3::derive_key(CONTEXT_ORDER, &secret)) }
    }

    /// That of one of a space's openings, of the 32 random bytes from which all of them are made. Publishing one says nothing of another.
    pub fn of(root: &[u8; 32], opening: u16) -> Self {
        let mut bytes = [0; 34];
        bytes[..32].copy_from_slice(root);
        bytes[32..].copy_from_slice(&opening.to_le_bytes());
        Self::from_bytes(blake3::derive_key(CONTEXT_OPENING, &bytes))
    }

    /// What is published before: it says nothing of the secret, and fits no other.
    pub fn commitment(&self) -> [u8; 32] {
        blake3::derive_key(CONTEXT_COMMITMENT, &self.secret)
    }

    /// What is published after.
    pub fn reveal(&self) -> [u8; 32] {
        self.secret
    }

    /// Where a ticket is drawn: of the network with that hash, when its turn is that. By SipHash-2-4 (`sip.rs`), for that is all it takes: whoever has not the key cannot foresee it, however many lots
    /// they have seen, and whoever is told the secret can make it again.
    ///
    /// The tickets of one address in a round lie close behind its first one there. So people behind one address are let in as often as others are, by one luck for all of them; and
    /// whoever holds a hundred has the place of the first.
    pub fn lot(&self, network: u64, turn: Turn) -> Lot {
        let begin = self.order.hash(network, u64::from(turn.round), 2) as u32;
        Lot { round: turn.round, fraction: begin.saturating_add(u32::from(turn.within).saturating_mul(BEHIND)) }
    }
}

impl fmt::Debug for DrawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawSecret(secret)")
    }
}

/// How many are drawn in each part of the order: 64 kB, however many they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Tally {
    counts: Box<[u32]>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: vec![0; ROUNDS * PARTS].into() }
    }
}

impl Tally {
    /// Counts a ticket.
    pub fn add(&mut self, lot: Lot) {
        let (part, _) = part(lot);
        self.counts[part] = self.counts[part].saturating_add(1);
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*more);
        }
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// How many were counted in the first round: everybody's first tickets.
    pub fn first_round(&self) -> u64 {
        self.counts[..PARTS].iter().map(|&count| u64::from(count)).sum()
    }

    /// How many are drawn before that lot: exact but for those of its own part, who are taken to lie evenly in it.
    pub fn rank(&self, lot: Lot) -> u64 {
        let (part, within) = part(lot);
        let before: u64 = self.counts[..part].iter().map(|&count| u64::from(count)).sum();
        before + ((u64::from(self.counts[part]) * u64::from(within)) >> 24)
    }

    /// The counts, in order: what is told to the house, and what is published.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// From somebody's [counts](Self::counts). `None` if they are not so many.
    pub fn from_counts(counts: &[u32]) -> Option<Self> {
        (counts.len() == ROUNDS * PARTS).then(|| Self { counts: counts.into() })
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("total", &self.total()).finish_non_exhaustive()
    }
}

/// In which part of the order a lot is, and how far in it, of 2²⁴.
fn part(lot: Lot) -> (usize, u32) {
    const { assert!(PARTS == 1 << 8) };
    let round = usize::from(lot.round).min(ROUNDS - 1);
    (round * PARTS + (lot.fraction >> 24) as usize, lot.fraction & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> DrawSecret {
        DrawSecret::from_bytes([byte; 32])
    }

    #[test]
    fn the_order_is_even_and_another_secret_makes_another() {
        let (one, other) = (secret(1), secret(2));
        let mean = |secret: &DrawSecret| {
            (0..10_000).map(|network| f64::from(secret.lot(network, Turn::FIRST).fraction)).sum::<f64>()
                / 1e4
                / 2f64.powi(32)
        };
        assert!((mean(&one) - 0.5).abs() < 0.02 && (mean(&other) - 0.5).abs() < 0.02);
        let same =
            (0..10_000).filter(|&network| one.lot(network, Turn::FIRST) < other.lot(network, Turn::FIRST)).count();
        assert!((4_700..5_300).contains(&same), "they agree about as often as coins do: {same}");
    }

    #[test]
    fn a_commitment_fits_its_secret_and_does_not_give_it_away() {
        assert_eq!(secret(1).commitment(), DrawSecret::from_bytes(secret(1).reveal()).commitment());
        assert_ne!(secret(1).commitment(), secret(2).commitment());
        assert_ne!(secret(1).commitment(), secret(1).reveal());
    }

    proptest! {
        /// Retrying gains nothing: whatever else one address asks for lies behind its first ticket.
        #[test]
        fn no_later_ticket_of_an_address_is_drawn_before_its_first(network: u64, nth in 1u32..5_000, byte: u8) {
            let (secret, room) = (secret(byte), 32);
            let turn = |nth: u32| Turn { round: (nth / room) as u16, within: (nth % room) as u16 };
            prop_assert!(secret.lot(network, turn(nth)) >= secret.lot(network, turn(0)));
        }

        /// Two workers that each counted a part of the crowd give everybody the rank that one would give.
        #[test]
        fn ranks_do_not_depend_on_who_counted(lots in prop::collection::vec((0u16..80, any::<u32>()), 1..500), split in 0usize..500) {
            let lots: Vec<Lot> = lots.into_iter().map(|(round, fraction)| Lot { round, fraction }).collect();
            let tally = |lots: &[Lot]| {
                let mut tally = Tally::default();
                lots.iter().for_each(|lot| tally.add(*lot));
                tally
            };
            let split = split.min(lots.len());
            let (mut one, other, whole) = (tally(&lots[..split]), tally(&lots[split..]), tally(&lots));
            one.merge(&other);
            prop_assert_eq!(&one, &whole);
            prop_assert_eq!(whole.total(), lots.len() as u64);
            prop_assert!(Tally::from_counts(whole.counts()).is_some_and(|told| told == whole));
            // And they are in order, less than the total, and off by no more than who is in the same part.
            let mut sorted = lots.clone();
            sorted.sort_by_key(|lot| (lot.round.min(ROUNDS as u16 - 1), lot.fraction));
            for (place, pair) in sorted.windows(2).enumerate() {
                prop_assert!(whole.rank(pair[0]) <= whole.rank(pair[1]));
                let part = whole.counts()[part(pair[0]).0];
                prop_assert!(whole.rank(pair[0]).abs_diff(place as u64) <= u64::from(part));
            }
            prop_assert!(whole.rank(sorted[sorted.len() - 1]) < lots.len() as u64);
        }
    }

    #[test]
    fn counts_of_another_size_are_no_tally() {
        assert!(Tally::from_counts(&[0; 7]).is_none());
    }
}
