//! What a house keeps of a door, so that the next one keeps its promises and begins no crowd twice: which crowd this is, who was drawn, when which rank's turn is, what was promised, and how many were
//! inside. As bytes; layout in `docs/formats/door.md`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::desk::WINDOW;
use super::draw::Tally;
use super::places::WorkerId;
use super::timetable::{HORIZON, Promises, STEP, STEPS, Timetable};
use super::wire::{From, Out};

/// The first byte.
const VERSION: u64 = 3;
/// The same, but of a crowd alone.
const OF_CROWDS: u64 = 2;
/// A house that follows another is never so much behind it by its own clock.
const AHEAD: Duration = Duration::from_secs(2);
/// No count is larger: what is added up of what is read has room.
const COUNT_MAX: u64 = 1 << 48;
/// Workers that are told apart, at the most.
pub const WORKERS_MAX: u64 = 1_024;
/// Cohorts that are told apart, at the most.
pub const COHORTS_MAX: u64 = 2 * STEPS as u64;

/// A door as it stands: it is open, a crowd gathers, or there is a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which crowd; of a door that is open, the next one.
    pub opening: u16,
    /// What is done.
    pub crowd: Crowd,
    /// How many were let in by step, the newest first, and when that one began.
    pub cohorts: Vec<u64>,
    /// See [`Standing::cohorts`].
    pub cohort_began: SystemTime,
    /// Each worker's figures, also of those that are gone; of those that were before them the sum.
    pub workers: Vec<(WorkerId, Past)>,
    /// See [`Standing::workers`].
    pub past: Past,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Crowd {
    /// There is none: whoever comes is let in.
    Open,
    /// Whoever comes is drawn, until then.
    Gathering(SystemTime),
    /// Everybody has a rank.
    Queue {
        /// Who was drawn.
        drawn: Tally,
        /// Ranks and times.
        table: Timetable,
        /// Before that not everybody who was drawn has asked.
        asked: SystemTime,
        /// How many had come when the draw was made, and how many late tickets there were.
        before: [u64; 2],
        /// Of those whose turn it was, so many have not come in time.
        absent: u64,
    },
}

/// What a worker told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Tickets to those who came after a draw, ever let in, and of those for whom there was a time.
    pub counts: [u64; 3],
    /// What it promised.
    pub promises: Promises,
    /// How many were inside there; of workers that are gone, for how many of those a place is kept.
    pub inside: u32,
}

impl Standing {
    /// Whether it is of about now: it was kept within the half hour, and nothing is of a time to come.
    pub fn is_of(&self, now: SystemTime) -> bool {
        let (from, to) = match &self.crowd {
            Crowd::Open => (self.cohort_began, self.cohort_began + HORIZON),
            Crowd::Gathering(until) => (until.checked_sub(WINDOW).unwrap_or(UNIX_EPOCH), *until + HORIZON),
            Crowd::Queue { table, .. } => {
                let (from, _, by) = table.parts();
                (from, from + HORIZON.max(STEP * by.len() as u32))
            }
        };
        (from..to).contains(&(now + AHEAD)) && self.cohort_began <= now + AHEAD
    }

    /// As bytes: some kilobytes, and a hundred at the most.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.numbers([VERSION, self.opening.into()]);
        match &self.crowd {
            Crowd::Open => out.number(0),
            Crowd::Gathering(until) => {
                out.number(1);
                out.time(*until);
            }
            Crowd::Queue { drawn, table, asked, before, absent } => {
                out.number(2);
                out.tally(drawn);
                out.table(table);
                out.time(*asked);
                out.numbers(*before);
                out.number(*absent);
            }
        }
        out.time(self.cohort_began);
        out.number(self.cohorts.len() as u64);
        self.cohorts.iter().for_each(|&count| out.number(count));
        out.past(&self.past);
        out.number(self.workers.len() as u64);
        for (worker, past) in &self.workers {
            out.fixed(*worker);
            out.past(past);
        }
        out.0
    }

    /// Reads them; `None`: that is not it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = From(bytes);
        let version = from.number().filter(|version| [OF_CROWDS, VERSION].contains(version))?;
        let opening = u16::try_from(from.number()?).ok()?;
        let crowd = match from.number()? {
            0 if version == VERSION => Crowd::Open,
            1 => Crowd::Gathering(from.time()?),
            2 => Crowd::Queue {
                drawn: from.tally()?,
                table: from.table()?,
                asked: from.time()?,
                before: [from.count()?, from.count()?],
                absent: from.count()?,
            },
            _ => return None,
        };
        let cohort_began = from.time()?;
        let cohorts = from.many(COHORTS_MAX, &mut From::count)?;
        let past = from.past()?;
        let workers = from.many(WORKERS_MAX, &mut |from| Some((from.fixed()?, from.past()?)))?;
        from.end(Self { opening, crowd, cohorts, cohort_began, workers, past })
    }
}

