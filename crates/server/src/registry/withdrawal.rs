//! Somebody withdraws from a recording: when that may be, and what becomes of the space's facts.
//!
//! The long part is done without the space's turn, beside the recording; only what makes the new one the recording takes the turn. So a host who deletes it
//! meanwhile does not wait, and wins.

use std::sync::Arc;

use hiwar_segment_log::LogId;
use hiwar_space::{People, Phase, Posting, Recording, Refusal, Replay, Space};

use super::{Error, Registry};
use crate::studio::withdrawal::{self, Failure, Made, Progress, Wanted};
use crate::{api, studio};

impl Registry {
    /// Begins to take these people (ids, or names that they had on stage) out of the recording of a space that is over. How far it is,
    /// [`Registry::withdrawal`] tells.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Refused`]: it is live, or there is no recording; [`Error::NoTracks`]; [`Error::Studio`]: another one is under way.
    pub async fn withdraw(&self, id: LogId, who: Vec<String>) -> Result<Arc<Progress>, Error> {
        let studio::Wanted { title, stretch, .. } = self.withdrawable(&id)?;
        let home = self.0.dir.join(id.as_str());
        let looked = home.clone();
        let has_tracks = tokio::task::spawn_blocking(move || withdrawal::has_tracks(&looked)).await;
        if !has_tracks.unwrap_or(false) {
            return Err(Error::NoTracks);
        }
        let progress =
            self.0.studio.begin_withdrawal(id).ok_or_else(|| Error::Studio("withdrawals are under way".into()))?;
        let (registry, told) = (self.clone(), progress.clone());
        let wanted = Wanted { space: id, title, stretch, who, speaking: api::speaking_event };
        tokio::spawn(async move {
            let outcome = registry.rewrite(id, wanted, told.clone()).await;
            match &outcome {
                Ok(made) => {
                    tracing::info!(space = %id, silenced = ?made.silenced, "somebody withdrew: the recording was made anew");
                }
                // No names: what it says of who was there is for whoever asked.
                Err(why) => tracing::warn!(space = %id, "nobody was taken out of the recording: {why}"),
            }
            told.end(outcome);
        });
        Ok(progress)
    }

    /// How far the last withdrawal from a space is, or how it ended. `None`: there was none, or it is long ago.
    pub fn withdrawal(&self, id: &LogId) -> Option<Arc<Progress>> {
        self.0.studio.withdrawal(id)
    }

    async fn rewrite(&self, id: LogId, wanted: Wanted, progress: Arc<Progress>) -> Result<Made, Failure> {
        let home = self.0.dir.join(id.as_str());
        let (beside, stretch) = (home.clone(), wanted.stretch);
        // A thread of its own, which gets less of the processor than all others, and ends.
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("withdrawal".into()).spawn(move || {
            let _ = tell.send(withdrawal::prepare(&beside, &wanted, &progress));
        })?;
        let died = |_| Failure::Write("it was given up".into());
        let made = told.await.map_err(died)??;
        let turn = self.lock().get(&id).map(|entry| entry.turn.clone());
        let turn = turn.ok_or_else(|| Failure::Write("the space is gone".into()))?;
        let _turn = turn.lock().await;
        // A host, or the house, may have deleted it.
        let still = match self.withdrawable(&id) {
            Ok(now) if now.stretch == stretch => Ok(()),
            Ok(_) => Err(Failure::Write("something was cut off meanwhile; try again".into())),
            Err(why) => Err(Failure::Write(why.to_string())),
        };
        let committed = tokio::task::spawn_blocking(move || match still {
            Ok(()) => Ok(withdrawal::commit(&home)?),
            Err(why) => {
                withdrawal::forget(&home);
                Err(why)
            }
        });
        committed.await.map_err(|why| Failure::Write(why.to_string()))??;
        self.remade(id, &made).await;
        Ok(made)
    }

    /// What the replay is to be of a space from whose recording somebody can be taken.
    fn withdrawable(&self, id: &LogId) -> Result<studio::Wanted, Error> {
        let spaces = self.lock();
        let entry = spaces.get(id).ok_or(Error::Unknown)?;
        let facts = entry.space.facts();
        match (&facts.phase, facts.recording) {
            (Phase::Scheduled | Phase::Open, _) => Err(Refusal::NotStarted.into()),
            (Phase::Cancelled { .. }, _) => Err(Refusal::NoRecording.into()),
            (Phase::Live { .. }, _) => Err(Refusal::StillLive.into()),
            (_, Recording::Sealing) => Err(Refusal::ReplayInTheMaking.into()),
            (_, Recording::Off | Recording::Deleted | Recording::Expired { .. }) => Err(Refusal::NoRecording.into()),
            _ => Ok(entry.replay()),
        }
    }

    /// Notes the new replay, and tells of it.
    pub(super) async fn remade(&self, id: LogId, made: &Made) {
        self.remake(&id, made);
        self.save(id).await;
        // It may be posted by this: there was no replay before.
        self.publish(&id);
        self.announce(&id);
    }

    fn remake(&self, id: &LogId, made: &Made) {
        let mut spaces = self.lock();
        let Some(entry) = spaces.get_mut(id) else { return };
        let mut facts = entry.space.facts().clone();
        if let Phase::Ended { started, ended } | Phase::Posted { started, ended } = facts.phase {
            let replay = Replay { duration: made.duration, loudness_lufs: made.loudness_lufs };
            if facts.posting == Posting::AfterReview {
                facts.recording = Recording::Review(replay);
            } else {
                facts.phase = Phase::Posted { started, ended };
                facts.recording = Recording::Replay(replay);
            }
            // Nobody who was there is asked for anything any more, and a name that stays would be a trace.
            let stay = facts.people.iter().filter(|known| !made.gone.contains(known.id.as_str()));
            facts.people = People::from_list(stay.cloned().collect());
            entry.space = Space::from_facts(facts);
        }
    }
}
