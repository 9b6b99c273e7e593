//! What an operator orders, by hand, in place of what pressure would make of it.

use super::{Bitrate, Cadence, Level, Reason, Stance};

/// Orders. They come before what is felt, and after what the operator chose of cadence and bitrate, which is no rung.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// It is at this level, whatever it feels.
    pub pin: Option<Level>,
    /// It goes no higher by what it feels.
    pub cap: Option<Level>,
    /// The panic switch: for whoever comes anew it is as at this level, whatever else is ordered; for whoever listens nothing changes.
    pub panic: Option<Level>,
}

/// Into an ordered level so many are let in within a second. A thread takes ten times as many.
const ORDERED_PACE: u32 = 500;

impl Order {
    /// From their numbers, as they travel: [`NONE`](Self::NONE) for none. `None` if one is no level.
    pub fn from_numbers([pin, cap, panic]: [u8; 3]) -> Option<Self> {
        let level = |number| if number == Self::NONE { Some(None) } else { Level::of(number).map(Some) };
        Some(Self { pin: level(pin)?, cap: level(cap)?, panic: level(panic)? })
    }

    /// As numbers.
    pub fn numbers(self) -> [u8; 3] {
        [self.pin, self.cap, self.panic].map(|level| level.map_or(Self::NONE, |level| level as u8))
    }

    /// The number of no level.
    pub const NONE: u8 = u8::MAX;

    /// As high as pressure may bring it. Of both orders the pin is the closer one.
    pub fn most(&self) -> Level {
        self.pin.or(self.cap).unwrap_or(Level::Capped)
    }

    /// The highest level that is ordered, whatever is felt.
    pub fn least(&self) -> Level {
        self.pin.max(self.panic).unwrap_or_default()
    }