impl Out {
    fn past(&mut self, Past { counts, promises, inside }: &Past) {
        self.numbers(*counts);
        self.promises(promises);
        self.number((*inside).into());
    }
}

impl From<'_> {
    fn count(&mut self) -> Option<u64> {
        self.number().filter(|count| *count <= COUNT_MAX)
    }

    fn past(&mut self) -> Option<Past> {
        let counts = [self.count()?, self.count()?, self.count()?];
        Some(Past { counts, promises: self.promises()?, inside: self.small()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::door::draw::DrawSecret;
    use crate::door::network::Turn;
    use crate::door::ticket::Class;
    use crate::door::timetable::{Outlook, Stays};

    fn standing(crowd: Crowd) -> Standing {
        let mut past = Past { counts: [1, 70_000, 2], promises: Promises::default(), inside: 40 };
        past.promises.add(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(99));
        let workers = vec![(u64::MAX, past.clone()), (7, Past::default())];
        Standing { opening: 3, crowd, cohorts: vec![9, 0, 800], cohort_began: UNIX_EPOCH, workers, past }
    }

    fn queue() -> Crowd {
        let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
        (0..500).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn::FIRST)));
        let outlook = Outlook { now: UNIX_EPOCH, first: 0, places: 90, inside: &[], pace: 10, stays: Stays::default() };
        Crowd::Queue { drawn, table: Timetable::of(&outlook), asked: UNIX_EPOCH, before: [5, 6], absent: 7 }
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_and_nothing_else_is() {
        for crowd in [Crowd::Open, Crowd::Gathering(UNIX_EPOCH), queue()] {
            let standing = standing(crowd);
            let bytes = standing.encode();
            assert_eq!(Standing::decode(&bytes).as_ref(), Some(&standing));
            assert!((0..bytes.len()).step_by(13).all(|end| Standing::decode(&bytes[..end]).is_none()));
            assert_eq!(Standing::decode(&[&bytes[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn what_a_house_kept_that_knew_of_crowds_alone_is_read() {
        for (crowd, is_read) in [(Crowd::Open, false), (Crowd::Gathering(UNIX_EPOCH), true), (queue(), true)] {
            let standing = standing(crowd);
            let mut bytes = standing.encode();
            for (version, is_read) in [(1, false), (2, is_read), (3, true), (4, false)] {
                bytes[0] = version;
                assert_eq!(Standing::decode(&bytes), is_read.then(|| standing.clone()), "version {version}");
            }
        }
    }

    #[test]
    fn counts_that_could_not_be_added_up_are_not_read() {
        let mut standing = standing(queue());
        standing.past.counts[1] = COUNT_MAX;
        assert!(Standing::decode(&standing.encode()).is_some());
        standing.past.counts[1] += 1;
        assert_eq!(Standing::decode(&standing.encode()), None);
    }

    #[test]
    fn a_crowd_of_another_time_is_none() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        for crowd in [Crowd::Open, Crowd::Gathering(at(0) + WINDOW), queue()] {
            let standing = standing(crowd);
            assert!(standing.is_of(at(0)) && standing.is_of(at(1_700)));
            assert!(!standing.is_of(at(3_600)));
        }
        let ahead = Standing { cohort_began: at(4_000), ..standing(Crowd::Gathering(at(4_000))) };
        assert!(!ahead.is_of(at(3_000)) && ahead.is_of(at(3_999)));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_the_file_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..2_000, byte: u8) {
            let _ = Standing::decode(&bytes);
            let mut changed = standing(queue()).encode();
            let at = at % changed.len();
            changed[at] = byte;
            let _ = Standing::decode(&changed);
        }
    }
}
