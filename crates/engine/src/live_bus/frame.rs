//! Messages as bytes: a length, a type, fields. Strict in both directions: bytes that are left over, or texts that are no texts, end
//! the connection. Layout in `docs/formats/bus.md`; integers are little-endian.

use bytes::{Buf, BufMut, Bytes, TryGetError};
use hiwar_segment_log::{Kind, LogId, Position, Record};
use std::fmt;

use super::{
    Access, Bitrate, CadenceNotice, Count, Document, Down, FELT, Field, Figures, HELD_MAX, Heard, Notices, REACTIONS,
    Reactions, Register, Run, Up, WorkerFigures,
};

/// The frame of a message to the workers, its length field included.
///
/// # Errors
/// [`TooLong`] if it would have more than [`FRAME_BYTES_MAX`] bytes, a text more than 65,535, or what is said of a door more than [`DOOR_BYTES_MAX`].
pub fn encode_down(down: &Down) -> Result<Bytes, TooLong> {
    let mut frame = Frame::new(down_capacity(down));
    match down {
        Down::Document { path, document } => {
            frame.0.put_u8(DOCUMENT);
            // An empty policy says as little as none.
            let policy = document.policy.as_deref().unwrap_or_default();
            for text in [path, &document.mime, &document.etag, &document.cache, policy] {
                frame.text(text)?;
            }
            frame.bytes(&document.body)?;
            frame.0.put_u8(document.brotli.is_some().into());
            if let Some(brotli) = &document.brotli {
                frame.bytes(brotli)?;
            }
            frame.0.put_u64_le(document.as_of_ms.unwrap_or_default());
        }
        Down::Forget { path } => {
            frame.0.put_u8(FORGET);
            frame.text(path)?;
        }
        Down::Open { log, access, header, notices, fields } => {
            frame.head(OPEN, log);
            frame.access(*access);
            header.encode(&mut frame.0);
            frame.count(notices.len(), NOTICES_MAX)?;
            for of_rendition in notices {
                frame.bytes(&of_rendition.away)?;
                frame.count(of_rendition.cadences.len(), CADENCES_MAX)?;
                for notice in &of_rendition.cadences {
                    frame.0.put_u8(notice.chunks);
                    frame.0.put_u32_le(notice.lead_ms);
                    frame.bytes(&notice.soon)?;
                    frame.bytes(&notice.now)?;
                }
            }
            frame.count(fields.len(), FIELDS_MAX)?;
            for field in fields {
                frame.0.put_u8(field.rendition);
                frame.text(&field.name)?;
                frame.text(&field.value)?;
            }
        }
        Down::Chunk { log, record } => {
            frame.head(CHUNK, log);
            record.encode(&mut frame.0);
        }
        Down::Lean { log, entry, record } => {
            frame.head(LEAN, log);
            frame.0.put_u8((*entry).into());
            record.encode(&mut frame.0);
        }
        Down::Ask { log, from } => {
            frame.head(ASK, log);
            frame.0.put_u64_le(from.0);
        }
        Down::Ended { log } => frame.head(ENDED, log),
        Down::Shut { log, access, opens_ms } => {
            frame.head(SHUT, log);
            frame.access(*access);
            frame.0.put_u8(opens_ms.is_some().into());
            frame.0.put_u64_le(opens_ms.unwrap_or_default());
        }
        Down::Shelved { log, access } => {
            frame.head(SHELVED, log);
            frame.access(*access);
        }
        Down::Closed { log } => frame.head(CLOSED, log),
        Down::Whole => frame.0.put_u8(WHOLE),
        Down::Mark { mark } => {
            frame.0.put_u8(MARK);
            frame.0.put_u64_le(*mark);
        }
        Down::Cadence { chunks } => {
            frame.0.put_u8(CADENCE);
            frame.0.put_u8(*chunks);
        }
        Down::Bitrate { wish } => {
            frame.0.put_u8(BITRATE);
            frame.0.put_u8(match wish {
                None => 0,
                Some(Bitrate::Standard) => 1,
                Some(Bitrate::Lean) => 2,
            });
        }
        Down::Ladder { levels } => {
            frame.0.put_u8(LADDER);
            frame.0.put_slice(levels);
        }
        Down::Door { log, body } => {
            frame.head(DOOR, log);
            frame.door(body)?;
        }
        Down::Leaving => frame.0.put_u8(LEAVING),
    }
    frame.finish()
}

