//! A log that should sound and does not: its writer is there, and hangs. Who listens is told as if it were gone, and kept; the next chunk
//! ends it.
//!
//! Seen on the wheel's ticks, for each log and never for each listener, and by what came, not by the clock: a worker that was itself
//! stopped for a while has counted no ticks meanwhile.

use std::collections::HashMap;

use hiwar_segment_log::LogId;

use super::Worker;
use crate::tail::Ended;

/// How long each log that is listened to has been silent.
#[derive(Debug, Default)]
pub(super) struct Silences(HashMap<LogId, Silence>);

#[derive(Copy, Clone, Debug, Default)]
struct Silence {
    /// The end of the log when it was last looked at.
    live: u64,
    /// Ticks since then with a listener and without a chunk.
    ticks: u32,
}

impl Worker {
    /// Once a tick: tells those who listen to a log that has fallen silent.
    pub(super) fn mind_the_silent(&mut self) {
        let logs = &self.site.logs;
        self.silences.0.retain(|log, _| logs.get(log).is_some_and(|tail| tail.ended() == Ended::No));
        let mut silent = Vec::new();
        for (&log, tail) in &mut self.site.logs {
            // A log without a chunk has not begun; who waits for it waits for its beginning.
            if tail.ended() == Ended::Yes || tail.newest().is_none() {
                continue;
            }
            let silence = self.silences.0.entry(log).or_default();
            let is_heard = self.channels.is_heard(log);
            if !is_heard {
                // A programme that nobody hears may sleep (ADR 10): it has a moment to wake up for whoever comes.
                tail.forgive();
            }
            // Whoever was gone and is back has a moment, too.
            if silence.live != tail.live() || !is_heard || tail.is_missed() {
                *silence = Silence { live: tail.live(), ticks: 0 };
                continue;
            }
            silence.ticks += 1;
            if silence.ticks >= SILENT_TICKS && tail.quieten() {
                silent.push(log);
            }
        }
        silent.into_iter().for_each(|log| self.tell_away(log));
    }

    /// Gives the notice that nothing comes for now to everyone who listens to a log.
    pub(super) fn tell_away(&mut self, log: LogId) {
        let Some(tail) = self.site.logs.get(&log) else { return };
        self.channels.each(log, |channel| match tail.notice(channel.rendition) {
            Some(notice) => channel.tell(notice.clone(), tail.live()),
            None => false,
        });
    }

    /// Tells everyone who hears something that is to go on that it will.
    pub(super) fn away(&mut self) {
        let lost: Vec<LogId> =
            self.site.logs.iter_mut().filter_map(|(&log, tail)| tail.lose().then_some(log)).collect();
        self.release_all();
        lost.into_iter().for_each(|log| self.tell_away(log));
    }
}

/// Ticks (2 s) that somebody listens and nothing comes before it is said. A busy machine is late by less, and who joins a programme that
/// slept hears it within a moment; a player's buffer lasts no longer.
const SILENT_TICKS: u32 = 8;
const _: () = assert!(SILENT_TICKS as u128 * crate::shed::TICK.as_millis() == 2_000);
