//! What happens in spaces by the clock: doors that open, conversations that begin, seats and empty stages that are given up.

use std::sync::PoisonError;

use super::*;

/// Looked at again after so long, for the time of day may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When the clock is looked at next.
#[derive(Debug, Default)]
pub(super) struct Timer {
    next: Mutex<Option<Instant>>,
    sooner: tokio::sync::Notify,
}

impl Registry {
    /// Lets time pass in every space when it is due there, for as long as the house lives.
    pub(super) async fn keep_time(self) {
        loop {
            let now = clock::now();
            let next = self.pass_time(now).unwrap_or(now.steady + LOOK_EVERY).min(now.steady + LOOK_EVERY);
            *self.timer() = Some(next);
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.0.timer.sooner.notified() => {}
            }
        }
    }

    /// Something is due in a space at that moment: nobody sleeps longer.
    pub(super) fn look_by(&self, moment: Option<Instant>) {
        let Some(moment) = moment else { return };
        if self.timer().is_none_or(|next| moment < next) {
            self.0.timer.sooner.notify_one();
        }
    }

    /// What is due is done; when something is next.
    fn pass_time(&self, now: hiwar_space::Now) -> Option<Instant> {
        let mut next = None::<Instant>;
        let mut due = Vec::new();
        for (id, entry) in self.lock().iter() {
            match entry.space.deadline(now) {
                Some(moment) if moment <= now.steady => due.push(*id),
                Some(moment) => next = Some(next.map_or(moment, |next| next.min(moment))),
                None => {}
            }
        }
        for id in due {
            // Refused by none of its rules.
            let _ = self.report(&id, Actor::House, Command::TimePasses);
        }
        next
    }

    fn timer(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.timer.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
