//! From the house to its crowd workers: ready answers and live chunks; back: who listens.
//!
//! At most once, and never waited for: [`Publisher::publish`] does not block, a worker that lags is cut and counted, and a worker that
//! connects is told everything that stands (documents, headers, the last chunks), and that this was all, before what comes. Whoever needs
//! every chunk reads the log. Pure here: the messages, their frames, and the board from which newcomers are told; sockets and threads are in `embedded/`.

mod board;
pub mod frame;
mod held;

use bytes::Bytes;
use hiwar_segment_log::{LogId, Position, Record};

pub(crate) use board::Board;
pub use held::{HELD_MAX, Held};

pub use crate::embedded::hub::{Hub, Left, Publisher, Report, Stats, WorkerId};
pub use crate::embedded::subscription::{Broken, Subscription, Uplink};

/// What the house tells every worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// From now on `path` is answered with this.
    Document {
        /// The path of the request, beginning with `/`.
        path: String,
        /// The answer.
        document: Document,
    },
    /// `path` has no answer of its own any more.
    Forget {
        /// As in `Document`.
        path: String,
    },
    /// A log is live, or its header changed: chunks will follow.
    Open {
        /// Which log.
        log: LogId,
        /// Who may hear it.
        access: Access,
        /// Its header record.
        header: Record,
        /// What the listeners of each rendition can be told, in the order of the header's. At most [`frame::NOTICES_MAX`].
        notices: Vec<Notices>,
        /// What answers say of its renditions besides what the header record tells. At most [`frame::FIELDS_MAX`].
        fields: Vec<Field>,
    },
    /// The next chunk.
    Chunk {
        /// Of which log.
        log: LogId,
        /// The chunk.
        record: Record,
    },
    /// A chunk that was told, at a lower bitrate: a record of the same position, epoch and time. Made while some worker [asks](Count::lean) for it, and not told to those
    /// who connect later.
    Lean {
        /// Of which log.
        log: LogId,
        /// Whether a decoder can begin with it that heard the chunk before as it was told.
        entry: bool,
        /// The chunk.
        record: Record,
    },
    /// No chunk follows; who listens hears the rest and is done.
    Ended {
        /// Which log.
        log: LogId,
    },
    /// There is no sound of a log, and why. It stands until the log is open, or closed.
    Shut {
        /// Which log.
        log: LogId,
        /// Who may know.
        access: Access,
        /// When there will be, in milliseconds since 1970; `None`: never.
        opens_ms: Option<u64>,
    },
    /// The log is over, and nothing of it is given but its recording: to whom, this says. Whoever still hears the end of it does.
    Shelved {
        /// Which log.
        log: LogId,
        /// Who may hear the recording.
        access: Access,
    },
    /// The log is gone from the live paths.
    Closed {
        /// Which log.
        log: LogId,
    },
    /// What has a worker of this log from that position on? A house asks that has just begun: its log may have lost what was heard already. Each
    /// worker answers once, with [`Up::Held`]. It stands until the log is open.
    Ask {
        /// Which log.
        log: LogId,
        /// The first position that the log has not got.
        from: Position,
    },
    /// Everything that stands has been told: what a worker does not know by now is not there. A house publishes it once, when it has
    /// begun; who connects later is told it after what stands.
    Whole,
    /// Each worker answers with [`Up::Reached`] when whoever asks it is answered by what was told before. It is not told to those who connect later.
    Mark {
        /// Which; never given twice by one hub.
        mark: u64,
    },
    /// So many chunks are to be written to a listener at once; 0: as each worker finds right. It stands until another is told.
    Cadence {
        /// How many.
        chunks: u8,
    },
    /// In which form chunks are to be written to listeners; `None`: as each worker finds right. It stands until another is told.
    Bitrate {
        /// Which.
        wish: Option<Bitrate>,
    },
    /// What the operator has ordered of levels; what the numbers mean is unknown to the engine. It stands until another is told.
    Ladder {
        /// Three levels.
        levels: [u8; 3],
    },
    /// What the house says of the door of a log. It is not told to those who connect later: within a second it is said anew.
    Door {
        /// Of which log.
        log: LogId,
        /// What it says, which is unknown to the engine. At most [`frame::DOOR_BYTES_MAX`].
        body: Bytes,
    },
    /// The house ends because it was told to: nothing comes after this.
    Leaving,
}

/// In which form listeners get a chunk. How many bits that is, is unknown to the engine.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Bitrate {
    /// As in [`Down::Chunk`].
    Standard,
    /// As in [`Down::Lean`].
    Lean,
}

/// What listeners of one rendition can be told between two chunks; nothing, if their players hear sound alone. The engine does not know what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notices {
    /// That the house is lost; empty if it cannot be told.
    pub away: Bytes,
    /// That another cadence comes. At most [`frame::CADENCES_MAX`].
    pub cadences: Vec<CadenceNotice>,
}

/// How listeners are told of a cadence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CadenceNotice {
    /// So many chunks at once.
    pub chunks: u8,
    /// How long before it comes they are to be told, in milliseconds.
    pub lead_ms: u32,
    /// That it comes after so long.
    pub soon: Bytes,
    /// That it is so from here on.
    pub now: Bytes,
}

/// A ready answer. What it means is unknown to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `Content-Type`.
    pub mime: String,
    /// `ETag`, with its quotes.
    pub etag: String,
    /// `Cache-Control`.
    pub cache: String,
    /// `Content-Security-Policy`, for pages.
    pub policy: Option<String>,
    /// The body as it is.
    pub body: Bytes,
    /// The body in `br` coding, if it was worth making.
    pub brotli: Option<Bytes>,
    /// When what it says was so, in milliseconds since 1970, if it says what may be otherwise soon.
    pub as_of_ms: Option<u64>,
}

