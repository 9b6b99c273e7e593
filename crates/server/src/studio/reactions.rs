//! How listeners react to each space, added up over all workers and told once a second.
//!
//! Workers tell totals of their run, which are kept by run: what is told again after a connection broke adds nothing, and what was counted meanwhile is not lost. A house that
//! does not know a run yet takes what there was before the connection for the past, and past applause is not news.
//! All of it is in memory, and nothing of it is kept: there is no number of reactions, only how many there were in the last second.

use std::collections::HashMap;

use hiwar_admission::reaction::Reaction;
use hiwar_engine::live_bus::{self, Run};
use hiwar_segment_log::LogId;

/// Reactions in the last second, in the order of [`Reaction::ALL`].
pub type Rates = [u32; Reaction::ALL.len()];

type Totals = [u64; Reaction::ALL.len()];

/// Lives of workers that are kept apart for one space; beyond, the one that told of it longest ago is forgotten. Workers are one for each core, so that one died long ago.
const RUNS_MAX: usize = 256;

/// Every space's reactions.
#[derive(Default)]
pub(super) struct Applause {
    spaces: HashMap<LogId, Space>,
}

/// One space's.
#[derive(Default)]
struct Space {
    /// What each run has told, the one that did longest ago first.
    lines: Vec<(Run, Totals)>,
    /// What came since it was last told.
    fresh: Totals,
    /// The last that was told were some.
    was_told: bool,
}

impl Applause {
    /// Takes in what a worker counted of spaces that are on the air.
    pub(super) fn counted(&mut self, run: Run, reactions: impl IntoIterator<Item = live_bus::Reactions>) {
        for told in reactions {
            self.spaces.entry(told.log).or_default().put(run, told.before, told.totals);
        }
    }

    /// Once a second: how many there were of spaces that have some; and once that there are none any more. What is not on the air is forgotten.
    pub(super) fn tick(&mut self, is_on_air: impl Fn(&LogId) -> bool) -> Vec<(LogId, Rates)> {
        self.spaces.retain(|space, _| is_on_air(space));
        self.spaces.iter_mut().filter_map(|(space, applause)| Some((*space, applause.tell()?))).collect()
    }
}

impl Space {
    fn put(&mut self, run: Run, before: Totals, totals: Totals) {
        let known = self.lines.iter().position(|(known, _)| *known == run).map(|at| self.lines.remove(at).1);
        // A log that was shut there and opened again counts from nothing.
        let is_behind = |known: &Totals| known.iter().zip(&totals).any(|(known, total)| total < known);
        let from = known.filter(|known| !is_behind(known)).unwrap_or(before);
        for ((fresh, total), from) in self.fresh.iter_mut().zip(totals).zip(from) {
            *fresh = fresh.saturating_add(total.saturating_sub(from));
        }
        if self.lines.len() >= RUNS_MAX {
            self.lines.remove(0);
        }
        self.lines.push((run, totals));
    }

    fn tell(&mut self) -> Option<Rates> {
        let fresh = std::mem::take(&mut self.fresh);
        let is_some = fresh != Totals::default();
        let was_told = std::mem::replace(&mut self.was_told, is_some);
        (is_some || was_told).then(|| fresh.map(|many| u32::try_from(many).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> LogId {
        LogId::parse(name).expect("a name")
    }

    fn told(name: &str, before: u64, hearts: u64) -> live_bus::Reactions {
        live_bus::Reactions { log: log(name), before: [before, 0, 0, 0, 0], totals: [hearts, 0, 0, 0, 0] }
    }

    /// The hearts of the demo that are told in this second.
    fn tick(applause: &mut Applause) -> Option<u32> {
        let told = applause.tick(|space| *space == log("demo"));
        assert!(told.len() <= 1);
        told.first().map(|(_, rates)| rates[0])
    }

    #[test]
    fn what_all_workers_tell_is_added_up_and_told_once_a_second() {
        let mut applause = Applause::default();
        assert_eq!(tick(&mut applause), None, "nothing when there are none");
        applause.counted(Run(1), [told("demo", 0, 2)]);
        applause.counted(Run(2), [told("demo", 0, 3)]);
        applause.counted(Run(1), [told("demo", 0, 4)]);
        assert_eq!(tick(&mut applause), Some(7));
        applause.counted(Run(1), [told("demo", 0, 5)]);
        assert_eq!(tick(&mut applause), Some(1));
        assert_eq!((tick(&mut applause), tick(&mut applause)), (Some(0), None), "one last zero");
    }

    #[test]
    fn a_broken_connection_counts_nothing_twice_and_loses_nothing() {
        let mut applause = Applause::default();
        applause.counted(Run(1), [told("demo", 0, 10)]);
        assert_eq!(tick(&mut applause), Some(10));
        // Three came while it was broken.
        applause.counted(Run(1), [told("demo", 13, 13)]);
        assert_eq!(tick(&mut applause), Some(3));
        applause.counted(Run(1), [told("demo", 13, 14)]);
        assert_eq!(tick(&mut applause), Some(1));
    }

    #[test]
    fn a_new_house_takes_no_old_applause_for_new() {
        let mut applause = Applause::default();
        applause.counted(Run(1), [told("demo", 1_000, 1_000)]);
        assert_eq!(tick(&mut applause), None);
        applause.counted(Run(1), [told("demo", 1_000, 1_002)]);
        assert_eq!(tick(&mut applause), Some(2));
    }

    #[test]
    fn a_log_that_was_opened_anew_counts_from_nothing() {
        let mut applause = Applause::default();
        applause.counted(Run(1), [told("demo", 0, 10)]);
        applause.counted(Run(1), [told("demo", 0, 1)]);
        assert_eq!(tick(&mut applause), Some(11));
    }

    #[test]
    fn spaces_that_are_over_and_workers_that_are_gone_take_no_room() {
        let mut applause = Applause::default();
        applause.counted(Run(1), [told("over", 0, 1)]);
        for run in 0..2_000 {
            applause.counted(Run(run), [told("demo", 0, 1)]);
        }
        assert_eq!(tick(&mut applause), Some(2_000));
        assert_eq!((applause.spaces.len(), applause.spaces[&log("demo")].lines.len()), (1, RUNS_MAX));
    }
}
