//! The cast of a rehearsal: people who speak and listen as real ones would, so that a house can be measured before people come.
//!
//! What they say is prepared in [`voice`]; `live/` lets them do it against a real server over real sockets, with client code that shares
//! nothing with the server's. What a crowd met becomes a [`report`]. The simulated world comes with the issue that needs it.

pub mod impairment;
pub mod live;
pub mod red;
pub mod report;
pub mod voice;
