//! Speakers over WebRTC: an offer in, packets of sound out, the return feed back.
//!
//! [`offer`] decides who is taken (WHIP, RFC 9725), [`session`] is the machine of one speaker, [`candidate`] reads what comes by `PATCH`,
//! [`returns`] is the sound that goes back, [`ring`] carries both from thread to thread. All of these are
//! pure: `now` is a parameter, bytes are parameters. Sockets and the one thread of a shard are in [`udp`], and nowhere else. The WebRTC library (str0m) appears in no public signature.
//!
//! What this crate does not do: decode, mix, wait for late packets (that is `media`), speak HTTP or check passes (that is `server`).

pub mod candidate;
pub mod offer;
pub mod returns;
pub mod ring;
pub mod session;
pub mod udp;

pub use offer::{Answer, Certificate, Config};
pub use returns::Return;
pub use session::{Input, Output, Patched, Proto, Reason, Session};
