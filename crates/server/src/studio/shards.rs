//! Which shard something belongs to.
//!
//! A space is always in the same one, by its name; slots and tokens are numbered so that what is left over when they are divided by the number of shards is the
//! shard's own.

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
pub(super) struct Beats(pub(super) Vec<Producer<Command>>);

impl Beats {
    /// How many there are.
    pub(super) fn shards(&self) -> Shards {
        Shards(self.0.len())
    }

    /// The one of a slot's, or a token's, shard.
    pub(super) fn of(&mut self, number: impl Into<u64>) -> &mut Producer<Command> {
        let shard = self.shards().of(number);
        &mut self.0[shard]
    }
}
