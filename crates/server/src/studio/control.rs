//! The studio's state off the beat: which spaces are on the air, in which slot, with whom on stage.
//!
//! Not real time: it allocates and builds what the beat then merely uses. Every change of the beat goes through one
//! ring, in order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::{Access, Count, WorkerId};
use hiwar_media::Time;
use hiwar_media::packet::Packet;
use hiwar_media::programme::{self, Beginning, Programme, Returning, SpeakerConfig, Voicing};
use hiwar_rtc::returns::Return;
use hiwar_rtc::udp::SessionId;
use hiwar_segment_log::disk::Recovered;
use hiwar_segment_log::{Epoch, LogId, Position, Record};
use rtrb::{Consumer, Producer};
use tokio::sync::oneshot;

use super::beat::{Command, Line, OnAir, SLOTS};
use super::{PublishRefusal, Speaking, airing};

/// With nobody on stage and nobody listening a programme stops after this long: a page reload must not stop it.
const QUIET: Duration = Duration::from_secs(5);
/// A worker's counts are forgotten when it has not reported for this long (it reports every second).
const REPORT_LIFE: Duration = Duration::from_secs(5);
/// Speech in full band, mono.
const PROGRAMME_BITRATE_BPS: i32 = 32_000;
/// Bit rate of what a speaker hears: as the programme's, for they are part of it.
const RETURN_BITRATE_BPS: i32 = 32_000;
/// Said in the sound when nobody is heard.
const NOBODY: &[u8] = br#"{"t":"speaking","id":null}"#;

/// Everything the studio knows, behind one lock.
pub(super) struct Control {
    beat: Producer<Command>,
    spaces: HashMap<LogId, Air>,
    slots: Box<[Option<LogId>]>,
    lines: HashMap<u64, Person>,
    reports: HashMap<WorkerId, (Instant, HashMap<LogId, u32>)>,
    next_token: u64,
}

/// A space on the air.
struct Air {
    access: Access,
    header: Record,
    origin: Origin,
    state: State,
    tokens: Vec<u64>,
    listening: u32,
    quiet_since: Instant,
    standing: Option<Vec<u8>>,
    epoch: Epoch,
    recording: bool,
}

/// Where a programme's next chunk begins.
#[derive(Clone, Copy)]
struct Origin {
    index: u64,
    time: Time,
}

/// Whether a programme runs.
enum State {
    Asleep,
    Awake { slot: u16 },
    /// On its way back from the beat. `again`: it is needed once more and is sent straight back.
    Resting { slot: u16, again: Vec<Command>, done: Option<oneshot::Sender<()>> },
}

/// Somebody on stage.
struct Person {
    space: LogId,
    participant: String,
    session: Option<String>,
    etag: String,
}

impl Control {
    pub(super) fn new(beat: Producer<Command>) -> Self {
        Self {
            beat,
            spaces: HashMap::new(),
            slots: vec![None; SLOTS].into(),
            lines: HashMap::new(),
            reports: HashMap::new(),
            next_token: 1,
        }
    }

    /// Returns the header to announce when the space is new or its access changed.
    pub(super) fn open(&mut self, space: LogId, access: Access) -> Option<Record> {
        if let Some(air) = self.spaces.get_mut(&space) {
            let changed = air.access != access;
            air.access = access;
            return changed.then(|| air.header.clone());
        }
        let header = airing::header(&space, Position(0), Epoch(0), Time(0), super::wall_us());
        self.spaces.insert(
            space,
            Air {
                access,
                header: header.clone(),
                origin: Origin { index: 0, time: Time(0) },
                state: State::Asleep,
                tokens: Vec::new(),
                listening: 0,
                quiet_since: Instant::now(),
                standing: None,
                epoch: Epoch(0),
                recording: false,
            },
        );
        Some(header)
    }

    pub(super) fn knows(&self, space: &LogId) -> bool {
        self.spaces.contains_key(space)
    }

    /// The log was claimed: chunks are recorded from now on. A programme that sleeps goes on where the log ended; one
    /// that runs (people listen to the pre-roll) keeps its own time. False: no such space.
    pub(super) fn begin_log(&mut self, space: &LogId, recovered: &Recovered) -> bool {
        let Some(air) = self.spaces.get_mut(space) else { return false };
        if matches!(air.state, State::Asleep) && recovered.next.0 > air.origin.index {
            air.origin = Origin { index: recovered.next.0, time: Time(recovered.next_time) };
        }
        air.epoch = recovered.epoch;
        air.recording = true;
        true
    }

