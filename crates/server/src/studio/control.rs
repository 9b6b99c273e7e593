//! The studio's state off the beat: which spaces are on the air, in which slot, with whom on stage.
//!
//! Not real time: it allocates and builds what the beat then merely uses. Every change of a beat goes through one
//! ring, in order.
//!
//! With several shards a space is always in the same one, by its name. Slots and tokens say which: they are numbered so
//! that what is left over when they are divided by the number of shards is the shard's own ([`super::shards`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hiwar_engine::live_bus::{Access, Count, WorkerId};
use hiwar_media::Time;
use hiwar_media::hold::HoldMusic;
use hiwar_media::jitter::Repair;
use hiwar_media::packet::Packet;
use hiwar_media::programme::{self, Audience, Beginning, Programme, Returning, SpeakerConfig, Voicing};
use hiwar_rtc::ring::{Reader, Writer};
use hiwar_rtc::udp::SessionId;
use hiwar_segment_log::disk::Recovered;
use hiwar_segment_log::{Epoch, LogId, Position, Record};
use rtrb::Producer;
use tokio::sync::oneshot;

use super::beat::{Command, Line, OnAir, SLOTS};
use super::shards::{Beats, Waiting};
use super::{Caption, PublishRefusal, Speaking, airing, tracks};

/// With nobody on stage and nobody listening a programme stops after this long: a page reload must not stop it.
const QUIET: Duration = Duration::from_secs(5);
/// A programme that panics again within this time is not begun anew before it has passed: it may panic with every beat.
const BREAK_WAIT: Duration = Duration::from_secs(1);
/// Frames that a programme which follows a broken one makes up for: with the first beat one chunk is whole, and another not yet. If more were lost, its time
/// stands still for them.
const MADE_UP_MAX: u32 = 2 * hiwar_media::CHUNK_FRAMES as u32 - 2;
/// A worker's counts are forgotten when it has not reported for this long (it reports every second).
const REPORT_LIFE: Duration = Duration::from_secs(5);
/// Speech in full band, mono.
pub(super) const PROGRAMME_BITRATE_BPS: i32 = 32_000;
/// Bit rate of what a speaker hears: as the programme's, for they are part of it.
const RETURN_BITRATE_BPS: i32 = 32_000;
/// Said in the sound when nobody is heard.
pub(super) const NOBODY: &[u8] = br#"{"t":"speaking","id":null}"#;

/// One chunk, as time and as samples.
const CHUNK_MS: u128 = 200;
const CHUNK_SAMPLES: u64 = (hiwar_media::CHUNK_FRAMES * hiwar_media::FRAME_SAMPLES) as u64;

/// What is done about speakers' networks: everything, but what `HIWAR_UNREPAIRED` names (some of `red`, `fec`, `plc` and `jitter`, with commas between),
/// so that a measurement can show what it is good for.
fn repair() -> Repair {
    let left_out = std::env::var("HIWAR_UNREPAIRED").unwrap_or_default();
    if !left_out.is_empty() {
        tracing::warn!("bad networks are not made good by {left_out}, as HIWAR_UNREPAIRED wishes");
    }
    let has = |name: &str| !left_out.split(',').any(|word| word == name);
    Repair { copies: has("red"), fec: has("fec"), concealment: has("plc"), patience: has("jitter") }
}

/// In how many beats the first programme panics: `HIWAR_PANIC_IN`, in builds that are not released, for the test of what follows then.
#[cfg(debug_assertions)]
fn fault() -> Option<u32> {
    std::env::var("HIWAR_PANIC_IN").ok()?.parse().ok()
}

/// Everything the studio knows, behind one lock.
pub(super) struct Control {
    beats: Beats,
    spaces: HashMap<LogId, Air>,
    /// Which space a slot belongs to, until the beat has given its programme back.
    slots: Box<[Option<LogId>]>,
    lines: HashMap<u64, Person>,
    reports: HashMap<WorkerId, (Instant, HashMap<LogId, Ears>)>,
    next_token: u64,
    repair: Repair,
    #[cfg(debug_assertions)]
    fault: Option<u32>,
    tracks: Arc<tracks::Desk>,
}

