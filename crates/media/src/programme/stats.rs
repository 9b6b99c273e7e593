//! What the programme counts, for meters, status pages and operators. Copied out whole; counts only grow.

use crate::jitter::Counts;
use crate::level::Level;
use crate::programme::SEATS;

/// A look at one programme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Frames made.
    pub beats: u64,
    /// Chunks given out.
    pub chunks: u64,
    /// Chunks lost because none was free to put them in: whoever takes them is too slow.
    pub missed: u64,
    /// Standing events that were too long to be put into the sound.
    pub refused_events: u64,
    /// Calls of the encoder, for programme and returns.
    pub encodes: u64,
    /// Calls of the decoder, for all speakers that were ever seated.
    pub decodes: u64,
    /// Who has the floor.
    pub active: Option<u8>,
    /// Each seat that is taken.
    pub seats: [Option<Seated>; SEATS],
}

/// A look at one speaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seated {
    /// How loud they are, from their decoded sound, before any gain.
    pub level: Level,
    /// How loud their own client says that they are (RFC 6464).
    pub client_level: Option<Level>,
    /// Whether they speak now.
    pub speaks: bool,
    /// Delay that their jitter buffer aims for, in milliseconds.
    pub target_ms: u32,
    /// How much faster their clock runs than ours, in parts per million.
    pub drift_ppm: f32,
    /// How much faster their sound is played at the moment, in parts per million.
    pub correction_ppm: f32,
    /// Gain of the automatic level control, in dB.
    pub gain_db: f32,
    /// What happened to their packets.
    pub packets: Counts,
    /// Packets that the decoder refused.
    pub malformed: u64,
    /// Calls of their decoder.
    pub decodes: u64,
    /// Calls of the encoder of their own return.
    pub encodes: u64,
}
