//! Who may come in: passes to listen, to speak, to host and to create, vouchers at the door, and grants to rehearse; and what a worker does when many come ([`ladder`]);
//! as whom they are counted; and how they react, and how often they may ([`reaction`]). Pure.
//!
//! A decision is made once, by whoever holds the key, and then carried as a signed token: a pass. This crate makes
//! and checks the tokens; it keeps no state, asks nobody, and is told the time. What is refused, and why, is one
//! variant of [`Refusal`]. The bytes are described in `docs/formats/pass.md`.
//!
//! It does not know what a space is allowed to do (`hiwar-space`), nor how a token travels (a header or a link).

pub mod door;
mod keys;
pub mod ladder;
mod pass;
mod people;
pub mod reaction;

pub use keys::{CrowdKeys, Pair};
pub use pass::listen::{Listen, ListenKey};
pub use pass::origin::{Origin, Scheme};
pub use pass::rehearsal::{BADGE_BYTES_MAX, Nonce, Proof, Rehearsal, RehearsalKey, RehearsalToken};
pub use pass::stage::{Grant, Person, StageKey, StagePass, StageVerifier};
pub use pass::voucher::{Voucher, VoucherKey};
pub use pass::{PassId, Refusal, Scope, TOKEN_BYTES_MAX};
pub use people::{Asking, PEOPLE_PER_ADDRESS, PeopleKey};
