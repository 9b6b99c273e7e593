//! The beat: the one thread of a shard that turns packets into frames every 20 ms.
//!
//! Law: after [`Beat::new`] nothing here allocates, frees, locks or logs. Everything that is built or dropped is built
//! and dropped by others: boxes come in through [`Command`] and leave through [`Notice`]. The schedule is absolute
//! (beat *k* is due at start + *k* × 20 ms), so that lateness never adds up. A panic in one space is no reason for the
//! others to fall silent: its programme is handed over as [`Notice::Broken`], and the next space is played.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Thread;
use std::time::{Duration, Instant};

use hiwar_media::Time;
use hiwar_media::chunk::Chunk;
use hiwar_media::hold::HoldMusic;
use hiwar_media::packet::{Packet, Payload};
use hiwar_media::programme::{Audience, Input, Output, Programme, Seat, Speaker, Voicing};
use hiwar_rtc::ring::{Reader, Writer};
use rtrb::{Consumer, Producer};
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

use super::PACKETS_WAITING;
use super::tracks::Tap;

/// One frame.
pub const BEAT: Duration = Duration::from_millis(20);
/// Most shards of a studio; they share the numbers of slots, so that the last of them still have 128 each.
pub const SHARDS_MAX: usize = 8;
/// Numbers of slots, for spaces whose programmes run. At 4 speakers each a core is full long before, also if it has but an eighth of them.
pub const SLOTS: usize = 1024;
/// Seats in one space, as in `media::programme`.
const SEATS: usize = hiwar_media::programme::SEATS;
/// Commands taken in one beat: the rest waits 20 ms, so that a burst of people cannot delay sound.
const COMMANDS_PER_BEAT: usize = 64;
/// Behind by more than this the machine slept or was stopped: start a new schedule instead of racing through the past.
const LAPSE: Duration = Duration::from_secs(1);

/// A speaker's ends of the rings, and the speaker itself on its way in and out.
pub struct Line {
    /// Names the line across threads.
    pub token: u64,
    /// Present on the way to the programme and on the way back.
    pub speaker: Option<Box<Speaker>>,
    /// From the net thread.
    pub packets: Reader<Packet<()>>,
    /// To the net thread; `None` for a speaker that hears nothing (a performer of the demo).
    pub returns: Option<Writer<Time>>,
    /// To the log of tracks; `None` where none are kept.
    pub track: Option<Tap>,
}

/// A space whose programme runs.
pub struct OnAir {
    programme: Box<Programme>,
    lines: [Option<Box<Line>>; SEATS],
    active: Option<Seat>,
    /// For what comes out of a ring.
    room: Payload,
    /// Encodes and decodes that the figures know of.
    counted: (u64, u64),
    /// Stops as soon as the chunk that was begun is whole.
    resting: bool,
    /// Frames since the last whole chunk.
    unaired: u32,
    /// It panicked: nothing is asked of it any more.
    broken: Option<Panic>,
    /// Panics in so many beats, for tests.
    #[cfg(debug_assertions)]
    faulty: Option<u32>,
}

impl OnAir {
    /// A programme with nobody on stage yet.
    pub fn new(programme: Box<Programme>) -> Self {
        let (lines, room) = ([const { None }; SEATS], Payload::default());
        Self {
            programme,
            lines,
            active: None,
            room,
            counted: (0, 0),
            resting: false,
            unaired: 0,
            broken: None,
            #[cfg(debug_assertions)]
            faulty: None,
        }
    }

    /// Panics on the beat, in so many beats: what a bug in the mixing of one space would do.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn breaking_in(mut self, beats: Option<u32>) -> Self {
        self.faulty = beats;
        self
    }

    /// Where the next chunk begins, for the programme that follows this one.
    pub fn programme(&self) -> &Programme {
        &self.programme
    }

    /// Frames that were made, or were due, since the last whole chunk.
    pub fn unaired(&self) -> u32 {
        self.unaired
    }

    /// What it said as it panicked.
    pub fn last_words(&self) -> &str {
        self.broken.as_ref().map_or("", |panic| &panic.said)
    }

    fn seat_of(&self, token: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.as_ref().is_some_and(|l| l.token == token))
    }
}

