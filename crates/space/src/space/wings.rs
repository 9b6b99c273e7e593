//! Who waits in the wings, how they come from there to the stage, and when they may not wait any more.

use super::*;
use crate::WINGS_MAX;
use crate::wings::Waiting;

impl Space {
    /// Where somebody is who connects now and would wait: in the wings while nothing but their own word keeps them from the stage, or on it, if that is said.
    ///
    /// # Errors
    /// The rule that forbids both.
    pub fn leads(&self, id: &ParticipantId, warrant: Warrant) -> Result<Place, Refusal> {
        // A seat is kept for them; whatever they are else, they have not said that they take it.
        if let Some(Presence::Called { .. }) = self.stage.presence(id) {
            return Ok(Place::Wings);
        }
        match self.admits(id, warrant) {
            Err(Refusal::NotAgreed) => self.require_room(id, warrant).map(|()| Place::Wings),
            admitted => admitted.map(|()| Place::Stage),
        }
    }

    /// Who waits in the wings. Nobody but the house is to know.
    pub fn wings(&self) -> impl Iterator<Item = &ParticipantId> {
        self.wings.iter().map(|waiting| &waiting.id)
    }

    /// How many others wait for whom no seat is kept, of those that `wait`; a bound of whom it is asked before they are connected, too.
    ///
    /// # Errors
    /// [`Refusal::WingsFull`].
    pub fn require_wings<'a>(
        &self,
        id: &ParticipantId,
        wait: impl Iterator<Item = &'a ParticipantId>,
    ) -> Result<(), Refusal> {
        let has_no_seat = |who: &ParticipantId| self.stage.presence(who).is_none();
        let others = wait.filter(|who| *who != id && has_no_seat(who)).count();
        if has_no_seat(id) && others >= WINGS_MAX { Err(Refusal::WingsFull) } else { Ok(()) }
    }

    /// Somebody who would wait is connected. If they have said their word meanwhile they are seated.
    pub(super) fn wait(&mut self, id: ParticipantId, name: Name, warrant: Warrant) -> Result<(), Refusal> {
        match self.leads(&id, warrant)? {
            Place::Stage => {
                self.arrive(id.clone(), name, warrant)?;
                self.tell(Event::Seated { participant: id });
            }
            Place::Wings => {
                self.require_wings(&id, self.wings())?;
                self.wings.enter(Waiting { id, name, warrant });
            }
        }
        Ok(())
    }

    /// Somebody has said their word: if they wait, and it was the last that was asked of them, they are on the stage with it. Whether they are.
    pub(super) fn come_on(&mut self, id: &ParticipantId) -> Result<bool, Refusal> {
        let Some(Waiting { id, name, warrant }) = self.wings.find(id).cloned() else { return Ok(false) };
        if self.leads(&id, warrant) != Ok(Place::Stage) {
            return Ok(false);
        }
        // First of all that is told: it is to be heard.
        self.tell(Event::Seated { participant: id.clone() });
        self.arrive(id, name, warrant).map(|()| true)
    }

    /// Sends those out of the wings who may not wait any more: whoever is removed, the lock, a stage that is full.
    pub(super) fn clear_wings(&mut self) {
        let out = |waiting: &&Waiting| self.leads(&waiting.id, waiting.warrant) != Ok(Place::Wings);
        let out: Vec<ParticipantId> = self.wings.iter().filter(out).map(|waiting| waiting.id.clone()).collect();
        for participant in out {
            self.wings.leave(&participant);
            self.tell(Event::Unseated { participant });
        }
    }
}
