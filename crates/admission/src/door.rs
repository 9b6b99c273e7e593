//! The door: who comes in, and when, if they cannot all come in at once.
//!
//! Nobody asks twice. A worker gives whoever comes a [`ticket`]: a place in time, signed, which they carry themselves; they come back when it is due. What is kept of ten million
//! tickets is four bits of each ([`redemption`]) and a table of counts by network ([`counts`]), in memory that all workers share and nobody locks. Who came while everybody
//! came at once is [drawn](draw); [`network`] says what fair is. How many may be inside is dealt out in advance ([`places`]), so that an arrival waits for nobody.
//!
//! Times are *door time*: the wall's when the house began, and steady from then on. Whoever sets the clock while a door is open moves nobody's place.

pub mod allocator;
pub mod counts;
pub mod desk;
pub mod diary;
pub mod draw;
mod gate;
mod leftovers;
pub mod look;
pub mod network;
pub mod places;
pub mod record;
pub mod redemption;
pub mod seal;
mod sip;
pub mod standing;
pub mod ticket;
pub mod timetable;
pub mod wire;

/// What is secret of one of a space's openings, for what `context` says, of the 32 random bytes from which all of them are made (BLAKE3, `derive_key`): one says nothing of another.
fn of_opening(context: &str, root: &[u8; 32], opening: u16) -> [u8; 32] {
    let mut bytes = [0; 34];
    bytes[..32].copy_from_slice(root);
    bytes[32..].copy_from_slice(&opening.to_le_bytes());
    blake3::derive_key(context, &bytes)
}
