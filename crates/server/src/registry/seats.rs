//! Speakers' sessions: who may open a microphone, whose session it is, and when it ends.

use hiwar_space::SPEAKERS_MAX;

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
}

impl Registry {
    /// Seats a speaker: answers their offer, and remembers whose the session is. Nobody is heard for a moment who may not be.
    ///
    /// # Errors
    /// [`Error::Unknown`], the rule that keeps them off the stage ([`Error::Refused`]), [`Error::StageFull`], [`Error::Offer`], [`Error::Studio`].
    pub async fn speak(&self, id: &LogId, holder: Holder, offer: String) -> Result<Published, Error> {
        let voicing = self.admit(id, &holder)?;
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
        // Meanwhile it may have ended, or they were removed or muted.
        if let Err(why) = entry.space.admits(&holder.id, holder.warrant) {
            drop(spaces);
            self.0.studio.hang_up(&published.session);
            return Err(why.into());
        }
        let now = entry.voicing(&holder.id);
        // The newest session of a participant has taken the place of the older one.
        entry.sessions.retain(|_, session| session.holder.id != holder.id);
        if entry.sessions.len() >= SESSIONS_MAX {
            let studio = &self.0.studio;
            entry.sessions.retain(|session, _| studio.etag(session).is_some());
        }
        if now != voicing {
            self.0.studio.voice(id, holder.id.as_str(), now);
        }
        entry.sessions.insert(published.session.clone(), Session { holder, etag: published.etag.clone() });
        Ok(published)
    }

    /// Whether somebody may open a microphone, and whether it is heard.
    fn admit(&self, id: &LogId, holder: &Holder) -> Result<Voicing, Error> {
        let spaces = self.lock();
        let entry = spaces.get(id).ok_or(Error::Unknown)?;
        entry.space.admits(&holder.id, holder.warrant)?;
        // Whoever connects has no seat yet, and could keep one from others without ever coming.
        let speaks = |holder: &Holder| entry.space.role(&holder.id, holder.warrant) < Role::CoHost;
        let others = entry.sessions.values().filter(|other| other.holder.id != holder.id && speaks(&other.holder));
        if speaks(holder) && others.count() >= SPEAKERS_MAX {
            return Err(Refusal::StageFull.into());
        }
        Ok(entry.voicing(&holder.id))
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

    /// A speaker's sound flows.
    pub(super) fn arrived(&self, id: &LogId, session: &str) {
        let known = self.lock().get(id).and_then(|entry| Some(entry.sessions.get(session)?.holder.clone()));
        let Some(Holder { id: participant, name, warrant }) = known else {
            // Nobody's, so nobody could be muted or sent away.
            self.0.studio.hang_up(session);
            return;
        };
        if self.report(id, Actor::House, Command::Arrive { participant, name, warrant }).is_err() {
            self.hang_up(id, session);
        }
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
    /// Whether somebody is to be heard.
    pub(super) fn voicing(&self, participant: &ParticipantId) -> Voicing {
        let known = self.space.facts().people.find(participant);
        if known.is_some_and(|known| known.muted) { Voicing::Muted } else { Voicing::Open }
    }
}

/// A strong entity tag as it goes into a header (RFC 9110 §8.8.3), however the studio writes it.
fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}
