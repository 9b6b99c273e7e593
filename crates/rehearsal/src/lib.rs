//! The cast of a rehearsal: people who speak and listen as real ones would, so that a house can be measured before people come.
//!
//! What they say is prepared in [`voice`]; when a crowd of listeners comes is [`crowd`]'s, what each of them hears is checked in [`stream`], and what came of it is a
//! [`report`]. What people do at a door is [`launch`]'s; [`world`] plays it without a clock. `live/` lets them all do it against a real server over real sockets, with client
//! code that shares nothing with the server's.

pub mod crowd;
#[cfg(feature = "voices")]
pub mod impairment;
pub mod launch;
pub mod live;
mod playing;
#[cfg(feature = "voices")]
pub mod red;
pub mod report;
mod schedule;
pub mod stream;
#[cfg(feature = "voices")]
pub mod voice;
pub mod world;
