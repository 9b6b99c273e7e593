//! When each moment of the programme was due. Pure.

use std::time::Duration;

/// How far the programme's time is behind the clock's, as far as anyone has heard: nothing can be heard before it is there, so that the soonest that anyone
/// heard anything is the schedule of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// Nanoseconds from the programme's time to the clock's; `None` before anything was heard.
    offset_ns: Option<i128>,
}

impl Schedule {
    /// The same, on a clock that began so much later.
    pub(crate) fn seen_after(self, later: Duration) -> Self {
        Self { offset_ns: self.offset_ns.map(|offset| offset - later.as_nanos() as i128) }
    }

    /// How late sound is that ends at `ends` in the programme and came at `now`; `None` if it was due before `since`.
    pub(crate) fn lateness(&mut self, now: Duration, ends: Duration, since: Duration) -> Option<Duration> {
        let offset = now.as_nanos() as i128 - ends.as_nanos() as i128;
        let soonest = self.offset_ns.map_or(offset, |soonest| soonest.min(offset));
        self.offset_ns = Some(soonest);
        let due = ends.as_nanos() as i128 + soonest;
        let is_due_to_them = due >= since.as_nanos() as i128;
        is_due_to_them.then(|| Duration::from_nanos(u64::try_from(offset - soonest).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_is_the_schedule() {
        let s = Duration::from_secs;
        let mut schedule = Schedule::default();
        assert_eq!(schedule.lateness(s(100), s(5_000), s(0)), Some(s(0)));
        assert_eq!(schedule.lateness(s(103), s(5_002), s(0)), Some(s(1)));
        assert_eq!(schedule.lateness(s(103), s(5_004), s(0)), Some(s(0)));
        assert_eq!(schedule.lateness(s(104), s(5_004), s(0)), Some(s(1)));
        let mut later = schedule.seen_after(s(50));
        assert_eq!(later.lateness(s(54), s(5_004), s(0)), Some(s(1)));
        // Due at 102 s, which is before this listener came.
        assert_eq!(schedule.lateness(s(104), s(5_003), s(103)), None);
    }
}
