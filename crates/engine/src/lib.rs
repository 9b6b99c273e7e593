//! Where logs, live chunks and files live.
//!
//! * [`SpaceLog`] the logs of all spaces: claim one to write it, read any
//! * [`live_bus`] what the house tells its crowd workers while it happens, and what they count
//! * [`Blob`] files that are put whole and read in parts: replays
//!
//! The back end is this machine: folders and Unix sockets, all in `embedded/`, the only place with input and output. It knows neither
//! sound nor people, sees no listener, and has no traits until a second back end gives them a reason.

mod embedded;
pub mod live_bus;

pub use embedded::blob::{Blob, BlobError, Draft};
pub use embedded::socket;
pub use embedded::space_log::{Claim, SpaceLog};