/// A panic, carried away from the beat.
struct Panic {
    /// Where, and what.
    said: String,
    _payload: Box<dyn Any + Send>,
}

/// What others ask of the beat. Every box was made elsewhere.
pub enum Command {
    /// A programme begins in a free slot.
    Air { slot: u16, space: Box<OnAir> },
    /// The programme in `slot` ends; it comes back as [`Notice::Rested`].
    Rest { slot: u16 },
    /// A speaker sits down.
    Seat { slot: u16, line: Box<Line> },
    /// A speaker leaves; the line comes back as [`Notice::Line`].
    Unseat { slot: u16, token: u64 },
    /// A speaker is muted, or open again, as was `said` then.
    Voice { slot: u16, token: u64, voicing: Voicing, said: Instant },
    /// The audience hears the stage, or does not any more.
    Audience { slot: u16, audience: Audience },
    /// What an audience hears that waits; what it heard before comes back as [`Notice::SpentMusic`].
    Hold { slot: u16, music: Option<Arc<HoldMusic>> },
    /// The standing event changes.
    Stand { slot: u16, event: Box<[u8]> },
    /// An event for the current chunk.
    Tell { slot: u16, event: Box<[u8]> },
}

impl Command {
    /// For which programme it is.
    pub fn slot_mut(&mut self) -> &mut u16 {
        match self {
            Self::Air { slot, .. }
            | Self::Rest { slot }
            | Self::Seat { slot, .. }
            | Self::Unseat { slot, .. }
            | Self::Voice { slot, .. }
            | Self::Audience { slot, .. }
            | Self::Hold { slot, .. }
            | Self::Stand { slot, .. }
            | Self::Tell { slot, .. } => slot,
        }
    }

    /// Which speaker it is about, if it is about one.
    pub fn token(&self) -> Option<u64> {
        match self {
            Self::Seat { line, .. } => Some(line.token),
            Self::Unseat { token, .. } | Self::Voice { token, .. } => Some(*token),
            _ => None,
        }
    }

    /// Whether this is how that speaker sits down.
    pub fn seats(&self, token: u64) -> bool {
        matches!(self, Self::Seat { line, .. } if line.token == token)
    }

    /// Whether an older command that was not obeyed yet need not be obeyed any more once this one is.
    pub fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            // What was sent while somebody was muted stays unheard, also if they are open again by the time that this is obeyed.
            (Self::Voice { voicing: Voicing::Open, .. }, Self::Voice { voicing: Voicing::Muted, .. }) => false,
            (Self::Unseat { token, .. } | Self::Voice { token, .. }, Self::Voice { token: before, .. }) => {
                token == before
            }
            (Self::Audience { slot, .. }, Self::Audience { slot: before, .. })
            | (Self::Hold { slot, .. }, Self::Hold { slot: before, .. })
            | (Self::Stand { slot, .. }, Self::Stand { slot: before, .. }) => slot == before,
            _ => false,
        }
    }
}

