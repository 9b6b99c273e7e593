//! The public record of a draw: who was drawn, under which secret, and what came of it. Whoever has it draws again, and compares.
//!
//! Nobody is named in it. What stands for a network is its hash under a key of that one opening, as in the tickets themselves; the key is not in it, and is destroyed with the door. The order is that of
//! the lots, which says nothing of who came when. Bytes in `docs/formats/draw.md`; what can be learnt from it, and what not, in `docs/door/draw.md`.
//!
//! A worker writes down whom it draws as a [list](Item) while they come; the house makes the record of all workers' lists.

use std::collections::HashMap;
use std::time::SystemTime;

use super::draw::{DrawSecret, Lot, ROWS, Tally, VOUCHED, of_row, row};
use super::network::Turn;
use super::places::WorkerId;
use super::seal::{SEAL_BYTES, SealKey, is_sealed};
use super::ticket::{Class, Ticket, Worth};
use super::timetable::Timetable;
use super::wire::{From, Out};
use crate::pass::Scope;

/// Whoever is drawn beyond so many has their ticket, and their place, and is not listed: four times the largest launch that a door is made for, and 20 MB.
pub const LISTED_MAX: usize = 2_000_000;
/// Bytes of a record at the most.
pub const RECORD_BYTES_MAX: usize = 32 << 20;
/// Openings of one space whose commitment is public at a time. A house that begins anew may skip one.
pub const AHEAD: u16 = 4;

const MAGIC: &[u8; 8] = b"HIWARDW1";
const SEALED: &str = "hiwar 2026-11 record of a draw, version 1";
const WORKERS_MAX: u64 = 1_024;

/// A ticket that was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Among whom it was drawn.
    pub class: Class,
    /// The hash of the network that it was given to, or of whom a voucher was for.
    pub network: u64,
    /// Which of theirs it is.
    pub turn: Turn,
}

impl Entry {
    fn lot(&self, secret: &DrawSecret) -> Lot {
        secret.lot(self.network, self.turn)
    }

    fn row(&self) -> u16 {
        row(self.class, self.turn.round) as u16
    }

    /// As it stands in a list or a record. `None`: there is no such row, or more tickets of one voucher than it is good for.
    fn of(network: u64, row: u16, within: u16) -> Option<Self> {
        let (class, round) = of_row(row)?;
        let may_be = class == Class::Anybody || u32::from(within) < VOUCHED;
        may_be.then_some(Self { class, network, turn: Turn { round, within } })
    }
}

/// What a worker's list is made of, 12 bytes each. Lists are appended to as people come; what was lost on the way to the disk is seen by the next [`Item::At`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The next.
    Entry(Entry),
    /// The next entry is that one of the list, from 0.
    At(u64),
    /// So many were drawn in all: nobody else is.
    End(u64),
}

/// In place of a row in which nobody is drawn.
const MARK: u16 = u16::MAX;
const _: () = assert!(ROWS < MARK as usize);

impl Item {
    /// Bytes of one.
    pub const BYTES: usize = 12;

    /// As they are written.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let (number, row, within) = match self {
            Self::Entry(entry) => (entry.network, entry.row(), entry.turn.within),
            Self::At(index) => (index, MARK, 0),
            Self::End(total) => (total, MARK, 1),
        };
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..10].copy_from_slice(&row.to_le_bytes());
        bytes[10..].copy_from_slice(&within.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let [n0, n1, n2, n3, n4, n5, n6, n7, r0, r1, w0, w1] = *bytes;
        let number = u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
        let (row, within) = (u16::from_le_bytes([r0, r1]), u16::from_le_bytes([w0, w1]));
        match (row, within) {
            (MARK, 0) => Some(Self::At(number)),
            (MARK, 1) => Some(Self::End(number)),
            _ => Entry::of(number, row, within).map(Self::Entry),
        }
    }
}

/// What the list of a worker's life is called, in the folder of its space.
pub fn list_name(opening: u16, worker: WorkerId) -> String {
    format!("{LIST_PREFIX}{opening}-{worker:016x}")
}

/// How all names of lists begin.
pub const LIST_PREFIX: &str = "drawn-";

/// A worker's list as it was read.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// By which each is of all that the worker drew.
    entries: Vec<(u64, Entry)>,
    end: Option<u64>,
}

