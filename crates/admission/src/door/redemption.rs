//! What became of tickets: four bits for each serial, in memory that all workers share. Exact, and never locked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// The bits, in somebody's memory: 10 million tickets are 5 MB. A serial's say one of sixteen: 0, nothing is promised to it, and it has never looked; 1 to 13, nothing is promised to it, and it looks next in a period that is that less
/// one, modulo 13; 14, a place is promised to it; 15, its place was taken.
#[derive(Clone, Copy, Debug)]
pub struct Redemption<'m>(&'m [AtomicU64]);

/// Bits of a serial.
const WIDTH: u64 = 4;
/// Serials of a word.
pub const IN_WORD: u64 = u64::BITS as u64 / WIDTH;
const NEVER: u64 = 0;
/// So many periods are told apart.
pub const AROUND: u64 = PROMISED - 1;
const PROMISED: u64 = 14;
const USED: u64 = 15;

/// So many periods ahead the next look is at the most.
pub const AHEAD_MAX: u64 = 8;

/// Why a ticket is not good any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unredeemable {
    /// Its place was taken before, perhaps at this very moment at another worker.
    Used,
    /// No ticket has that serial.
    NoSuchSerial,
}

impl<'m> Redemption<'m> {
    /// For [`IN_WORD`] serials in each word, all zero at first.
    pub fn new(bits: &'m [AtomicU64]) -> Self {
        Self(bits)
    }

    /// Takes the place. Of all who ask for one serial, at whatever moment, one succeeds.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn redeem(&self, serial: u64) -> Result<(), Unredeemable> {
        self.turn(serial, |_| Some(USED)).map(drop)
    }

    /// Whether its place was taken.
    pub fn is_used(&self, serial: u64) -> bool {
        self.find(serial).is_ok_and(|(word, at)| word.load(Acquire) >> at & 15 == USED)
    }

    /// Promises a place. Whether it is the first time: whoever did not get the answer asks again.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn promise(&self, serial: u64) -> Result<bool, Unredeemable> {
        let before = self.turn(serial, |state| (state < PROMISED).then_some(PROMISED))?;
        Ok(before < PROMISED)
    }

    /// Looks in that period for what may be left over, and the next time in the next that is a multiple of `again`, a power of two up to [`AHEAD_MAX`]. Whether they may: nobody looks more often by asking more often, or by what they were told
    /// before. If it has become less often meanwhile they look later than they were told, as if they had looked now.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn look(&self, serial: u64, period: u64, again: u64) -> Result<bool, Unredeemable> {
        let next = 1 + (period + 1).next_multiple_of(again) % AROUND;
        let may = |state| state < PROMISED && ahead(state, period).is_none();
        let is_later = |state| ahead(state, period).is_some_and(|ahead| !(period + ahead).is_multiple_of(again));
        let before = self.turn(serial, |state| (may(state) || is_later(state)).then_some(next))?;
        Ok(may(before))
    }

    /// Whether a place is promised to it that it has not taken.
    pub fn is_promised(&self, serial: u64) -> bool {
        self.find(serial).is_ok_and(|(word, at)| word.load(Acquire) >> at & 15 == PROMISED)
    }

    /// In which period after that one it looks next, if it does not now.
    pub fn looks_in(&self, serial: u64, period: u64) -> Option<u64> {
        let (word, at) = self.find(serial).ok()?;
        ahead(word.load(Acquire) >> at & 15, period).map(|ahead| period + ahead)
    }

    /// Sets what is to be set, of what was there, which is returned.
    fn turn(&self, serial: u64, next: impl Fn(u64) -> Option<u64>) -> Result<u64, Unredeemable> {
        let (word, at) = self.find(serial)?;
        let turned = word.fetch_update(AcqRel, Acquire, |bits| match bits >> at & 15 {
            USED => None,
            state => Some(bits & !(15 << at) | next(state)? << at),
        });
        match turned.unwrap_or_else(|bits| bits) >> at & 15 {
            USED => Err(Unredeemable::Used),
            before => Ok(before),
        }
    }

    /// The word, and from which of its bits on.
    fn find(&self, serial: u64) -> Result<(&'m AtomicU64, u64), Unredeemable> {
        let word = usize::try_from(serial / IN_WORD).ok().and_then(|word| self.0.get(word));
        Ok((word.ok_or(Unredeemable::NoSuchSerial)?, serial % IN_WORD * WIDTH))
    }
}