/// The frame of a message to the house, its length field included.
///
/// # Errors
/// [`TooLong`] if there are more than [`COUNTS_MAX`] counts or logs with reactions, [`REGISTERS_MAX`] registers or [`HELD_MAX`] chunks, what is told of a door is
/// longer than [`DOOR_BYTES_MAX`], or the frame would be longer than [`UP_FRAME_BYTES_MAX`].
pub fn encode_up(up: &Up) -> Result<Bytes, TooLong> {
    let frame = match up {
        Up::Counts { counts, .. } if counts.len() > COUNTS_MAX => return Err(TooLong),
        Up::Counts { run, counts } => {
            let mut frame = Frame::new(32 + counts.len() * COUNT_BYTES_MAX);
            frame.0.put_u8(COUNTS);
            frame.0.put_u64_le(run.0);
            frame.0.put_u32_le(counts.len() as u32);
            for count in counts {
                frame.log(&count.log);
                frame.figures(&count.audience);
                frame.figures(&count.rehearsal);
                frame.0.put_u8(count.fetched.into());
                frame.0.put_u8(count.lean.into());
            }
            frame
        }
        Up::Reactions { reactions, .. } if reactions.len() > COUNTS_MAX => return Err(TooLong),
        Up::Reactions { run, reactions } => {
            let mut frame = Frame::new(32 + reactions.len() * REACTIONS_BYTES_MAX);
            frame.0.put_u8(REACTED);
            frame.0.put_u64_le(run.0);
            frame.0.put_u32_le(reactions.len() as u32);
            for Reactions { log, before, totals } in reactions {
                frame.log(log);
                before.iter().chain(totals).for_each(|many| frame.0.put_u64_le(*many));
            }
            frame
        }
        Up::People { registers, .. } if registers.len() > REGISTERS_MAX => return Err(TooLong),
        Up::People { log, heard, registers } => {
            let mut frame = Frame::new(64 + registers.len() * 3);
            frame.head(PEOPLE, log);
            frame.0.put_u8(match heard {
                Heard::Ever => 0,
                Heard::ByPieces => 1,
            });
            frame.0.put_u32_le(registers.len() as u32);
            for register in registers {
                frame.0.put_u16_le(register.index);
                frame.0.put_u8(register.value);
            }
            frame
        }
        Up::Worker { run, figures } => {
            let mut frame = Frame::new(160);
            frame.0.put_u8(WORKER);
            frame.0.put_u64_le(run.0);
            in_order(figures).into_iter().for_each(|figure| frame.0.put_u64_le(figure));
            frame.0.put_u8(figures.level);
            frame.0.put_u32_le(figures.cadence_ms);
            frame.0.put_u8(figures.lean.into());
            frame.0.put_u8(figures.reasons);
            figures.felt.iter().for_each(|figure| frame.0.put_u32_le(*figure));
            frame
        }
        Up::Held { records, .. } if records.len() > HELD_MAX => return Err(TooLong),
        Up::Held { log, records } => {
            let mut frame = Frame::new(64 + records.iter().map(Record::encoded_len).sum::<usize>());
            frame.head(HELD, log);
            frame.0.put_u32_le(records.len() as u32);
            records.iter().for_each(|record| record.encode(&mut frame.0));
            frame
        }
        Up::Door { run, log, body } => {
            let mut frame = Frame::new(64 + body.len());
            frame.0.put_u8(AT_DOOR);
            frame.0.put_u64_le(run.0);
            frame.log(log);
            frame.door(body)?;
            frame
        }
        Up::Reached { mark } => {
            let mut frame = Frame::new(16);
            frame.0.put_u8(REACHED);
            frame.0.put_u64_le(*mark);
            frame
        }
    };
    if frame.0.len() > UP_FRAME_BYTES_MAX { Err(TooLong) } else { frame.finish() }
}

