//! Airing: takes finished chunks from the beat, gives them to the live bus and to the log, and drops what the beat may
//! not drop itself.

use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_admission::ladder::Cadence;
use hiwar_engine::live_bus::{Access, CadenceNotice, Down, Notices};
use hiwar_media::chunk::Chunk;
use hiwar_media::package::{Track, emsg, fmp4, ogg};
use hiwar_media::{CHUNK_FRAMES, FRAME_SAMPLES, SAMPLE_RATE, Time};
use hiwar_rtc::udp::SessionId;
use hiwar_segment_log::{Epoch, Header, Kind, LogId, Parts, Position, Record, Rendition};
use rtrb::{Consumer, Producer};

use super::beat::{Notice, OnAir};
use super::control::{Gone, Origin};
use super::{Inner, StudioEvent, log, tracks};

/// Body parts of a chunk record, as docs/formats/record.md names them.
pub(super) const PART_MP4: u8 = 0;
pub(super) const PART_OGG: u8 = 1;
pub(super) const PART_FACTS: u8 = 2;
/// The beat unparks this thread; the timeout only bounds the wait for a lost wake-up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts the thread and returns it, for the beat to unpark.
pub(super) fn start(
    studio: Arc<Inner>,
    notices: Consumer<Notice>,
    recycle: Producer<(u16, Box<Chunk>)>,
) -> io::Result<Thread> {
    let airing = Airing { studio, notices, recycle, begun: HashMap::new(), behind: HashSet::new() };
    let handle = std::thread::Builder::new().name("airing".into()).spawn(move || airing.run())?;
    Ok(handle.thread().clone())
}

struct Airing {
    studio: Arc<Inner>,
    notices: Consumer<Notice>,
    recycle: Producer<(u16, Box<Chunk>)>,
    /// Logs whose header stands, by the epoch it was written in.
    begun: HashMap<LogId, Epoch>,
    /// Logs whose queue was full: told once, until it takes records again.
    behind: HashSet<LogId>,
}

