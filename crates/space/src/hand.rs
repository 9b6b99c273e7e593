//! Who asks for the word, in the order in which they asked.

use std::collections::VecDeque;

use crate::{Name, ParticipantId, Refusal};

/// Hands that are up at once. A host who calls one each minute is busy for eight hours with them; whoever comes later is told that it is full,
/// which is kinder than a place that never comes.
pub const HANDS_MAX: usize = 500;

/// Who may ask for the word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Asking {
    /// Whoever hears it.
    #[default]
    Everybody,
    /// Nobody, and all hands come down.
    Nobody,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hand {
    /// Who.
    pub participant: ParticipantId,
    /// What to call them.
    pub name: Name,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hands(VecDeque<Hand>);

impl Hands {
    /// How many are before somebody; `None` if they do not ask.
    pub(crate) fn place(&self, id: &ParticipantId) -> Option<usize> {
        self.0.iter().position(|hand| hand.participant == *id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hand> {
        self.0.iter()
    }

    /// Puts a hand up behind all others.
    pub(crate) fn raise(&mut self, hand: Hand) -> Result<(), Refusal> {
        if self.0.len() >= HANDS_MAX {
            return Err(Refusal::HandsFull);
        }
        self.0.push_back(hand);
        Ok(())
    }

    /// Takes somebody's hand down, if it is up.
    pub(crate) fn lower(&mut self, id: &ParticipantId) -> Option<Hand> {
        self.0.remove(self.place(id)?)
    }

    /// Takes all down; whether any was up.
    pub(crate) fn clear(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }
}
