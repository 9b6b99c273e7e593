//! Speakers' sessions: who may open a microphone, or wait for that in the wings, whose session it is, and when it ends.

use hiwar_space::{Presence, SPEAKERS_MAX};

use super::*;
use crate::studio::Voicing;

/// Sessions remembered for one space: each speaker reconnecting twice within one timeout.
const SESSIONS_MAX: usize = 80;

/// Somebody who showed a pass to a space.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Who.
    pub id: ParticipantId,
    /// What the pass calls them.
    pub name: Name,
    /// What the pass is for.
    pub warrant: Warrant,
}

impl Holder {
    /// As a space takes commands from them.
    pub fn actor(&self) -> Actor {
        Actor::Person { id: self.id.clone(), warrant: self.warrant }
    }
}

/// A speaker's connection.
#[derive(Debug)]
pub(super) struct Session {
    holder: Holder,
    etag: String,
    /// Where it leads. In the wings nothing of it is heard.
    place: Place,
}

impl Registry {
    /// Seats a speaker, or lets them wait in the wings, if they would: answers their offer, and remembers whose the session is. Nobody is heard for a moment
    /// who may not be.
    ///
    /// # Errors
    /// [`Error::Unknown`], the rule that keeps them off the stage ([`Error::Refused`]), [`Error::StageFull`], [`Error::Offer`], [`Error::Studio`].
    pub async fn speak(&self, id: &LogId, holder: Holder, at: Place, offer: String) -> Result<Published, Error> {
        let (place, voicing) = self.admit(id, &holder, at)?;
        let participant = holder.id.as_str().to_owned();
        let speaking = Speaking { speaking_event: api::speaking_event(&participant), participant, voicing };
        let mut published = self.0.studio.publish(id, speaking, offer).await.map_err(|refusal| match refusal {
            PublishRefusal::Offer(why) => Error::Offer(why),
            PublishRefusal::Full => Error::StageFull,
            PublishRefusal::NotOnAir => Error::Refused(Refusal::NotStarted),
            PublishRefusal::Unavailable => Error::Studio("busy or stopping".into()),
        })?;
        published.etag = quoted(&published.etag);
        let mut spaces = self.lock();
        let entry = spaces.get_mut(id).ok_or(Error::Unknown)?;
        // Another offer of theirs may have taken this one's place: that one is theirs, whichever comes here first.
        if self.0.studio.etag(&published.session).is_none() {
            return Err(Error::NoSession);
        }
        // Meanwhile it may have ended, or they were removed or muted; or whoever waits has accepted; or others came who were let in at the same moment.
        let place = entry.place(&holder, place);
        let place = match place.and_then(|place| entry.require_connection(&holder, place).map(|()| place)) {
            Ok(place) => place,
            Err(why) => {
                drop(spaces);
                self.0.studio.hang_up(&published.session);
                return Err(why.into());
            }
        };
        let now = entry.voicing(&holder.id, place);
        // The newest session of a participant has taken the place of the older one.
        entry.sessions.retain(|_, session| session.holder.id != holder.id);
        if entry.sessions.len() >= SESSIONS_MAX {
            let studio = &self.0.studio;
            entry.sessions.retain(|session, _| studio.etag(session).is_some());
        }
        // Whatever else was said to this connection meanwhile.
        self.0.studio.voice(id, holder.id.as_str(), now);
        entry.sessions.insert(published.session.clone(), Session { holder, etag: published.etag.clone(), place });
        Ok(published)
    }

    /// Whether somebody may open a microphone, where that leads, and whether it is heard.
    fn admit(&self, id: &LogId, holder: &Holder, at: Place) -> Result<(Place, Voicing), Error> {
        let spaces = self.lock();
        let entry = spaces.get(id).ok_or(Error::Unknown)?;
        // Another connection would take the place of the one that is heard.
        if at == Place::Wings && entry.space.presence(&holder.id) == Some(Presence::OnStage) {
            return Err(Refusal::AlreadyOnStage.into());
        }
        let place = entry.place(holder, at)?;
        entry.require_connection(holder, place)?;
        Ok((place, entry.voicing(&holder.id, place)))
    }

