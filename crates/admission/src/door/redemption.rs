//! Which tickets have been used: one bit for each serial, in memory that all workers share. Exact, and never locked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::AcqRel;

/// The bits, in somebody's memory: 10 million tickets are 1.25 MB.
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
    /// For as many serials as there are bits, all zero at first.
    pub fn new(bits: &'m [AtomicU64]) -> Self {
        Self(bits)
    }

    /// Uses a ticket. Of all who ask for one serial, at whatever moment, one succeeds.
    ///
    /// # Errors
    /// [`Unredeemable`].
    pub fn redeem(&self, serial: u64) -> Result<(), Unredeemable> {
        let place = usize::try_from(serial / 64).ok().and_then(|word| self.0.get(word));
        let bit = 1 << (serial % 64);
        let before = place.ok_or(Unredeemable::NoSuchSerial)?.fetch_or(bit, AcqRel);
        if before & bit == 0 { Ok(()) } else { Err(Unredeemable::Used) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_serial_is_redeemed_once() {
        let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(4).collect();
        let redemption = Redemption::new(&bits);
        for serial in 0..256 {
            assert_eq!(redemption.redeem(serial), Ok(()));
        }
        for serial in 0..256 {
            assert_eq!(redemption.redeem(serial), Err(Unredeemable::Used));
        }
        for serial in [256, u64::MAX] {
            assert_eq!(redemption.redeem(serial), Err(Unredeemable::NoSuchSerial));
        }
    }
}
