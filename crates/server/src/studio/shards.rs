//! Which shard something belongs to.
//!
//! A space is always in the same one, by its name; slots and tokens are numbered so that what is left over when they are divided by the number of shards is the
//! shard's own.

use std::collections::VecDeque;

use hiwar_segment_log::LogId;
use rtrb::Producer;

use super::airing;
use super::beat::Command;

/// How many shards there are, and so which one something belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shards(pub(super) usize);

impl Shards {
    /// The shard of a slot, or of a token.
    pub(super) fn of(self, number: impl Into<u64>) -> usize {
        (number.into() % self.0 as u64) as usize
    }

    /// The shard of a space: by its name, so that it is known before anybody comes, and nothing has to be remembered.
    pub(super) fn of_space(self, space: &LogId) -> usize {
        self.of(airing::serial(space))
    }
}

/// The ways to the beats, one for each shard.
pub(super) struct Beats(Vec<Way>);

impl Beats {
    pub(super) fn new(rings: Vec<Producer<Command>>) -> Self {
        Self(rings.into_iter().map(|ring| Way { ring, waiting: Waiting::default() }).collect())
    }

    /// How many there are.
    pub(super) fn shards(&self) -> Shards {
        Shards(self.0.len())
    }

    /// The one of a slot's, or a token's, shard.
    pub(super) fn of(&mut self, number: impl Into<u64>) -> &mut Way {
        let shard = self.shards().of(number);
        &mut self.0[shard]
    }

    /// Sends what waits, as far as the beats take it.
    pub(super) fn flush(&mut self) {
        self.0.iter_mut().for_each(Way::flush);
    }
}

/// The way to one beat: a ring, and what found it full.
pub(super) struct Way {
    ring: Producer<Command>,
    waiting: Waiting,
}

impl Way {
    /// How many commands it takes now. None while others wait, for nothing overtakes them.
    pub(super) fn room(&self) -> usize {
        if self.waiting.is_empty() { self.ring.slots() } else { 0 }
    }

    /// Sends a command; one that finds the ring full is sent later, in its turn.
    pub(super) fn send(&mut self, command: Command) {
        self.flush();
        if self.room() == 0 {
            self.waiting.keep(command);
        } else {
            let _ = self.ring.push(command);
        }
    }

    /// Sends what waits, as far as the beat takes it.
    pub(super) fn flush(&mut self) {
        let sent = self.ring.slots().min(self.waiting.len());
        for command in self.waiting.0.drain(..sent) {
            // There is room: nobody else fills it.
            let _ = self.ring.push(command);
        }
    }

    /// Drops what waits for a slot whose programme is gone.
    pub(super) fn forget(&mut self, slot: u16) {
        self.waiting.0.retain_mut(|command| *command.slot_mut() != slot);
    }
}

/// Commands that wait, in order: for room in a ring, or for a programme to begin.
///
/// Of each kind only the last for a speaker or a space is kept, and that somebody was muted before they were open again; nobody sits down who does not find
/// room. So there are never more than three for each line (it sits down, is muted, is open) and four for each space.
#[derive(Default)]
pub(super) struct Waiting(VecDeque<Command>);

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps a command, in the place of what it makes void.
    pub(super) fn keep(&mut self, command: Command) {
        match command {
            // What is told once, and not said again, would be too late.
            Command::Tell { .. } => return,
            // They have not sat down yet, and need not get up.
            Command::Unseat { token, .. } if self.0.iter().any(|waiting| waiting.seats(token)) => {
                return self.0.retain(|waiting| waiting.token() != Some(token));
            }
            _ => {}
        }
        let is_void = |waiting: &Command| command.replaces(waiting);
        let Some(first) = self.0.iter().position(is_void) else { return self.0.push_back(command) };
        // Of a mute and what opened it again both are void.
        if let Some(second) = self.0.iter().rposition(is_void).filter(|second| *second != first) {
            self.0.remove(second);
        }
        self.0[first] = command;
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Command> {
        self.0.drain(..)
    }
}