impl List {
    /// Reads one. What is not understood, or cut off at the end, is left out.
    pub fn read(bytes: &[u8]) -> Self {
        let (items, _) = bytes.as_chunks::<{ Item::BYTES }>();
        let (mut list, mut next) = (Self::default(), 0u64);
        for item in items.iter().filter_map(Item::from_bytes) {
            match item {
                Item::At(index) => next = index,
                Item::End(total) => list.end = Some(total),
                Item::Entry(entry) => {
                    if list.entries.len() < LISTED_MAX {
                        list.entries.push((next, entry));
                    }
                    next = next.saturating_add(1);
                }
            }
        }
        list
    }

    /// Whether the worker has said that there will be no more.
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }
}

/// A draw, for everybody.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawRecord {
    /// Of which space.
    pub space: Scope,
    /// Of which crowd.
    pub opening: u16,
    /// What was public before.
    pub commitment: [u8; 32],
    /// What was not.
    pub secret: [u8; 32],
    /// How many each worker counted.
    pub workers: Vec<(WorkerId, u64)>,
    /// How many are in each part of the order.
    pub tally: Tally,
    /// When which rank was to be let in, as it was known at the draw.
    pub table: Timetable,
    /// Whom the workers had counted, class by class, in order.
    pub counted: Vec<Entry>,
    /// Who came in the moment in which the counts were put together, in order: they have their rank among the others, and are not in the counts.
    pub uncounted: Vec<Entry>,
}

/// Where a record begins: what there is to know of it at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// As in [`DrawRecord`].
    pub opening: u16,
    /// As in [`DrawRecord`].
    pub commitment: [u8; 32],
    /// As in [`DrawRecord`].
    pub secret: [u8; 32],
}

/// Bytes from which there is a [`Glance`].
pub const GLANCE_BYTES: usize = 74;

impl Glance {
    /// Of the first bytes of a record; `None`: it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = From(bytes.strip_prefix(MAGIC)?);
        let (commitment, secret) = (from.bytes()?, from.bytes()?);
        Some(Self { commitment, secret, opening: u16::from_le_bytes(from.bytes()?) })
    }
}

/// Who has sealed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key.
    pub key: [u8; 32],
    /// Whether it is theirs.
    pub holds: bool,
}

