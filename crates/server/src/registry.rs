//! All spaces of this house: their machines, and the effects of what the machines say.
//!
//! Commands come from the API, events from the studio; both go through a space's machine, and what it says is done here:
//! open, record, end and seal in the studio, write the facts to disk, renew the page, tell the sound and the watchers.
//!
//! Start, End and Delete take a space's *turn*, so that one is done before the next begins, and run as tasks of their own,
//! so that a client that hangs up does not leave half of one behind. The map's lock is never held across an await.

mod clock;
mod error;
mod page;
pub mod retention;
mod store;
mod view;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hiwar_engine::live_bus::Access;
use hiwar_rtc::{candidate, session::Patched};
use hiwar_segment_log::LogId;
use hiwar_space::{
    Actor, Audience, Command, Event, Facts, Id, Language, Name, ParticipantId, Phase, Recording, Refusal, Replay,
    Space, Title,
};
use tokio::sync::{mpsc, watch};

use crate::api::{self, Settings};
use crate::studio::{self, Failure, Keep, Numbers, PublishRefusal, Published, Speaking, Studio, StudioEvent};
pub use error::Error;
pub use page::nowhere;
pub use store::title;
pub use view::{CrowdView, SpaceView};
#[cfg(test)]
pub use view::{Links, SpeakerView};

/// Spaces that one house keeps, live and past. At 2 kB each they fit memory with ease; the listing stays quick.
pub const SPACES_MAX: usize = 10_000;
/// Spaces in one listing.
const LISTED_MAX: usize = 200;
/// Watchers of one space: all, those who only listen (with or without a pass), and those without a pass. What is between
/// them is kept for the stage (20 people, each with a second connection while reconnecting) and for the invited.
const WATCHERS_MAX: usize = 72;
const LISTENING_WATCHERS_MAX: usize = 32;
const STRANGERS_MAX: usize = 16;
/// Sessions remembered for one space: each speaker reconnecting twice within one timeout.
const SESSIONS_MAX: usize = 64;
/// The last event reaches listeners in the next chunk; only then does the sound stop.
const LAST_CHUNK: Duration = Duration::from_millis(250);
/// How often what could not be done (a full disk) is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// What a new space is to be.
#[derive(Debug, Clone)]
pub struct NewSpace {
    /// What it is called.
    pub title: Title,
    /// What will mostly be spoken.
    pub language: Option<Language>,
    /// Who may hear it.
    pub audience: Audience,
    /// How long its sound is kept.
    pub keep: Keep,
}

/// Somebody on stage who comes by no session: a voice of the demo.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Names them in the space.
    pub id: String,
    /// What to call them.
    pub name: String,
}

/// Who watches a space's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watcher {
    /// With a pass to host or to speak.
    OnStage,
    /// Holds a pass for it.
    Invited,
    /// Found its link.
    Stranger,
}

/// Numbers for operators.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Spaces known.
    pub spaces: usize,
    /// Of these, live.
    pub live: usize,
    /// Live spaces whose recording is paused.
    pub paused: usize,
    /// People on all stages.
    pub speakers: usize,
    /// People who hear.
    pub listeners: u64,
    /// Of these, connections.
    pub streams: u64,
    /// Of these, people who hear HLS, about.
    pub by_pieces: u64,
    /// Connections of rehearsals, which are in none of these.
    pub rehearsed: u64,
    /// Recordings that this house removed for their age, or for the room that they took.
    pub expired: u64,
}

/// A cheap handle on all spaces.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    spaces: Mutex<HashMap<LogId, Entry>>,
    studio: Studio,
    settings: Settings,
    dir: PathBuf,
    /// A recording is complete: there may be too many now.
    grown: tokio::sync::Notify,
    /// Recordings that were removed for their age, or for the room that they took.
    expired: AtomicU64,
}

