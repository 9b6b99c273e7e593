//! Logs as files: one folder per log, the only input and output of this crate.
//!
//! `{first position, 20 digits}.seg` are the log segments, `epoch` is the number of the last claim, `torn-…` are the bytes that a
//! recovery moved aside. The lock is on the folder itself, so that there is no lock file to delete.

mod claim;
mod delete;
mod dir;
mod error;
mod follower;
mod reader;
mod verify;
mod writer;

pub use claim::Recovered;
pub use delete::delete;
pub use dir::is_log;
pub use error::{AppendError, Error};
pub use follower::Follower;
pub use reader::{Reader, Records};
pub use verify::{Report, verify};
pub use writer::{Options, Retained, Writer};
