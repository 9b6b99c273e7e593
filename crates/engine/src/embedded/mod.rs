//! The back end that is this machine: folders and Unix sockets.

pub(crate) mod blob;
pub(crate) mod hub;
pub mod socket;
pub(crate) mod space_log;
pub(crate) mod subscription;
