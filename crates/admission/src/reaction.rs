//! How listeners react, and how often one of them may.
//!
//! A reaction has a name and nothing else: no sender, no words. Who counts them knows them by their place in [`Reaction::ALL`].

use std::time::Duration;

/// What a listener can answer a speaker with. The one list: workers, house, API and pages all have these names, in this order.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Liked.
    Heart,
    /// Well said.
    Applause,
    /// Funny.
    Laugh,
    /// Surprising.
    Wow,
    /// So it is.
    Agree,
}

impl Reaction {
    /// All of them. Their places are those of their numbers wherever they are counted.
    pub const ALL: [Self; 5] = [Self::Heart, Self::Applause, Self::Laugh, Self::Wow, Self::Agree];

    /// As it stands in addresses, in the API and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heart => "heart",
            Self::Applause => "applause",
            Self::Laugh => "laugh",
            Self::Wow => "wow",
            Self::Agree => "agree",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reaction| reaction.name() == name)
    }

    /// Its place in [`Reaction::ALL`].
    pub const fn place(self) -> usize {
        self as usize
    }
}

/// What everybody may still spend. One worker's, of a size that does not change: nobody is remembered, and nothing has to be forgotten.
///
/// A person is a [number as good as random](crate::PeopleKey::person), which says where in the table they are. Two who are at the same place share one budget: that costs
/// one of them a reaction now and then, and never memory. Nobody can choose whom they share with, for the number is hashed with a key.
#[derive(Debug)]
pub struct Budgets {
    /// Until when each place has spent, in milliseconds of the worker's age, which begin anew after 49 days; 0: it never has. What lies behind, or further ahead than
    /// a budget goes, is nothing: of those that were last used before the clock turned, one in a million costs a reaction.
    spent_until: Box<[u32]>,
}

impl Budgets {
    /// Everybody has a whole budget. Allocates its memory, all that it will ever have.
    pub fn new() -> Self {
        Self { spent_until: vec![0; PLACES].into() }
    }

    /// One reaction of that person, `now` being the worker's age.
    ///
    /// # Errors
    /// How long until they may again.
    pub fn spend(&mut self, now: Duration, person: u64) -> Result<(), Duration> {
        // Only the low bits of either: that is how both wrap.
        let now = now.as_millis() as u32;
        let Some(until) = self.spent_until.get_mut(person as usize % PLACES) else { return Ok(()) };
        let ahead = Some(until.wrapping_sub(now)).filter(|ahead| *until != 0 && *ahead <= BUDGET_MS).unwrap_or(0);
        let then = ahead + EVERY_MS;
        if then > BUDGET_MS {
            return Err(Duration::from_millis((then - BUDGET_MS).into()));
        }
        // A millisecond for free, where it would be taken for never.
        *until = match now.wrapping_add(then) {
            0 => u32::MAX,
            until => until,
        };
        Ok(())
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new()
    }
}

/// Places in the table, 1 MiB in all, of which the kernel gives what is touched: of ten thousand people who react at one worker, one in thirty has a place with somebody else.
const PLACES: usize = 1 << 18;
/// One a second is what people do who clap along; faster is a program, or a finger that means one thing.
const EVERY_MS: u32 = 1_000;
/// Five at once: a joke is worth more than one laugh.
const BUDGET_MS: u32 = 5 * EVERY_MS;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERSON: u64 = 0x9e37_79b9_7f4a_7c15;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many of so many are allowed at that moment.
    fn allowed(budgets: &mut Budgets, ms: u64, tried: u32) -> u32 {
        (0..tried).filter(|_| budgets.spend(at(ms), PERSON).is_ok()).count() as u32
    }

    #[test]
    fn names_and_places_are_the_same_both_ways() {
        for (place, reaction) in Reaction::ALL.into_iter().enumerate() {
            assert_eq!((Reaction::parse(reaction.name()), reaction.place()), (Some(reaction), place));
        }
        for name in ["", "Heart", "heart ", "hearts", "boo"] {
            assert_eq!(Reaction::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn five_at_once_and_then_one_a_second() {
        let mut budgets = Budgets::new();
        assert_eq!(allowed(&mut budgets, 7, 20), 5);
        assert_eq!(budgets.spend(at(407), PERSON), Err(at(600)), "it is said when");
        assert_eq!(allowed(&mut budgets, 1_006, 20), 0);
        assert_eq!(allowed(&mut budgets, 1_007, 20), 1);
        assert_eq!(allowed(&mut budgets, 4_007, 20), 3);
        assert_eq!(allowed(&mut budgets, 60_000, 20), 5, "and whoever waited has five again, not sixty");
    }

    #[test]
    fn one_person_does_not_spend_what_another_has() {
        let mut budgets = Budgets::new();
        assert_eq!(allowed(&mut budgets, 0, 9), 5);
        assert!(budgets.spend(at(0), PERSON + 1).is_ok());
        assert!(budgets.spend(at(0), PERSON + PLACES as u64).is_err(), "but for who is at the same place");
    }

    #[test]
    fn after_seven_weeks_it_goes_on() {
        let mut budgets = Budgets::new();
        let turn = 1_u64 << 32;
        for before in [0, 1, 500, 4_999, 5_000] {
            assert_eq!(allowed(&mut Budgets::new(), turn - before, 9), 5, "{before}");
        }
        assert_eq!(allowed(&mut budgets, turn - 100, 9), 5);
        assert_eq!(budgets.spend(at(turn + 100), PERSON), Err(at(800)));
        assert_eq!(allowed(&mut budgets, turn + 900, 9), 1);
        assert_eq!(allowed(&mut budgets, turn + 60_000, 9), 5);
    }

    proptest! {
        #[test]
        fn nobody_ever_has_more_than_the_time_gives(pauses in prop::collection::vec(0_u64..3_000, 1..200)) {
            let mut budgets = Budgets::new();
            let (mut now, mut taken) = (12_345, 0);
            for pause in pauses {
                now += pause;
                taken += u64::from(budgets.spend(at(now), PERSON).is_ok());
                prop_assert!(taken <= 5 + (now - 12_345) / 1_000, "{taken} after {now}");
            }
        }
    }
}
