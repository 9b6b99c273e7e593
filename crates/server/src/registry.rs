//! All spaces of this house: their machines, and the effects of what the machines say.
//!
//! Commands come from the API, events from the studio; both go through a space's machine, and what it says is done here:
//! open, record, end and seal in the studio, write the facts to disk, renew the page, tell the sound and the watchers.
//!
//! Commands and their effects are in [`effects`], what happens by the clock in [`timer`], speakers' sessions in [`seats`]. The map's lock is never held
//! across an await.

mod clock;
mod effects;
mod error;
mod hold;
mod page;
pub mod retention;
mod seats;
mod store;
mod timer;
mod view;
mod withdrawal;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hiwar_engine::live_bus::Access;
use hiwar_media::hold::HoldMusic;
use hiwar_media::{SAMPLE_RATE, Time, replay};
use hiwar_rtc::{candidate, session::Patched};
use hiwar_segment_log::LogId;
use hiwar_space::{
    Actor, Asking, Audience, Command, Event, Facts, Id, Language, Name, Participant, ParticipantId, People, Phase,
    Place, Posting, Recording, Refusal, Replay, Role, Schedule, Space, Standing, Stretch, Title, Warrant,
};
use tokio::sync::{mpsc, watch};

use crate::api::{self, Settings};
use crate::door::AtDoor;
use crate::ladder::Rung;
use crate::studio::{
    self, Clips, Failure, Keep, Numbers, PublishRefusal, Published, Rates, Speaking, Studio, StudioEvent,
};
pub use error::Error;
pub use hold::HOLDS_MAX;
pub use page::{escaped, nowhere};
pub use seats::Holder;
pub use store::{known, replace};
pub use view::SpeakerView;
pub(crate) use view::reactions;
pub use view::{CrowdView, DoorView, LadderView, ReplayView, SpaceView, StageView, rfc3339};
#[cfg(test)]
pub use view::{Links, PostponedView};

/// Spaces that one house keeps, live and past. At 2 kB each they fit memory with ease; the listing stays quick.
pub const SPACES_MAX: usize = 10_000;
/// Spaces in one listing.
const LISTED_MAX: usize = 200;
/// Watchers of one space: all, those who are not on the stage, those who do not ask for the word either, and those without a pass. What is between them is kept
/// for the stage (26 people, each with a second connection while reconnecting), for those who ask and may be called any moment, and for the invited.
const WATCHERS_MAX: usize = 128;
const ASKING_WATCHERS_MAX: usize = 76;
const LISTENING_WATCHERS_MAX: usize = 32;
const STRANGERS_MAX: usize = 16;

/// What a new space is to be.
#[derive(Debug, Clone)]
pub struct NewSpace {
    /// What it is called.
    pub title: Title,
    /// What will mostly be spoken.
    pub language: Option<Language>,
    /// Who may hear it.
    pub audience: Audience,
    /// What becomes of its sound.
    pub terms: Terms,
    /// Whether its host hears the recording before others do.
    pub posting: Posting,
    /// When it is to begin, if that is known.
    pub schedule: Option<Schedule>,
    /// Who may ask for the word.
    pub asking: Asking,
    /// Who hosts it. Whoever makes a recorded conversation knows that it is.
    pub host: Option<(ParticipantId, Name)>,
}

/// What becomes of a space's sound, as its host wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it is kept.
    pub keep: Keep,
    /// Whether clips may be made of it.
    pub clips: Clips,
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
    /// With a pass to host or to speak, or called to the stage.
    OnStage,
    /// Asks for the word.
    Asking,
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
    timer: timer::Timer,
    dir: PathBuf,
    /// A recording is complete: there may be too many now.
    grown: tokio::sync::Notify,
    /// Recordings that were removed for their age, or for the room that they took.
    expired: AtomicU64,
}

struct Entry {
    space: Space,
    terms: Terms,
    /// Held while a chapter of its life begins or ends.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Held while the facts are written, so that older ones never overwrite newer ones.
    writing: Arc<tokio::sync::Mutex<()>>,
    sessions: HashMap<String, seats::Session>,
    numbers: Numbers,
    /// How crowded it is, and how its door is, if it has one.
    ladder: Option<Rung>,
    door: Option<AtDoor>,
    /// As they were last told.
    reactions: Rates,
    changes: watch::Sender<u64>,
    owed: Owed,
    /// Whether the log was asked for while the stage gathered.
    prepared: bool,
    /// Whether everybody is about to be told how things stand, and when they last were.
    announcing: bool,
    announced: Option<Instant>,
    /// Whether the facts are about to be written.
    saving: bool,
    /// What its audience hears while it waits.
    hold: Option<Arc<HoldMusic>>,
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

impl Entry {
    fn new(space: Space, terms: Terms) -> Self {
        let seen_over = match space.facts().phase {
            Phase::Ended { ended, .. } | Phase::Posted { ended, .. } if !clock::was_set(ended) => Some(Instant::now()),
            _ => None,
        };
        Self {
            seen_over,
            space,
            terms,
            turn: Arc::default(),
            writing: Arc::default(),
            sessions: HashMap::new(),
            numbers: Numbers::default(),
            ladder: None,
            door: None,
            reactions: Rates::default(),
            changes: watch::Sender::new(0),
            owed: Owed::default(),
            prepared: false,
            announcing: false,
            announced: None,
            saving: false,
            hold: None,
        }
    }

