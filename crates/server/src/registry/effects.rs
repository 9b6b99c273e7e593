//! Commands to a space's machine, and the effects of what it says.
//!
//! What happens on the stage is done at once, and waits for nothing: a mute is on the beat before the answer is written. What a space's life
//! asks for (logs, replays, removals) waits for disks; it takes the space's *turn*, so that one is done before the next begins.

use super::*;
use crate::studio::Audience as Hearing;

/// The last event reaches listeners in the next chunk; only then does the sound stop.
const LAST_CHUNK: Duration = Duration::from_millis(250);
/// A queue of hands moves many times a second when a crowd is asked who wants the word; everybody is told so often.
const HANDS_EVERY: Duration = Duration::from_secs(1);
/// At most so often everybody is told of anything: it is in every listener's sound, and one person could make it many times that.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// A start that nobody gathered for waits so long for its log: a claim takes some milliseconds.
const CLAIM_WAIT: Duration = Duration::from_millis(200);
/// How often what could not be done (a full disk) is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(10);

impl Registry {
    /// Has a space do something, and does what follows from it: what concerns the stage at once, also in the sound, and then it is written to disk.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Refused`], or that it was allowed but could not be done wholly.
    pub async fn command(&self, id: LogId, actor: Actor, command: Command) -> Result<(), Error> {
        if !takes_turn(&command) {
            self.report(&id, actor, command)?;
            // What was said to be so is still so after a crash.
            let (due, writing) = match self.lock().get(&id) {
                Some(entry) => (entry.saving, entry.writing.clone()),
                None => return Ok(()),
            };
            if due {
                self.save(id).await;
            } else {
                // Somebody may be at it.
                drop(writing.lock().await);
            }
            return Ok(());
        }
        let registry = self.clone();
        // A task of its own: whoever asked may hang up, what was begun is finished.
        let done = tokio::spawn(async move {
            let turn = registry.turn(&id).ok_or(Error::Unknown)?;
            let _turn = turn.lock().await;
            for event in registry.obey(&id, actor, command)? {
                registry.follow(id, event).await?;
            }
            Ok(())
        });
        done.await.map_err(|why| Error::Studio(why.to_string()))?
    }

    /// The same without waiting for what takes its time: that is done in its turn.
    pub(super) fn report(&self, id: &LogId, actor: Actor, command: Command) -> Result<(), Error> {
        let later = self.obey(id, actor, command)?;
        if !later.is_empty() {
            let (registry, id) = (self.clone(), *id);
            tokio::spawn(async move {
                let Some(turn) = registry.turn(&id) else { return };
                let _turn = turn.lock().await;
                for event in later {
                    if let Err(why) = registry.follow(id, event).await {
                        tracing::error!(space = %id, "what a conversation asked for was not done: {why}");
                    }
                }
            });
        }
        Ok(())
    }