    /// What is felt, as far as it may be, and what is ordered.
    pub(super) fn over(&self, felt: Stance, fixed: Option<Cadence>, fixed_bitrate: Option<Bitrate>) -> Stance {
        let mut stance = felt;
        let (pin, panic) = (self.pin.unwrap_or_default(), self.panic.unwrap_or_default());
        if pin >= Level::Paced {
            stance.joins_per_s = Some(stance.joins_per_s.unwrap_or(u32::MAX).min(ORDERED_PACE));
        }
        if pin >= Level::Longer && fixed.is_none() {
            stance.cadence = stance.cadence.max(Cadence::S1);
        }
        if pin >= Level::Lean && fixed_bitrate.is_none() {
            (stance.bitrate, stance.is_quiet) = (Bitrate::Lean, true);
        }
        stance.delays |= pin.max(panic) >= Level::Delayed;
        stance.is_shut |= pin.max(panic) >= Level::Capped;
        let least = self.least();
        if least > felt.level || (least == felt.level && least > Level::Open && felt.reasons.is_empty()) {
            stance.reasons = felt.reasons.with(Reason::Operator.into());
        }
        stance.level = felt.level.max(least);
        stance
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::tests::{CALM_HERE, HIGH, start};
    use super::super::{Ladder, Pressure, Reasons};
    use super::*;

    fn level() -> impl Strategy<Value = Option<Level>> {
        proptest::option::of(proptest::sample::select(&Level::ALL[..]))
    }

    fn panic() -> impl Strategy<Value = Option<Level>> {
        proptest::sample::select(&[None, Some(Level::Delayed), Some(Level::Capped)][..])
    }

    fn pressure() -> impl Strategy<Value = Pressure> {
        // Either is common, or nothing would ever be reached.
        let store = || prop_oneof![3 => Just(0.1f32), 1 => 0.0f32..1.2];
        (0.0f32..2.0, prop_oneof![Just(5u64), 0u64..2_000], 0u32..50_000, store(), store(), store(), store()).prop_map(
            |(busy, behind_ms, joins, egress, handshakes, memory, files)| Pressure {
                behind: Duration::from_millis(behind_ms),
                is_moving: false,
                busy,
                joins,
                egress,
                handshakes,
                memory,
                files,
            },
        )
    }

    fn long_run() -> impl Strategy<Value = Vec<Pressure>> {
        let stretch = (pressure(), 1usize..80).prop_map(|(pressure, seconds)| vec![pressure; seconds]);
        proptest::collection::vec(stretch, 0..12).prop_map(|stretches| stretches.concat())
    }

    fn each_second(ladder: &mut Ladder, from: Instant, pressures: &[Pressure]) -> Vec<Stance> {
        let at = |second: usize| from + Duration::from_secs(second as u64 + 1);
        pressures.iter().enumerate().map(|(second, pressure)| ladder.handle(at(second), *pressure)).collect()
    }

    proptest! {
        #[test]
        fn it_goes_up_at_once_and_down_after_a_calm_minute_a_rung_at_a_time(
            pressures in long_run(), has_elsewhere: bool,
        ) {
            let start = start();
            let mut ladder = Ladder::new(start).with_elsewhere(has_elsewhere);
            let mut before = Stance::default();
            let mut troubled = None;
            let stances = each_second(&mut ladder, start, &pressures);
            for (second, (stance, pressure)) in stances.into_iter().zip(&pressures).enumerate() {
                if pressure.reasons().is_empty() {
                    let since = troubled.map_or(second + 1, |troubled| second - troubled);
                    prop_assert!(stance.level <= before.level, "up without a reason");
                    prop_assert!(stance.level == before.level || since >= 60, "down after {since} s");
                } else {
                    troubled = Some(second);
                    prop_assert!(stance.level >= Level::Paced.max(before.level), "not up at once");
                    prop_assert_eq!(stance.reasons.with(pressure.reasons()), stance.reasons);
                }
                prop_assert_eq!(stance.level == Level::Open, stance.reasons.is_empty());
                before = stance;
            }
        }

        #[test]
        fn a_pin_holds_and_so_does_a_cap(
            before in long_run(), pressures in long_run(), pin in level(), cap in level(), panic in panic(), has_elsewhere: bool,
        ) {
            let start = start();
            let mut ladder = Ladder::new(start).with_elsewhere(has_elsewhere);
            each_second(&mut ladder, start, &before);
            let ordered = start + Duration::from_secs(1_000);
            let order = Order { pin, cap, panic };
            ladder.order(ordered, order);
            for stance in each_second(&mut ladder, ordered, &pressures) {
                let least = pin.max(panic).unwrap_or_default();
                if let Some(pin) = pin {
                    prop_assert_eq!(stance.level, pin.max(least));
                } else {
                    prop_assert!(stance.level >= least && stance.level <= order.most().max(least));
                }
                prop_assert_eq!(stance.is_shut, least == Level::Capped);
                prop_assert!(stance.delays || least < Level::Delayed);
                prop_assert!(stance.level == Level::Open || !stance.reasons.is_empty());
            }
            // Nothing is left of an order that was lifted, once it has been calm.
            let lifted = ordered + Duration::from_secs(1_000);
            ladder.order(lifted, Order::default());
            let calm = each_second(&mut ladder, lifted, &vec![CALM_HERE; 500]);
            prop_assert_eq!(calm.last(), Some(&Stance::default()));
        }

        /// Of those who listen a stance says how they hear it, and nothing else: nobody can be dropped by one. And the panic switch is for whoever comes anew alone.
        #[test]
        fn the_panic_switch_changes_nothing_for_whoever_listens(
            pressures in long_run(), pin in level(), cap in level(), panic in panic(),
        ) {
            let start = start();
            let heard = |panic| {
                let mut ladder = Ladder::new(start);
                ladder.order(start, Order { pin, cap, panic });
                let stances = each_second(&mut ladder, start, &pressures).into_iter();
                stances.map(|stance| (stance.cadence, stance.bitrate, stance.is_quiet)).collect::<Vec<_>>()
            };
            prop_assert_eq!(heard(panic), heard(None));
        }
    }

    #[test]
    fn orders_are_the_same_after_a_journey() {
        let levels = [Order::NONE, 0, 1, 2, 3, 4, 5];
        for pin in levels {
            for panic in levels {
                let order = Order::from_numbers([pin, 5, panic]).expect("levels");
                assert_eq!(order.numbers(), [pin, 5, panic]);
            }
        }
        assert_eq!(Order::from_numbers([6, 0, 0]), None);
    }

    #[test]
    fn the_panic_switch_is_undone_at_once() {
        let mut ladder = Ladder::new(start());
        ladder.order(start(), Order { panic: Some(Level::Capped), ..Order::default() });
        let stance = ladder.stance();
        assert_eq!((stance.level, stance.is_shut, stance.delays), (Level::Capped, true, true));
        assert_eq!((stance.cadence, stance.for_joiners()), (Cadence::Ms200, Cadence::S4));
        assert_eq!(stance.reasons, Reasons::from(Reason::Operator));
        ladder.order(start(), Order::default());
        assert_eq!(ladder.stance(), Stance::default());
    }

    #[test]
    fn what_the_operator_chose_stays_also_at_a_level_that_is_pinned() {
        let mut ladder = Ladder::new(start());
        ladder.fix(start(), Some(Cadence::Ms400));
        ladder.fix_bitrate(start(), Some(Bitrate::Standard));
        ladder.order(start(), Order { pin: Some(Level::Lean), ..Order::default() });
        let stance = ladder.handle(start() + Duration::from_secs(1), HIGH);
        assert_eq!((stance.level, stance.cadence, stance.bitrate), (Level::Lean, Cadence::Ms400, Bitrate::Standard));
        assert!(stance.joins_per_s.is_some_and(|pace| pace <= ORDERED_PACE));
    }
}
