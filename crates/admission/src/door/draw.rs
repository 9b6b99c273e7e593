//! The draw: in which order those come in who came while everybody came at once.
//!
//! Where somebody is drawn is a hash of where they come from, under a secret that nobody can know before and everybody can check after: its [commitment](DrawSecret::commitment)
//! is published before the opening, the secret itself afterwards. Whoever takes a hundred tickets has the place of the first: all others of theirs are behind it.
//!
//! Nobody holds a list of who waits. A [`Tally`] counts how many are drawn in each part of the order, so everybody's rank is a sum, the same wherever it is made.
//!
//! Whom somebody [vouches](crate::Voucher) for is drawn among their like, and the classes' orders are dealt into one another: each has a part of the ranks that is its own while any of it waits
//! (`RESERVED`), what one does not need is the others', and nobody stands worse for what they showed.

use std::fmt;

use super::network::Turn;
use super::of_opening;
use super::sip::SipKey;
use super::ticket::Class;

/// Rounds that are told apart; whoever is in a later one comes at the end.
pub const ROUNDS: usize = 62;
/// Rows of a tally: the rounds of whoever comes as anybody, and then one for each class that is vouched for, which has none but the first.
pub const ROWS: usize = ROUNDS + 2;
const FOLLOWERS: usize = ROUNDS;
const EARLIER: usize = ROUNDS + 1;
/// Parts of a round that are told apart: of half a million, two thousand in each, and their order in it is by the same hash.
pub const PARTS: usize = 256;

/// How far behind each other the tickets of one address lie, of 2³²: a thousandth of the round.
const BEHIND: u32 = 1 << 22;

/// So many tickets of the first round one voucher is good for: a telephone and a computer, or an answer that was lost. Whoever shows it beyond that comes as anybody, so a thousand who share one
/// are two.
pub const VOUCHED: u32 = 2;

/// Of a hundred ranks of the first round, so many are each class's own while any of it waits: the row, and how many. Enough that those who follow a host are nearly all among the first while they
/// are one in ten, and that a crowd of strangers has the least that was promised to it, a fifth, whoever else comes.
const RESERVED: [(usize, u64); 3] = [(FOLLOWERS, 30), (EARLIER, 20), (0, 20)];
/// The others are shared by how many each class is.
const SHARED: u64 = 30;
const _: () = assert!(RESERVED[0].1 + RESERVED[1].1 + RESERVED[2].1 + SHARED == 100);

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
        Self::from_bytes(of_opening(CONTEXT_OPENING, root, opening))
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
    /// By row, then by part.
    counts: Box<[u32]>,
    /// Of these, who was vouched for. None, mostly: then there is one order, and nothing to be dealt.
    vouched: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: vec![0; ROWS * PARTS].into(), vouched: 0 }
    }
}