/// Reads a frame to the workers, without its length field. Bodies are slices of `frame`.
///
/// # Errors
/// [`Malformed`].
pub fn decode_down(frame: Bytes) -> Result<Down, Malformed> {
    let mut rest = frame;
    let down = match rest.try_get_u8()? {
        DOCUMENT => Down::Document { path: take_text(&mut rest)?, document: take_document(&mut rest)? },
        FORGET => Down::Forget { path: take_text(&mut rest)? },
        OPEN => {
            let (log, access) = (take_log(&mut rest)?, take_access(&mut rest)?);
            let header = take_record(&mut rest, Kind::Header)?;
            let notices = take_count(&mut rest, NOTICES_MAX)?;
            let notices = (0..notices).map(|_| take_notices(&mut rest)).collect::<Result<_, _>>()?;
            let fields = take_count(&mut rest, FIELDS_MAX)?;
            let fields = (0..fields).map(|_| take_field(&mut rest)).collect::<Result<_, _>>()?;
            Down::Open { log, access, header, notices, fields }
        }
        CHUNK => Down::Chunk { log: take_log(&mut rest)?, record: take_record(&mut rest, Kind::Chunk)? },
        LEAN => Down::Lean {
            log: take_log(&mut rest)?,
            entry: take_flag(&mut rest)?,
            record: take_record(&mut rest, Kind::Chunk)?,
        },
        ASK => Down::Ask { log: take_log(&mut rest)?, from: Position(rest.try_get_u64_le()?) },
        ENDED => Down::Ended { log: take_log(&mut rest)? },
        SHUT => {
            let (log, access) = (take_log(&mut rest)?, take_access(&mut rest)?);
            let (opens, at) = (take_flag(&mut rest)?, rest.try_get_u64_le()?);
            Down::Shut { log, access, opens_ms: opens.then_some(at) }
        }
        SHELVED => Down::Shelved { log: take_log(&mut rest)?, access: take_access(&mut rest)? },
        CLOSED => Down::Closed { log: take_log(&mut rest)? },
        WHOLE => Down::Whole,
        MARK => Down::Mark { mark: rest.try_get_u64_le()? },
        CADENCE => Down::Cadence { chunks: rest.try_get_u8()? },
        BITRATE => Down::Bitrate {
            wish: match rest.try_get_u8()? {
                0 => None,
                1 => Some(Bitrate::Standard),
                2 => Some(Bitrate::Lean),
                _ => return Err(Malformed),
            },
        },
        LADDER => Down::Ladder { levels: [rest.try_get_u8()?, rest.try_get_u8()?, rest.try_get_u8()?] },
        DOOR => Down::Door { log: take_log(&mut rest)?, body: take_door(&mut rest)? },
        LEAVING => Down::Leaving,
        _ => return Err(Malformed),
    };
    if rest.has_remaining() { Err(Malformed) } else { Ok(down) }
}