    /// The epoch of a space's log, if it is being recorded, and its id; `None` for a slot that is free.
    pub(super) fn slot(&self, slot: u16) -> Option<(LogId, Option<Epoch>, Epoch)> {
        let space = (*self.slots.get(usize::from(slot))?)?;
        let air = self.spaces.get(&space)?;
        Some((space, air.recording.then_some(air.epoch), air.epoch))
    }

    pub(super) fn participant(&self, token: u64) -> Option<String> {
        self.lines.get(&token).map(|person| person.participant.clone())
    }

    pub(super) fn sessions(&self, space: &LogId) -> Option<Vec<SessionId>> {
        Some(self.spaces.get(space)?.tokens.iter().map(|token| SessionId(*token)).collect())
    }

    /// Seats a speaker and wakes the space. Returns the token that names the line.
    pub(super) fn seat(
        &mut self,
        space: &LogId,
        who: Speaking,
        session: Option<String>,
        packets: Consumer<Packet>,
        returns: Option<Producer<Return>>,
    ) -> Result<u64, PublishRefusal> {
        let air = self.spaces.get(space).ok_or(PublishRefusal::NotOnAir)?;
        if air.tokens.len() >= programme::SEATS {
            return Err(PublishRefusal::Full);
        }
        let token = self.next_token;
        self.next_token += 1;
        self.wake(space).ok_or(PublishRefusal::Full)?;
        let config = SpeakerConfig {
            speaking_event: who.speaking_event.into_boxed_slice(),
            returning: if returns.is_some() { Returning::Wanted } else { Returning::Unwanted },
            voicing: Voicing::Open,
            return_bitrate_bps: RETURN_BITRATE_BPS,
        };
        let speaker = programme::Speaker::new(config).map_err(|why| {
            tracing::error!("no codec for a speaker: {why}");
            PublishRefusal::Unavailable
        })?;
        let speaker = Box::new(speaker);
        let line = Box::new(Line { token, speaker: Some(speaker), packets, returns });
        self.command(space, |slot| Command::Seat { slot, line }).ok_or(PublishRefusal::Unavailable)?;
        let person = Person { space: *space, participant: who.participant, session, etag: String::new() };
        self.lines.insert(token, person);
        if let Some(air) = self.spaces.get_mut(space) {
            air.tokens.push(token);
        }
        Ok(token)
    }

    /// The session that a participant already has here: it gives way. It leaves the stage at once.
    pub(super) fn replace(&mut self, space: &LogId, participant: &str) -> Option<SessionId> {
        let token = *self.lines.iter().find(|(_, p)| p.space == *space && p.participant == participant)?.0;
        self.leave(token);
        Some(SessionId(token))
    }

    /// A line ends. Who it was, the first time.
    pub(super) fn leave(&mut self, token: u64) -> Option<(LogId, String)> {
        let person = self.lines.remove(&token)?;
        self.command(&person.space, |slot| Command::Unseat { slot, token });
        if let Some(air) = self.spaces.get_mut(&person.space) {
            air.tokens.retain(|t| *t != token);
            air.quiet_since = Instant::now();
        }
        Some((person.space, person.session.unwrap_or_default()))
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
        air.standing = Some(event.clone());
        self.command(space, |slot| Command::Stand { slot, event: event.into_boxed_slice() });
    }

    pub(super) fn tell(&mut self, space: &LogId, event: Vec<u8>) {
        self.command(space, |slot| Command::Tell { slot, event: event.into_boxed_slice() });
    }

    pub(super) fn on_air(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Takes in a worker's report; the spaces whose sum changed.
    pub(super) fn counted(&mut self, worker: WorkerId, counts: &[Count], now: Instant) -> Vec<(LogId, u32)> {
        self.reports.insert(worker, (now, counts.iter().map(|c| (c.log, c.listening)).collect()));
        self.reports.retain(|_, (at, _)| now.saturating_duration_since(*at) < REPORT_LIFE);
        let mut changed = Vec::new();
        let mut woken = Vec::new();
        for (space, air) in &mut self.spaces {
            let listening = self.reports.values().filter_map(|(_, report)| report.get(space)).sum();
            if listening != air.listening {
                if air.listening == 0 && matches!(air.state, State::Asleep | State::Resting { .. }) {
                    woken.push(*space);
                }
                if listening == 0 {
                    air.quiet_since = now;
                }
                air.listening = listening;
                changed.push((*space, listening));
            }
        }
        for space in woken {
            self.wake(&space);
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
                    && air.listening == 0
                    && now.saturating_duration_since(air.quiet_since) >= QUIET
            })
            .map(|(space, _)| *space)
            .collect();
        for space in quiet {
            self.rest(&space, None);
        }
    }