/// A space on the air.
struct Air {
    access: Access,
    header: Record,
    origin: Origin,
    state: State,
    tokens: Vec<u64>,
    ears: Ears,
    quiet_since: Instant,
    /// When its programme last panicked.
    broke: Option<Instant>,
    /// No programme begins before this.
    held_until: Option<Instant>,
    standing: Option<Vec<u8>>,
    caption: Caption,
    /// For the programme that follows the one on its way back.
    pending: Waiting,
    epoch: Epoch,
    /// Whether its log was claimed. What is aired goes into it once the audience hears the stage.
    claimed: bool,
    audience: Audience,
    /// What the audience hears while it waits.
    hold: Option<Arc<HoldMusic>>,
    /// The space is ending: nothing wakes it any more.
    ending: bool,
}

impl Air {
    /// Whether anybody is there who makes a programme worth while.
    fn is_needed(&self) -> bool {
        self.ears != Ears::default() || !self.tokens.is_empty()
    }
}

/// Who hears a space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ears {
    /// The audience's connections.
    listening: u32,
    /// Those of a rehearsal: a programme is as good for them.
    rehearsed: u32,
    /// Workers that were just asked for pieces of it: how many hear those nobody knows.
    fetched: u32,
}

impl Ears {
    fn add(&mut self, more: Self) {
        self.listening += more.listening;
        self.rehearsed += more.rehearsed;
        self.fetched += more.fetched;
    }

    fn take(&mut self, gone: Self) {
        self.listening = self.listening.saturating_sub(gone.listening);
        self.rehearsed = self.rehearsed.saturating_sub(gone.rehearsed);
        self.fetched = self.fetched.saturating_sub(gone.fetched);
    }
}

/// Where a programme's next chunk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) index: u64,
    pub(super) time: Time,
}

impl Origin {
    /// Where a space would be now if it had been heard ever since: no earlier programme can have come further.
    pub(super) fn since(begun: SystemTime) -> Self {
        let elapsed = SystemTime::now().duration_since(begun).unwrap_or_default();
        Self { index: 0, time: Time(0) }.later(elapsed)
    }

    /// The place of the chunk that begins so much later, in whole chunks.
    pub(super) fn later(self, elapsed: Duration) -> Self {
        let chunks = u64::try_from(elapsed.as_millis() / CHUNK_MS).unwrap_or(0);
        Self { index: self.index + chunks, time: Time(self.time.0 + chunks * CHUNK_SAMPLES) }
    }
}

/// Whether a programme runs.
enum State {
    Asleep,
    Awake {
        slot: u16,
    },
    /// On its way back from the beat.
    Resting {
        slot: u16,
        done: Option<oneshot::Sender<()>>,
    },
}

/// Where somebody's packets come from, and what they hear goes to.
pub(super) struct Ends {
    pub(super) packets: Reader<Packet<()>>,
    /// `None` for a performer of the demo, who hears nothing.
    pub(super) returns: Option<Writer<Time>>,
}

/// Somebody who had to leave the stage.
pub(super) struct Gone {
    pub(super) token: u64,
    pub(super) participant: String,
}

/// Somebody on stage.
struct Person {
    space: LogId,
    participant: String,
    session: Option<String>,
    etag: String,
}

impl Control {
    /// One ring to each shard's beat; at least one.
    pub(super) fn new(beats: Vec<Producer<Command>>, tracks: Arc<tracks::Desk>) -> Self {
        Self {
            beats: Beats::new(beats),
            spaces: HashMap::new(),
            slots: vec![None; SLOTS].into(),
            lines: HashMap::new(),
            reports: HashMap::new(),
            next_token: 1,
            repair: repair(),
            #[cfg(debug_assertions)]
            fault: fault(),
            tracks,
        }
    }