impl Airing {
    fn run(mut self) {
        loop {
            while let Ok(notice) = self.notices.pop() {
                self.take(notice);
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Chunk { slot, chunk } => {
                self.air(slot, &chunk);
                // No room or no such slot: dropped here, where dropping is allowed.
                let _ = self.recycle.push((slot, chunk));
            }
            Notice::Speaking { slot, token } => {
                let control = self.studio.lock();
                let Some(space) = control.slot(slot) else { return };
                let participant = token.and_then(|token| control.participant(token));
                drop(control);
                self.studio.happened(StudioEvent::Speaking { space, participant });
            }
            Notice::Rested { slot, space } => self.studio.lock().rested(slot, space.programme()),
            Notice::Broken { slot, space } => self.reopen(slot, space),
            Notice::Line(_) | Notice::Spent(_) | Notice::SpentChunk(_) | Notice::SpentMusic(_) => {}
        }
    }

    /// A programme panicked. Its space goes on with a new one behind the last chunk that was aired, over the same connections and in the same log.
    fn reopen(&self, slot: u16, broken: Box<OnAir>) {
        let (said, unaired) = (broken.last_words().replace('\n', " "), broken.unaired());
        let reopened = self.studio.lock().broken(slot, unaired, Instant::now());
        // It may panic once more as it is dropped. What its speakers said has an end with it: performers sit down again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        let Some((space, gone)) = reopened else { return };
        tracing::error!(%space, speakers = gone.len(), "the sound of a conversation broke off and begins anew; this is a bug: {said}");
        self.studio.happened(StudioEvent::Speaking { space, participant: None });
        for Gone { token, participant } in gone {
            self.studio.close(SessionId(token));
            self.studio.happened(StudioEvent::Left { space, participant });
        }
    }

    fn air(&mut self, slot: u16, chunk: &Chunk) {
        let studio = self.studio.clone();
        // Held until the chunk is everywhere: nothing is aired behind the back of [`super::Studio::leave`] and not logged.
        let silenced = studio.silenced.lock().unwrap_or_else(PoisonError::into_inner);
        if *silenced {
            return;
        }
        let next = Origin { index: chunk.index + 1, time: Time(chunk.time.0 + u64::from(chunk.duration)) };
        let Some((log, recorded, epoch)) = self.studio.lock().aired(slot, next) else { return };
        let track = self.studio.tracks.gather(&log, chunk);
        let record = record(chunk, epoch);
        self.studio.publisher.publish(Down::Chunk { log, record: record.clone() });
        self.studio.made(log, &record);
        let Some(epoch) = recorded else {
            self.begun.remove(&log);
            return;
        };
        if self.begun.get(&log) != Some(&epoch) {
            // Every epoch begins with a header, for whoever reads from here.
            let record = header(&log, Position(chunk.index), epoch, chunk.time, super::wall_us());
            if self.studio.log.send(log::Job::Append { log, record }) {
                self.begun.insert(log, epoch);
            }
        }
        if let Some((epoch, body)) = track {
            self.keep(&log, chunk, tracks::record(&record, epoch, body));
        }
        if self.studio.log.send(log::Job::Append { log, record }) {
            if self.behind.remove(&log) {
                self.studio.happened(StudioEvent::RecordingResumed { space: log });
            }
        } else if self.behind.insert(log) {
            tracing::error!(%log, "the disk does not keep up: recording is paused");
            self.studio.happened(StudioEvent::RecordingPaused { space: log });
        }
    }
}

impl Airing {
    /// Appends what was heard of each speaker to the log beside the log. Where the disk does not keep up both have a hole, and the other one says so.
    fn keep(&mut self, space: &LogId, chunk: &Chunk, record: Record) {
        let Some(log) = tracks::log(space) else { return };
        let epoch = record.epoch;
        if self.begun.get(&log) != Some(&epoch) {
            let record = tracks::header(record.position, epoch, chunk.time, record.wall_us);
            if self.studio.log.send(log::Job::Append { log, record }) {
                self.begun.insert(log, epoch);
            }
        }
        self.studio.log.send(log::Job::Append { log, record });
    }
}

/// A finished chunk as the log and the live bus carry it.
pub(super) fn record(chunk: &Chunk, epoch: Epoch) -> Record {
    let body = Parts::new()
        .push(PART_MP4, &chunk.mp4)
        .push(PART_OGG, &chunk.ogg)
        .push(PART_FACTS, &chunk.facts.to_bytes())
        .finish();
    Record {
        position: Position(chunk.index),
        epoch,
        kind: Kind::Chunk,
        time: chunk.time.0,
        duration: chunk.duration,
        wall_us: super::wall_us(),
        body,
    }
}

/// The Ogg serial number of a space: any number will do, as long as it stays.
pub(super) fn serial(space: &LogId) -> u32 {
    space.as_str().bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Said by the workers when the house is lost: it comes back, and nobody need do anything.
const AWAY: &[u8] = br#"{"t":"away"}"#;
/// Id of that event: beyond those of chunks, below those of a replay.
const AWAY_ID: u32 = 0x4000_0000;

/// Said by the workers when they change how much sound they send at once: that it will be so, and that it is.
fn cadence_notice(cadence: Cadence, index: u32) -> CadenceNotice {
    let lead_ms = (CADENCE_LEADS * cadence.ms()).max(CADENCE_LEAD_MS_MIN);
    let ms = cadence.ms();
    let soon = format!(r#"{{"t":"cadence","ms":{ms},"in_ms":{lead_ms}}}"#);
    let now = format!(r#"{{"t":"cadence","ms":{ms}}}"#);
    CadenceNotice {
        chunks: u8::try_from(cadence.chunks()).expect("at most 20"),
        lead_ms,
        soon: notice(CADENCE_ID + 2 * index, soon.as_bytes()),
        now: notice(CADENCE_ID + 2 * index + 1, now.as_bytes()),
    }
}

/// Ids of those events: two for each cadence, from here on.
const CADENCE_ID: u32 = AWAY_ID + 1;
/// From the notice to a longer cadence, in cadences. A player that plays a tenth slower gains a second in ten; of 20 s before two seconds at once, two were left over, and a busy server and
/// network took them (players stood still for 0.8 s, docs/measured/fanout.md).
const CADENCE_LEADS: u32 = 13;
/// And at the least: a slower word here and there is noticed less the longer ago it was.
const CADENCE_LEAD_MS_MIN: u32 = 20_000;

/// An event that workers put between chunks. It is due when it comes: whatever time it is.
fn notice(id: u32, event: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    // Far shorter than an event may be.
    let _ = emsg::write(&mut bytes, Time(0), id, event);
    bytes.into()
}

/// What the workers are told when a log goes on the air.
pub(super) fn opened(space: &LogId, access: Access, header: Record) -> Down {
    let cadences = (0..).zip(Cadence::ALL).map(|(index, cadence)| cadence_notice(cadence, index)).collect();
    let mp4 = Notices { away: notice(AWAY_ID, AWAY), cadences };
    // As the renditions stand in the header: Ogg has no events.
    Down::Open { log: *space, access, header, notices: vec![mp4, Notices::default()], fields: Vec::new() }
}

/// The header record: everything that a player must be told before the first chunk.
pub(super) fn header(space: &LogId, position: Position, epoch: Epoch, time: Time, wall_us: u64) -> Record {
    let track = Track::mono();
    let header = Header {
        timescale: SAMPLE_RATE,
        chunk_duration: u32::try_from(CHUNK_FRAMES * FRAME_SAMPLES).expect("200 ms fit"),
        begun_wall_us: wall_us,
        renditions: vec![
            Rendition {
                part: PART_MP4,
                name: "mp4".into(),
                mime: "audio/mp4".into(),
                codecs: "opus".into(),
                init: fmp4::init(&track).into(),
            },
            Rendition {
                part: PART_OGG,
                name: "ogg".into(),
                mime: "audio/ogg".into(),
                codecs: "opus".into(),
                init: ogg::head(serial(space), &track, &[]).into(),
            },
        ],
    };
    Record { position, epoch, kind: Kind::Header, time: time.0, duration: 0, wall_us, body: header.to_body() }
}
