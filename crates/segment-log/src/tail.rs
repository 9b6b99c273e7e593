//! Decides where a follower reads on when the log segment it reads has no more whole records for now.

use crate::position::Position;
use crate::reader::End;

/// Which log segment a reader of `from` begins with, among their first positions in order: the last that begins at or before it,
/// or the first of all, if what came before is no longer kept.
#[must_use]
pub fn begin(firsts: &[Position], from: Position) -> Option<Position> {
    firsts.iter().rev().find(|first| **first <= from).or(firsts.first()).copied()
}

/// What is behind the segment that begins at `current`: the next one that exists, or a writer still at work.
#[must_use]
pub fn end(firsts: &[Position], current: Position) -> End {
    firsts.iter().find(|first| **first > current).map_or(End::Growing, |next| End::Sealed(*next))
}