/// Reads a frame to the house, without its length field.
///
/// # Errors
/// [`Malformed`].
pub fn decode_up(frame: Bytes) -> Result<Up, Malformed> {
    let mut rest = frame;
    let up = match rest.try_get_u8()? {
        COUNTS => Up::Counts { run: Run(rest.try_get_u64_le()?), counts: take_counts(&mut rest)? },
        REACTED => Up::Reactions { run: Run(rest.try_get_u64_le()?), reactions: take_reactions(&mut rest)? },
        PEOPLE => {
            let log = take_log(&mut rest)?;
            let heard = match rest.try_get_u8()? {
                0 => Heard::Ever,
                1 => Heard::ByPieces,
                _ => return Err(Malformed),
            };
            Up::People { log, heard, registers: take_registers(&mut rest)? }
        }
        WORKER => Up::Worker { run: Run(rest.try_get_u64_le()?), figures: take_worker(&mut rest)? },
        HELD => Up::Held { log: take_log(&mut rest)?, records: take_held(&mut rest)? },
        AT_DOOR => {
            Up::Door { run: Run(rest.try_get_u64_le()?), log: take_log(&mut rest)?, body: take_door(&mut rest)? }
        }
        REACHED => Up::Reached { mark: rest.try_get_u64_le()? },
        _ => return Err(Malformed),
    };
    if rest.has_remaining() { Err(Malformed) } else { Ok(up) }
}

fn take_counts(rest: &mut Bytes) -> Result<Vec<Count>, Malformed> {
    let len = rest.try_get_u32_le()? as usize;
    // A length that lies makes no room for itself.
    if len > COUNTS_MAX || len > rest.len() / COUNT_BYTES_MIN {
        return Err(Malformed);
    }
    let mut counts = Vec::with_capacity(len);
    for _ in 0..len {
        counts.push(Count {
            log: take_log(rest)?,
            audience: take_figures(rest)?,
            rehearsal: take_figures(rest)?,
            fetched: take_flag(rest)?,
            lean: take_flag(rest)?,
        });
    }
    Ok(counts)
}

fn take_reactions(rest: &mut Bytes) -> Result<Vec<Reactions>, Malformed> {
    let len = rest.try_get_u32_le()? as usize;
    if len > COUNTS_MAX || len > rest.len() / REACTIONS_BYTES_MIN {
        return Err(Malformed);
    }
    let kinds = |rest: &mut Bytes| {
        let mut kinds = [0; REACTIONS];
        for many in &mut kinds {
            *many = rest.try_get_u64_le()?;
        }
        Ok::<_, Malformed>(kinds)
    };
    (0..len).map(|_| Ok(Reactions { log: take_log(rest)?, before: kinds(rest)?, totals: kinds(rest)? })).collect()
}

fn take_figures(rest: &mut Bytes) -> Result<Figures, Malformed> {
    Ok(Figures {
        listening: rest.try_get_u32_le()?,
        joined_total: rest.try_get_u64_le()?,
        silent_total: rest.try_get_u64_le()?,
        turned_away_total: rest.try_get_u64_le()?,
        bytes_total: rest.try_get_u64_le()?,
    })
}

fn take_registers(rest: &mut Bytes) -> Result<Vec<Register>, Malformed> {
    let len = rest.try_get_u32_le()? as usize;
    if len > REGISTERS_MAX || len != rest.len() / 3 {
        return Err(Malformed);
    }
    (0..len).map(|_| Ok(Register { index: rest.try_get_u16_le()?, value: rest.try_get_u8()? })).collect()
}

/// Those of 8 bytes, as they stand in a frame.
fn in_order(figures: &WorkerFigures) -> [u64; WORKER_FIGURES] {
    [
        figures.connections,
        figures.handshakes,
        figures.http2_connections,
        figures.http2_requests,
        figures.accepted_total,
        figures.refused_total,
        figures.timed_out_total,
        figures.skipped_total,
        figures.cut_total,
        figures.full_total,
        figures.exhausted_total,
        figures.unshaken_total,
        figures.undeclared_total,
        figures.http2_calmed_total,
    ]
}