/// What the beat hands over. The receiver owns, and drops, what is inside.
pub enum Notice {
    /// 200 ms of sound.
    Chunk { slot: u16, chunk: Box<Chunk> },
    /// Another speaker is heard now.
    Speaking { slot: u16, token: Option<u64> },
    /// The programme of `slot` stopped.
    Rested { slot: u16, space: Box<OnAir> },
    /// The programme of `slot` panicked, and the slot is free. What is inside may be in any state: it is good for nothing but
    /// to be dropped, and that with care.
    Broken { slot: u16, space: Box<OnAir> },
    /// A line that is no longer on stage, or found no seat.
    Line(#[expect(dead_code, reason = "carried to be dropped off the beat")] Box<Line>),
    /// A chunk to drop.
    SpentChunk(#[expect(dead_code, reason = "carried to be dropped off the beat")] Box<Chunk>),
    /// Hold music to drop, if nobody else has it.
    SpentMusic(#[expect(dead_code, reason = "carried to be dropped off the beat")] Arc<HoldMusic>),
    /// Bytes to drop.
    Spent(#[expect(dead_code, reason = "carried to be dropped off the beat")] Box<[u8]>),
}

/// What the world may read of the beat at any time.
#[derive(Default)]
pub struct Figures {
    /// Beats since the start.
    pub beats: AtomicU64,
    /// Beats whose frames were not ready as the next fell due.
    pub missed: AtomicU64,
    /// Microseconds of work in all beats.
    pub busy_us: AtomicU64,
    /// Calls of the Opus encoder, for programmes and returns.
    pub encodes: AtomicU64,
    /// Calls of the Opus decoder.
    pub decodes: AtomicU64,
    /// Programmes that panicked.
    pub panics: AtomicU64,
    /// Chunks or notices that found a full ring.
    pub overrun: AtomicU64,
    /// Pieces of tracks, 20 ms each, that found a full ring or were longer than is kept.
    pub untracked: AtomicU64,
    /// Ask the thread to end.
    pub stop: AtomicBool,
}

/// The thread's state.
pub struct Beat {
    slots: Box<[Option<Box<OnAir>>]>,
    commands: Consumer<Command>,
    notices: Producer<Notice>,
    recycled: Consumer<(u16, Box<Chunk>)>,
    figures: Arc<Figures>,
    listener: Thread,
    net: hiwar_rtc::udp::Handle,
}

impl Beat {
    /// `listener` is unparked when there is a notice to read.
    pub fn new(
        commands: Consumer<Command>,
        notices: Producer<Notice>,
        recycled: Consumer<(u16, Box<Chunk>)>,
        figures: Arc<Figures>,
        listener: Thread,
        net: hiwar_rtc::udp::Handle,
    ) -> Self {
        let slots = (0..SLOTS).map(|_| None).collect();
        Self { slots, commands, notices, recycled, figures, listener, net }
    }

    /// Keeps the beat until it is told to stop.
    pub fn run(mut self) {
        let mut due = Instant::now();
        let mut wake = clock_gettime(ClockId::Monotonic);
        while !self.figures.stop.load(Relaxed) {
            // A signal may wake us early; the schedule does not care, the frame would merely be computed too soon.
            while clock_nanosleep_absolute(ClockId::Monotonic, &wake) == Err(rustix::io::Errno::INTR) {}
            let begun = Instant::now();
            if begun.saturating_duration_since(due) > LAPSE {
                due = begun;
                wake = clock_gettime(ClockId::Monotonic);
            }
            self.beat(due);
            let done = Instant::now();
            due += BEAT;
            wake = later(wake, BEAT);
            self.figures.beats.fetch_add(1, Relaxed);
            self.figures.busy_us.fetch_add(u64::try_from((done - begun).as_micros()).unwrap_or(0), Relaxed);
            if done > due {
                self.figures.missed.fetch_add(1, Relaxed);
            }
        }
    }

    /// One beat: commands, then packets, then frames. `now` is when it was due, so that late wake-ups do not look like
    /// network jitter.
    fn beat(&mut self, now: Instant) {
        let (mut told, mut returned) = (false, false);
        for _ in 0..COMMANDS_PER_BEAT {
            let Ok(command) = self.commands.pop() else { break };
            told |= self.obey(now, command);
        }
        while let Ok((slot, chunk)) = self.recycled.pop() {
            match self.slots.get_mut(usize::from(slot)) {
                Some(Some(space)) => {
                    if let Some(surplus) = space.programme.recycle(chunk) {
                        told |= give(&mut self.notices, &self.figures, Notice::SpentChunk(surplus));
                    }
                }
                // The programme is gone: the chunk goes back to be dropped where dropping is allowed.
                _ => told |= give(&mut self.notices, &self.figures, Notice::SpentChunk(chunk)),
            }
        }
        for (slot, place) in self.slots.iter_mut().enumerate() {
            let slot = u16::try_from(slot).unwrap_or(u16::MAX);
            // With a full ring it waits for the end of another chunk rather than being lost.
            let room = !self.notices.is_full();
            let ends =
                |space: &mut Box<OnAir>| space.broken.is_none() && space.resting && space.programme.is_between_chunks();
            if let Some(space) = place.take_if(|space| room && ends(space)) {
                told |= give(&mut self.notices, &self.figures, Notice::Rested { slot, space });
            }
            let Some(space) = place else { continue };
            space.unaired = space.unaired.saturating_add(1);
            if space.broken.is_none() {
                // Whoever hears the others hears nothing of a panic, but that this beat may be late: it allocates.
                let play = || play(slot, space, now, &mut self.notices, &self.figures);
                PLAYING.set(true);
                let played = catch_unwind(AssertUnwindSafe(play));
                PLAYING.set(false);
                match played {
                    Ok(played) => {
                        told |= played.told;
                        returned |= played.returned;
                    }
                    Err(payload) => {
                        self.figures.panics.fetch_add(1, Relaxed);
                        space.broken = Some(Panic { said: SAID.take(), _payload: payload });
                    }
                }
            }
            if let Some(space) = place.take_if(|space| space.broken.is_some() && !self.notices.is_full()) {
                told |= give(&mut self.notices, &self.figures, Notice::Broken { slot, space });
            }
        }
        self.net.taken(now + BEAT, returned);
        if told {
            self.listener.unpark();
        }
    }

    /// Carries out one command; true when it left a notice.
    fn obey(&mut self, now: Instant, command: Command) -> bool {
        let (notices, figures) = (&mut self.notices, &self.figures);
        match command {
            Command::Air { slot, space } => match self.slots.get_mut(usize::from(slot)) {
                Some(free @ None) => {
                    *free = Some(space);
                    false
                }
                _ => give(notices, figures, Notice::Rested { slot, space }),
            },
            Command::Rest { slot } => {
                if let Some(Some(space)) = self.slots.get_mut(usize::from(slot)) {
                    space.resting = true;
                }
                false
            }
            Command::Seat { slot, mut line } => {
                let Some(Some(space)) = self.slots.get_mut(usize::from(slot)) else {
                    return give(notices, figures, Notice::Line(line));
                };
                let Some(speaker) = line.speaker.take() else {
                    return give(notices, figures, Notice::Line(line));
                };
                match space.programme.seat(speaker) {
                    Ok(Seat(seat)) => {
                        space.lines[usize::from(seat)] = Some(line);
                        false
                    }
                    Err(speaker) => {
                        line.speaker = Some(speaker);
                        give(notices, figures, Notice::Line(line))
                    }
                }
            }
            Command::Unseat { slot, token } => {
                let Some(Some(space)) = self.slots.get_mut(usize::from(slot)) else { return false };
                let Some(seat) = space.seat_of(token) else { return false };
                let Some(mut line) = space.lines[seat].take() else { return false };
                let seat = Seat(u8::try_from(seat).unwrap_or(u8::MAX));
                line.speaker = space.programme.unseat(seat);
                if let Some(track) = &mut line.track {
                    keep(track.end(space.programme.time(), seat), figures);
                }
                give(notices, figures, Notice::Line(line))
            }
            Command::Voice { slot, token, voicing, said } => {
                if let Some(Some(space)) = self.slots.get_mut(usize::from(slot))
                    && let Some(seat) = space.seat_of(token).and_then(|seat| u8::try_from(seat).ok())
                {
                    space.programme.handle(said, Input::Mute { seat: Seat(seat), voicing });
                }
                false
            }
            Command::Audience { slot, audience } => {
                if let Some(Some(space)) = self.slots.get_mut(usize::from(slot)) {
                    space.programme.handle(now, Input::Audience(audience));
                }
                false
            }
            Command::Hold { slot, music } => {
                let spent = match self.slots.get_mut(usize::from(slot)) {
                    Some(Some(space)) => space.programme.hold(music),
                    _ => music,
                };
                spent.is_some_and(|music| give(notices, figures, Notice::SpentMusic(music)))
            }
            Command::Stand { slot, event } => match self.slots.get_mut(usize::from(slot)) {
                Some(Some(space)) => match space.programme.stand(event) {
                    Some(old) => give(notices, figures, Notice::Spent(old)),
                    None => false,
                },
                _ => give(notices, figures, Notice::Spent(event)),
            },
            Command::Tell { slot, event } => match self.slots.get_mut(usize::from(slot)) {
                Some(Some(space)) => match space.programme.tell(event) {
                    Ok(()) => false,
                    Err(refused) => give(notices, figures, Notice::Spent(refused)),
                },
                _ => give(notices, figures, Notice::Spent(event)),
            },
        }
    }
}

/// What one beat of one space left behind.
struct Played {
    /// A notice.
    told: bool,
    /// A frame for a speaker.
    returned: bool,
}

/// One beat of one space.
fn play(slot: u16, space: &mut OnAir, now: Instant, notices: &mut Producer<Notice>, figures: &Figures) -> Played {
    let (mut told, mut returned) = (false, false);
    #[cfg(debug_assertions)]
    if let Some(beats) = &mut space.faulty {
        *beats = beats.checked_sub(1).expect("a fault was wished for");
    }
    for (seat, line) in space.lines.iter_mut().enumerate() {
        let Some(line) = line else { continue };
        let seat = Seat(u8::try_from(seat).unwrap_or(u8::MAX));
        for _ in 0..PACKETS_WAITING {
            let Some((head, opus)) = line.packets.read(&mut space.room) else { break };
            space.programme.handle(now, Input::Packet { seat, packet: head.with(opus) });
        }
    }
    space.programme.handle(now, Input::Beat);
    // Before the chunk is given away: whoever has it finds all of its pieces.
    for (seat, line) in space.lines.iter_mut().enumerate() {
        let Some(track) = line.as_mut().and_then(|line| line.track.as_mut()) else { continue };
        let seat = Seat(u8::try_from(seat).unwrap_or(u8::MAX));
        if let Some((time, piece)) = space.programme.piece(seat) {
            keep(piece.is_ok_and(|piece| track.write(time, seat, piece)), figures);
        }
    }
    while let Some(output) = space.programme.poll() {
        match output {
            Output::Chunk(chunk) if notices.is_full() => {
                // Lost, but not its box, or the pool would run dry.
                figures.overrun.fetch_add(1, Relaxed);
                if let Some(surplus) = space.programme.recycle(chunk) {
                    std::mem::forget(surplus);
                }
            }
            Output::Chunk(chunk) => {
                told |= give(notices, figures, Notice::Chunk { slot, chunk });
                space.unaired = 0;
            }
            Output::Return { seat, payload, time } => {
                if let Some(Some(line)) = space.lines.get_mut(usize::from(seat.0))
                    && let Some(returns) = &mut line.returns
                {
                    // A full ring means that the net thread is stuck; the speaker hears a gap, the others nothing of it.
                    returned |= returns.write(time, payload).is_ok();
                }
            }
            Output::Spent(event) => told |= give(notices, figures, Notice::Spent(event)),
        }
    }
    let (encodes, decodes) = space.programme.codec_calls();
    figures.encodes.fetch_add(encodes - space.counted.0, Relaxed);
    figures.decodes.fetch_add(decodes - space.counted.1, Relaxed);
    space.counted = (encodes, decodes);
    let active = space.programme.active();
    if active != space.active {
        space.active = active;
        let token = active.and_then(|seat| space.lines.get(usize::from(seat.0))?.as_ref().map(|line| line.token));
        told |= give(notices, figures, Notice::Speaking { slot, token });
    }
    Played { told, returned }
}

/// Hands a notice over. A full ring means that its reader has been stuck for seconds: what is inside is leaked rather
/// than freed here (freeing takes the allocator's lock), and counted.
fn give(notices: &mut Producer<Notice>, figures: &Figures, notice: Notice) -> bool {
    match notices.push(notice) {
        Ok(()) => true,
        Err(rtrb::PushError::Full(notice)) => {
            std::mem::forget(notice);
            figures.overrun.fetch_add(1, Relaxed);
            false
        }
    }
}

thread_local! {
    /// Whether this thread is at the beat of a space.
    static PLAYING: Cell<bool> = const { Cell::new(false) };
    /// What the last panic there said, until it is carried away.
    static SAID: Cell<String> = const { Cell::new(String::new()) };
}

/// A panic in a space's beat is not written where it happens, which might have to wait for whoever reads, but noted and said by others
/// ([`OnAir::last_words`]). For the whole process; all other panics are told as before.
pub fn note_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if PLAYING.get() {
            SAID.set(panic.to_string());
        } else {
            tell(panic);
        }
    }));
}