impl Tally {
    /// Counts a ticket of that class.
    pub fn add(&mut self, class: Class, lot: Lot) {
        let (row, (part, _)) = (row(class, lot.round), part(lot));
        let count = &mut self.counts[row * PARTS + part];
        let more = u32::from(*count < u32::MAX);
        *count += more;
        self.vouched += if row < ROUNDS { 0 } else { more.into() };
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*more);
        }
        self.vouched = sum(&self.counts[ROUNDS * PARTS..]);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        sum(&self.counts)
    }

    /// How many were counted in the first round: everybody's first tickets.
    pub fn first_round(&self) -> u64 {
        sum(self.row(0)) + self.vouched
    }

    /// Of these, how many of a class that is vouched for.
    pub fn vouched(&self, class: Class) -> u64 {
        match row(class, 0) {
            row if row < ROUNDS => 0,
            row => sum(self.row(row)),
        }
    }

    /// Of a class that is vouched for, how many have that rank or a later one: exact, as [`rank`](Self::rank) is, but where two classes are drawn together.
    pub fn behind(&self, class: Class, rank: u64) -> u64 {
        let all = self.vouched(class);
        let lot = |fraction| Lot { round: 0, fraction };
        if all == 0 || self.rank(class, lot(u32::MAX)) < rank {
            return 0;
        }
        // The first place in the order that is not before it.
        let (mut from, mut to) = (0, u32::MAX);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.rank(class, lot(middle)) < rank {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        all - self.before(&[(row(class, 0), 0)], lot(from))
    }

    /// How many come before that lot of that class: exact but for those of its own part, who are taken to lie evenly in it.
    pub fn rank(&self, class: Class, lot: Lot) -> u64 {
        match row(class, lot.round) {
            0 if self.vouched == 0 => self.before(&RESERVED[2..], lot),
            row if (1..ROUNDS).contains(&row) => {
                sum(&self.counts[..row * PARTS]) + self.vouched + self.before(&[(row, 0)], lot)
            }
            row => self.dealt(row, lot),
        }
    }

    /// The rank of who is in that row of the first round, when classes wait beside each other.
    ///
    /// Of a class with the weight *w* the *k*-th (from 1) has its turn at *k / w*; of two whose turn it is at once the one of the higher class is first. The rank is how many had theirs before.
    fn dealt(&self, row: usize, lot: Lot) -> u64 {
        let (pools, count) = self.pools(row);
        let pools = &pools[..count];
        let total = pools.iter().map(|pool| pool.count).sum::<u64>().max(1);
        let weight = |pool: &Pool| u128::from(pool.reserved * total + SHARED * pool.count);
        let Some(at) = pools.iter().position(|pool| pool.rows().iter().any(|(other, _)| *other == row)) else {
            return 0;
        };
        let before = self.before(pools[at].rows(), lot);
        let others = pools.iter().enumerate().filter(|(other, _)| *other != at).map(|(other, pool)| {
            let by = u128::from(before + 1) * weight(pool);
            let had = (by - u128::from(other > at)) / weight(&pools[at]);
            u64::try_from(had).unwrap_or(u64::MAX).min(pool.count)
        });
        before + others.sum::<u64>()
    }

    /// Who is drawn together, the highest class first, and how many such there are. A class of which there are so many that each of them would have less by its part than each of the next one
    /// is one with that: nobody would show what only sets them back. `asks`: that row is in one of them, also if nobody of it was counted.
    fn pools(&self, asks: usize) -> ([Pool; RESERVED.len()], usize) {
        let (mut pools, mut last) = ([Pool::default(); RESERVED.len()], 0);
        for (at, &(row, reserved)) in RESERVED.iter().enumerate() {
            let count = sum(self.row(row));
            if count == 0 && row != asks {
                continue;
            }
            let mut pool = Pool { from: at, to: at + 1, reserved, count };
            while last > 0 && pools[last - 1].reserved * pool.count < pool.reserved * pools[last - 1].count {
                last -= 1;
                let Pool { from, reserved, count, .. } = pools[last];
                pool = Pool { from, to: pool.to, reserved: reserved + pool.reserved, count: count + pool.count };
            }
            pools[last] = pool;
            last += 1;
        }
        (pools, last)
    }

    /// How many of these rows are drawn before that lot.
    fn before(&self, rows: &[(usize, u64)], lot: Lot) -> u64 {
        let (part, within) = part(lot);
        let of = |(before, here): (u64, u64), (row, _): &(usize, u64)| {
            let row = self.row(*row);
            (before + sum(&row[..part]), here + u64::from(row[part]))
        };
        let (before, here) = rows.iter().fold((0, 0), of);
        before + ((here * u64::from(within)) >> 24)
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.counts[row * PARTS..][..PARTS]
    }

    /// The counts, in order: what is told to the house, and what is published.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// From somebody's [counts](Self::counts). `None` if they are not so many.
    pub fn from_counts(counts: &[u32]) -> Option<Self> {
        let is_whole = counts.len() == ROWS * PARTS;
        is_whole.then(|| Self { counts: counts.into(), vouched: sum(&counts[ROUNDS * PARTS..]) })
    }
}

/// Classes that are drawn together: some that follow each other in [`RESERVED`].
#[derive(Clone, Copy, Default)]
struct Pool {
    from: usize,
    to: usize,
    /// What is theirs, of those of whom there is somebody.
    reserved: u64,
    count: u64,
}

impl Pool {
    fn rows(&self) -> &'static [(usize, u64)] {
        &RESERVED[self.from..self.to]
    }
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|&count| u64::from(count)).sum()
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("total", &self.total()).finish_non_exhaustive()
    }
}

/// In which row of a tally a ticket is counted.
pub(super) fn row(class: Class, round: u16) -> usize {
    match class {
        Class::Follower => FOLLOWERS,
        Class::Earlier => EARLIER,
        Class::Returning | Class::Anybody => usize::from(round).min(ROUNDS - 1),
    }
}

/// Of which class and round the tickets of a row are. `None`: there is no such row.
pub(super) fn of_row(row: u16) -> Option<(Class, u16)> {
    match usize::from(row) {
        FOLLOWERS => Some((Class::Follower, 0)),
        EARLIER => Some((Class::Earlier, 0)),
        other => (other < ROUNDS).then_some((Class::Anybody, row)),
    }
}

