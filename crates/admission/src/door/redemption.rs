//! What became of tickets: two bits for each serial, in memory that all workers share. Exact, and never locked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// The bits, in somebody's memory: 10 million tickets are 2.5 MB. A serial's say one of four: 0 or 1, nothing is promised to it, and it looked last in an even or an odd period (0 if it never did); 2, a place is
/// promised to it; 3, its place was taken.
#[derive(Clone, Copy, Debug)]
pub struct Redemption<'m>(&'m [AtomicU64]);

const PROMISED: u64 = 2;
const USED: u64 = 3;

/// Why a ticket is not good any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unredeemable {
    /// Its place was taken before, perhaps at this very moment at another worker.
    Used,
    /// No ticket has that serial.
    NoSuchSerial,
}

impl<'m> Redemption<'m> {
    /// For half as many serials as there are bits, all zero at first.
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
        self.find(serial).is_ok_and(|(word, at)| word.load(Acquire) >> at & 3 == USED)
    }

    /// Promises a place. Whether it is the first time: whoever did not get the answer asks again.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn promise(&self, serial: u64) -> Result<bool, Unredeemable> {
        let before = self.turn(serial, |state| (state < PROMISED).then_some(PROMISED))?;
        Ok(before < PROMISED)
    }

    /// Looks in that period for what may be left over. Whether it is the first time in that period: nobody looks more often by asking more often.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn look(&self, serial: u64, period: u64) -> Result<bool, Unredeemable> {
        let may = |state| state < PROMISED && state != period & 1;
        let before = self.turn(serial, |state| may(state).then_some(period & 1))?;
        Ok(may(before))
    }

    /// Whether a place is promised to it that it has not taken.
    pub fn is_promised(&self, serial: u64) -> bool {
        self.find(serial).is_ok_and(|(word, at)| word.load(Acquire) >> at & 3 == PROMISED)
    }

    /// Whether it looks next in an odd period.
    pub fn looks_odd(&self, serial: u64) -> bool {
        self.find(serial).is_ok_and(|(word, at)| word.load(Acquire) >> at & 3 == 0)
    }

    /// Sets what is to be set, of what was there, which is returned.
    fn turn(&self, serial: u64, next: impl Fn(u64) -> Option<u64>) -> Result<u64, Unredeemable> {
        let (word, at) = self.find(serial)?;
        let turned = word.fetch_update(AcqRel, Acquire, |bits| match bits >> at & 3 {
            USED => None,
            state => Some(bits & !(3 << at) | next(state)? << at),
        });
        match turned.unwrap_or_else(|bits| bits) >> at & 3 {
            USED => Err(Unredeemable::Used),
            before => Ok(before),
        }
    }

    /// The word, and from which of its bits on.
    fn find(&self, serial: u64) -> Result<(&'m AtomicU64, u64), Unredeemable> {
        let word = usize::try_from(serial / 32).ok().and_then(|word| self.0.get(word));
        Ok((word.ok_or(Unredeemable::NoSuchSerial)?, serial % 32 * 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_serial_is_redeemed_once() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(4).collect();
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
            assert_eq!(redemption.look(serial, 1), Err(Unredeemable::NoSuchSerial));
        }
    }

    /// At four workers at once, each serial of a word beside others.
    #[test]
    fn of_all_who_show_a_serial_at_the_same_moment_one_is_let_in() {
        const SERIALS: u64 = 100_000;
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(SERIALS as usize / 32).collect();
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
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(4).collect();
        let redemption = Redemption::new(&bits);
        for serial in 0..128 {
            assert_eq!(redemption.look(serial, u64::from(serial % 3 == 0)), Ok(serial % 3 == 0));
            assert_eq!((redemption.promise(serial), redemption.promise(serial)), (Ok(true), Ok(false)));
            assert!(!redemption.is_used(serial));
        }
        for serial in 0..128 {
            assert_eq!(redemption.look(serial, 2), Ok(false), "whoever has a time has nothing to look for");
            assert_eq!(redemption.redeem(serial), Ok(()));
            assert_eq!(redemption.promise(serial), Err(Unredeemable::Used));
            assert_eq!(redemption.look(serial, 2), Err(Unredeemable::Used));
        }
    }

    #[test]
    fn one_looks_once_in_each_period_however_often_they_ask() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(4).collect();
        let redemption = Redemption::new(&bits);
        // The first time in an odd one.
        assert!(redemption.looks_odd(7));
        let looks = [0, 1, 1, 1, 2, 2, 5, 5, 6].map(|period| redemption.look(7, period).expect("nobody took it"));
        assert_eq!(looks, [false, true, false, false, true, false, true, false, true]);
        assert!(redemption.looks_odd(7));
        assert!((0..128).filter(|serial| *serial != 7).all(|serial| redemption.look(serial, 1) == Ok(true)));
    }
}