fn take_worker(rest: &mut Bytes) -> Result<WorkerFigures, Malformed> {
    Ok(WorkerFigures {
        connections: rest.try_get_u64_le()?,
        handshakes: rest.try_get_u64_le()?,
        http2_connections: rest.try_get_u64_le()?,
        http2_requests: rest.try_get_u64_le()?,
        accepted_total: rest.try_get_u64_le()?,
        refused_total: rest.try_get_u64_le()?,
        timed_out_total: rest.try_get_u64_le()?,
        skipped_total: rest.try_get_u64_le()?,
        cut_total: rest.try_get_u64_le()?,
        full_total: rest.try_get_u64_le()?,
        exhausted_total: rest.try_get_u64_le()?,
        unshaken_total: rest.try_get_u64_le()?,
        undeclared_total: rest.try_get_u64_le()?,
        http2_calmed_total: rest.try_get_u64_le()?,
        level: rest.try_get_u8()?,
        cadence_ms: rest.try_get_u32_le()?,
        lean: take_flag(rest)?,
        reasons: rest.try_get_u8()?,
        felt: {
            let mut felt = [0; FELT];
            for figure in &mut felt {
                *figure = rest.try_get_u32_le()?;
            }
            felt
        },
    })
}

fn take_held(rest: &mut Bytes) -> Result<Vec<Record>, Malformed> {
    let len = rest.try_get_u32_le()? as usize;
    if len > HELD_MAX {
        return Err(Malformed);
    }
    (0..len).map(|_| take_record(rest, Kind::Chunk)).collect()
}

/// Cuts the first frame off `bytes`: how long it is with its length field, if its length has arrived.
///
/// # Errors
/// [`Malformed`] if it says to be empty or longer than `max`.
pub fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, Malformed> {
    let Some((len, _)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    match u32::from_le_bytes(*len) as usize {
        0 => Err(Malformed),
        len if len > max => Err(Malformed),
        len => Ok(Some(LENGTH_BYTES + len)),
    }
}

/// A frame being built: room for the length first.
struct Frame(Vec<u8>);

impl Frame {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.put_u32_le(0);
        Self(bytes)
    }

    fn head(&mut self, kind: u8, log: &LogId) {
        self.0.put_u8(kind);
        self.log(log);
    }

    fn log(&mut self, log: &LogId) {
        let text = log.as_str();
        self.0.put_u8(text.len() as u8);
        self.0.put_slice(text.as_bytes());
    }

    fn access(&mut self, access: Access) {
        self.0.put_u8(match access {
            Access::Open => 0,
            Access::Pass => 1,
            Access::Review => 2,
        });
    }

    fn figures(&mut self, figures: &Figures) {
        self.0.put_u32_le(figures.listening);
        for total in [figures.joined_total, figures.silent_total, figures.turned_away_total, figures.bytes_total] {
            self.0.put_u64_le(total);
        }
    }

    fn text(&mut self, text: &str) -> Result<(), TooLong> {
        self.0.put_u16_le(u16::try_from(text.len()).map_err(|_| TooLong)?);
        self.0.put_slice(text.as_bytes());
        Ok(())
    }

    fn count(&mut self, count: usize, most: usize) -> Result<(), TooLong> {
        self.0.put_u8(u8::try_from(count).ok().filter(|_| count <= most).ok_or(TooLong)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(TooLong);
        }
        self.0.put_u32_le(bytes.len() as u32);
        self.0.put_slice(bytes);
        Ok(())
    }

    fn door(&mut self, body: &[u8]) -> Result<(), TooLong> {
        if body.len() > DOOR_BYTES_MAX { Err(TooLong) } else { self.bytes(body) }
    }

    fn finish(mut self) -> Result<Bytes, TooLong> {
        let len = self.0.len() - LENGTH_BYTES;
        if len > FRAME_BYTES_MAX {
            return Err(TooLong);
        }
        self.0[..LENGTH_BYTES].copy_from_slice(&(len as u32).to_le_bytes());
        Ok(Bytes::from(self.0))
    }
}

