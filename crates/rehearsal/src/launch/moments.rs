//! What a launch was in each second, by everybody together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// How often the door was asked.
    pub requests: u64,
    /// How often by people with an address of their own: the tickets of one address look together, so others ask in bursts.
    pub alone: u64,
    /// How many of those had been told, two minutes before at the least, to come then, or to look again: so often they would ask if nothing went wrong.
    pub told: u64,
    /// By whom it was for the first time.
    pub arrived: u64,
    /// Who was let in.
    pub entered: u64,
    /// Who was cut off, and let in again.
    pub back: u64,
    /// Who went.
    pub left: u64,
    /// Who was cut off.
    pub cut: u64,
    /// Who was told to come after the draw.
    pub drawn: u64,
    /// To whom a time was told.
    pub promised: u64,
    /// Who was told that nobody can tell when.
    pub ranked: u64,
    /// Who was told to come in a moment.
    pub soon: u64,
    /// Whom the server refused otherwise: it said why.
    pub refused: u64,
    /// Who had no answer.
    pub unanswered: u64,
    /// Who was told what cannot be true.
    pub untrue: u64,
    /// By how much somebody of the crowd acted too late, at the most: the crowd itself is slow then, and not the server.
    pub late_ms: u64,
    /// How crowded the server said that it was, 0 to 5, at the end of it; `None`: it did not say, or was not asked.
    pub level: Option<u8>,
}

impl Moment {
    fn parts(&self) -> [(&'static str, u64); 16] {
        [
            ("requests", self.requests),
            ("alone", self.alone),
            ("told", self.told),
            ("arrived", self.arrived),
            ("entered", self.entered),
            ("back", self.back),
            ("left", self.left),
            ("cut", self.cut),
            ("drawn", self.drawn),
            ("promised", self.promised),
            ("ranked", self.ranked),
            ("soon", self.soon),
            ("refused", self.refused),
            ("unanswered", self.unanswered),
            ("untrue", self.untrue),
            ("late_ms", self.late_ms),
        ]
    }

    /// Adds what others saw in the same second.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.alone += other.alone;
        self.told += other.told;
        self.arrived += other.arrived;
        self.entered += other.entered;
        self.back += other.back;
        self.left += other.left;
        self.cut += other.cut;
        self.drawn += other.drawn;
        self.promised += other.promised;
        self.ranked += other.ranked;
        self.soon += other.soon;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.untrue += other.untrue;
        self.late_ms = self.late_ms.max(other.late_ms);
        self.level = self.level.max(other.level);
    }
}

/// All of them, by second.
pub type Moments = BTreeMap<u32, Moment>;

/// Raw, a line for each second: its counts, and the level, or nothing where it is not known.
pub fn csv(moments: &Moments) -> String {
    let mut text = String::from("at_s");
    for (name, _) in Moment::default().parts() {
        let _ = write!(text, ",{name}");
    }
    text.push_str(",level");
    for (at, moment) in moments {
        let _ = write!(text, "\n{at}");
        for (_, value) in moment.parts() {
            let _ = write!(text, ",{value}");
        }
        text.push(',');
        let _ = moment.level.map(|level| write!(text, "{level}"));
    }
    text.push('\n');
    text
}

/// Which steps there were, in or out, sorted by time: how many were inside at the most. Who goes at the moment at which another comes has gone first.
pub fn inside_max(steps: &mut [(Duration, bool)]) -> u32 {
    steps.sort_unstable();
    let (mut inside, mut most) = (0u32, 0);
    for &(_, comes) in &*steps {
        inside = if comes { inside + 1 } else { inside.saturating_sub(1) };
        most = most.max(inside);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_saw_of_a_second_is_added_and_the_latest_counts() {
        let mut one = Moment { requests: 3, untrue: 1, late_ms: 20, ..Moment::default() };
        one.merge(&Moment { requests: 4, cut: 2, late_ms: 7, ..Moment::default() });
        assert_eq!(one, Moment { requests: 7, cut: 2, untrue: 1, late_ms: 20, ..Moment::default() });
        let mut ones = Moment::default();
        let each = Moment {
            requests: 1,
            alone: 1,
            told: 1,
            arrived: 1,
            entered: 1,
            back: 1,
            left: 1,
            cut: 1,
            drawn: 1,
            promised: 1,
            ranked: 1,
            soon: 1,
            refused: 1,
            unanswered: 1,
            untrue: 1,
            late_ms: 1,
            level: Some(1),
        };
        ones.merge(&each);
        assert_eq!(ones, each, "nothing is left out");
    }

    #[test]
    fn a_line_for_each_second_has_as_many_fields_as_the_head() {
        let text = csv(&Moments::from([(7, Moment { untrue: 5, ..Moment::default() })]));
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 2);
        let at = lines[0].iter().position(|name| *name == "untrue").expect("it is told");
        assert_eq!((lines[1][0], lines[1][at], lines[1].len()), ("7", "5", lines[0].len()));
        assert_eq!((lines[0].last(), lines[1].last()), (Some(&"level"), Some(&"")));
        let known = csv(&Moments::from([(7, Moment { level: Some(4), ..Moment::default() })]));
        assert!(known.ends_with(",4\n"), "{known}");
    }

    #[test]
    fn who_goes_as_another_comes_has_gone_first() {
        let at = Duration::from_secs;
        assert_eq!(inside_max(&mut [(at(2), true), (at(1), true), (at(2), false)]), 1);
        assert_eq!(inside_max(&mut [(at(1), true), (at(2), true), (at(3), false)]), 2);
    }
}