/// A field in the head of every answer that begins a rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Of which rendition, as an index into the header's.
    pub rendition: u8,
    /// Its name.
    pub name: String,
    /// Its value: any text; what could break a head is left out there.
    pub value: String,
}

/// Who may hear a log.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Who has a pass.
    Pass,
    /// Who has a pass to review it.
    Review,
}

/// What a worker tells the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// Once a second, and when somebody comes where nobody was: how many are listening.
    Counts {
        /// Which life of the worker counted.
        run: Run,
        /// Of each log that is heard, and of those whose figures changed. At most [`frame::COUNTS_MAX`].
        counts: Vec<Count>,
    },
    /// How often listeners reacted, of each log of which that has changed since it was last told on this connection.
    Reactions {
        /// Which life of the worker counted.
        run: Run,
        /// At most [`frame::COUNTS_MAX`].
        reactions: Vec<Reactions>,
    },
    /// What has grown in a sketch of the people who heard a log, since it was last told on this connection.
    People {
        /// Of which log.
        log: LogId,
        /// Which sketch.
        heard: Heard,
        /// At most [`frame::REGISTERS_MAX`].
        registers: Vec<Register>,
    },
    /// Once a second: how the worker itself is.
    Worker {
        /// Which life of the worker counted.
        run: Run,
        /// What it counted.
        figures: WorkerFigures,
    },
    /// The answer to [`Down::Ask`]: the chunks of a log from there on, as they came, in order; none if there are none. At most [`HELD_MAX`].
    Held {
        /// Of which log.
        log: LogId,
        /// The chunks.
        records: Vec<Record>,
    },
    /// Several times a second: what a worker tells of the door of a log.
    Door {
        /// Which life of the worker tells.
        run: Run,
        /// Of which log.
        log: LogId,
        /// What it tells, which is unknown to the engine. At most [`frame::DOOR_BYTES_MAX`].
        body: Bytes,
    },
    /// The answer to [`Down::Mark`].
    Reached {
        /// Which.
        mark: u64,
    },
}

/// Names one life of one worker: chosen at random when it began. What it counts begins at nothing then, and goes on over every connection.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run(pub u64);

/// Listeners of one log at one worker.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Count {
    /// Which log.
    pub log: LogId,
    /// The audience.
    pub audience: Figures,
    /// Those whom a load generator plays.
    pub rehearsal: Figures,
    /// Somebody asked for it piece by piece just now: it is heard.
    pub fetched: bool,
    /// Somebody is to hear it at the lower bitrate: [`Down::Lean`] is asked for.
    pub lean: bool,
}

/// Kinds of reactions. Which they are is unknown to the engine.
pub const REACTIONS: usize = 5;

/// Reactions to one log at one worker, of each kind. Totals since the worker began.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Reactions {
    /// Which log.
    pub log: LogId,
    /// How many there had been when this connection began: a house that does not know this worker yet counts none of those as new.
    pub before: [u64; REACTIONS],
    /// How many there are.
    pub totals: [u64; REACTIONS],
}

/// Of one crowd. Totals since the worker began.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections that hear it now.
    pub listening: u32,
    /// Connections that ever began.
    pub joined_total: u64,
    /// Of these, those who left and had heard nothing.
    pub silent_total: u64,
    /// Requests for sound for which there was no room.
    pub turned_away_total: u64,
    /// Bytes written to them.
    pub bytes_total: u64,
}

/// Two sketches of each log.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Everyone who ever heard it.
    Ever,
    /// Who asked for a piece of it within the last seconds. Told anew every few seconds.
    ByPieces,
}

/// One register of a sketch. What it means is unknown to the engine.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Register {
    /// Which.
    pub index: u16,
    /// What it holds.
    pub value: u8,
}

/// What a worker counts of itself: now, and in all since it began.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Connections now.
    pub connections: u64,
    /// TLS handshakes under way.
    pub handshakes: u64,
    /// Connections of HTTP/2 now.
    pub http2_connections: u64,
    /// Their requests under way.
    pub http2_requests: u64,
    /// Connections taken.
    pub accepted_total: u64,
    /// Heads that were refused.
    pub refused_total: u64,
    /// Connections closed because they took too long.
    pub timed_out_total: u64,
    /// Listeners skipped to live.
    pub skipped_total: u64,
    /// Listeners cut because they fell behind again.
    pub cut_total: u64,
    /// Times the worker was full.
    pub full_total: u64,
    /// Times that nobody could be accepted because files or memory had run out.
    pub exhausted_total: u64,
    /// Connections let go in their handshake.
    pub unshaken_total: u64,
    /// Requests that came by a proxy which nobody declared.
    pub undeclared_total: u64,
    /// Connections of HTTP/2 ended for what they did.
    pub http2_calmed_total: u64,
    /// How far up its ladder it is.
    pub level: u8,
    /// How much sound who joins now is sent at once, in milliseconds.
    pub cadence_ms: u32,
    /// Whether sound is sent at the lower bitrate.
    pub lean: bool,
    /// Why it is at that level. What the bits mean is unknown to the engine.
    pub reasons: u8,
    /// What it felt in the last second: so many figures, whose meaning is unknown to the engine.
    pub felt: [u32; FELT],
}

/// How many figures there are of what a worker feels.
pub const FELT: usize = 6;