    /// Returns the header to announce when the space is new or its access changed.
    pub(super) fn open(&mut self, space: LogId, access: Access, origin: Origin, audience: Audience) -> Option<Record> {
        if let Some(air) = self.spaces.get_mut(&space) {
            let changed = air.access != access;
            air.access = access;
            return changed.then(|| air.header.clone());
        }
        let header = airing::header(&space, Position(0), Epoch(0), Time(0), super::wall_us());
        // Those who stayed through a restart of the house were reported before it opened.
        let mut ears = Ears::default();
        self.reports.values().filter_map(|(_, report)| report.get(&space)).for_each(|some| ears.add(*some));
        self.spaces.insert(
            space,
            Air {
                access,
                header: header.clone(),
                origin,
                state: State::Asleep,
                tokens: Vec::new(),
                ears,
                quiet_since: Instant::now(),
                broke: None,
                held_until: None,
                standing: None,
                caption: Caption::default(),
                pending: Waiting::default(),
                epoch: Epoch(0),
                claimed: false,
                audience,
                hold: None,
                ending: false,
            },
        );
        Some(header)
    }

    pub(super) fn knows(&self, space: &LogId) -> bool {
        self.spaces.contains_key(space)
    }

    /// Every space on the air.
    pub(super) fn known(&self) -> HashSet<LogId> {
        self.spaces.keys().copied().collect()
    }

    /// The log was claimed: chunks are recorded from when the audience hears the stage. The programme, whether it sleeps or runs (people listen to the
    /// pre-roll), keeps its own time unless the log is ahead of it. False: no such space.
    pub(super) fn begin_log(&mut self, space: &LogId, recovered: &Recovered) -> bool {
        let Some(air) = self.spaces.get_mut(space) else { return false };
        if matches!(air.state, State::Asleep) && recovered.next.0 > air.origin.index {
            air.origin = Origin { index: recovered.next.0, time: Time(recovered.next_time) };
        }
        // Of two claims the later one counts, whichever is told of first.
        air.epoch = air.epoch.max(recovered.epoch);
        air.claimed = true;
        true
    }

    /// Whether a space's log was claimed.
    pub(super) fn has_log(&self, space: &LogId) -> bool {
        self.spaces.get(space).is_some_and(|air| air.claimed)
    }

    /// Whether the audience hears the stage.
    pub(super) fn is_heard(&self, space: &LogId) -> bool {
        self.spaces.get(space).is_some_and(|air| air.audience == Audience::Hears)
    }

    /// The audience hears the stage from the next beat on, and what is aired is recorded. False: no such space.
    pub(super) fn begin(&mut self, space: &LogId) -> bool {
        let Some(air) = self.spaces.get_mut(space) else { return false };
        air.audience = Audience::Hears;
        let had_music = air.hold.take().is_some();
        // A programme that is yet to be built begins like that.
        self.command(space, Command::Audience { slot: 0, audience: Audience::Hears });
        if had_music {
            self.command(space, Command::Hold { slot: 0, music: None });
        }
        true
    }

    /// What the audience hears while it waits; nothing comes of it once it hears the stage.
    pub(super) fn hold(&mut self, space: &LogId, music: Option<Arc<HoldMusic>>) {
        let Some(air) = self.spaces.get_mut(space).filter(|air| air.audience == Audience::Waits) else { return };
        air.hold.clone_from(&music);
        // A programme that is yet to be built begins with it.
        self.command(space, Command::Hold { slot: 0, music });
    }

    /// Mutes or opens somebody on the stage.
    pub(super) fn voice(&mut self, space: &LogId, participant: &str, voicing: Voicing) {
        let theirs = |person: &Person| person.space == *space && person.participant == participant;
        let tokens: Vec<u64> =
            self.lines.iter().filter(|(_, person)| theirs(person)).map(|(token, _)| *token).collect();
        let said = Instant::now();
        for token in tokens {
            self.command(space, Command::Voice { slot: 0, token, voicing, said });
        }
    }

