//! How often this worker writes to those who listen, and how many it lets in: what it feels, what the ladder makes of it, and how listeners follow. (How they follow
//! to another bitrate: `bitrate`.)
//!
//! Whoever joins does so at the cadence of the moment. Those who listen are told first when it gets longer, and moved when their players have had the time that the notice
//! gives; a shorter one needs no notice.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hiwar_admission::ladder::{Bitrate, Cadence, Ladder, Pressure, Reason, Stance};
use hiwar_segment_log::LogId;
use rustix::time::{ClockId, clock_gettime};

use super::Worker;
use crate::answer::Serves;
use crate::fanout::{Player, Settled};
use crate::shed::TICK;

/// One worker's cadence and pace.
#[derive(Debug)]
pub(super) struct Rhythm {
    ladder: Ladder,
    /// Where those who listen are, or are being moved to.
    settled: Cadence,
    /// What they were told comes, and when.
    coming: Option<(Cadence, Instant)>,
    /// What those who listen are sent.
    pub(super) bitrate: Bitrate,
    /// When the pressure was last looked at, and what the thread had run until then.
    felt: Instant,
    ran: Duration,
    joins: u32,
    /// The longest that a chunk waited for the last of its listeners since the pressure was looked at.
    behind: Duration,
    /// How many more are let in before the next tick, and when that is.
    allowance: u32,
    refilled: Instant,
    /// Bytes a second.
    egress_max: Option<u64>,
    /// What had been sent when the pressure was last looked at.
    sent: u64,
    /// Some of those who listen may have joined at a longer cadence than the others have, because whoever comes anew was to.
    has_delayed: bool,
}

impl Rhythm {
    /// `has_elsewhere`: there is a delayed stream that others carry.
    pub(super) fn new(now: Instant, has_elsewhere: bool) -> Self {
        Self {
            ladder: Ladder::new(now).with_elsewhere(has_elsewhere),
            settled: Cadence::default(),
            coming: None,
            bitrate: Bitrate::default(),
            felt: now,
            ran: thread_ran(),
            joins: 0,
            behind: Duration::ZERO,
            allowance: u32::MAX,
            refilled: now,
            egress_max: None,
            sent: 0,
            has_delayed: false,
        }
    }

    /// What is done.
    pub(super) fn stance(&self) -> Stance {
        self.ladder.stance()
    }

    /// What may be sent, in bytes a second.
    pub(super) fn limit_egress(&mut self, bytes_per_s: Option<u64>) {
        self.egress_max = bytes_per_s;
    }

    /// How often whoever joins now is written to.
    pub(super) fn for_joiners(&self) -> Cadence {
        self.ladder.stance().for_joiners()
    }

    /// Whether listeners may react.
    pub(super) fn takes_reactions(&self) -> bool {
        !self.ladder.stance().is_quiet
    }

    /// Whether one more is let in now.
    pub(super) fn lets_in(&self) -> bool {
        self.allowance > 0
    }

    /// One was.
    pub(super) fn joined(&mut self) {
        self.joins += 1;
        self.allowance = self.allowance.saturating_sub(u32::from(self.ladder.stance().joins_per_s.is_some()));
    }

    /// Everyone has a chunk that was due so long ago.
    pub(super) fn swept(&mut self, waited: Duration) {
        self.behind = self.behind.max(waited);
    }

    fn refill(&mut self, now: Instant) {
        if now - self.refilled >= TICK {
            self.refilled = now;
            let pace = self.ladder.stance().joins_per_s;
            self.allowance = pace.map_or(u32::MAX, |pace| pace.div_ceil(PACE_TICKS));
        }
    }

    /// What there was to feel since it was last asked, but for what is nearly gone. `behind`: how long chunks have waited that are still on their way; `sent`: what was sent in all.
    fn pressure(&mut self, now: Instant, behind: Duration, sent: u64) -> Pressure {
        let passed = now - self.felt;
        let ran = thread_ran();
        let busy = (ran.saturating_sub(self.ran)).as_secs_f32() / passed.as_secs_f32();
        let behind = behind.max(self.behind);
        let sent_per_s = sent.saturating_sub(self.sent) as f32 / passed.as_secs_f32();
        let egress = self.egress_max.map_or(0.0, |most| sent_per_s / most.max(1) as f32);
        let is_moving = self.coming.is_some();
        let pressure = Pressure { busy, behind, joins: self.joins, is_moving, egress, ..Pressure::default() };
        (self.felt, self.ran, self.joins, self.behind) = (now, ran, 0, Duration::ZERO);
        self.sent = sent;
        pressure
    }
}