    /// Stops a space's programme for good; resolves when its last chunk has been handed on.
    pub(super) fn stop(&mut self, space: &LogId) -> Option<oneshot::Receiver<()>> {
        let tokens = self.spaces.get(space)?.tokens.clone();
        for token in tokens {
            self.leave(token);
        }
        let (done, stopped) = oneshot::channel();
        self.rest(space, Some(done)).then_some(stopped)
    }

    /// The space is off the air.
    pub(super) fn forget(&mut self, space: &LogId) {
        if let Some(air) = self.spaces.remove(space)
            && let State::Awake { slot } | State::Resting { slot, .. } = air.state
        {
            self.slots[usize::from(slot)] = None;
        }
    }

    /// The programme of `slot` came back.
    pub(super) fn rested(&mut self, slot: u16, programme: &Programme) {
        let Some(space) = self.slots.get(usize::from(slot)).copied().flatten() else { return };
        let Some(air) = self.spaces.get_mut(&space) else { return };
        let (index, time) = programme.next();
        air.origin = Origin { index, time };
        let State::Resting { again, done, .. } = std::mem::replace(&mut air.state, State::Asleep) else { return };
        self.slots[usize::from(slot)] = None;
        if let Some(done) = done {
            let _ = done.send(());
            return;
        }
        if !again.is_empty() || self.spaces.get(&space).is_some_and(|air| air.listening > 0) {
            self.wake(&space);
            for command in again {
                let _ = self.beat.push(command);
            }
        }
    }

    fn rest(&mut self, space: &LogId, done: Option<oneshot::Sender<()>>) -> bool {
        let Some(air) = self.spaces.get_mut(space) else { return false };
        match &mut air.state {
            State::Awake { slot } => {
                let slot = *slot;
                if self.beat.push(Command::Rest { slot }).is_err() {
                    return false;
                }
                air.state = State::Resting { slot, again: Vec::new(), done };
                true
            }
            State::Resting { done: waiting, again, .. } if done.is_some() => {
                again.clear();
                *waiting = done;
                true
            }
            _ => false,
        }
    }

    /// Makes sure that a programme runs, or will. `None`: no slot is free or the beat does not take commands.
    fn wake(&mut self, space: &LogId) -> Option<()> {
        let air = self.spaces.get_mut(space)?;
        let State::Asleep = air.state else { return Some(()) };
        let slot = self.slots.iter().position(Option::is_none)?;
        let config = programme::Config {
            index: air.origin.index,
            time: air.origin.time,
            beginning: if air.origin.index == 0 { Beginning::New } else { Beginning::Resumed },
            bitrate_bps: PROGRAMME_BITRATE_BPS,
            ogg_serial: airing::serial(space),
            nobody_event: NOBODY.into(),
        };
        let programme = Programme::new(config).inspect_err(|why| tracing::error!("no codec for a programme: {why}"));
        let mut programme = Box::new(programme.ok()?);
        if let Some(event) = &air.standing {
            programme.stand(event.clone().into_boxed_slice());
        }
        let space_on_air = Box::new(OnAir::new(programme));
        let slot_number = u16::try_from(slot).ok()?;
        self.beat.push(Command::Air { slot: slot_number, space: space_on_air }).ok()?;
        air.state = State::Awake { slot: slot_number };
        air.quiet_since = Instant::now();
        self.slots[slot] = Some(*space);
        Some(())
    }

    /// Sends a command to a space's slot; kept for later while the programme is on its way back; nothing if it sleeps.
    fn command(&mut self, space: &LogId, make: impl FnOnce(u16) -> Command) -> Option<()> {
        let air = self.spaces.get_mut(space)?;
        match &mut air.state {
            State::Asleep => None,
            State::Awake { slot } => self.beat.push(make(*slot)).ok(),
            State::Resting { slot, again, .. } => {
                again.push(make(*slot));
                Some(())
            }
        }
    }
}
