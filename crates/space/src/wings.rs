//! Who waits in the wings: connected and hearing the stage, but heard by nobody, until they say the word that seats them. A restart empties them, too.

use crate::{Name, ParticipantId, Warrant};

/// Those who wait although no seat is kept for them, since they are still to agree that they are recorded. Each costs a decoder; whoever finds no room
/// connects when they have agreed.
pub const WINGS_MAX: usize = 6;

/// Where somebody is who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody hears them yet: they are still to accept, or to agree.
    Wings,
    /// They are heard.
    Stage,
}

/// Somebody who waits, as they come to the stage later.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: ParticipantId,
    pub(crate) name: Name,
    pub(crate) warrant: Warrant,
}

/// Those who wait, each once. Bounded by the seats that are kept, and [`WINGS_MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Wings(Vec<Waiting>);

impl Wings {
    pub(crate) fn find(&self, id: &ParticipantId) -> Option<&Waiting> {
        self.0.iter().find(|waiting| waiting.id == *id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.0.iter()
    }

    pub(crate) fn enter(&mut self, waiting: Waiting) {
        self.leave(&waiting.id);
        self.0.push(waiting);
    }

    pub(crate) fn leave(&mut self, id: &ParticipantId) -> Option<Waiting> {
        let place = self.0.iter().position(|waiting| waiting.id == *id)?;
        Some(self.0.remove(place))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