fn down_capacity(down: &Down) -> usize {
    let content = match down {
        Down::Document { path, document } => {
            let texts = path.len()
                + document.mime.len()
                + document.etag.len()
                + document.cache.len()
                + document.policy.as_ref().map_or(0, String::len);
            texts + document.body.len() + document.brotli.as_ref().map_or(0, Bytes::len)
        }
        Down::Forget { path } => path.len(),
        Down::Open { header, notices, fields, .. } => {
            let fields = fields.iter().map(|field| field.name.len() + field.value.len() + 5).sum::<usize>();
            let cadence = |notice: &CadenceNotice| notice.soon.len() + notice.now.len() + 13;
            let notices = notices.iter().map(|of| of.away.len() + 5 + of.cadences.iter().map(cadence).sum::<usize>());
            header.encoded_len() + notices.sum::<usize>() + fields
        }
        Down::Chunk { record, .. } | Down::Lean { record, .. } => record.encoded_len(),
        Down::Door { body, .. } => body.len(),
        Down::Ask { .. }
        | Down::Ended { .. }
        | Down::Shut { .. }
        | Down::Shelved { .. }
        | Down::Closed { .. }
        | Down::Whole
        | Down::Mark { .. }
        | Down::Cadence { .. }
        | Down::Bitrate { .. }
        | Down::Ladder { .. }
        | Down::Leaving => 0,
    };
    content + 64
}

fn take_document(rest: &mut Bytes) -> Result<Document, Malformed> {
    let (mime, etag, cache) = (take_text(rest)?, take_text(rest)?, take_text(rest)?);
    let policy = Some(take_text(rest)?).filter(|policy| !policy.is_empty());
    let body = take_bytes(rest)?;
    let brotli = match rest.try_get_u8()? {
        0 => None,
        1 => Some(take_bytes(rest)?),
        _ => return Err(Malformed),
    };
    // A moment that nobody can mean is none.
    let as_of_ms = Some(rest.try_get_u64_le()?).filter(|ms| *ms > 0);
    Ok(Document { mime, etag, cache, policy, body, brotli, as_of_ms })
}

fn take_notices(rest: &mut Bytes) -> Result<Notices, Malformed> {
    let away = take_bytes(rest)?;
    let cadences = take_count(rest, CADENCES_MAX)?;
    let cadence = |_| {
        let (chunks, lead_ms) = (rest.try_get_u8()?, rest.try_get_u32_le()?);
        Ok(CadenceNotice { chunks, lead_ms, soon: take_bytes(rest)?, now: take_bytes(rest)? })
    };
    Ok(Notices { away, cadences: (0..cadences).map(cadence).collect::<Result<_, Malformed>>()? })
}

fn take_count(rest: &mut Bytes, most: usize) -> Result<usize, Malformed> {
    let count = usize::from(rest.try_get_u8()?);
    if count > most { Err(Malformed) } else { Ok(count) }
}

fn take_access(rest: &mut Bytes) -> Result<Access, Malformed> {
    match rest.try_get_u8()? {
        0 => Ok(Access::Open),
        1 => Ok(Access::Pass),
        2 => Ok(Access::Review),
        _ => Err(Malformed),
    }
}

fn take_flag(rest: &mut Bytes) -> Result<bool, Malformed> {
    match rest.try_get_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn take_field(rest: &mut Bytes) -> Result<Field, Malformed> {
    Ok(Field { rendition: rest.try_get_u8()?, name: take_text(rest)?, value: take_text(rest)? })
}

fn take_record(rest: &mut Bytes, kind: Kind) -> Result<Record, Malformed> {
    let (record, len) = Record::decode(rest.clone()).map_err(|_| Malformed)?;
    rest.advance(len);
    if record.kind == kind { Ok(record) } else { Err(Malformed) }
}

fn take_log(rest: &mut Bytes) -> Result<LogId, Malformed> {
    let len = usize::from(rest.try_get_u8()?);
    LogId::parse_bytes(&take(rest, len)?).map_err(|_| Malformed)
}

fn take_text(rest: &mut Bytes) -> Result<String, Malformed> {
    let len = usize::from(rest.try_get_u16_le()?);
    String::from_utf8(take(rest, len)?.to_vec()).map_err(|_| Malformed)
}

fn take_bytes(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    let len = rest.try_get_u32_le()? as usize;
    take(rest, len)
}

fn take_door(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    take_bytes(rest).ok().filter(|body| body.len() <= DOOR_BYTES_MAX).ok_or(Malformed)
}

fn take(rest: &mut Bytes, len: usize) -> Result<Bytes, Malformed> {
    if len > rest.len() { Err(Malformed) } else { Ok(rest.split_to(len)) }
}

/// What each end says first. A worker that was retired by an upgrade may meet a house of another version: neither reads a byte more than this then.
pub const PREFACE: [u8; 8] = [b'h', b'i', b'w', b'a', b'r', b'b', 0, VERSION];

/// Goes up with every change of a frame.
const VERSION: u8 = 15;

/// Whether the other end speaks as we do; `None` until it has said enough.
#[must_use]
pub fn is_ours(received: &[u8]) -> Option<bool> {
    let said = received.get(..PREFACE.len())?;
    Some(said == PREFACE)
}

/// A frame that this program would not have written.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a malformed frame on the live bus")
    }
}