impl Worker {
    /// Once a second: what is felt, and what is done about it.
    pub(super) fn feel(&mut self, now: Instant) {
        self.rhythm.refill(now);
        // Those who host and speak are let in whatever happens.
        if self.site.serves != Serves::Crowd || now - self.rhythm.felt < FEEL_EVERY {
            return;
        }
        let mut behind = Duration::ZERO;
        self.each_channel(|channel, _| {
            behind = behind.max(channel.due_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)));
            false
        });
        let part = |taken: usize, of: usize| taken as f32 / of.max(1) as f32;
        let pressure = Pressure {
            handshakes: part(self.shared.handshakes.load(Relaxed), self.limits.handshakes),
            memory: part(self.shared.memory.load(Relaxed) as usize, 1_000),
            files: part(self.slab.len(), self.room.connections()),
            ..self.rhythm.pressure(now, behind, self.channels.sent)
        };
        *self.shared.felt.lock().unwrap_or_else(PoisonError::into_inner) = pressure.figures();
        let before = self.rhythm.ladder.stance();
        let stance = self.rhythm.ladder.handle(now, pressure);
        if stance.level != before.level {
            let (level, ms) = (stance.level as u8, stance.cadence.ms());
            let why: Vec<_> = stance.reasons.iter().map(Reason::name).collect();
            tracing::info!(level, ?why, cadence_ms = ms, bitrate = ?stance.bitrate, ?pressure, "the ladder");
        }
        self.stand(now);
    }

    /// The operator wishes for something, or for nothing any more.
    pub(super) fn fix(&mut self, wish: impl FnOnce(&mut Ladder, Instant)) {
        if self.site.serves == Serves::Crowd {
            let now = Instant::now();
            wish(&mut self.rhythm.ladder, now);
            self.stand(now);
        }
    }

    /// Does what the ladder says.
    fn stand(&mut self, now: Instant) {
        let stance = self.rhythm.ladder.stance();
        *self.shared.stance.lock().unwrap_or_else(PoisonError::into_inner) = stance;
        self.follow(now, stance.cadence);
        // Whoever came while that was so is brought back to where the others are; if those are about to move, with them.
        let is_over = self.rhythm.has_delayed && !stance.delays && self.rhythm.coming.is_none();
        if is_over {
            self.settle(self.rhythm.settled, Settled::At);
        }
        self.rhythm.has_delayed = (self.rhythm.has_delayed && !is_over) || stance.delays;
        self.thin(stance.bitrate);
    }

    /// Brings those who listen to the cadence that is wanted, with notice if it is longer than theirs.
    fn follow(&mut self, now: Instant, wanted: Cadence) {
        if let Some((cadence, at)) = self.rhythm.coming
            && now >= at
        {
            // A player that is ready for long pieces is ready for less long ones.
            self.rhythm.coming = None;
            let cadence = cadence.min(wanted).max(self.rhythm.settled);
            self.settle(cadence, if wanted > cadence { Settled::From } else { Settled::At });
        }
        if wanted <= self.rhythm.settled {
            let is_taken_back = self.rhythm.coming.take().is_some();
            if is_taken_back && wanted == self.rhythm.settled {
                self.announce(wanted, When::Now);
            }
            if is_taken_back || wanted < self.rhythm.settled {
                // Also those back who joined at a longer one meanwhile.
                self.settle(wanted, Settled::At);
            }
        } else if self.rhythm.coming.is_none() {
            let lead = self.announce(wanted, When::Soon);
            self.rhythm.coming = Some((wanted, now + lead));
        }
    }

    fn settle(&mut self, cadence: Cadence, settled: fn(Cadence) -> Settled) {
        self.rhythm.settled = cadence;
        self.each_channel(|channel, tail| {
            channel.group.settle(settled(cadence), tail.player(channel.rendition));
            false
        });
    }

    /// Tells everyone who can be told, and returns how long before it happens; no time at all if nobody listens. Those who cannot be told have nothing to prepare.
    fn announce(&mut self, cadence: Cadence, when: When) -> Duration {
        let (mut lead, settled) = (Duration::ZERO, self.rhythm.settled);
        self.each_channel(|channel, tail| {
            let player = tail.player(channel.rendition);
            channel.group.settle(Settled::From(if player == Player::Told { settled } else { cadence }), player);
            if channel.group.is_empty() {
                return false;
            }
            let notice = tail.cadence_notice(channel.rendition, cadence);
            lead = lead.max(notice.map_or(Duration::ZERO, |notice| notice.lead));
            notice.is_some_and(|notice| {
                let words = if when == When::Soon { &notice.soon } else { &notice.now };
                channel.tell(words.clone(), tail.live())
            })
        });
        lead
    }

    pub(super) fn each_channel(&mut self, mut act: impl FnMut(&mut super::Channel, &crate::tail::Tail) -> bool) {
        let logs: Vec<LogId> = self.channels.by_log.keys().copied().collect();
        for log in logs {
            if let Some(tail) = self.site.logs.get(&log) {
                self.channels.each(log, |channel| act(channel, tail));
            }
        }
    }
}

/// What of a cadence is told.
#[derive(Copy, Clone, PartialEq, Eq)]
enum When {
    /// That it comes.
    Soon,
    /// That it is so.
    Now,
}

/// What this thread has run so far.
fn thread_ran() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Shorter, and a single burst of joins would look like a crowd.
const FEEL_EVERY: Duration = Duration::from_secs(1);
/// Ticks in a second.
const PACE_TICKS: u32 = (1_000 / TICK.as_millis()) as u32;
