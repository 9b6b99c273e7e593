//! From packets as the network brings them to sound in order: 50 to 200 ms of patience.
//!
//! Says at each pull what comes next: a packet, the copy of a lost one inside its successor, something made up for it, or silence. Decodes nothing itself.
//! Keyed by timestamp, so that a redundant copy from RED simply fills the hole that its original left.
//!
//! Two ways for nothing to be there. A *hole* (a later packet is here) is filled and passed. If nothing at all is here, time *holds*: what is made up
//! does not count as played, so that a packet that was only late is still heard, and the delay grows by as much as was needed.
//!
//! Runs on the beat: no allocation after `new`, no lock, no log.

mod delay;

use std::time::Instant;

use crate::FRAME_SAMPLES;
use crate::packet::{Opus, Packet, Payload};
use delay::Delay;

/// Packets held at most: 1.3 s of 20 ms packets, far beyond what is ever played late; at the limit the oldest goes.
const SLOTS: usize = 64;

/// Least delay from the fastest packet's arrival to its play-out, in samples: 50 ms. A beat takes 22.5 of them; the rest is for the one hiccup in minutes
/// that every machine has, the speaker's or ours, and that no statistics foresee. With 28 ms such a one made the way jump by a frame five times in ten minutes.
const TARGET_MIN: i64 = 2400;

/// Most delay aimed for: 200 ms. With more, people talk over each other.
const TARGET_MAX: i64 = 9600;

/// A beat takes 20 ms at once, and its packets must be here before it; 2.5 ms for the resampler's window.
const BEAT: i64 = 960 + 120;

/// Buffered sound above which the oldest is thrown away: the most we aim for, and two frames.
const BUFFERED_MAX: i64 = TARGET_MAX + 1920;

/// What such a cut leaves at least, so that it does not have to be repeated at once.
const BUFFERED_AFTER_CUT: i64 = 4800;

/// Longest sound made up in one go: 100 ms. Beyond, concealment sounds worse than silence.
pub const CONCEAL_MAX: u32 = 4800;

/// Unit of concealment and FEC: 2.5 ms, Opus's shortest frame.
const GRAIN: i64 = 120;

/// A timestamp further than 1 s from where its arrival says it belongs: the sender's clock was set anew.
const CLOCK_SET: i64 = 48_000;

/// A new source that begins within 60 ms of the old one's end is taken to continue it.
const CONTINUES: i64 = 2880;

/// Silence after which the offset between the clocks is measured anew: at 200 ppm, 2 ms.
const BASE_LIFE: i64 = 480_000;

/// After a loss, wait for redundant copies for another 30 s, or for as long as we have known the speaker: the first seconds may be the only bad ones.
const WAIT_FOR_COPIES: i64 = 1_440_000;

/// What to play next.
#[derive(Debug)]
pub enum Pull<'a> {
    /// This packet, whole.
    Frame(Opus<'a>),
    /// The sound before this packet, from the copy it carries.
    Fec {
        /// The packet after the lost one. It comes again as `Frame`.
        next: Opus<'a>,
        /// How much is missing, a multiple of 2.5 ms.
        samples: usize,
    },
    /// Something made up.
    Conceal {
        /// How much, a multiple of 2.5 ms.
        samples: usize,
        /// How much was made up just before, so that the whole can fade.
        before: u32,
    },
    /// Nothing was said.
    Silence {
        /// How long; at least 1, at most 960.
        samples: usize,
    },
}

/// What happened to packets so far. Counts only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets that came, redundant copies too.
    pub received: u64,
    /// Came after their turn.
    pub late: u64,
    /// Were here already (nearly all redundant copies are).
    pub duplicate: u64,
    /// Redundant copies that filled a hole.
    pub redundant: u64,
    /// Holes filled from in-band FEC.
    pub fec: u64,
    /// 20 ms frames, or parts of one, made up.
    pub concealed: u64,
    /// Packets thrown away because there were too many.
    pub overrun: u64,
    /// Times that the buffer ran empty while someone spoke.
    pub underrun: u64,
}

/// What is done about a bad network. All of it, but where a measurement is to show what one of them is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// Redundant copies (RED) are used.
    pub copies: bool,
    /// Copies inside the next packet (in-band FEC) are used.
    pub fec: bool,
    /// What is missing is made up; else there is silence in its place.
    pub concealment: bool,
    /// The delay follows the network; else it is what a beat takes, and no more.
    pub patience: bool,
}

impl Repair {
    /// Everything.
    pub const ALL: Self = Self { copies: true, fec: true, concealment: true, patience: true };
}

