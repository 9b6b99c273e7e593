//! A level that is counted and not felt, such as a door's: up at once, and down after a calm minute, for those who read it.

use std::time::Instant;

use super::{CALM, Level};

/// One such level.
#[derive(Copy, Clone, Debug, Default)]
pub struct Slow {
    level: Level,
    /// Since when it has been lower, and the highest since then.
    lower: Option<(Instant, Level)>,
}

impl Slow {
    /// Takes what it is now, and answers what is said of it.
    pub fn handle(&mut self, now: Instant, level: Level) -> Level {
        if level >= self.level {
            (self.level, self.lower) = (level, None);
            return level;
        }
        let (since, highest) = self.lower.unwrap_or((now, level));
        let highest = highest.max(level);
        self.lower = Some((since, highest));
        if now.saturating_duration_since(since) >= CALM {
            (self.level, self.lower) = (highest, None);
        }
        self.level
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::tests::start;
    use super::*;

    proptest! {
        #[test]
        fn it_is_never_lower_than_in_the_last_minute_and_soon_as_low_as_that(
            stretches in proptest::collection::vec((proptest::sample::select(&Level::ALL[..]), 1usize..200), 1..20),
        ) {
            let levels: Vec<Level> = stretches.iter().flat_map(|(level, seconds)| vec![*level; *seconds]).collect();
            let mut slow = Slow::default();
            for second in 0..levels.len() {
                let said = slow.handle(start() + Duration::from_secs(second as u64), levels[second]);
                let within = |seconds: usize| levels[second.saturating_sub(seconds)..=second].iter().max().copied();
                prop_assert!(Some(said) >= within(60), "down too soon");
                prop_assert!(Some(said) <= within(121).max(Some(levels[second])), "down too late");
            }
        }
    }
}
