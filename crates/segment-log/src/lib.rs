//! Records in order, read by position: one append-only log per space.
//!
//! Everything that is heard is a read of such a log: the live stream, a late joiner's burst, the HLS window, the replay. This crate
//! keeps records whole (two checksums each), in order (positions never fall) and under one writer (a lock and an epoch), and says
//! exactly what is missing when bytes were damaged. It knows neither sound nor people: what a player must be told is opaque text and
//! bytes in the header record. `docs/formats/record.md` is the byte layout.
//!
//! Pure code (encoding, scanning past damage, decisions of recovery and retention) is in the modules here; `disk/` does the input and
//! output, and nothing else does.

pub mod disk;
pub mod format;
pub mod position;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod retention;
pub mod tail;
pub mod writer;

pub use format::{Header, Malformed, Rendition};
pub use position::{Epoch, InvalidLogId, LogId, Position};
pub use record::{Damage, Kind, Parts, Record};
