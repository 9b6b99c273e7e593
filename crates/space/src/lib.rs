//! One conversation: who may do what, when. Pure.
//!
//! [`Space`] is a machine: commands by actors go in at [`Space::handle`], each allowed or refused by one named rule
//! ([`Refusal`]), and what happened comes out of [`Space::poll`]. Whoever runs it does the rest: this crate knows neither
//! sound nor wires, keeps no files and reads no clock. Names and titles are cleaned at the edge into types that cannot
//! be wrong ([`Title`], [`Name`], [`Reason`]).
//!
//! Who *is* what is in the facts ([`Participant`], [`Role`]) and outlives a restart; who is *there* ([`Presence`]) and who asks for
//! the word ([`Hand`]) does not. A pass says who somebody is and by which way they came ([`Warrant`]); what they may do is said here.
//!
//! Law: nothing here has the clock, randomness or the world; the same commands give the same events.

mod command;
mod event;
mod hand;
mod id;
mod people;
mod refusal;
mod rule;
mod schedule;
mod space;
mod stage;
mod text;
mod wings;

pub use command::{Actor, Command, Warrant};
pub use event::Event;
pub use hand::{Asking, HANDS_MAX, Hand};
pub use id::{Id, ParticipantId};
pub use people::{CO_HOSTS_MAX, KNOWN_MAX, Participant, People, Role, Standing};
pub use refusal::Refusal;
pub use schedule::{Beginning, Now, Postponement, Schedule};
pub use space::{Audience, EMPTY_MAX, Facts, Phase, Posting, Recording, Replay, Space, Stretch};
pub use stage::{KEPT, Presence, SPEAKERS_MAX};
pub use text::{Language, Name, Reason, Title};
pub use wings::{Place, WINGS_MAX};