    /// Whose session it is, and the entity tag of its ICE generation, with quotes.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::NoSession`].
    pub fn session(&self, id: &LogId, session: &str) -> Result<(ParticipantId, String), Error> {
        let spaces = self.lock();
        let session = spaces.get(id).ok_or(Error::Unknown)?.sessions.get(session).ok_or(Error::NoSession)?;
        Ok((session.holder.id.clone(), session.etag.clone()))
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

    /// A speaker's sound flows, or could.
    pub(super) fn arrived(&self, id: &LogId, session: &str) {
        let known = self.lock().get(id).and_then(|entry| {
            let Session { holder, place, .. } = entry.sessions.get(session)?;
            Some((holder.clone(), *place))
        });
        let Some((Holder { id: participant, name, warrant }, place)) = known else {
            // Nobody's, so nobody could be muted or sent away.
            self.0.studio.hang_up(session);
            return;
        };
        let command = match place {
            Place::Stage => Command::Arrive { participant: participant.clone(), name, warrant },
            Place::Wings => Command::Wait { participant: participant.clone(), name, warrant },
        };
        if self.report(id, Actor::House, command).is_err() {
            self.hang_up(id, session);
        } else if place == Place::Stage {
            // What was told of an earlier visit may have muted this connection before its person was there.
            self.voice(id, &participant);
        }
    }

    /// Whoever waited in the wings is on the stage, and heard from the next beat on; unless they have left it since, and wait again.
    pub(super) fn seated(&self, id: &LogId, participant: &ParticipantId) {
        if let Some(entry) = self.lock().get_mut(id).filter(|entry| entry.place_of(participant) == Place::Stage) {
            let theirs = entry.sessions.values_mut().filter(|session| session.holder.id == *participant);
            theirs.for_each(|session| session.place = Place::Stage);
        }
        self.voice(id, participant);
    }

    /// The last session of somebody is over. With it are those whose place it took, also if this is heard before it was known here.
    pub(super) fn left(&self, id: &LogId, participant: &str) {
        let studio = &self.0.studio;
        self.forget(id, |name, session| session.holder.id.as_str() == participant && studio.etag(name).is_none());
    }

    /// Forgets a session; if it was the current one of its participant, they leave the stage.
    fn forget_session(&self, id: &LogId, session: &str) {
        self.forget(id, |name, _| name == session);
    }

    /// Forgets somebody's sessions; they leave the stage.
    fn forget(&self, id: &LogId, is_over: impl Fn(&str, &Session) -> bool) {
        let gone = self.lock().get_mut(id).and_then(|entry| {
            entry
                .sessions
                .extract_if(|name, session| is_over(name, session))
                .map(|(_, session)| session.holder.id)
                .last()
        });
        if let Some(participant) = gone {
            let _ = self.report(id, Actor::House, Command::Depart { participant });
        }
    }

    /// Ends the sessions of somebody who has lost their seat: they are out of the sound with the next frame.
    pub(super) fn unseat(&self, id: &LogId, participant: &ParticipantId) {
        let theirs: Vec<String> = match self.lock().get_mut(id) {
            Some(entry) => entry
                .sessions
                .extract_if(|_, session| session.holder.id == *participant)
                .map(|(name, _)| name)
                .collect(),
            None => return,
        };
        for session in theirs {
            self.0.studio.hang_up(&session);
        }
    }
}

impl Entry {
    /// Whether somebody is to be heard who is there.
    pub(super) fn voicing(&self, participant: &ParticipantId, place: Place) -> Voicing {
        let known = self.space.facts().people.find(participant);
        let is_muted = place == Place::Wings || known.is_some_and(|known| known.muted);
        if is_muted { Voicing::Muted } else { Voicing::Open }
    }

    /// Where somebody is now, whatever was so when something was told of them.
    pub(super) fn place_of(&self, participant: &ParticipantId) -> Place {
        if self.space.presence(participant) == Some(Presence::OnStage) { Place::Stage } else { Place::Wings }
    }

    /// Whether there is room for somebody's connection among those of others that are known.
    fn require_connection(&self, holder: &Holder, place: Place) -> Result<(), Refusal> {
        let others = || self.sessions.values().filter(|other| other.holder.id != holder.id);
        if place == Place::Wings {
            let wait = others().filter(|other| other.place == Place::Wings).map(|other| &other.holder.id);
            self.space.require_wings(&holder.id, wait)?;
        }
        // Whoever connects has no seat yet, and could keep one from others without ever coming. Those who read that they are recorded keep none.
        let seats = |holder: &Holder, place| {
            let comes = place == Place::Stage || self.space.presence(&holder.id).is_some();
            comes && self.space.role(&holder.id, holder.warrant) < Role::CoHost
        };
        if seats(holder, place) && others().filter(|other| seats(&other.holder, other.place)).count() >= SPEAKERS_MAX {
            return Err(Refusal::StageFull);
        }
        Ok(())
    }

    /// Where somebody is who connects now, or the rule that forbids it.
    fn place(&self, holder: &Holder, at: Place) -> Result<Place, Refusal> {
        match at {
            Place::Stage => self.space.admits(&holder.id, holder.warrant).map(|()| Place::Stage),
            Place::Wings => self.space.leads(&holder.id, holder.warrant),
        }
    }
}

/// A strong entity tag as it goes into a header (RFC 9110 §8.8.3), however the studio writes it.
fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}