impl DrawRecord {
    /// Lists who is on the workers' lists, in place of who was.
    pub fn list<'l>(&mut self, lists: impl IntoIterator<Item = (WorkerId, &'l List)>) {
        let secret = DrawSecret::from_bytes(self.secret);
        let (mut counted, mut uncounted) = (Vec::new(), Vec::new());
        for (worker, list) in lists {
            let of = self.workers.iter().find(|(other, _)| *other == worker).map_or(0, |(_, of)| *of);
            for (index, entry) in &list.entries {
                let whose = if *index < of { &mut counted } else { &mut uncounted };
                if whose.len() < LISTED_MAX {
                    whose.push(*entry);
                }
            }
        }
        for entries in [&mut counted, &mut uncounted] {
            entries.sort_by_cached_key(|entry| in_order(&secret, entry));
        }
        (self.counted, self.uncounted) = (counted, uncounted);
    }

    /// Whether everybody who was counted is listed.
    pub fn is_whole(&self) -> bool {
        self.counted.len() as u64 >= self.tally.total()
    }

    /// The bytes.
    pub fn encode(&self, key: &SealKey) -> Vec<u8> {
        let mut out = Out(MAGIC.to_vec());
        out.0.extend(self.commitment);
        out.0.extend(self.secret);
        out.0.extend(self.opening.to_le_bytes());
        out.number(self.space.as_str().len() as u64);
        out.0.extend(self.space.as_str().as_bytes());
        out.number(self.workers.len() as u64);
        for (worker, count) in &self.workers {
            out.fixed(*worker);
            out.number(*count);
        }
        out.tally(&self.tally);
        out.table(&self.table);
        for entries in [&self.counted, &self.uncounted] {
            out.number(entries.len() as u64);
            for entry in entries {
                out.fixed(entry.network);
                out.number(entry.row().into());
                out.number(entry.turn.within.into());
            }
        }
        let seal = key.seal(SEALED, &out.0);
        out.0.extend(key.public());
        out.0.extend(seal);
        out.0
    }

    /// Reads one, and who sealed it; `None`: that is none.
    pub fn decode(bytes: &[u8]) -> Option<(Self, Sealed)> {
        let (rest, seal) = bytes.split_last_chunk::<SEAL_BYTES>()?;
        let (body, key) = rest.split_last_chunk::<32>()?;
        let Glance { opening, commitment, secret } = Glance::read(body)?;
        let mut from = From(body.get(GLANCE_BYTES..)?);
        let name = from.number().filter(|bytes| *bytes <= Scope::BYTES_MAX as u64)?;
        let (name, rest) = from.0.split_at_checked(usize::try_from(name).ok()?)?;
        from.0 = rest;
        let space = Scope::parse(std::str::from_utf8(name).ok()?)?;
        let workers = from.many(WORKERS_MAX, &mut |from| Some((from.fixed()?, from.number()?)))?;
        let (tally, table) = (from.tally()?, from.table()?);
        let mut entries = || {
            from.many(LISTED_MAX as u64, &mut |from| {
                let network = from.fixed()?;
                let (row, within) = (u16::try_from(from.number()?).ok()?, u16::try_from(from.number()?).ok()?);
                Entry::of(network, row, within)
            })
        };
        let (counted, uncounted) = (entries()?, entries()?);
        let record = Self { space, opening, commitment, secret, workers, tally, table, counted, uncounted };
        let sealed = Sealed { key: *key, holds: is_sealed(key, SEALED, body, seal) };
        from.end((record, sealed))
    }

    /// Draws again: everybody's lot, rank and time, and whether that is what the record says.
    pub fn check(&self) -> Check {
        let secret = DrawSecret::from_bytes(self.secret);
        let mut faults = Vec::new();
        if secret.commitment() != self.commitment {
            faults.push(Fault::Commitment);
        }
        let order = |entries: &[Entry]| entries.is_sorted_by_key(|entry| in_order(&secret, entry));
        if !order(&self.counted) || !order(&self.uncounted) {
            faults.push(Fault::Order);
        }
        let drawn = self.tally.total();
        let by_workers = self.workers.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        if by_workers != drawn {
            faults.push(Fault::Workers { by_workers });
        }
        let mut again = Tally::default();
        self.counted.iter().for_each(|entry| again.add(entry.class, entry.lot(&secret)));
        let more = |(listed, counted): (&u32, &u32)| u64::from(listed.saturating_sub(*counted));
        let surplus = again.counts().iter().zip(self.tally.counts()).map(more).sum();
        if surplus > 0 {
            faults.push(Fault::Surplus { tickets: surplus });
        }
        let unlisted = drawn.saturating_add(surplus).saturating_sub(self.counted.len() as u64);
        if unlisted > 0 {
            faults.push(Fault::Unlisted { tickets: unlisted });
        }
        let mut first_round: HashMap<u64, u64> = HashMap::new();
        for entry in self.counted.iter().chain(&self.uncounted).filter(|entry| entry.class == Class::Anybody) {
            *first_round.entry(entry.network).or_default() += u64::from(entry.turn.round == 0);
        }
        Check {
            faults,
            drawn,
            listed: self.counted.len() as u64,
            uncounted: self.uncounted.len() as u64,
            networks: first_round.len() as u64,
            most_of_one: first_round.into_values().max().unwrap_or(0),
            vouched: [Class::Follower, Class::Earlier].map(|class| self.tally.vouched(class)),
            timed: drawn.min(self.table.ranks()),
        }
    }

    /// The rank of a listed ticket, from 0, and when it was to be let in; `None`: nothing was promised yet.
    pub fn place(&self, entry: &Entry) -> (u64, Option<SystemTime>) {
        let rank = self.tally.rank(entry.class, entry.lot(&DrawSecret::from_bytes(self.secret)));
        (rank, self.table.time(rank))
    }

    /// Which listed tickets somebody's ticket is, or was before it was exchanged: the one that was drawn, or all of its network.
    pub fn find(&self, ticket: &Ticket) -> Vec<Entry> {
        let is_theirs = |entry: &&Entry| {
            let is_it = match ticket.worth {
                Worth::Draw(turn) => entry.turn == turn && entry.class == ticket.class,
                Worth::Place { .. } | Worth::Rank(_) => true,
            };
            is_it && entry.network == ticket.network
        };
        if ticket.opening != self.opening {
            return Vec::new();
        }
        self.counted.iter().chain(&self.uncounted).filter(is_theirs).copied().collect()
    }
}