    pub(super) fn turn(&self, id: &LogId) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.lock().get(id).map(|entry| entry.turn.clone())
    }

    /// Gives a machine a command, and does at once what need not wait. What must is given back, to be followed in its turn.
    fn obey(&self, id: &LogId, actor: Actor, command: Command) -> Result<Vec<Event>, Error> {
        let (events, gathers, sooner) = {
            let mut spaces = self.lock();
            let entry = spaces.get_mut(id).ok_or(Error::Unknown)?;
            let now = clock::now();
            entry.space.handle(now, actor, command)?;
            let events: Vec<Event> = std::iter::from_fn(|| entry.space.poll()).collect();
            let gathers = entry.space.facts().phase == Phase::Open && entry.space.stage().next().is_some();
            (events, gathers && !std::mem::replace(&mut entry.prepared, gathers), entry.space.deadline(now))
        };
        self.look_by(sooner);
        if gathers {
            // The log is claimed while the stage gathers, so that the start waits for no disk.
            let (registry, id) = (self.clone(), *id);
            tokio::spawn(async move { registry.record(id).await });
        }
        let (mut later, mut changed) = (Vec::new(), false);
        for event in events {
            match event {
                Event::DoorsOpened => {
                    self.open_doors(id);
                    self.save_soon(id);
                    changed = true;
                }
                Event::Started => {
                    if self.0.studio.has_log(id) {
                        self.begin(id);
                    }
                    later.push(event);
                }
                Event::Ended | Event::Cancelled | Event::ReplayWanted | Event::RecordingDeleted => later.push(event),
                // Listeners are told by the sound itself, in the chunk where it happens. Before the start nobody is to know who talks, nor that somebody does.
                Event::SpeakingChanged if self.is_live(id) => {
                    self.caption(id);
                    self.change(id);
                }
                Event::SpeakingChanged => {}
                Event::Posted => {
                    self.0.grown.notify_one();
                    later.push(event);
                }
                Event::RecordingChanged | Event::ReviewDue | Event::ReplayFailed => {
                    self.save_soon(id);
                    self.0.grown.notify_one();
                    changed = true;
                }
                Event::Muted { participant } | Event::Unmuted { participant } => {
                    self.voice(id, &participant);
                    self.save_soon(id);
                }
                Event::Seated { participant } => {
                    self.seated(id, &participant);
                    self.save_soon(id);
                }
                Event::Unseated { participant } => self.unseat(id, &participant),
                Event::Called { participant } => self.0.studio.tell(id, api::called_event(participant.as_str())),
                Event::Postponed => {
                    self.save_soon(id);
                    changed = true;
                    if let Some(view) = self.view(id).filter(|_| self.0.studio.is_on_air(id)) {
                        self.0.studio.tell(id, api::postponed_event(&view));
                    }
                }
                Event::Retitled | Event::RolesChanged => {
                    self.save_soon(id);
                    changed = true;
                }
                Event::StageChanged | Event::HostAwaited => changed = true,
                Event::HandsChanged => self.announce_in(id, HANDS_EVERY),
                // They lost their seat and their role, which was told; there is nothing else that a pass is worth.
                Event::Blocked { .. } => {}
            }
        }
        // What begins or ends is told as that is done, and all else with it.
        if changed && later.is_empty() {
            self.announce(id);
        }
        Ok(later)
    }

    /// Does what an event asks for that waits for disks, and tells everybody.
    async fn follow(&self, id: LogId, event: Event) -> Result<(), Error> {
        match event {
            Event::Started => {
                // It may have ended since.
                if !self.is_live(&id) {
                    return Ok(());
                }
                if !self.0.studio.is_heard(&id) {
                    // Claimed meanwhile, if the stage had just begun to gather.
                    if !self.0.studio.has_log(&id) {
                        let registry = self.clone();
                        let claim = tokio::spawn(async move { registry.record(id).await });
                        // A disk that is slow costs the recording its beginning, and nobody else anything.
                        let _ = tokio::time::timeout(CLAIM_WAIT, claim).await;
                    }
                    self.begin(&id);
                }
                self.save(id).await;
                self.drop_hold(id).await;
            }
            Event::Ended | Event::Cancelled => {
                if let Some(entry) = self.lock().get_mut(&id) {
                    entry.seen_over = Some(Instant::now());
                    entry.sessions.clear();
                    entry.numbers = entry.numbers.over();
                    entry.reactions = studio::Rates::default();
                }
                self.save(id).await;
                self.drop_hold(id).await;
                self.announce(&id);
                self.end(id).await;
            }
            Event::Posted => {
                // First that everybody may hear it, then that they can: the next house says the same.
                self.save(id).await;
                self.publish(&id);
                self.announce(&id);
            }
            Event::ReplayWanted => {
                // What is to be kept is known before it is made: the next house makes the same.
                self.save(id).await;
                self.announce(&id);
                if let Some(wanted) = self.lock().get(&id).map(Entry::replay) {
                    self.0.studio.make_replay(&id, wanted);
                }
            }
            Event::RecordingDeleted => {
                // First that it is gone, then that it goes: after a crash in between the next house removes the rest.
                self.save(id).await;
                let removed = self.remove(id).await;
                if self.lock().get(&id).is_some_and(|entry| entry.owed.write) {
                    // The disk was full, and is not any more.
                    self.save(id).await;
                }
                self.announce(&id);
                return removed;
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts a space on the air whose audience waits.
    pub(super) fn open_doors(&self, id: &LogId) {
        let known = self.lock().get(id).map(|entry| (entry.access(), entry.space.facts().created, entry.terms.keep));
        let Some((access, created, keep)) = known else { return };
        if keep == Keep::AllAndTracks {
            // Before anybody can sit down; of a live one, the studio does so itself.
            self.0.studio.keep_tracks(id);
        }
        self.0.studio.open(id, access, created, Hearing::Waits);
        self.play_hold(id);
    }

    /// The audience hears the stage from now on.
    fn begin(&self, id: &LogId) {
        if let Err(why) = self.0.studio.begin(id) {
            tracing::error!(space = %id, "cannot begin: {why}");
        }
        // Once in its life, and nobody is to wait for it.
        self.announce_now(id);
    }

    /// Lets everybody hear a recording that only its hosts did.
    pub(super) fn publish(&self, id: &LogId) {
        let known = self.lock().get(id).map(|entry| (entry.space.facts().posting, entry.access()));
        if let Some((Posting::Reviewed, access)) = known {
            self.0.studio.shelve(id, access);
        }
    }

    fn is_live(&self, id: &LogId) -> bool {
        self.lock().get(id).is_some_and(|entry| entry.space.require_live().is_ok())
    }

    /// Has somebody heard or not, as it stands now: under the lock, for of two who ask at once the last word must be the last in the sound, too.
    pub(super) fn voice(&self, id: &LogId, participant: &ParticipantId) {
        if let Some(entry) = self.lock().get(id) {
            self.0.studio.voice(id, participant.as_str(), entry.voicing(participant, entry.place_of(participant)));
        }
    }

    /// Begins or goes on with a space's log. If that fails live goes on, and it is tried again.
    pub(super) async fn record(&self, id: LogId) {
        let Some(keep) = self.lock().get(&id).map(|entry| entry.terms.keep) else { return };
        let outcome = self.0.studio.record(&id, keep).await;
        self.recorded(id, outcome);
    }

    /// Notes whether a space's log could be claimed.
    pub(super) fn recorded(&self, id: LogId, outcome: Result<(), Failure>) {
        if let Err(why) = &outcome {
            tracing::error!(space = %id, "cannot record: {why}; live goes on");
        }
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.owed.record = outcome.is_err();
        }
        // Refused where nothing is recorded, or not yet, and that is as it should be.
        let command = if outcome.is_ok() { Command::ResumeRecording } else { Command::PauseRecording };
        let _ = self.report(&id, Actor::House, command);
    }

    async fn end(&self, id: LogId) {
        let (replay, event) = {
            let spaces = self.lock();
            let Some(entry) = spaces.get(&id) else { return };
            let facts = entry.space.facts();
            let replay = match facts.recording {
                Recording::Sealing if entry.space.is_under_review() => studio::Replay::Review(entry.replay()),
                Recording::Sealing => studio::Replay::Make(entry.replay()),
                _ => studio::Replay::None,
            };
            let event = match &facts.phase {
                Phase::Cancelled { reason, .. } => api::cancelled_event(reason.as_ref().map(|reason| reason.as_str())),
                _ => api::ended_event(),
            };
            (replay, event)
        };
        if !self.0.studio.is_on_air(&id) {
            // It was cancelled before its doors opened.
            return;
        }
        self.0.studio.tell(&id, event);
        tokio::time::sleep(LAST_CHUNK).await;
        if let Err(why) = self.0.studio.end(&id, replay).await {
            tracing::error!(space = %id, "cannot close the log: {why}");
            let _ = self.report(&id, Actor::House, Command::GiveUpReplay);
        }
    }

    /// Reads what happens in the studio, for as long as the studio lives.
    pub(super) async fn attend(self, mut happened: mpsc::Receiver<StudioEvent>) {
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
            StudioEvent::Connected { space, session } => return self.arrived(&space, &session),
            StudioEvent::Left { space, participant } => return self.left(&space, &participant),
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
                (space, Command::FinishReplay(Replay { duration, loudness_lufs }))
            }
            StudioEvent::ReplayFailed { space, why } => {
                tracing::error!(%space, "no replay: {why}");
                (space, Command::GiveUpReplay)
            }
            StudioEvent::Counts { space, numbers } => {
                if let Some(entry) = self.lock().get_mut(&space)
                    && entry.is_on_air()
                {
                    entry.numbers = numbers;
                    entry.changes.send_modify(|version| *version += 1);
                }
                return;
            }
            StudioEvent::Reactions { space, rates } => return self.react(&space, rates),
        };
        // A report that comes after the end is refused, and that is right.
        let _ = self.report(&space, Actor::House, command);
    }

    /// Tells the sound and the watchers how listeners react. Before the start there is nothing to react to. The page is not made anew for it: who comes later hears of the
    /// next second.
    fn react(&self, space: &LogId, rates: studio::Rates) {
        {
            let mut spaces = self.lock();
            let Some(entry) = spaces.get_mut(space).filter(|entry| entry.space.require_live().is_ok()) else { return };
            entry.reactions = rates;
            entry.changes.send_modify(|version| *version += 1);
        }
        self.0.studio.tell(space, api::reactions_event(&rates));
    }

    /// It is so crowded from now on.
    pub fn crowded(&self, space: &LogId, rung: Rung) {
        let is_news = self.lock().get_mut(space).is_some_and(|entry| entry.ladder.replace(rung) != Some(rung));
        if is_news {
            self.announce(space);
        }
    }

    /// Its door is so from now on: for those who host it.
    pub fn at_door(&self, space: &LogId, door: AtDoor) {
        if let Some(entry) = self.lock().get_mut(space)
            && entry.door.replace(door) != Some(door)
        {
            entry.changes.send_modify(|version| *version += 1);
        }
    }

    /// Tells everybody how things stand: the sound, the page, the watchers. At once, unless that was just done: then a little later.
    pub(super) fn announce(&self, id: &LogId) {
        let just_done = self.lock().get_mut(id).is_some_and(|entry| {
            let just_done = entry.announced.is_some_and(|last| last.elapsed() < TELL_EVERY);
            if !just_done {
                entry.announced = Some(Instant::now());
            }
            just_done
        });
        if just_done { self.announce_in(id, TELL_EVERY) } else { self.announce_now(id) }
    }

    fn announce_now(&self, id: &LogId) {
        let known = self.lock().get_mut(id).map(|entry| {
            // Whatever was to be told later is told now.
            (entry.announced, entry.announcing) = (Some(Instant::now()), false);
            (entry.view(&self.0.settings), entry.is_on_air(), entry.shut().map(|opens| (entry.access(), opens)))
        });
        let Some((mut view, on_air, shut)) = known else { return };
        if let Some((access, opens)) = shut {
            self.0.studio.shut(id, access, opens);
        }
        // Of a second that is over when somebody reads it.
        view.reactions.clear();
        if on_air {
            self.0.studio.stand(id, api::stage_event(&view));
            self.caption(id);
        }
        // Whoever comes by the page hears of it in the sound.
        view.ladder = None;
        self.0.studio.document(format!("/s/{id}"), Some(page::document(&self.0.settings, &view)));
        self.change(id);
    }

    /// The same, so long from now and once for all that happens until then.
    fn announce_in(&self, id: &LogId, wait: Duration) {
        let is_due = self.lock().get_mut(id).is_some_and(|entry| !std::mem::replace(&mut entry.announcing, true));
        if !is_due {
            return;
        }
        let (registry, id) = (self.clone(), *id);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if registry.lock().get(&id).is_some_and(|entry| entry.announcing) {
                registry.announce_now(&id);
            }
        });
    }

    /// Radios that show titles say how the space is called and who is heard.
    fn caption(&self, id: &LogId) {
        let spaces = self.lock();
        let Some(entry) = spaces.get(id) else { return };
        let title = entry.space.facts().title.as_str().to_owned();
        // Before the start nobody is heard by them.
        let heard = entry.space.speaking().filter(|_| entry.space.require_live().is_ok());
        let speaking = entry.space.stage().find(|who| Some(&who.id) == heard).map(|who| who.name.as_str().to_owned());
        self.0.studio.caption(id, studio::Caption { title, speaking });
    }

    fn change(&self, id: &LogId) {
        if let Some(entry) = self.lock().get(id) {
            entry.changes.send_modify(|version| *version += 1);
        }
    }

    /// Writes a space's facts; if the disk does not take them they are written later.
    pub(super) async fn save(&self, id: LogId) {
        let outcome = self.write(id).await;
        if let Err(why) = &outcome {
            tracing::error!(space = %id, "cannot write the space: {why}; will try again");
        }
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.owed.write = outcome.is_err();
        }
    }

    /// Writes them without waiting, once for all that changes until the disk takes them.
    fn save_soon(&self, id: &LogId) {
        let is_due = self.lock().get_mut(id).is_some_and(|entry| !std::mem::replace(&mut entry.saving, true));
        if is_due {
            let (registry, id) = (self.clone(), *id);
            tokio::spawn(async move { registry.save(id).await });
        }
    }

    pub(super) async fn write(&self, id: LogId) -> io::Result<()> {
        let Some(writing) = self.lock().get(&id).map(|entry| entry.writing.clone()) else { return Ok(()) };
        let _writing = writing.lock().await;
        let Some((facts, terms)) = self.lock().get_mut(&id).map(|entry| {
            entry.saving = false;
            (entry.space.facts().clone(), entry.terms)
        }) else {
            return Ok(());
        };
        let dir = self.0.dir.clone();
        tokio::task::spawn_blocking(move || store::save(&dir, &facts, terms)).await.map_err(io::Error::other)?
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
                let Some(turn) = registry.turn(&id) else { return };
                let _turn = turn.lock().await;
                let live = registry.is_live(&id);
                if owed.write {
                    registry.save(id).await;
                }
                if owed.record && live {
                    registry.record(id).await;
                }
                if owed.delete {
                    let _ = registry.remove(id).await;
                    // The workers were told that there is nothing of it, and have forgotten why.
                    registry.announce(&id);
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
}

/// Whether a command begins or ends a chapter of a space's life, with disks to wait for.
fn takes_turn(command: &Command) -> bool {
    matches!(
        command,
        Command::Start
            | Command::End
            | Command::Cancel { .. }
            | Command::Post { .. }
            | Command::DeleteRecording
            | Command::ExpireRecording
    )
}

#[cfg(test)]
mod tests;