    /// Whose a slot is; `None` if it is free.
    pub(super) fn slot(&self, slot: u16) -> Option<LogId> {
        (*self.slots.get(usize::from(slot))?).filter(|space| self.knows(space))
    }

    /// A chunk of a slot is whole, and the next one begins at `next`. Whose it is, the epoch of their log if they are being
    /// recorded, and the epoch of the chunk; `None` for a slot that is free.
    pub(super) fn aired(&mut self, slot: u16, next: Origin) -> Option<(LogId, Option<Epoch>, Epoch)> {
        self.beats.of(slot).flush();
        let space = self.slot(slot)?;
        let air = self.spaces.get_mut(&space)?;
        air.origin = next;
        let recorded = air.claimed && air.audience == Audience::Hears;
        Some((space, recorded.then_some(air.epoch), air.epoch))
    }

    pub(super) fn participant(&self, token: u64) -> Option<String> {
        self.lines.get(&token).map(|person| person.participant.clone())
    }

    pub(super) fn sessions(&self, space: &LogId) -> Option<Vec<SessionId>> {
        Some(self.spaces.get(space)?.tokens.iter().map(|token| SessionId(*token)).collect())
    }

    /// Those of everyone on every stage who came by one.
    pub(super) fn all_sessions(&self) -> Vec<SessionId> {
        self.lines.iter().filter(|(_, person)| person.session.is_some()).map(|(token, _)| SessionId(*token)).collect()
    }

    /// Seats a speaker and wakes the space, if whoever brings the packets takes the new line's token (`join`); a line that the same participant has here
    /// gives way then, and not before. Returns the token that names the new line, and the session that gave way.
    pub(super) fn seat(
        &mut self,
        space: &LogId,
        who: Speaking,
        session: Option<String>,
        Ends { packets, returns }: Ends,
        join: impl FnOnce(u64) -> Result<(), PublishRefusal>,
    ) -> Result<(u64, Option<SessionId>), PublishRefusal> {
        let air = self.spaces.get(space).ok_or(PublishRefusal::NotOnAir)?;
        let older = self.lines.iter().find(|(_, p)| p.space == *space && p.participant == who.participant);
        let older = older.map(|(token, _)| *token);
        if air.tokens.len() - usize::from(older.is_some()) >= programme::SEATS {
            return Err(PublishRefusal::Full);
        }
        let shards = self.beats.shards();
        let token = self.next_token * shards.0 as u64 + shards.of_space(space) as u64;
        self.next_token += 1;
        self.wake(space).ok_or(PublishRefusal::Full)?;
        let config = SpeakerConfig {
            speaking_event: who.speaking_event.into_boxed_slice(),
            returning: if returns.is_some() { Returning::Wanted } else { Returning::Unwanted },
            voicing: who.voicing,
            return_bitrate_bps: RETURN_BITRATE_BPS,
        };
        let speaker = programme::Speaker::new(config).map_err(|why| {
            tracing::error!("no codec for a speaker: {why}");
            PublishRefusal::Unavailable
        })?;
        let track = self.tracks.begin(space, &who.participant);
        let speaker = speaker.repaired_by(self.repair);
        let speaker = Box::new(if track.is_some() { speaker.kept() } else { speaker });
        // The older line leaves first, for the stage may be full; so there must be room for both commands.
        if self.beats.of(token).room() < 2 {
            return Err(PublishRefusal::Unavailable);
        }
        // The last that can be refused: whoever is sent away now has changed nothing.
        join(token)?;
        if let Some(older) = older {
            self.leave(older);
        }
        let line = Box::new(Line { token, speaker: Some(speaker), packets, returns, track });
        self.command(space, Command::Seat { slot: 0, line });
        let person = Person { space: *space, participant: who.participant, session, etag: String::new() };
        self.lines.insert(token, person);
        if let Some(air) = self.spaces.get_mut(space) {
            air.tokens.push(token);
        }
        Ok((token, older.map(SessionId)))
    }