/// By class, then by lot; of one lot the lower numbers first.
fn in_order(secret: &DrawSecret, entry: &Entry) -> (Class, Lot, Entry) {
    (entry.class, entry.lot(secret), *entry)
}

/// What came of drawing again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What does not hold; nothing, if all does.
    pub faults: Vec<Fault>,
    /// How many tickets the workers counted.
    pub drawn: u64,
    /// How many of these are listed.
    pub listed: u64,
    /// How many are listed that they had not counted yet.
    pub uncounted: u64,
    /// Of so many networks.
    pub networks: u64,
    /// The most that one network has in the first round.
    pub most_of_one: u64,
    /// Of those who were counted, how many were vouched for: as followers, and as having heard an earlier conversation.
    pub vouched: [u64; 2],
    /// How many of those who were counted had a time at once.
    pub timed: u64,
}

/// What does not hold of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The secret is not what was committed to.
    Commitment,
    /// The order is not that of the lots under this secret.
    Order,
    /// What the workers counted is not what was drawn.
    Workers {
        /// How many they say.
        by_workers: u64,
    },
    /// More are listed in a part of the order than were counted there.
    Surplus {
        /// How many.
        tickets: u64,
    },
    /// Some were counted and are not listed.
    Unlisted {
        /// How many.
        tickets: u64,
    },
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::door::timetable::{Outlook, Stays};

    fn entry(network: u64, round: u16, within: u16) -> Entry {
        Entry { class: Class::Anybody, network, turn: Turn { round, within } }
    }

    /// Somebody who was vouched for.
    fn vouched(class: Class, holder: u64, within: u16) -> Entry {
        Entry { class, ..entry(holder, 0, within) }
    }

    fn key() -> SealKey {
        SealKey::from_bytes(&[9; 32])
    }

    /// The record that a house makes of what two workers drew, of which the last two were not counted.
    fn record(entries: &[Entry], first: usize) -> DrawRecord {
        let secret = DrawSecret::of(&[7; 32], 3);
        let (one, other) = entries.split_at(first.min(entries.len()));
        let counted = other.len().saturating_sub(2);
        let mut tally = Tally::default();
        one.iter().chain(&other[..counted]).for_each(|entry| tally.add(entry.class, entry.lot(&secret)));
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let outlook = Outlook { now, first: 0, places: 9, inside: &[7.0], pace: 90, stays: Stays::default() };
        let mut record = DrawRecord {
            space: Scope::parse("talk").expect("a scope"),
            opening: 3,
            commitment: secret.commitment(),
            secret: secret.reveal(),
            workers: vec![(1, one.len() as u64), (u64::MAX, counted as u64)],
            tally,
            table: Timetable::of(&outlook),
            counted: Vec::new(),
            uncounted: Vec::new(),
        };
        let lists = [one, other].map(|entries| {
            let items = [Item::At(0)].into_iter().chain(entries.iter().map(|entry| Item::Entry(*entry)));
            let items = items.chain([Item::End(entries.len() as u64)]);
            List::read(&items.flat_map(Item::to_bytes).collect::<Vec<_>>())
        });
        assert!(lists.iter().all(List::is_ended));
        record.list([1, u64::MAX].into_iter().zip(&lists));
        record
    }

    fn crowd(count: u64) -> Vec<Entry> {
        (0..count).map(|n| entry(n / 3, (n % 2) as u16, (n % 3) as u16)).collect()
    }

    fn faults(record: &DrawRecord) -> Vec<Fault> {
        record.check().faults
    }

    proptest! {
        #[test]
        fn a_draw_that_was_as_it_was_holds_and_is_read_as_it_was_written(
            entries in prop::collection::vec((any::<u64>(), 0u16..ROWS as u16, 0u16..32), 0..300), first in 0usize..300
        ) {
            let entries: Vec<Entry> = entries.into_iter().filter_map(|(network, row, within)| {
                Entry::of(network, row, within).or_else(|| Entry::of(network, row, within % 2))
            }).collect();
            let record = record(&entries, first);
            prop_assert!(record.is_whole());
            let check = record.check();
            prop_assert_eq!(&check.faults, &[]);
            prop_assert_eq!(check.listed + check.uncounted, entries.len() as u64);
            prop_assert_eq!(check.drawn, check.listed);
            let bytes = record.encode(&key());
            let (read, sealed) = DrawRecord::decode(&bytes).expect("a record");
            prop_assert_eq!(&read, &record);
            prop_assert_eq!(sealed, Sealed { key: key().public(), holds: true });
            prop_assert_eq!(Glance::read(&bytes[..GLANCE_BYTES]).map(|glance| glance.opening), Some(3));
            // Whoever is before others of their class in the record has no later place than they.
            for class in Class::ALL {
                let theirs = record.counted.iter().filter(|entry| entry.class == class);
                let places: Vec<_> = theirs.map(|entry| record.place(entry)).collect();
                prop_assert!(places.is_sorted_by_key(|(rank, _)| *rank));
                prop_assert!(places.last().is_none_or(|(rank, _)| *rank < record.tally.total()));
            }
        }

        #[test]
        fn a_change_of_any_byte_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = record(&crowd(60), 20).encode(&key());
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(DrawRecord::decode(&bytes).is_none_or(|(_, sealed)| !sealed.holds));
        }

        #[test]
        fn what_is_no_record_and_no_list_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (List::read(&bytes), DrawRecord::decode(&bytes), Glance::read(&bytes));
            let bytes = [MAGIC.as_slice(), &bytes].concat();
            let _ = DrawRecord::decode(&bytes).map(|(record, _)| record.check());
        }
    }

    #[test]
    fn whatever_a_house_might_do_to_a_draw_is_named() {
        let fair = record(&crowd(3_000), 1_000);
        let with = |change: &dyn Fn(&mut DrawRecord)| {
            let mut record = fair.clone();
            change(&mut record);
            faults(&record)
        };
        assert_eq!(with(&|_| {}), []);
        // Another secret than was promised.
        let other = with(&|record| record.secret = [8; 32]);
        assert!(other.contains(&Fault::Commitment) && other.contains(&Fault::Order), "{other:?}");
        assert_eq!(with(&|record| record.commitment[0] ^= 1), [Fault::Commitment]);
        // Somebody in front of others.
        assert_eq!(with(&|record| record.counted.swap(0, 2_000)), [Fault::Order]);
        // Somebody left out, or put in.
        assert_eq!(with(&|record| assert!(record.counted.remove(5).turn.round < 2)), [Fault::Unlisted { tickets: 1 }]);
        assert!(with(&|record| record.counted.insert(5, record.counted[5])).contains(&Fault::Surplus { tickets: 1 }));
        // Somebody for somebody else.
        let changed = with(&|record| record.counted[5].network ^= 1);
        assert!(changed.iter().any(|fault| matches!(fault, Fault::Order | Fault::Surplus { .. })), "{changed:?}");
        // Somebody whom nobody vouched for among those for whom somebody did, or the other way round.
        let raised = with(&|record| {
            let mut entry = record.counted.remove(5);
            (entry.class, entry.turn) = (Class::Follower, Turn::FIRST);
            record.counted.insert(0, entry);
        });
        assert_eq!(raised, [Fault::Surplus { tickets: 1 }, Fault::Unlisted { tickets: 1 }]);
        // Others counted than came.
        let counts = with(&|record| record.tally.add(Class::Anybody, Lot { round: 0, fraction: 0 }));
        assert_eq!(counts, [Fault::Workers { by_workers: 2_998 }, Fault::Unlisted { tickets: 1 }]);
        let workers = with(&|record| record.workers[0].1 += 1);
        assert_eq!(workers, [Fault::Workers { by_workers: 2_999 }]);
    }

    /// A launch with some who were vouched for, each with two tickets.
    fn with_vouched() -> Vec<Entry> {
        let two = |class, holder| [vouched(class, holder, 0), vouched(class, holder, 1)];
        let followers = (0..300).flat_map(|holder| two(Class::Follower, 1 << 40 | holder));
        let earlier = (0..200).flat_map(|holder| two(Class::Earlier, 1 << 41 | holder));
        crowd(3_000).into_iter().chain(followers).chain(earlier).collect()
    }

    #[test]
    fn a_draw_of_classes_is_drawn_again_and_what_is_done_to_them_is_named() {
        let fair = record(&with_vouched(), 1_000);
        let check = fair.check();
        assert_eq!((check.faults, check.vouched), (vec![], [600, 398]));
        // Whoever was vouched for is neither a network nor counted as one.
        assert_eq!((check.networks, check.most_of_one), (1_000, 2));
        let ranks = |class| {
            let theirs = fair.counted.iter().filter(move |entry| entry.class == class);
            theirs.map(|entry| fair.place(entry).0).collect::<Vec<_>>()
        };
        let among_the_first = |class| ranks(class).into_iter().filter(|rank| *rank < 1_000).count();
        let first = [Class::Follower, Class::Earlier, Class::Anybody].map(among_the_first);
        assert!(first[0] > 300 && first[1] > 200 && first[2] > 200, "of the first thousand {first:?}");
        let with = |change: &dyn Fn(&mut DrawRecord)| {
            let mut record = fair.clone();
            change(&mut record);
            faults(&record)
        };
        let class = |entry: &Entry| entry.class;
        // A class before another, one for another, and one that is left out.
        assert_eq!(with(&|record| record.counted.rotate_left(600)), [Fault::Order]);
        let other = with(&|record| record.counted[0].class = Class::Earlier);
        assert!(other.contains(&Fault::Surplus { tickets: 1 }), "{other:?}");
        assert!(
            with(&|record| assert_eq!(class(&record.counted.remove(0)), Class::Follower))
                == [Fault::Unlisted { tickets: 1 }]
        );
        // Counted as if they had not been vouched for: for each that is one too many, and one that is not listed.
        let anybody = with(&|record| {
            let mut tally = Tally::default();
            let secret = DrawSecret::from_bytes(record.secret);
            record.counted.iter().for_each(|entry| tally.add(Class::Anybody, entry.lot(&secret)));
            record.tally = tally;
        });
        assert_eq!(anybody, [Fault::Surplus { tickets: 998 }, Fault::Unlisted { tickets: 998 }]);
    }

    #[test]
    fn no_voucher_is_listed_more_often_than_it_is_good_for() {
        for class in [Class::Follower, Class::Earlier] {
            for (within, may_be) in [(0, true), (1, true), (2, false), (9, false)] {
                let entry = vouched(class, 7, within);
                let list = List::read(&[Item::At(0), Item::Entry(entry)].map(Item::to_bytes).concat());
                assert_eq!(list.entries.len(), usize::from(may_be));
                let mut record = record(&crowd(9), 9);
                record.counted.insert(0, entry);
                assert_eq!(DrawRecord::decode(&record.encode(&key())).is_some(), may_be);
            }
        }
    }

    #[test]
    fn whoever_holds_a_ticket_finds_it_and_its_place() {
        let record = record(&crowd(300), 100);
        let ticket =
            |worth| Ticket { serial: 1, opening: 3, class: Class::Anybody, network: 7, due: UNIX_EPOCH, worth };
        let theirs = record.find(&ticket(Worth::Draw(Turn { round: 1, within: 0 })));
        assert_eq!(theirs, [entry(7, 1, 0)]);
        assert!(record.place(&theirs[0]).0 < 300);
        // A place that it was exchanged for says of whom, and not which.
        assert_eq!(record.find(&ticket(Worth::Rank(9))).len(), 3);
        assert_eq!(record.find(&Ticket { opening: 4, ..ticket(Worth::Rank(9)) }), []);
        assert_eq!(record.find(&Ticket { network: 999, ..ticket(Worth::Rank(9)) }), []);
    }

    #[test]
    fn what_was_lost_on_the_way_to_the_disk_is_missed_and_what_came_after_it_is_not() {
        let entries = crowd(60);
        let whole = record(&entries, 60);
        let bytes = |items: &[Item]| items.iter().copied().flat_map(Item::to_bytes).collect::<Vec<_>>();
        let part = |from: usize, to: usize| {
            let items = entries[from..to].iter().map(|entry| Item::Entry(*entry));
            bytes(&[Item::At(from as u64)].into_iter().chain(items).collect::<Vec<_>>())
        };
        let list = List::read(&[part(0, 20), part(40, 60), vec![1; 5]].concat());
        assert!(!list.is_ended());
        let mut record = whole.clone();
        record.list([(1, &list)]);
        assert_eq!(faults(&record), [Fault::Unlisted { tickets: 20 }]);
        assert!(!record.is_whole());
        // Of a worker whose count nobody heard nobody was counted.
        record.list([(1, &list), (5, &list)]);
        assert_eq!((record.counted.len(), record.uncounted.len()), (40, 40));
    }
}