/// The jitter buffer of one speaker.
#[derive(Debug)]
pub struct Jitter {
    repair: Repair,
    slots: Box<[Slot]>,
    /// Slots in use, by timestamp.
    order: [u8; SLOTS],
    len: usize,
    origin: Option<Instant>,
    stream: Option<Stream>,
    delay: Delay,
    playing: bool,
    /// Where play-out stands, in stream time.
    next: i64,
    last_sequence: i64,
    last_was_silence: bool,
    last_duration: i64,
    /// Samples made up while time was held.
    held: i64,
    /// Samples made up in a row.
    concealed: u32,
    /// The last beat, until the next new packet comes.
    waits_since: Option<i64>,
    copies_seen: bool,
    wait_for_copies_until: i64,
    counts: Counts,
}

/// A packet in its place, or what is left of one.
#[derive(Debug, Clone, Default)]
struct Slot {
    timestamp: i64,
    sequence: i64,
    duration: i64,
    redundant: bool,
    payload: Payload,
}

/// How the numbers of the packets at hand become stream time, which never jumps.
#[derive(Debug, Clone, Copy)]
struct Stream {
    source: u32,
    timestamp_shift: i64,
    sequence_shift: i64,
    newest_end: i64,
    newest_sequence: i64,
    last_arrival: i64,
}

impl Jitter {
    /// An empty buffer; the only place that allocates.
    pub fn new() -> Self {
        Self {
            repair: Repair::ALL,
            slots: vec![Slot::default(); SLOTS].into_boxed_slice(),
            order: std::array::from_fn(|slot| slot as u8),
            len: 0,
            origin: None,
            stream: None,
            delay: Delay::new(),
            playing: false,
            next: i64::MIN,
            last_sequence: 0,
            last_was_silence: false,
            last_duration: FRAME_SAMPLES as i64,
            held: 0,
            concealed: 0,
            waits_since: None,
            copies_seen: false,
            wait_for_copies_until: i64::MIN,
            counts: Counts::default(),
        }
    }

    /// Does without some of the repair.
    pub fn set_repair(&mut self, repair: Repair) {
        self.repair = repair;
    }

    /// What is done about a bad network.
    pub fn repair(&self) -> Repair {
        self.repair
    }

    /// Takes a packet in.
    pub fn handle(&mut self, packet: Packet<Opus<'_>>) {
        if packet.redundant && !self.repair.copies {
            return;
        }
        let Some((timestamp, sequence, duration)) = self.place(packet) else { return };
        if timestamp < self.next {
            if self.playing || !packet.redundant {
                self.counts.late += u64::from(!packet.redundant);
                self.counts.duplicate += u64::from(packet.redundant);
            }
            return;
        }
        let at = self.order[..self.len]
            .iter()
            .rposition(|slot| self.slots[usize::from(*slot)].timestamp <= timestamp)
            .map_or(0, |before| before + 1);
        if at > 0 && self.slot(at - 1).is_some_and(|held| held.timestamp == timestamp) {
            self.counts.duplicate += 1;
            return;
        }
        let at = if self.len == SLOTS {
            self.counts.overrun += 1;
            if at == 0 {
                return;
            }
            self.drop_first();
            at - 1
        } else {
            at
        };
        // Free slots are listed after those in use.
        let free = self.order[self.len];
        self.order.copy_within(at..self.len, at + 1);
        self.order[at] = free;
        self.len += 1;
        let slot = &mut self.slots[usize::from(free)];
        (slot.timestamp, slot.sequence, slot.duration) = (timestamp, sequence, duration);
        slot.redundant = packet.redundant;
        slot.payload.assign(packet.payload);
    }

    /// Learns a packet's timing and throws it away: for speakers whom nobody hears. Nor is a copy of it heard that comes later, unless sound flows.
    pub fn ignore(&mut self, packet: Packet<Opus<'_>>) {
        if let Some((timestamp, _, duration)) = self.place(packet).filter(|_| !self.playing) {
            self.next = self.next.max(timestamp + duration);
        }
    }