/// How many periods from that one on who is in that state looks next, if they do not now. Who is late by five or more would seem to be too soon; but only those are told to look in so many
/// who do so in [multiples](super::look::is_theirs) of as many.
fn ahead(state: u64, period: u64) -> Option<u64> {
    let ahead = (state + AROUND - 1).wrapping_sub(period % AROUND) % AROUND;
    let is_told = (1..=AHEAD_MAX).contains(&ahead) && (period + ahead).is_multiple_of(ahead.next_power_of_two());
    ((NEVER + 1..PROMISED).contains(&state) && is_told).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Release;

    use super::*;

    #[test]
    fn each_serial_is_redeemed_once() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        for serial in 0..128 {
            assert!(!redemption.is_used(serial));
            assert_eq!(redemption.redeem(serial), Ok(()));
        }
        for serial in 0..128 {
            assert!(redemption.is_used(serial));
            assert_eq!(redemption.redeem(serial), Err(Unredeemable::Used));
        }
        for serial in [128, u64::MAX] {
            assert_eq!(redemption.redeem(serial), Err(Unredeemable::NoSuchSerial));
            assert_eq!(redemption.promise(serial), Err(Unredeemable::NoSuchSerial));
            assert_eq!(redemption.look(serial, 1, 1), Err(Unredeemable::NoSuchSerial));
        }
    }

    /// At four workers at once, each serial of a word beside others.
    #[test]
    fn of_all_who_show_a_serial_at_the_same_moment_one_is_let_in() {
        const SERIALS: u64 = 100_000;
        let bits: Vec<AtomicU64> =
            std::iter::repeat_with(AtomicU64::default).take((SERIALS / IN_WORD) as usize).collect();
        let (redemption, together) = (Redemption::new(&bits), std::sync::Barrier::new(4));
        let shows = |from: u64| {
            together.wait();
            let serials = (0..SERIALS).map(|n| (n + from) % SERIALS);
            let good = serials.map(|serial| (redemption.promise(serial), redemption.redeem(serial)));
            good.fold((0, 0), |(firsts, taken), (first, is)| {
                (firsts + u64::from(first == Ok(true)), taken + u64::from(is.is_ok()))
            })
        };
        let sums = std::thread::scope(|scope| {
            // Two pairs: of each both go the same way.
            let workers = [0, 0, SERIALS / 2, SERIALS / 2].map(|from| scope.spawn(move || shows(from)));
            let each = workers.into_iter().map(|worker| worker.join().expect("no panic"));
            each.fold((0, 0), |sum, (firsts, taken)| (sum.0 + firsts, sum.1 + taken))
        });
        assert_eq!(sums, (SERIALS, SERIALS));
    }

    #[test]
    fn a_place_is_promised_once_and_until_it_is_taken() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        for serial in 0..128 {
            assert_eq!(redemption.look(serial, 15, 1 << (serial % 4)), Ok(true));
            assert_eq!((redemption.promise(serial), redemption.promise(serial)), (Ok(true), Ok(false)));
            assert!(!redemption.is_used(serial));
        }
        for serial in 0..128 {
            assert_eq!(redemption.look(serial, 20, 1), Ok(false), "whoever has a time has nothing to look for");
            assert_eq!(redemption.redeem(serial), Ok(()));
            assert_eq!(redemption.promise(serial), Err(Unredeemable::Used));
            assert_eq!(redemption.look(serial, 20, 1), Err(Unredeemable::Used));
        }
    }

    #[test]
    fn one_looks_when_they_were_told_to_and_once_however_often_they_ask() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        for (serial, begin) in (0..128).zip(5_986_600..) {
            let look = |period, again| redemption.look(serial, period, again).expect("nobody took it");
            for ahead in 1..=AHEAD_MAX {
                let again = ahead.next_power_of_two();
                let next = (begin + 100 * ahead).next_multiple_of(again);
                let begin = next - ahead;
                // The first time in any.
                redemption.0.iter().for_each(|word| word.store(0, Release));
                assert_eq!((redemption.looks_in(serial, begin), look(begin, again)), (None, true));
                for period in begin..next {
                    // Nor if they are to look more often meanwhile.
                    assert!((0..=again.ilog2()).all(|less| !look(period, 1 << less)));
                    assert_eq!(redemption.looks_in(serial, period), Some(next));
                }
                // Whoever comes a little later is not told to come later still.
                let (late, later) = (next + begin % 5, (next + begin % 5 + 1).next_multiple_of(8));
                assert_eq!((redemption.looks_in(serial, late), look(late, 8)), (None, true));
                assert_eq!((redemption.looks_in(serial, late), look(late, 8)), (Some(later), false));
            }
        }
    }

    #[test]
    fn who_is_to_look_more_seldom_than_they_were_told_does_so_from_then_on() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        for (serial, period) in (0..128).zip(5_986_600..) {
            assert_eq!(redemption.look(serial, period, 1), Ok(true));
            assert_eq!(redemption.look(serial, period, 8), Ok(false));
            let next = (period + 1).next_multiple_of(8);
            assert!((period..next).all(|period| redemption.looks_in(serial, period) == Some(next)));
        }
    }

    /// But whoever is so by an hour exactly; and one in five of those who look in each period.
    #[test]
    fn whoever_comes_late_by_up_to_an_hour_is_not_taken_for_somebody_who_comes_too_soon() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        for each in [1, 2, 4, 8] {
            let looks = |nth: u64, late: u64| {
                let next = 5_986_600 + each * nth;
                redemption.0.iter().for_each(|word| word.store(0, Release));
                assert_eq!(redemption.look(3, next - each, each), Ok(true));
                redemption.look(3, next + late, each) == Ok(true)
            };
            let not = |late: &u64| (0..80).filter(|nth| !looks(*nth, *late)).count();
            let all: Vec<_> = (0..AROUND).map(|late| not(&late)).collect();
            let few = [0, 0, 0, 0, 0, 10, 10, 10, 10, 20, 20, 40, 80];
            assert_eq!(all, if each == 1 { few } else { [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80] });
        }
    }

    /// Nor in any other serial of its word.
    #[test]
    fn what_one_serial_is_told_changes_nothing_of_another() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(8).collect();
        let redemption = Redemption::new(&bits);
        assert_eq!((redemption.look(7, 8, 1), redemption.look(9, 8, 8)), (Ok(true), Ok(true)));
        assert!(
            (0..128).filter(|serial| ![7, 9].contains(serial)).all(|serial| redemption.look(serial, 8, 2) == Ok(true))
        );
        assert_eq!([7, 8, 9].map(|serial| redemption.looks_in(serial, 8)), [Some(9), Some(10), Some(16)]);
    }
}