    /// A line ends. Whose it was, the first time.
    pub(super) fn leave(&mut self, token: u64) -> Option<(LogId, String)> {
        let person = self.lines.remove(&token)?;
        self.command(&person.space, Command::Unseat { slot: 0, token });
        if let Some(air) = self.spaces.get_mut(&person.space) {
            air.tokens.retain(|t| *t != token);
            air.quiet_since = Instant::now();
        }
        Some((person.space, person.participant))
    }

    pub(super) fn connected(&self, token: u64) -> Option<(LogId, String)> {
        let person = self.lines.get(&token)?;
        Some((person.space, person.session.clone().unwrap_or_default()))
    }

    pub(super) fn session(&self, name: &str) -> Option<u64> {
        self.lines.iter().find(|(_, p)| p.session.as_deref() == Some(name)).map(|(token, _)| *token)
    }

    pub(super) fn etag(&self, name: &str) -> Option<String> {
        self.lines.values().find(|p| p.session.as_deref() == Some(name)).map(|p| p.etag.clone())
    }

    pub(super) fn set_etag(&mut self, token: u64, etag: String) {
        if let Some(person) = self.lines.get_mut(&token) {
            person.etag = etag;
        }
    }

    pub(super) fn stand(&mut self, space: &LogId, event: Vec<u8>) {
        let Some(air) = self.spaces.get_mut(space) else { return };
        if air.standing.as_ref() == Some(&event) {
            return;
        }
        air.standing = Some(event.clone());
        // A programme that is yet to be built begins with it.
        let State::Awake { .. } = air.state else { return };
        self.command(space, Command::Stand { slot: 0, event: event.into_boxed_slice() });
    }

    /// What radios show; nothing of a space that is not on the air.
    pub(super) fn caption(&self, space: &LogId) -> Caption {
        self.spaces.get(space).map(|air| air.caption.clone()).unwrap_or_default()
    }

    /// False: no such space.
    pub(super) fn set_caption(&mut self, space: &LogId, caption: Caption) -> bool {
        self.spaces.get_mut(space).map(|air| air.caption = caption).is_some()
    }

    /// Who may hear a space, and the epoch of its chunks.
    pub(super) fn access(&self, space: &LogId) -> Option<(Access, Epoch)> {
        self.spaces.get(space).map(|air| (air.access, air.epoch))
    }

    pub(super) fn tell(&mut self, space: &LogId, event: Vec<u8>) {
        self.command(space, Command::Tell { slot: 0, event: event.into_boxed_slice() });
    }