struct Entry {
    space: Space,
    keep: Keep,
    /// Held while Start, End or Delete is being done.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Held while the facts are written, so that older ones never overwrite newer ones.
    writing: Arc<tokio::sync::Mutex<()>>,
    sessions: HashMap<String, Session>,
    numbers: Numbers,
    changes: watch::Sender<u64>,
    owed: Owed,
    /// When this house saw it ending. If a clock that was not set says when it ended: when this house first saw it.
    seen_over: Option<Instant>,
}

/// What failed and is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Owed {
    write: bool,
    record: bool,
    delete: bool,
}

struct Session {
    participant: ParticipantId,
    name: Name,
    etag: String,
}

impl Entry {
    fn new(space: Space, keep: Keep) -> Self {
        let seen_over = match space.facts().phase {
            Phase::Ended { ended, .. } | Phase::Posted { ended, .. } if !clock::was_set(ended) => Some(Instant::now()),
            _ => None,
        };
        Self {
            seen_over,
            space,
            keep,
            turn: Arc::default(),
            writing: Arc::default(),
            sessions: HashMap::new(),
            numbers: Numbers::default(),
            changes: watch::Sender::new(0),
            owed: Owed::default(),
        }
    }

    fn access(&self) -> Access {
        match self.space.facts().audience {
            Audience::Public | Audience::Unlisted => Access::Open,
            Audience::Invited => Access::Pass,
        }
    }
}

impl Registry {
    /// Reads all spaces from `dir` and puts those on the air that are not over: live ones go on where they were.
    ///
    /// # Errors
    /// The directory cannot be read. A space that cannot be read is named in the log and left alone.
    pub async fn open(
        dir: PathBuf,
        studio: Studio,
        settings: Settings,
        happened: mpsc::Receiver<StudioEvent>,
    ) -> io::Result<Self> {
        let from = dir.clone();
        let loaded =
            tokio::task::spawn_blocking(move || store::load(&from, SPACES_MAX)).await.map_err(io::Error::other)??;
        let spaces = loaded
            .into_iter()
            .filter_map(|(facts, keep)| Some((log_id(&facts.id)?, Entry::new(Space::from_facts(facts), keep))))
            .collect();
        let registry = Self(Arc::new(Inner {
            spaces: Mutex::new(spaces),
            studio,
            settings,
            dir,
            grown: tokio::sync::Notify::new(),
            expired: AtomicU64::new(0),
        }));
        let mut ids: Vec<(bool, LogId)> =
            registry.lock().iter().map(|(id, entry)| (entry.space.require_live().is_err(), *id)).collect();
        // Live ones first: somebody listens to them, and there may be thousands that are over.
        ids.sort_unstable();
        for (_, id) in ids {
            registry.resume(id).await;
        }
        tokio::spawn(registry.clone().attend(happened));
        Ok(registry)
    }