    /// Whether there is sound of it.
    fn is_on_air(&self) -> bool {
        self.space.require_open().is_ok()
    }

    /// When its doors open, of one that has never been on the air: inside, `None` if never.
    fn shut(&self) -> Option<Option<SystemTime>> {
        let facts = self.space.facts();
        match facts.phase {
            Phase::Scheduled => facts.schedule.as_ref().map(|schedule| Some(schedule.doors())),
            Phase::Cancelled { .. } => Some(None),
            Phase::Open | Phase::Live { .. } | Phase::Ended { .. } | Phase::Posted { .. } => None,
        }
    }

    /// What its replay is to be.
    fn replay(&self) -> studio::Wanted {
        let facts = self.space.facts();
        let stretch = facts.trim.map(stretch);
        studio::Wanted { title: facts.title.as_str().to_owned(), clips: self.terms.clips, stretch }
    }

    /// Who may hear it, or its recording when it is over.
    fn access(&self) -> Access {
        match self.space.facts().audience {
            _ if self.space.is_under_review() => Access::Review,
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
        let load = move || -> io::Result<HashMap<LogId, Entry>> {
            let loaded = store::load(&from, SPACES_MAX)?;
            let entry = |(facts, terms): (Facts, Terms)| {
                let id = log_id(&facts.id)?;
                let entry = Entry::new(Space::from_facts(facts), terms);
                let hold = hold::load(&from, &id, &entry.space);
                Some((id, Entry { hold, ..entry }))
            };
            Ok(loaded.into_iter().filter_map(entry).collect())
        };
        let spaces = tokio::task::spawn_blocking(load).await.map_err(io::Error::other)??;
        let registry = Self(Arc::new(Inner {
            spaces: Mutex::new(spaces),
            studio,
            settings,
            timer: timer::Timer::default(),
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
        tokio::spawn(registry.clone().keep_time());
        Ok(registry)
    }

    /// Makes a space. Unless it is for later its doors are open: whoever comes early hears silence or hold music until it starts.
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
            let recording = if new.terms.keep.is_all() { Recording::On } else { Recording::Off };
            let space = Space::new(id, new.title, new.audience, SystemTime::now(), new.schedule);
            let host = new.host.map(|(id, name)| Participant {
                agreed: recording == Recording::On,
                ..Participant::new(id, name, Role::Host)
            });
            let people = People::from_list(host.into_iter().collect());
            let (language, asking, posting) = (new.language, new.asking, new.posting);
            let facts = Facts { language, recording, posting, people, asking, ..space.facts().clone() };
            {
                let mut spaces = registry.lock();
                if spaces.len() >= SPACES_MAX {
                    return Err(Error::Full);
                }
                spaces.insert(log, Entry::new(Space::from_facts(facts), new.terms));
            }
            if let Err(why) = registry.write(log).await {
                registry.lock().remove(&log);
                return Err(Error::Storage(why));
            }
            // Its doors may be due already, and whoever keeps the time is to know when they are.
            registry.report(&log, Actor::House, Command::TimePasses)?;
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
            let new = NewSpace {
                title: Title::parse(title)?,
                language: None,
                audience: Audience::Public,
                terms: Terms { keep, clips: Clips::Allowed },
                posting: Posting::AtOnce,
                schedule: None,
                asking: Asking::Nobody,
                host: None,
            };
            self.create_as(id, new).await?;
        }
        match self.command(space, Actor::House, Command::Start).await {
            Ok(()) | Err(Error::Refused(Refusal::AlreadyStarted)) => {}
            Err(why) => return Err(why),
        }
        for guest in guests {
            let participant = ParticipantId::parse(&guest.id).ok_or(Error::NoSession)?;
            let (name, warrant) = (Name::parse(&guest.name)?, Warrant::Speak);
            let actor = Actor::Person { id: participant.clone(), warrant };
            self.report(&space, actor, Command::Agree { name: name.clone() })?;
            self.report(&space, Actor::House, Command::Arrive { participant, name, warrant })?;
        }
        Ok(())
    }

    /// A space as the API shows it.
    pub fn view(&self, id: &LogId) -> Option<SpaceView> {
        self.lock().get(id).map(|entry| entry.view(&self.0.settings))
    }

    /// The same, as whoever hosts it sees it if this caller does.
    pub fn view_for(&self, id: &LogId, holder: Option<&Holder>) -> Option<SpaceView> {
        self.lock().get(id).map(|entry| {
            let view = entry.view(&self.0.settings);
            let hosts = holder.is_some_and(|holder| entry.space.role(&holder.id, holder.warrant) >= Role::CoHost);
            if hosts { entry.to_hosts(view) } else { view }
        })
    }

    /// The recording that waits for the host's word.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Refusal::NotInReview`].
    pub fn review(&self, id: &LogId) -> Result<ReplayView, Error> {
        let spaces = self.lock();
        let entry = spaces.get(id).ok_or(Error::Unknown)?;
        match entry.space.facts().recording {
            Recording::Review(replay) => Ok(entry.replay_view(replay)),
            Recording::Sealing => Err(Refusal::ReplayInTheMaking.into()),
            _ => Err(Refusal::NotInReview.into()),
        }
    }

    /// The stage as somebody there sees it.
    pub fn stage_view(&self, id: &LogId, holder: &Holder) -> Option<StageView> {
        self.lock().get(id).map(|entry| entry.stage_view(holder))
    }

    /// Whether somebody may still see a space that is for whoever has a pass.
    ///
    /// # Errors
    /// [`Refusal::Blocked`].
    pub fn require_not_blocked(&self, id: &LogId, holder: &Holder) -> Result<(), Refusal> {
        let spaces = self.lock();
        let known = spaces.get(id).and_then(|entry| entry.space.facts().people.find(&holder.id));
        if known.is_some_and(|known| known.standing == Standing::Blocked) { Err(Refusal::Blocked) } else { Ok(()) }
    }

    /// Whether somebody may still ask for the word in a space.
    ///
    /// # Errors
    /// [`Refusal::Removed`] and [`Refusal::Blocked`].
    pub fn require_welcome(&self, id: &LogId, holder: &Holder) -> Result<(), Refusal> {
        let spaces = self.lock();
        let known = spaces.get(id).and_then(|entry| entry.space.facts().people.find(&holder.id));
        known.map_or(Ok(()), Participant::require_welcome)
    }

    /// What somebody is in a space.
    pub fn role(&self, id: &LogId, holder: &Holder) -> Option<Role> {
        self.lock().get(id).map(|entry| entry.space.role(&holder.id, holder.warrant))
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
            let is_cancelled = matches!(facts.phase, Phase::Cancelled { .. });
            (is_cancelled, entry.space.require_live().is_err(), std::cmp::Reverse(facts.created))
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
            Watcher::Asking => ASKING_WATCHERS_MAX,
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
            tally.speakers += entry.space.stage().count();
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
        let known = self.lock().get(&id).map(|entry| (entry.space.facts().clone(), entry.access(), entry.replay()));
        let Some((facts, access, replay)) = known else { return };
        match (facts.phase, facts.recording) {
            (Phase::Scheduled, _) => {}
            (Phase::Open, _) => {
                self.open_doors(&id);
                // Its stage had gathered when the house stopped: who listens takes nothing from before that claim.
                if self.0.studio.has_recording(&id) {
                    self.record(id).await;
                }
            }
            (Phase::Live { .. }, _) => {
                let Some(keep) = self.lock().get(&id).map(|entry| entry.terms.keep) else { return };
                let outcome = self.0.studio.resume(&id, access, facts.created, keep).await;
                self.recorded(id, outcome);
                // From now on its stage is empty.
                let _ = self.report(&id, Actor::House, Command::TimePasses);
            }
            // The house stopped while a replay was being made, or a recording deleted.
            (_, Recording::Sealing) => {
                self.0.studio.shelve(&id, access);
                self.0.studio.make_replay(&id, replay);
            }
            (Phase::Cancelled { .. }, _) | (_, Recording::Deleted | Recording::Expired { .. } | Recording::Off) => {
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

    /// Ends every watcher's stream: the house ends, and they watch the next one.
    pub fn dismiss_watchers(&self) {
        self.lock().values_mut().for_each(|entry| entry.changes = watch::Sender::new(0));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Entry>> {
        // A panic elsewhere while it was held is no reason to lose every space.
        self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stretch of a recording, in samples.
pub fn stretch(Stretch { from, to }: Stretch) -> replay::Stretch {
    let moment = |after: Duration| {
        let samples = after.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000;
        Time(u64::try_from(samples).unwrap_or(u64::MAX))
    };
    replay::Stretch { from: moment(from), to: moment(to) }
}

/// A space's id as its log's: the same text.
fn log_id(id: &Id) -> Option<LogId> {
    LogId::parse(id.as_str()).ok()
}
