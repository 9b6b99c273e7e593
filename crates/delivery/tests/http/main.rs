//! A worker on a real socket, driven byte by byte.

mod documents;
mod forwarding;
mod hls;
mod going;
mod listening;
mod recordings;
mod rewinding;
mod rig;