    /// Makes a space and puts it on the air: whoever comes early hears silence until it starts.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Storage`].
    pub async fn create(&self, new: NewSpace) -> Result<SpaceView, Error> {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes).expect("the kernel has random numbers");
        self.create_as(Id::from_random(bytes), new).await
    }

    async fn create_as(&self, id: Id, new: NewSpace) -> Result<SpaceView, Error> {
        let registry = self.clone();
        let made = tokio::spawn(async move {
            let log = log_id(&id).ok_or(Error::Unknown)?;
            let recording = if new.keep == Keep::All { Recording::On } else { Recording::Off };
            let space = Space::new(id, new.title, new.audience, SystemTime::now());
            let facts = Facts { language: new.language, recording, ..space.facts().clone() };
            {
                let mut spaces = registry.lock();
                if spaces.len() >= SPACES_MAX {
                    return Err(Error::Full);
                }
                spaces.insert(log, Entry::new(Space::from_facts(facts), new.keep));
            }
            if let Err(why) = registry.write(log).await {
                registry.lock().remove(&log);
                return Err(Error::Storage(why));
            }
            registry.resume(log).await;
            registry.view(&log).ok_or(Error::Unknown)
        });
        made.await.map_err(|why| Error::Studio(why.to_string()))?
    }

    /// Makes sure that a space of that name is live and that these guests are on its stage.
    ///
    /// # Errors
    /// As [`Registry::create`] and [`Registry::command`].
    pub async fn perform(&self, space: LogId, title: &str, keep: Keep, guests: &[Guest]) -> Result<(), Error> {
        if self.view(&space).is_none() {
            let id = Id::parse(space.as_str()).ok_or(Error::Unknown)?;
            let new = NewSpace { title: Title::parse(title)?, language: None, audience: Audience::Public, keep };
            self.create_as(id, new).await?;
        }
        match self.command(space, Actor::House, Command::Start).await {
            Ok(()) | Err(Error::Refused(Refusal::AlreadyStarted)) => {}
            Err(why) => return Err(why),
        }
        for guest in guests {
            let participant = ParticipantId::parse(&guest.id).ok_or(Error::NoSession)?;
            self.report(&space, Command::Arrive { participant, name: Name::parse(&guest.name)? })?;
        }
        Ok(())
    }

    /// Has a space start, end or delete its recording, and does what follows from it.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Refused`], or that it was allowed but could not be done wholly.
    pub async fn command(&self, id: LogId, actor: Actor, command: Command) -> Result<(), Error> {
        let registry = self.clone();
        // A task of its own: whoever asked may hang up, what was begun is finished.
        let done = tokio::spawn(async move {
            let turn = registry.lock().get(&id).map(|entry| entry.turn.clone()).ok_or(Error::Unknown)?;
            let _turn = turn.lock().await;
            for event in registry.handle(&id, actor, command)? {
                registry.follow(id, event).await?;
            }
            Ok(())
        });
        done.await.map_err(|why| Error::Studio(why.to_string()))?
    }

    /// Seats a speaker: answers their offer, and remembers whose the session is.
    ///
    /// # Errors
    /// [`Error::Unknown`], not live ([`Error::Refused`]), [`Error::StageFull`], [`Error::Offer`], [`Error::Studio`].
    pub async fn speak(&self, id: &LogId, participant: &str, name: &str, offer: String) -> Result<Published, Error> {
        self.lock().get(id).ok_or(Error::Unknown)?.space.require_live()?;
        let who = ParticipantId::parse(participant).ok_or(Error::NoSession)?;
        let name = Name::parse(name).or_else(|_| Name::parse(participant))?;
        let speaking =
            Speaking { participant: participant.to_owned(), speaking_event: api::speaking_event(participant) };
        let mut published = self.0.studio.publish(id, speaking, offer).await.map_err(|refusal| match refusal {
            PublishRefusal::Offer(why) => Error::Offer(why),
            PublishRefusal::Full => Error::StageFull,
            PublishRefusal::NotOnAir => Error::Refused(Refusal::NotStarted),
            PublishRefusal::Unavailable => Error::Studio("busy or stopping".into()),
        })?;
        published.etag = quoted(&published.etag);
        let mut spaces = self.lock();
        let entry = spaces.get_mut(id).ok_or(Error::Unknown)?;
        if let Err(ended) = entry.space.require_live() {
            drop(spaces);
            self.0.studio.hang_up(&published.session);
            return Err(ended.into());
        }
        // The newest session of a participant has taken the place of the older one.
        entry.sessions.retain(|_, session| session.participant != who);
        if entry.sessions.len() >= SESSIONS_MAX {
            let studio = &self.0.studio;
            entry.sessions.retain(|session, _| studio.etag(session).is_some());
        }
        let session = Session { participant: who, name, etag: published.etag.clone() };
        entry.sessions.insert(published.session.clone(), session);
        Ok(published)
    }

    /// Whose session it is, and the entity tag of its ICE generation, with quotes.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::NoSession`].
    pub fn session(&self, id: &LogId, session: &str) -> Result<(ParticipantId, String), Error> {
        let spaces = self.lock();
        let session = spaces.get(id).ok_or(Error::Unknown)?.sessions.get(session).ok_or(Error::NoSession)?;
        Ok((session.participant.clone(), session.etag.clone()))
    }

    /// Gives a session candidates, or restarts its ICE.
    ///
    /// # Errors
    /// [`Error::NoSession`]; inside, the rule that the fragment breaks.
    pub async fn patch(
        &self,
        id: &LogId,
        session: &str,
        fragment: String,
    ) -> Result<Result<Patched, candidate::Refusal>, Error> {
        let Some(patched) = self.0.studio.patch(session, fragment).await else {
            self.forget_session(id, session);
            return Err(Error::NoSession);
        };
        let patched = patched.map(|patched| match patched {
            Patched::Trickled => Patched::Trickled,
            Patched::Restarted { sdpfrag, etag } => Patched::Restarted { sdpfrag, etag: quoted(&etag) },
        });
        if let Ok(Patched::Restarted { etag, .. }) = &patched
            && let Some(known) = self.lock().get_mut(id).and_then(|entry| entry.sessions.get_mut(session))
        {
            known.etag.clone_from(etag);
        }
        Ok(patched)
    }

    /// Ends a session at once.
    pub fn hang_up(&self, id: &LogId, session: &str) {
        self.0.studio.hang_up(session);
        self.forget_session(id, session);
    }

    /// A space as the API shows it.
    pub fn view(&self, id: &LogId) -> Option<SpaceView> {
        self.lock().get(id).map(|entry| entry.view(&self.0.settings))
    }

    /// Who may hear a space.
    pub fn audience(&self, id: &LogId) -> Option<Audience> {
        self.lock().get(id).map(|entry| entry.space.facts().audience)
    }

    /// Public spaces: live ones first, then the newest; at most [`LISTED_MAX`].
    pub fn listed(&self) -> Vec<SpaceView> {
        let spaces = self.lock();
        let mut listed: Vec<&Entry> =
            spaces.values().filter(|entry| entry.space.facts().audience == Audience::Public).collect();
        listed.sort_by_key(|entry| {
            let facts = entry.space.facts();
            (entry.space.require_live().is_err(), std::cmp::Reverse(facts.created))
        });
        listed.into_iter().take(LISTED_MAX).map(|entry| entry.view(&self.0.settings)).collect()
    }

    /// Wakes at every change of a space. Only the latest state counts, so a slow watcher misses nothing that matters.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::Watched`].
    pub fn watch(&self, id: &LogId, watcher: Watcher) -> Result<watch::Receiver<u64>, Error> {
        let spaces = self.lock();
        let changes = &spaces.get(id).ok_or(Error::Unknown)?.changes;
        let room = match watcher {
            Watcher::OnStage => WATCHERS_MAX,
            Watcher::Invited => LISTENING_WATCHERS_MAX,
            Watcher::Stranger => STRANGERS_MAX,
        };
        if changes.receiver_count() >= room { Err(Error::Watched) } else { Ok(changes.subscribe()) }
    }

    /// Numbers for operators.
    pub fn tally(&self) -> Tally {
        let spaces = self.lock();
        let mut tally = Tally { spaces: spaces.len(), expired: self.0.expired.load(Relaxed), ..Tally::default() };
        for entry in spaces.values().filter(|entry| entry.space.require_live().is_ok()) {
            tally.live += 1;
            tally.paused += usize::from(entry.space.facts().recording == Recording::Paused);
            tally.speakers += entry.space.stage().len();
            tally.listeners += u64::from(entry.numbers.listeners());
            tally.streams += u64::from(entry.numbers.streams);
            tally.by_pieces += entry.numbers.by_pieces;
            tally.rehearsed += u64::from(entry.numbers.rehearsed);
        }
        tally
    }

    /// The public spaces that are live, the most heard first, at most so many, and who hears them. The address of any other is a secret.
    pub fn heard(&self, most: usize) -> Vec<(LogId, Numbers)> {
        let spaces = self.lock();
        let is_shown =
            |entry: &Entry| entry.space.require_live().is_ok() && entry.space.facts().audience == Audience::Public;
        let mut heard: Vec<(LogId, Numbers)> =
            spaces.iter().filter(|(_, entry)| is_shown(entry)).map(|(id, entry)| (*id, entry.numbers)).collect();
        heard.sort_by_key(|(id, numbers)| (std::cmp::Reverse(numbers.listeners()), *id));
        heard.truncate(most);
        heard
    }

    /// Puts a loaded or new space where it was in its life.
    async fn resume(&self, id: LogId) {
        if self.doubt_replay(&id) {
            self.save(id).await;
        }
        let Some((facts, access)) = self.lock().get(&id).map(|entry| (entry.space.facts().clone(), entry.access()))
        else {
            return;
        };
        match (facts.phase, facts.recording) {
            (Phase::Scheduled, _) => self.0.studio.open(&id, access, facts.created),
            (Phase::Live { .. }, _) => {
                let Some(keep) = self.lock().get(&id).map(|entry| entry.keep) else { return };
                let outcome = self.0.studio.resume(&id, access, facts.created, keep).await;
                self.recorded(id, outcome);
            }
            // The house stopped while a replay was being made, or a recording deleted.
            (_, Recording::Sealing) => {
                self.0.studio.shelve(&id, access);
                self.0.studio.make_replay(&id, facts.title.as_str().to_owned());
            }
            (_, Recording::Deleted | Recording::Expired { .. } | Recording::Off) => {
                // Nearly always all is gone; asking the studio for each of thousands would take seconds.
                if self.0.studio.has_recording(&id) {
                    let _ = self.remove(id).await;
                } else {
                    self.0.studio.close_for_all(&id);
                }
            }
            // Workers serve no recording of a space that they have not heard of.
            _ => self.0.studio.shelve(&id, access),
        }
        self.announce(&id);
    }

    /// Begins or goes on with a live space's log. If that fails live goes on, and it is tried again.
    async fn record(&self, id: LogId) {
        let Some(keep) = self.lock().get(&id).map(|entry| entry.keep) else { return };
        let outcome = self.0.studio.record(&id, keep).await;
        self.recorded(id, outcome);
    }

    /// Notes whether a live space's log could be claimed.
    fn recorded(&self, id: LogId, outcome: Result<(), Failure>) {
        if let Err(why) = &outcome {
            tracing::error!(space = %id, "cannot record: {why}; live goes on");
        }
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.owed.record = outcome.is_err();
        }
        // Refused where nothing is recorded, and that is as it should be.
        let _ = self.report(&id, if outcome.is_ok() { Command::ResumeRecording } else { Command::PauseRecording });
    }

    /// Does what an event of a machine asks for.
    async fn follow(&self, id: LogId, event: Event) -> Result<(), Error> {
        match event {
            Event::Started => {
                self.save(id).await;
                self.record(id).await;
            }
            Event::Ended => {
                if let Some(entry) = self.lock().get_mut(&id) {
                    entry.seen_over = Some(Instant::now());
                }
                self.save(id).await;
                self.announce(&id);
                self.end(id).await;
            }
            Event::RecordingDeleted => {
                // First that it is gone, then that it goes: after a crash in between the next house removes the rest.
                self.save(id).await;
                let removed = self.remove(id).await;
                if self.lock().get(&id).is_some_and(|entry| entry.owed.write) {
                    // The disk was full, and is not any more.
                    self.save(id).await;
                }
                if removed.is_err() {
                    self.announce(&id);
                    return removed;
                }
            }
            _ => {}
        }
        self.announce(&id);
        Ok(())
    }

    async fn end(&self, id: LogId) {
        let replay = {
            let mut spaces = self.lock();
            let Some(entry) = spaces.get_mut(&id) else { return };
            entry.sessions.clear();
            entry.numbers = entry.numbers.over();
            let facts = entry.space.facts();
            match facts.recording {
                Recording::Sealing => studio::Replay::Make { title: facts.title.as_str().to_owned() },
                _ => studio::Replay::None,
            }
        };
        self.0.studio.tell(&id, api::ended_event());
        tokio::time::sleep(LAST_CHUNK).await;
        if let Err(why) = self.0.studio.end(&id, replay).await {
            tracing::error!(space = %id, "cannot close the log: {why}");
            let _ = self.report(&id, Command::GiveUpReplay);
        }
    }

    /// Reads what happens in the studio, for as long as the studio lives.
    async fn attend(self, mut happened: mpsc::Receiver<StudioEvent>) {
        let mut retry = tokio::time::interval(RETRY_EVERY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = happened.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                _ = retry.tick() => self.retry(),
            }
        }
    }

    fn take(&self, event: StudioEvent) {
        let (space, command) = match event {
            StudioEvent::Connected { space, session } => {
                let known = self.lock().get(&space).and_then(|entry| {
                    let session = entry.sessions.get(&session)?;
                    Some(Command::Arrive { participant: session.participant.clone(), name: session.name.clone() })
                });
                let Some(arrive) = known else { return };
                if self.report(&space, arrive).is_err() {
                    self.hang_up(&space, &session);
                }
                return;
            }
            StudioEvent::Left { space, session } => {
                self.forget_session(&space, &session);
                return;
            }
            StudioEvent::Speaking { space, participant } => {
                (space, Command::Hear { participant: participant.as_deref().and_then(ParticipantId::parse) })
            }
            StudioEvent::RecordingPaused { space } => (space, Command::PauseRecording),
            StudioEvent::RecordingResumed { space } => (space, Command::ResumeRecording),
            StudioEvent::RecordingLost { space } => {
                if let Some(entry) = self.lock().get_mut(&space) {
                    entry.owed.record = true;
                }
                (space, Command::PauseRecording)
            }
            StudioEvent::ReplayReady { space, duration, loudness_lufs } => {
                (space, Command::Post(Replay { duration, loudness_lufs }))
            }
            StudioEvent::ReplayFailed { space, why } => {
                tracing::error!(%space, "no replay: {why}");
                (space, Command::GiveUpReplay)
            }
            StudioEvent::Counts { space, numbers } => {
                if let Some(entry) = self.lock().get_mut(&space)
                    && matches!(entry.space.facts().phase, Phase::Scheduled | Phase::Live { .. })
                {
                    entry.numbers = numbers;
                    entry.changes.send_modify(|version| *version += 1);
                }
                return;
            }
        };
        // A report that comes after the end is refused, and that is right.
        let _ = self.report(&space, command);
    }

    /// Forgets a session; if it was the current one of its participant, they leave the stage.
    fn forget_session(&self, space: &LogId, session: &str) {
        let gone = self.lock().get_mut(space).and_then(|entry| entry.sessions.remove(session));
        if let Some(Session { participant, .. }) = gone {
            let _ = self.report(space, Command::Depart { participant });
        }
    }

    /// Gives a machine what the house knows, and does what follows, none of which waits.
    fn report(&self, id: &LogId, command: Command) -> Result<(), Error> {
        for event in self.handle(id, Actor::House, command)? {
            match event {
                // Listeners are told by the sound itself, in the chunk where it happens.
                Event::SpeakingChanged => {
                    self.caption(id);
                    self.change(id);
                }
                Event::RecordingChanged | Event::Posted | Event::ReplayFailed => {
                    self.announce(id);
                    let (registry, id) = (self.clone(), *id);
                    tokio::spawn(async move { registry.save(id).await });
                    self.0.grown.notify_one();
                }
                _ => self.announce(id),
            }
        }
        Ok(())
    }

    fn handle(&self, id: &LogId, actor: Actor, command: Command) -> Result<Vec<Event>, Error> {
        let mut spaces = self.lock();
        let space = &mut spaces.get_mut(id).ok_or(Error::Unknown)?.space;
        space.handle(SystemTime::now(), actor, command)?;
        Ok(std::iter::from_fn(|| space.poll()).collect())
    }

    /// Tells everybody how things stand: the sound, the page, the watchers.
    fn announce(&self, id: &LogId) {
        let Some((view, on_air)) = self.lock().get(id).map(|entry| {
            let phase = entry.space.facts().phase;
            (entry.view(&self.0.settings), matches!(phase, Phase::Scheduled | Phase::Live { .. }))
        }) else {
            return;
        };
        if on_air {
            self.0.studio.stand(id, api::stage_event(&view));
            self.caption(id);
        }
        self.0.studio.document(format!("/s/{id}"), Some(page::document(&self.0.settings, &view)));
        self.change(id);
    }

    /// Radios that show titles say how the space is called and who is heard.
    fn caption(&self, id: &LogId) {
        let spaces = self.lock();
        let Some(entry) = spaces.get(id) else { return };
        let title = entry.space.facts().title.as_str().to_owned();
        let heard = entry.space.speaking();
        let speaking =
            entry.space.stage().iter().find(|who| Some(&who.id) == heard).map(|who| who.name.as_str().to_owned());
        self.0.studio.caption(id, studio::Caption { title, speaking });
    }

    fn change(&self, id: &LogId) {
        if let Some(entry) = self.lock().get(id) {
            entry.changes.send_modify(|version| *version += 1);
        }
    }

    /// Writes a space's facts; if the disk does not take them they are written later.
    async fn save(&self, id: LogId) {
        let outcome = self.write(id).await;
        if let Err(why) = &outcome {
            tracing::error!(space = %id, "cannot write the space: {why}; will try again");
        }
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.owed.write = outcome.is_err();
        }
    }

    async fn write(&self, id: LogId) -> io::Result<()> {
        let Some(writing) = self.lock().get(&id).map(|entry| entry.writing.clone()) else { return Ok(()) };
        let _writing = writing.lock().await;
        let Some((facts, keep)) = self.lock().get(&id).map(|entry| (entry.space.facts().clone(), entry.keep)) else {
            return Ok(());
        };
        let dir = self.0.dir.clone();
        tokio::task::spawn_blocking(move || store::save(&dir, &facts, keep)).await.map_err(io::Error::other)?
    }

    /// Tries again what failed.
    fn retry(&self) {
        let owed: Vec<(LogId, Owed)> = self
            .lock()
            .iter()
            .filter(|(_, entry)| entry.owed != Owed::default())
            .map(|(id, entry)| (*id, entry.owed))
            .collect();
        for (id, owed) in owed {
            let registry = self.clone();
            tokio::spawn(async move {
                let Some(turn) = registry.lock().get(&id).map(|entry| entry.turn.clone()) else { return };
                let _turn = turn.lock().await;
                let live = registry.lock().get(&id).is_some_and(|entry| entry.space.require_live().is_ok());
                if owed.write {
                    registry.save(id).await;
                }
                if owed.record && live {
                    registry.record(id).await;
                }
                if owed.delete {
                    let _ = registry.remove(id).await;
                }
                if owed.record
                    && !live
                    && let Some(entry) = registry.lock().get_mut(&id)
                {
                    entry.owed.record = false;
                }
            });
        }
    }

    /// Ends every watcher's stream: the house ends, and they watch the next one.
    pub fn dismiss_watchers(&self) {
        self.lock().values_mut().for_each(|entry| entry.changes = watch::Sender::new(0));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Entry>> {
        // A panic elsewhere while it was held is no reason to lose every space.
        self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A space's id as its log's: the same text.
fn log_id(id: &Id) -> Option<LogId> {
    LogId::parse(id.as_str()).ok()
}

/// A strong entity tag as it goes into a header (RFC 9110 §8.8.3), however the studio writes it.
fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}