impl std::error::Error for Malformed {}

impl From<TryGetError> for Malformed {
    fn from(_: TryGetError) -> Self {
        Self
    }
}

/// A message that does not fit a frame.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message for the live bus of over {FRAME_BYTES_MAX} bytes")
    }
}

impl std::error::Error for TooLong {}

/// The longest frame to a worker: the whole web app in one document is under 1 MiB, a record's body at most 4 MiB.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// The most renditions of a log that can be told something: as many as it may ever have.
pub const NOTICES_MAX: usize = 16;

/// The most cadences that listeners of one can be told of.
pub const CADENCES_MAX: usize = 8;

/// The most fields of a log: a few for each rendition.
pub const FIELDS_MAX: usize = 64;

/// The most counts in one message: far more logs than one house can mix.
pub const COUNTS_MAX: usize = 8_192;
/// A log's name with its length, two crowds, whether it is fetched, and whether it is to be lean.
const COUNT_BYTES_MIN: usize = 2 + 2 * 36 + 2;
const COUNT_BYTES_MAX: usize = 41 + 2 * 36 + 2;

/// A log's name with its length, and each kind twice.
const REACTIONS_BYTES_MIN: usize = 2 + 2 * 8 * REACTIONS;
const REACTIONS_BYTES_MAX: usize = 41 + 2 * 8 * REACTIONS;

/// The most registers in one message: all of a sketch.
pub const REGISTERS_MAX: usize = 16_384;

const WORKER_FIGURES: usize = 14;

/// The most that is said or told of a door at once: a draw of 16,384 parts with counts of five bytes each is 80 kB, and what a thousand workers are told twice that.
pub const DOOR_BYTES_MAX: usize = 256 << 10;

/// The longest frame to the house: [`COUNTS_MAX`] of the longest counts, [`HELD_MAX`] chunks of 20 kB.
pub const UP_FRAME_BYTES_MAX: usize = 1 << 20;

/// Size of the length field before each frame.
pub const LENGTH_BYTES: usize = 4;

const DOCUMENT: u8 = 1;
const FORGET: u8 = 2;
const OPEN: u8 = 3;
const CHUNK: u8 = 4;
const ENDED: u8 = 5;
const CLOSED: u8 = 6;
const WHOLE: u8 = 7;
const ASK: u8 = 8;
const LEAVING: u8 = 9;
const MARK: u8 = 10;
const CADENCE: u8 = 11;
const LEAN: u8 = 12;
const BITRATE: u8 = 13;
const SHUT: u8 = 14;
const SHELVED: u8 = 15;
const DOOR: u8 = 16;
const LADDER: u8 = 17;
const COUNTS: u8 = 64;
const HELD: u8 = 65;
const REACHED: u8 = 66;
const PEOPLE: u8 = 67;
const WORKER: u8 = 68;
const REACTED: u8 = 69;
const AT_DOOR: u8 = 70;
