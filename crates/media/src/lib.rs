//! Sound in time: RTP packets in, 200 ms chunks out.
//!
//! Pure: no clock, socket, file, task or lock; `now` is a parameter. Knows neither people nor wires: events are opaque bytes.

pub mod chunk;
pub mod hold;
pub mod jitter;
pub mod lean;
pub mod level;
pub mod loudness;
pub mod mixer;
pub mod mp3;
pub mod opus;
pub mod package;
pub mod packet;
pub mod programme;
pub mod replay;
pub mod track;

/// Samples per second of all sound inside Hiwar (the Opus clock, RFC 7587 §4.1).
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in one 20 ms frame.
pub const FRAME_SAMPLES: usize = 960;
/// Frames in one 200 ms chunk.
pub const CHUNK_FRAMES: usize = 10;

/// A moment on a space's own clock, in samples at 48 kHz since its programme began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);
