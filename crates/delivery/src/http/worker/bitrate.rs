//! At which bitrate this worker sends, and how the lean form of a chunk comes to those who are to hear it.
//!
//! Whoever listens may hear either form of any chunk, so a change needs no notice: it is heard from the next chunk on. While sound is to be lean, a chunk waits for
//! its lean form, which the house makes within milliseconds; for no longer than until the next chunk, and only where the chunk before had one. HLS stays at the standard
//! bitrate: its segments lie in the caches of others, where they must be what they were.

use std::time::{Duration, Instant};

use hiwar_admission::ladder::Bitrate;
use hiwar_segment_log::{LogId, Record};

use super::{Channel, Channels, Worker};
use crate::tail::{Ended, Tail};

impl Worker {
    /// The lean form of a chunk is there: whoever waits for it has it.
    pub(super) fn lean(&mut self, log: LogId, record: &Record, entry: bool) {
        // Who hears the standard form is to begin with one that can be entered, which comes when it is asked for.
        let tail = self.site.logs.get_mut(&log).filter(|_| self.rhythm.bitrate == Bitrate::Lean);
        let came = tail.and_then(|tail| if entry { tail.enter(record) } else { tail.thin(record) });
        let Some(position) = came else { return };
        self.channels.each(log, |channel| channel.release(|of, _| of == position));
    }

    /// Sends at that bitrate from now on, and asks for what it needs.
    pub(super) fn thin(&mut self, wanted: Bitrate) {
        let before = std::mem::replace(&mut self.rhythm.bitrate, wanted);
        if (wanted, before) == (Bitrate::Standard, Bitrate::Standard) {
            return;
        }
        if wanted == Bitrate::Standard {
            self.release_all();
        }
        for (&log, tail) in &self.site.logs {
            let hears = wanted == Bitrate::Lean && self.channels.hear_lean(log, tail);
            if self.channels.counters(log).is_some_and(|counters| counters.want_lean(hears)) {
                self.shared.ears();
            }
        }
    }

    /// Once a tick: if no next chunk comes, what was held back for as long as one lasts goes out all the same.
    pub(super) fn mind_the_awaited(&mut self, now: Instant) {
        if self.rhythm.bitrate == Bitrate::Lean {
            self.each_channel(|channel, _| channel.release(|_, since| now.saturating_duration_since(since) >= CHUNK));
        }
    }

    /// Nothing is awaited any more.
    pub(super) fn release_all(&mut self) {
        self.each_channel(|channel, _| channel.release(|_, _| true));
    }
}

impl Channel {
    /// A chunk came. Its listeners are due at once or, if it is to be lean, with the form that is. Whether the channel must be queued for sweeping.
    pub(super) fn comes(&mut self, tail: &Tail, bitrate: Bitrate) -> bool {
        let was_held = self.release(|_, _| true);
        let position = tail.live().saturating_sub(1);
        if bitrate == Bitrate::Lean && tail.awaits_lean(self.rendition) {
            self.awaited = Some((position, Instant::now()));
            return was_held;
        }
        self.falls_due(position) || was_held
    }

    /// The chunk at a position is due to those whose turn it is. Whether the channel must be queued for sweeping.
    fn falls_due(&mut self, position: u64) -> bool {
        let was_idle = self.group.due(position);
        if self.group.is_sweeping() {
            // Also if a sweep is on that no chunk began: a notice is told.
            self.due_since.get_or_insert_with(Instant::now);
        }
        was_idle
    }

    /// Those are due for whom a chunk was held back, if it is one of these: by its position, and since when it was.
    fn release(&mut self, is_one: impl FnOnce(u64, Instant) -> bool) -> bool {
        let awaited = self.awaited.take_if(|(position, since)| is_one(*position, *since));
        awaited.is_some_and(|(position, _)| self.falls_due(position))
    }
}

impl Channels {
    /// Whether somebody hears a log in a form that can be lean.
    fn hear_lean(&mut self, log: LogId, tail: &Tail) -> bool {
        let indexes = self.by_log.get(&log).map_or(&[][..], Vec::as_slice);
        let mut channels = indexes
            .iter()
            .filter_map(|&index| self.all.at(index).map(|channel| (channel.rendition, channel.group.is_empty())));
        tail.ended() == Ended::No && channels.any(|(rendition, is_empty)| !is_empty && tail.can_be_lean(rendition))
    }
}

/// What a chunk lasts: the next should be there.
const CHUNK: Duration = Duration::from_millis(200);