/// In which part of its row a lot is, and how far in it, of 2²⁴.
fn part(lot: Lot) -> (usize, u32) {
    const { assert!(PARTS == 1 << 8) };
    ((lot.fraction >> 24) as usize, lot.fraction & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> DrawSecret {
        DrawSecret::from_bytes([byte; 32])
    }

    /// Some of each class, by the part in which they are drawn.
    fn crowd() -> impl Strategy<Value = [Vec<u8>; 3]> {
        // Also none, and very many more than of another.
        let some = || (0usize..4).prop_flat_map(|size| prop::collection::vec(any::<u8>(), 0..=[0, 9, 60, 400][size]));
        (some(), some(), some()).prop_map(|(followers, earlier, anybody)| [followers, earlier, anybody])
    }

    fn dealt(crowd: &[Vec<u8>; 3], later: &[u16]) -> Tally {
        let mut tally = Tally::default();
        for (class, parts) in [Class::Follower, Class::Earlier, Class::Anybody].into_iter().zip(crowd) {
            parts.iter().for_each(|part| tally.add(class, Lot { round: 0, fraction: u32::from(*part) << 24 }));
        }
        later.iter().for_each(|round| tally.add(Class::Anybody, Lot { round: *round, fraction: 0 }));
        tally
    }

    /// Which pool has each rank, if those of a part lie evenly in it. Each rank is somebody's, and nobody else's.
    fn order(tally: &Tally) -> Vec<usize> {
        let (pools, count) = tally.pools(ROWS);
        let mut order = vec![None; tally.first_round() as usize];
        for (at, pool) in pools[..count].iter().enumerate() {
            let class = of_row(pool.rows()[0].0 as u16).expect("a row").0;
            for part in 0..PARTS {
                let here: u64 = pool.rows().iter().map(|(row, _)| u64::from(tally.row(*row)[part])).sum();
                for nth in 0..here {
                    let within = (nth << 24).div_ceil(here) as u32;
                    let rank = tally.rank(class, Lot { round: 0, fraction: (part as u32) << 24 | within });
                    let had = order[rank as usize].replace(at);
                    assert_eq!(had, None, "two have the rank {rank}");
                }
            }
        }
        order.into_iter().map(|pool| pool.expect("somebody has each rank")).collect()
    }

    /// So many of each class, evenly; of each how many are among the first.
    fn among_the_first(first: u64, counts: [u32; 3]) -> [u64; 3] {
        let classes = [Class::Follower, Class::Earlier, Class::Anybody];
        let lots = |count: u32| (0..count).map(move |n| ((u64::from(n) << 32) / u64::from(count)) as u32);
        let mut tally = Tally::default();
        for (class, count) in classes.into_iter().zip(counts) {
            lots(count).for_each(|fraction| tally.add(class, Lot { round: 0, fraction }));
        }
        let mut among = classes.into_iter().zip(counts).map(|(class, count)| {
            lots(count).filter(|&fraction| tally.rank(class, Lot { round: 0, fraction }) < first).count() as u64
        });
        std::array::from_fn(|_| among.next().expect("three classes"))
    }

    /// Where those of a part of that class are who lie evenly in it.
    fn lots_of(tally: &Tally, class: Class) -> Vec<Lot> {
        let parts = tally.row(row(class, 0)).iter().enumerate();
        let lots = parts.flat_map(|(part, &here)| {
            (0..u64::from(here)).map(move |nth| {
                let within = (nth << 24).div_ceil(here.into()) as u32;
                Lot { round: 0, fraction: (part as u32) << 24 | within }
            })
        });
        lots.collect()
    }

    #[test]
    fn who_waits_of_a_class_is_whose_rank_has_not_had_its_turn() {
        for counts in [[60u32, 30, 510], [60, 0, 540], [0, 200, 100], [1, 0, 0], [0, 0, 9]] {
            let mut tally = Tally::default();
            for (class, count) in [Class::Follower, Class::Earlier, Class::Anybody].into_iter().zip(counts) {
                let fraction = |n: u32| ((u64::from(n) << 32) / u64::from(count)) as u32;
                (0..count).for_each(|n| tally.add(class, Lot { round: 0, fraction: fraction(n) }));
            }
            let is_together = tally.pools(ROWS).0.iter().any(|pool| pool.count > 0 && pool.rows().len() > 1);
            for (class, rank) in [Class::Follower, Class::Earlier]
                .into_iter()
                .flat_map(|class| (0..=tally.first_round() + 1).map(move |rank| (class, rank)))
            {
                let waits = lots_of(&tally, class).into_iter().filter(|lot| tally.rank(class, *lot) >= rank).count();
                let off = tally.behind(class, rank).abs_diff(waits as u64);
                assert!(off <= u64::from(is_together), "{counts:?}, {class:?}, {rank}: {off}");
            }
            assert_eq!(tally.behind(Class::Anybody, 0), 0, "they are what is left");
        }
    }

    #[test]
    fn few_who_are_vouched_for_are_among_the_first_and_many_are_no_worse_off_than_anybody() {
        for (counts, expected) in [
            // One in ten, and one in twenty: all are among the first third, by one luck for both.
            ([6_000, 3_000, 51_000], [6_000, 3_000, 9_000]),
            ([6_000, 0, 54_000], [6_000, 0, 12_000]),
            // Half of them: 30 and half of what is shared, of 30 + 20 + 30.
            ([30_000, 0, 30_000], [10_125, 0, 7_875]),
            // Nearly all: what is kept for others would set them back, so all are drawn as one.
            ([54_000, 0, 6_000], [16_200, 0, 1_800]),
            ([0, 54_000, 6_000], [0, 16_200, 1_800]),
            ([0, 0, 60_000], [0, 0, 18_000]),
        ] {
            let first = among_the_first(18_000, counts);
            let is_near = |(first, expected): (u64, u64)| first.abs_diff(expected) <= expected / 200;
            assert!(first.into_iter().zip(expected).all(is_near), "of {counts:?} {first:?}, not {expected:?}");
        }
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
                lots.iter().for_each(|lot| tally.add(Class::Anybody, *lot));
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
            let rank = |lot: Lot| whole.rank(Class::Anybody, lot);
            for (place, pair) in sorted.windows(2).enumerate() {
                prop_assert!(rank(pair[0]) <= rank(pair[1]));
                let part = whole.row(row(Class::Anybody, pair[0].round))[part(pair[0]).0];
                prop_assert!(rank(pair[0]).abs_diff(place as u64) <= u64::from(part));
            }
            prop_assert!(rank(sorted[sorted.len() - 1]) < lots.len() as u64);
            // Of one class only, whichever it is, the order is the same.
            let first: Vec<Lot> = lots.iter().filter(|lot| lot.round == 0).copied().collect();
            for class in [Class::Follower, Class::Earlier] {
                let (alone, mut theirs) = (tally(&first), Tally::default());
                first.iter().for_each(|lot| theirs.add(class, *lot));
                prop_assert!(first.iter().all(|lot| theirs.rank(class, *lot) == alone.rank(Class::Anybody, *lot)));
            }
        }

        /// What is said of classes, of any crowd: an order with nobody in two places and no place empty, a part for each class while it waits, and nobody who would have shown less.
        #[test]
        fn each_class_has_its_part_while_it_waits_and_nobody_is_worse_off_for_what_they_showed(
            crowd in crowd(), later in prop::collection::vec(1u16..3, 0..50)
        ) {
            let tally = dealt(&crowd, &later);
            let order = order(&tally);
            let (pools, count) = tally.pools(ROWS);
            let pools = &pools[..count];
            prop_assert_eq!(order.len() as u64, tally.first_round());
            let mut had = vec![0u64; pools.len()];
            for (n, pool) in (1u64..).zip(&order) {
                had[*pool] += 1;
                for (had, pool) in had.iter().zip(pools) {
                    let least = (pool.reserved * n / 100).saturating_sub(1);
                    prop_assert!(*had >= least.min(pool.count), "{had} of the first {n}, of {}", pool.count);
                }
                for (at, higher) in pools.iter().enumerate() {
                    for (other, lower) in pools.iter().enumerate().skip(at + 1) {
                        prop_assert!((had[at] + 1) * lower.count >= had[other] * higher.count, "{had:?} of the first {n}");
                    }
                }
            }
            // Whoever is in a later round comes behind all of them.
            for round in &later {
                let rank = tally.rank(Class::Anybody, Lot { round: *round, fraction: 0 });
                prop_assert!(rank >= tally.first_round());
            }
        }

        /// Ranks are made without the list: with it the same comes out.
        #[test]
        fn a_rank_is_who_comes_before_in_a_list_of_all(crowd in crowd()) {
            let tally = dealt(&crowd, &[]);
            let (pools, count) = tally.pools(ROWS);
            let weight = |pool: &Pool| u128::from(pool.reserved * tally.total() + SHARED * pool.count);
            // When each has their turn, over what all weights have in common.
            let common: u128 = pools[..count].iter().map(weight).product();
            let all = pools[..count].iter().enumerate();
            let mut turns: Vec<(u128, usize)> = all
                .flat_map(|(at, pool)| (1..=pool.count).map(move |k| (u128::from(k) * (common / weight(pool)), at)))
                .collect();
            turns.sort_unstable();
            prop_assert_eq!(order(&tally), turns.into_iter().map(|(_, at)| at).collect::<Vec<_>>());
        }

        #[test]
        fn who_was_not_counted_has_a_rank_among_those_who_were(crowd in crowd(), fraction: u32) {
            let tally = dealt(&crowd, &[]);
            for class in Class::ALL {
                let rank = tally.rank(class, Lot { round: 0, fraction });
                prop_assert!(rank <= tally.total(), "{class:?}: {rank} of {}", tally.total());
            }
        }
    }

    #[test]
    fn counts_of_another_size_are_no_tally() {
        assert!(Tally::from_counts(&[0; 7]).is_none());
    }
}