    pub(super) fn on_air(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Takes in a worker's report; the spaces whose sums changed, with those: connections of the audience, and of a rehearsal. The work is proportional to the report.
    pub(super) fn counted(&mut self, worker: WorkerId, counts: &[Count], now: Instant) -> Vec<(LogId, u32, u32)> {
        let mut report: HashMap<LogId, Ears> = HashMap::new();
        for count in counts {
            let (listening, rehearsed) = (count.audience.listening, count.rehearsal.listening);
            let ears = Ears { listening, rehearsed, fetched: count.fetched.into() };
            if ears != Ears::default() {
                // Whoever hears it by radio hears it.
                report.entry(count.log.stem()).or_default().add(ears);
            }
        }
        let mut before: HashMap<LogId, Ears> = HashMap::new();
        let mut forget = |reports: &HashMap<LogId, Ears>| {
            for (space, ears) in reports {
                before.entry(*space).or_default().add(*ears);
            }
        };
        if let Some((_, old)) = self.reports.insert(worker, (now, report.clone())) {
            forget(&old);
        }
        self.reports.retain(|_, (at, report)| {
            let alive = now.saturating_duration_since(*at) < REPORT_LIFE;
            if !alive {
                forget(report);
            }
            alive
        });
        for space in report.keys() {
            before.entry(*space).or_default();
        }
        let mut changed = Vec::new();
        for (space, gone) in before {
            let Some(air) = self.spaces.get_mut(&space) else { continue };
            let came = report.get(&space).copied().unwrap_or_default();
            if came == gone {
                continue;
            }
            air.ears.add(came);
            air.ears.take(gone);
            let ears = air.ears;
            if ears == Ears::default() {
                air.quiet_since = now;
            } else {
                self.wake(&space);
            }
            if (came.listening, came.rehearsed) != (gone.listening, gone.rehearsed) {
                changed.push((space, ears.listening, ears.rehearsed));
            }
        }
        changed
    }

    /// Stops the programmes that nobody needs.
    pub(super) fn tidy(&mut self, now: Instant) {
        let quiet: Vec<LogId> = self
            .spaces
            .iter()
            .filter(|(_, air)| {
                matches!(air.state, State::Awake { .. })
                    && air.tokens.is_empty()
                    && air.ears == Ears::default()
                    && now.saturating_duration_since(air.quiet_since) >= QUIET
            })
            .map(|(space, _)| *space)
            .collect();
        for space in quiet {
            self.rest(&space, None);
        }
        // Whoever found a full ring, or no slot, is tried again.
        self.beats.flush();
        let waiting: Vec<LogId> = self
            .spaces
            .iter()
            .filter(|(_, air)| matches!(air.state, State::Asleep) && air.is_needed())
            .map(|(space, _)| *space)
            .collect();
        for space in waiting {
            self.wake(&space);
        }
    }

    /// Stops a space's programme for good; resolves when its last chunk has been handed on.
    pub(super) fn stop(&mut self, space: &LogId) -> Option<oneshot::Receiver<()>> {
        let air = self.spaces.get_mut(space)?;
        air.ending = true;
        for token in air.tokens.clone() {
            self.leave(token);
        }
        let (done, stopped) = oneshot::channel();
        self.rest(space, Some(done)).then_some(stopped)
    }

    /// The space is off the air. Its slot stays taken until the beat has given the programme back.
    pub(super) fn forget(&mut self, space: &LogId) {
        if let Some(Air { state: State::Awake { slot }, .. }) = self.spaces.remove(space) {
            self.beats.of(slot).send(Command::Rest { slot });
        }
    }

    /// The programme of `slot` came back.
    pub(super) fn rested(&mut self, slot: u16, programme: &Programme) {
        let Some(space) = self.slots.get_mut(usize::from(slot)).and_then(Option::take) else { return };
        let Some(air) = self.spaces.get_mut(&space) else { return };
        let State::Resting { slot: expected, done } = &mut air.state else { return };
        if *expected != slot {
            return;
        }
        let done = done.take();
        let (index, time) = programme.next();
        air.origin = Origin { index, time };
        air.state = State::Asleep;
        if let Some(done) = done {
            let _ = done.send(());
        } else if air.is_needed() {
            self.wake(&space);
        } else {
            air.pending.clear();
        }
    }

    /// The programme of `slot` panicked, `unaired` frames after its last whole chunk, behind which the next one begins. Everybody leaves its stage, since
    /// what they sent may be why (their clients come again): whose space it is, and who left.
    pub(super) fn broken(&mut self, slot: u16, unaired: u32, now: Instant) -> Option<(LogId, Vec<Gone>)> {
        let space = self.slots.get_mut(usize::from(slot)).and_then(Option::take)?;
        self.beats.of(slot).forget(slot);
        let air = self.spaces.get_mut(&space)?;
        match &mut air.state {
            State::Awake { slot: expected } if *expected == slot => {}
            State::Resting { slot: expected, done } if *expected == slot => {
                if let Some(done) = done.take() {
                    let _ = done.send(());
                }
            }
            _ => return None,
        }
        air.state = State::Asleep;
        air.pending.clear();
        let again = air.broke.replace(now).is_some_and(|before| now.saturating_duration_since(before) < BREAK_WAIT);
        air.held_until = again.then_some(now + BREAK_WAIT);
        let tokens = air.tokens.clone();
        let leave = |token| Some(Gone { token, participant: self.leave(token)?.1 });
        let gone = tokens.into_iter().filter_map(leave).collect();
        if self.spaces.get(&space).is_some_and(Air::is_needed) {
            self.wake_behind(&space, unaired);
        }
        Some((space, gone))
    }

    fn rest(&mut self, space: &LogId, done: Option<oneshot::Sender<()>>) -> bool {
        let Some(air) = self.spaces.get_mut(space) else { return false };
        match &mut air.state {
            State::Awake { slot } => {
                let slot = *slot;
                self.beats.of(slot).send(Command::Rest { slot });
                air.state = State::Resting { slot, done };
                true
            }
            State::Resting { done: waiting, .. } if done.is_some() => {
                *waiting = done;
                true
            }
            _ => false,
        }
    }

    /// Makes sure that a programme runs, or will. `None`: no slot is free, the space is ending, its programme panics again and again, or the beat takes no
    /// commands; [`Control::tidy`] tries again.
    fn wake(&mut self, space: &LogId) -> Option<()> {
        self.wake_behind(space, 0)
    }

    /// The same for a programme that is so many frames behind: it makes up for them in silence.
    fn wake_behind(&mut self, space: &LogId, frames: u32) -> Option<()> {
        let air = self.spaces.get_mut(space)?;
        if air.ending {
            return None;
        }
        let State::Asleep = air.state else { return Some(()) };
        if air.held_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let shards = self.beats.shards();
        let shard = shards.of_space(space);
        let free = (shard..self.slots.len()).step_by(shards.0).find(|slot| self.slots[*slot].is_none())?;
        let slot = u16::try_from(free).ok()?;
        if self.beats.of(slot).room() <= air.pending.len() {
            return None;
        }
        let mut programme = Box::new(programme_at(space, air.origin, air.audience)?);
        if let Some(event) = &air.standing {
            programme.stand(event.clone().into_boxed_slice());
        }
        programme.hold(air.hold.clone());
        if frames > 0 {
            // Whoever was heard last is not heard now.
            let _ = programme.tell(NOBODY.into());
        }
        for _ in 0..frames.min(MADE_UP_MAX) {
            // At most one chunk comes of it, which waits for the beat to take it.
            programme.handle(Instant::now(), programme::Input::Beat);
        }
        let on_air = OnAir::new(programme);
        #[cfg(debug_assertions)]
        let on_air = on_air.breaking_in(self.fault.take());
        self.beats.of(slot).send(Command::Air { slot, space: Box::new(on_air) });
        air.state = State::Awake { slot };
        air.quiet_since = Instant::now();
        self.slots[free] = Some(*space);
        for mut command in air.pending.drain() {
            *command.slot_mut() = slot;
            self.beats.of(slot).send(command);
        }
        Some(())
    }

    /// Sends a command to a space's programme, in whatever slot it is; kept for the next one while this one is on its way back; nothing if it sleeps.
    fn command(&mut self, space: &LogId, mut command: Command) {
        let Some(air) = self.spaces.get_mut(space) else { return };
        match &air.state {
            State::Awake { slot } => {
                *command.slot_mut() = *slot;
                self.beats.of(*slot).send(command);
            }
            State::Asleep if air.pending.is_empty() => {}
            // Asleep with somebody seated: the beat had no room when the last one came back.
            State::Asleep | State::Resting { .. } => air.pending.keep(command),
        }
    }
}

/// A programme with nobody on stage. `None`: no codec.
pub(super) fn programme_at(space: &LogId, origin: Origin, audience: Audience) -> Option<Programme> {
    let config = programme::Config {
        index: origin.index,
        time: origin.time,
        beginning: if origin.index == 0 { Beginning::New } else { Beginning::Resumed },
        bitrate_bps: PROGRAMME_BITRATE_BPS,
        ogg_serial: airing::serial(space),
        nobody_event: NOBODY.into(),
        audience,
    };
    Programme::new(config).inspect_err(|why| tracing::error!("no codec for a programme: {why}")).ok()
}

#[cfg(test)]
mod tests;