/// Counts a piece of a track that is lost.
fn keep(kept: bool, figures: &Figures) {
    if !kept {
        figures.untracked.fetch_add(1, Relaxed);
    }
}

fn later(at: Timespec, by: Duration) -> Timespec {
    let nanos = at.tv_nsec + i64::from(by.subsec_nanos());
    Timespec { tv_sec: at.tv_sec + by.as_secs().cast_signed() + nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use hiwar_rtc::udp::{Shard, Sockets};

    use super::*;
    use crate::studio::control::{Origin, programme_at};

    /// A beat that nobody keeps but the test, with both ends of its rings.
    fn beat() -> (Beat, Producer<Command>, Consumer<Notice>) {
        let (commands, commands_in) = rtrb::RingBuffer::new(16);
        let (notices, notices_in) = rtrb::RingBuffer::new(256);
        let (_, recycled) = rtrb::RingBuffer::new(1);
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (net, ..) = Shard::spawn(Sockets { udp, tcp: None }).unwrap();
        let beat = Beat::new(commands_in, notices, recycled, Arc::default(), std::thread::current(), net);
        (beat, commands, notices_in)
    }

    fn space(name: &str, index: u64) -> OnAir {
        let origin = Origin { index, time: Time(index * 9_600) };
        OnAir::new(Box::new(
            programme_at(&hiwar_segment_log::LogId::parse(name).unwrap(), origin, Audience::Hears).unwrap(),
        ))
    }

    #[test]
    fn a_panic_in_one_space_costs_that_space_only() {
        let (mut beat, mut commands, mut notices) = beat();
        for (slot, space) in
            [(0, space("first", 0)), (1, space("second", 0).breaking_in(Some(24))), (2, space("third", 0))]
        {
            commands.push(Command::Air { slot, space: Box::new(space) }).unwrap();
        }
        let begun = Instant::now();
        let mut chunks = [0; 3];
        let mut broken = None;
        for n in 0..100 {
            beat.beat(begun + n * BEAT);
            while let Ok(notice) = notices.pop() {
                match notice {
                    Notice::Chunk { slot, chunk } => {
                        assert_eq!(chunk.index, chunks[usize::from(slot)]);
                        chunks[usize::from(slot)] += 1;
                    }
                    Notice::Broken { slot, space } => broken = Some((n, slot, space)),
                    _ => panic!("nobody speaks, and nothing was told"),
                }
            }
        }
        assert_eq!(chunks, [10, 2, 10]);
        assert_eq!(beat.figures.panics.load(Relaxed), 1);
        // In its 25th beat, four frames after its second chunk.
        let (at, slot, space) = broken.expect("the broken programme");
        assert_eq!((at, slot, space.unaired()), (24, 1, 5));

        // Its place can be taken at once by the one that follows it.
        commands.push(Command::Air { slot: 1, space: Box::new(self::space("second", 2)) }).unwrap();
        for n in 100..110 {
            beat.beat(begun + n * BEAT);
        }
        let indices: Vec<_> = std::iter::from_fn(|| notices.pop().ok())
            .filter_map(|notice| if let Notice::Chunk { slot: 1, chunk } = notice { Some(chunk.index) } else { None })
            .collect();
        assert_eq!(indices, [2]);
    }

    #[test]
    fn a_broken_programme_waits_for_room_among_the_notices() {
        let (mut beat, mut commands, mut notices) = beat();
        commands.push(Command::Air { slot: 7, space: Box::new(space("only", 0).breaking_in(Some(3))) }).unwrap();
        let begun = Instant::now();
        while beat.notices.push(Notice::Spent(Box::new([]))).is_ok() {}
        for n in 0..6 {
            beat.beat(begun + n * BEAT);
        }
        while notices.pop().is_ok() {}
        beat.beat(begun + 6 * BEAT);
        let Ok(Notice::Broken { slot: 7, space }) = notices.pop() else { panic!("it was lost") };
        assert_eq!(space.unaired(), 7, "frames that were due meanwhile count, too");
        assert_eq!(beat.figures.overrun.load(Relaxed), 0);
    }
}