    /// What to play next. `pending` samples were pulled and not played yet.
    pub fn pull(&mut self, now: Instant, pending: usize) -> Pull<'_> {
        let now = self.clock(now);
        self.waits_since = Some(now);
        self.cut_excess(pending);
        // What is pulled now is played after what is pending.
        let played_at = now + pending as i64;
        if !self.playing && !self.begin(played_at) {
            return Pull::Silence { samples: self.wait(played_at) };
        }
        let Some(first) = self.slot(0) else { return self.hold() };
        let (timestamp, lost) = (first.timestamp, first.sequence > self.last_sequence + 1);
        if self.held > 0 && timestamp > self.next {
            // What was made up in time stands for what is missing now.
            self.next += self.held.min(timestamp - self.next);
        }
        self.held = 0;
        let gap = timestamp - self.next;
        if gap < if lost { GRAIN } else { 1 } {
            return self.take();
        }
        if lost { self.fill(gap) } else { self.skip_silence(gap) }
    }

    /// How much more sound is held than is needed, in samples; negative if it is too little; `None` while nobody speaks.
    pub fn excess(&self, now: Instant, pending: usize) -> Option<i64> {
        let base = self.delay.base().filter(|_| self.playing)?;
        // While time is held nobody knows yet whether what is made up will have delayed the rest.
        Some(self.clock(now) - base - (self.next + self.held - pending as i64) - self.target())
    }

    /// Forgets all packets; the statistics stay.
    pub fn clear(&mut self) {
        while self.len > 0 {
            self.drop_first();
        }
        self.stop();
        if let Some(stream) = &self.stream {
            self.next = self.next.max(stream.newest_end);
        }
    }

    /// Whether there is nothing to hear now or waiting.
    pub fn is_idle(&self) -> bool {
        !self.playing && self.len == 0
    }

    /// The delay aimed for between the fastest packet's arrival and its play-out, in samples.
    pub fn target(&self) -> i64 {
        if !self.repair.patience {
            return BEAT;
        }
        let copies = match self.stream {
            Some(stream) if stream.last_arrival < self.wait_for_copies_until => self.last_duration,
            _ => 0,
        };
        (self.delay.lateness() + copies + BEAT).clamp(TARGET_MIN, TARGET_MAX)
    }

    /// How much faster the speaker's clock runs than ours, in parts per million.
    pub fn drift_ppm(&self) -> f32 {
        self.delay.drift_ppm()
    }

    /// Where play-out stands, in stream time; `None` while nothing is played.
    #[cfg(test)]
    pub(crate) fn position(&self) -> Option<i64> {
        self.playing.then_some(self.next)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Places a packet in stream time and learns from it. `None` if it is no sound.
    fn place(&mut self, packet: Packet<Opus<'_>>) -> Option<(i64, i64, i64)> {
        let duration = i64::from(packet.payload.duration()?);
        self.origin.get_or_insert(packet.arrival);
        self.counts.received += 1;
        let arrival = self.clock(packet.arrival);
        let (raw_timestamp, raw_sequence) = (packet.timestamp as i64, packet.sequence as i64);
        let mut stream = match self.stream {
            None => Stream {
                source: packet.source,
                timestamp_shift: 0,
                sequence_shift: 0,
                newest_end: raw_timestamp,
                newest_sequence: raw_sequence,
                last_arrival: arrival,
            },
            Some(stream) => stream,
        };
        if arrival - stream.last_arrival > BASE_LIFE {
            self.delay.forget_base();
        }
        let expected = self.delay.base().map(|base| arrival - base);
        let misplaced = match expected {
            Some(expected) => (raw_timestamp + stream.timestamp_shift - expected).abs() > CLOCK_SET,
            None => raw_timestamp + stream.timestamp_shift < stream.newest_end,
        };
        if stream.source != packet.source || misplaced {
            let timestamp = match expected {
                Some(expected) if expected > stream.newest_end + CONTINUES => expected,
                _ => stream.newest_end,
            };
            stream.timestamp_shift = timestamp - raw_timestamp;
            if stream.source != packet.source {
                stream.sequence_shift = stream.newest_sequence + 1 - raw_sequence;
                stream.source = packet.source;
            }
            self.delay.clock_was_set();
        }
        let timestamp = raw_timestamp + stream.timestamp_shift;
        let sequence = raw_sequence + stream.sequence_shift;
        let in_order = timestamp >= stream.newest_end;
        stream.newest_end = stream.newest_end.max(timestamp + duration);
        stream.newest_sequence = stream.newest_sequence.max(sequence);
        stream.last_arrival = stream.last_arrival.max(arrival);
        self.stream = Some(stream);
        self.copies_seen |= packet.redundant || packet.payload.has_fec();
        if !packet.redundant {
            let late = self.delay.observe(arrival, timestamp);
            // After more than we would ever wait, patience would help nobody, nor for what comes with this packet.
            if let Some(beat) = self.waits_since.take_if(|_| in_order)
                && late <= TARGET_MAX - BEAT
            {
                self.delay.stood_still(late, late - (arrival - beat));
            }
        }
        Some((timestamp, sequence, duration))
    }

    /// Begins to play if the first packet is due.
    fn begin(&mut self, now: i64) -> bool {
        let Some(first) = self.slot(0) else { return false };
        let (timestamp, sequence) = (first.timestamp, first.sequence);
        if timestamp > self.due(now) {
            return false;
        }
        self.playing = true;
        self.next = timestamp;
        self.last_sequence = sequence - 1;
        true
    }

    /// How long to be silent before the first packet: up to one frame.
    fn wait(&self, now: i64) -> usize {
        let frame = FRAME_SAMPLES as i64;
        let wait = self.slot(0).map_or(frame, |first| first.timestamp - self.due(now));
        wait.clamp(1, frame) as usize
    }

    /// Stream time that should be played at `now`.
    fn due(&self, now: i64) -> i64 {
        self.delay.base().map_or(i64::MAX, |base| now - base - self.target())
    }

    fn take(&mut self) -> Pull<'_> {
        let Some(&Slot { timestamp, sequence, duration, redundant, ref payload }) = self.slot(0) else {
            return Pull::Silence { samples: FRAME_SAMPLES };
        };
        let silence = payload.opus().is_silence();
        self.next = timestamp + duration;
        self.last_sequence = self.last_sequence.max(sequence);
        self.last_was_silence = silence;
        self.last_duration = duration;
        self.concealed = 0;
        if redundant {
            self.counts.redundant += 1;
            self.expect_copies();
        }
        let index = self.drop_first();
        Pull::Frame(self.slots[index].payload.opus())
    }

    /// Nothing is here at all.
    fn hold(&mut self) -> Pull<'_> {
        if self.last_was_silence || self.concealed >= CONCEAL_MAX {
            self.stop();
            return Pull::Silence { samples: FRAME_SAMPLES };
        }
        if self.concealed == 0 {
            self.counts.underrun += 1;
        }
        self.held += FRAME_SAMPLES as i64;
        self.conceal(FRAME_SAMPLES)
    }

    /// Packets are missing before the first that is here.
    fn fill(&mut self, gap: i64) -> Pull<'_> {
        self.expect_copies();
        let Some(first) = self.slot(0) else { return Pull::Silence { samples: FRAME_SAMPLES } };
        let (timestamp, duration) = (first.timestamp, first.duration);
        let whole = gap - gap % GRAIN;
        let copy = if self.repair.fec && first.payload.opus().has_fec() { duration } else { 0 };
        if copy >= whole {
            self.next = timestamp;
            self.concealed = 0;
            self.counts.fec += 1;
            let next = self.slots[usize::from(self.order[0])].payload.opus();
            return Pull::Fec { next, samples: whole as usize };
        }
        if self.concealed >= CONCEAL_MAX {
            return self.skip_silence(gap - copy);
        }
        let samples = (whole - copy).clamp(GRAIN, FRAME_SAMPLES as i64);
        let samples = samples - samples % GRAIN;
        self.next += samples;
        self.conceal(samples as usize)
    }

    fn conceal(&mut self, samples: usize) -> Pull<'_> {
        let before = self.concealed;
        self.concealed += samples as u32;
        self.counts.concealed += 1;
        Pull::Conceal { samples, before }
    }

    fn skip_silence(&mut self, gap: i64) -> Pull<'_> {
        let samples = gap.clamp(1, FRAME_SAMPLES as i64);
        self.next += samples;
        Pull::Silence { samples: samples as usize }
    }

    fn stop(&mut self) {
        self.playing = false;
        self.held = 0;
        self.concealed = 0;
    }

    fn expect_copies(&mut self) {
        if let Some(stream) = self.stream.filter(|_| self.copies_seen) {
            self.wait_for_copies_until = stream.last_arrival + stream.last_arrival.min(WAIT_FOR_COPIES);
        }
    }

    /// Throws the oldest packets away if there are so many that we would be too far behind for a conversation.
    fn cut_excess(&mut self, pending: usize) {
        if self.buffered(pending) <= BUFFERED_MAX {
            return;
        }
        let keep = self.target().max(BUFFERED_AFTER_CUT);
        while self.len > 1 && self.buffered(pending) > keep {
            let Some(&Slot { timestamp, sequence, .. }) = self.slot(1) else { break };
            self.drop_first();
            self.counts.overrun += 1;
            self.next = timestamp;
            self.last_sequence = sequence - 1;
        }
        self.held = 0;
    }

    /// Sound that is here and not played, holes included.
    fn buffered(&self, pending: usize) -> i64 {
        let Some((first, last)) = self.slot(0).zip(self.slot(self.len.wrapping_sub(1))) else { return pending as i64 };
        let from = if self.playing { self.next } else { first.timestamp };
        last.timestamp + last.duration - from + pending as i64
    }

    fn slot(&self, at: usize) -> Option<&Slot> {
        let index = self.order[..self.len].get(at)?;
        self.slots.get(usize::from(*index))
    }

    /// Takes the first slot out of use and returns its index; its content stays until the next packet comes.
    fn drop_first(&mut self) -> usize {
        let index = self.order[0];
        self.order.copy_within(1..self.len.max(1), 0);
        self.len = self.len.saturating_sub(1);
        self.order[self.len] = index;
        usize::from(index)
    }

    /// Samples since the first packet ever; times before it count as that.
    fn clock(&self, at: Instant) -> i64 {
        let since = self.origin.and_then(|origin| at.checked_duration_since(origin)).unwrap_or_default();
        (since.as_nanos() * 6 / 125_000) as i64
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
