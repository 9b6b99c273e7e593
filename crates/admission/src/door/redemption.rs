//! Which tickets have been used: two bits for each serial, in memory that all workers share. Exact, and never locked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// The bits, in somebody's memory: 10 million tickets are 2.5 MB. The first of a serial's is set when a ticket for the draw is exchanged, the second when its place is taken.
#[derive(Clone, Copy, Debug)]
pub struct Redemption<'m>(&'m [AtomicU64]);

/// Why a ticket is not good any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unredeemable {
    /// It was used before, perhaps at this very moment at another worker.
    Used,
    /// No ticket has that serial.
    NoSuchSerial,
}

impl<'m> Redemption<'m> {
    /// For half as many serials as there are bits, all zero at first.
    pub fn new(bits: &'m [AtomicU64]) -> Self {
        Self(bits)
    }

    /// Uses a ticket. Of all who ask for one serial, at whatever moment, one succeeds.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn redeem(&self, serial: u64) -> Result<(), Unredeemable> {
        let (word, bit) = self.find(serial)?;
        let before = word.fetch_or(bit << 1, AcqRel);
        if before & bit << 1 == 0 { Ok(()) } else { Err(Unredeemable::Used) }
    }

    /// Whether its place was taken.
    pub fn is_used(&self, serial: u64) -> bool {
        self.find(serial).is_ok_and(|(word, bit)| word.load(Acquire) & bit << 1 != 0)
    }

    /// Exchanges a ticket for the draw, which may be done again by whoever did not get the answer. Whether it is the first time.
    ///
    /// # Errors
    /// [`Unredeemable`]: the place that it came to was taken.
    pub fn exchange(&self, serial: u64) -> Result<bool, Unredeemable> {
        let (word, bit) = self.find(serial)?;
        match word.fetch_or(bit, AcqRel) {
            before if before & bit << 1 != 0 => Err(Unredeemable::Used),
            before => Ok(before & bit == 0),
        }
    }

    fn find(&self, serial: u64) -> Result<(&'m AtomicU64, u64), Unredeemable> {
        let word = usize::try_from(serial / 32).ok().and_then(|word| self.0.get(word));
        Ok((word.ok_or(Unredeemable::NoSuchSerial)?, 1 << (serial % 32 * 2)))
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
            assert_eq!(redemption.exchange(serial), Err(Unredeemable::NoSuchSerial));
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
            let good = serials.map(|serial| (redemption.exchange(serial), redemption.redeem(serial)));
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
    fn what_was_drawn_is_exchanged_as_often_as_it_is_shown_until_its_place_is_taken() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(4).collect();
        let redemption = Redemption::new(&bits);
        for serial in 0..128 {
            assert_eq!((redemption.exchange(serial), redemption.exchange(serial)), (Ok(true), Ok(false)));
        }
        for serial in 0..128 {
            assert_eq!(redemption.redeem(serial), Ok(()));
            assert_eq!(redemption.exchange(serial), Err(Unredeemable::Used));
        }
    }
}
