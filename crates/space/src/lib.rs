//! One conversation: who may do what, when. Pure.
//!
//! [`Space`] is a machine: commands by actors go in at [`Space::handle`], each allowed or refused by one named rule
//! ([`Refusal`]), and what happened comes out of [`Space::poll`]. Whoever runs it does the rest: this crate knows neither
//! sound nor wires, keeps no files and reads no clock. Names and titles are cleaned at the edge into types that cannot
//! be wrong ([`Title`], [`Name`]).
//!
//! Law: nothing here has the clock, randomness or the world; the same commands give the same events.

mod command;
mod event;
mod id;
mod refusal;
mod space;
mod text;

pub use command::{Actor, Command};
pub use event::Event;
pub use id::{Id, ParticipantId};
pub use refusal::Refusal;
pub use space::{Audience, Facts, Participant, Phase, Recording, Replay, SPEAKERS_MAX, Space};
pub use text::{Language, Name, Title};
