//! Bridges the hole that a dead house left in a space's sound: silence, encoded and packaged like any other sound, goes to
//! the log and to the listeners who stayed, so that their players see one stream whose time neither jumps nor steps back.
//!
//! What the old house aired and did not log, the workers give back: it is appended first ([`super::recollect`]). The next programme begins where the old
//! one would be by now: no programme runs faster than the clock on the wall, so that whatever was aired lies before it.

use std::time::{Duration, Instant, SystemTime};

use hiwar_engine::live_bus::{Access, Down};
use hiwar_media::chunk::Chunk;
use hiwar_media::programme::{Audience, Input, Output};
use hiwar_media::{CHUNK_FRAMES, Time};
use hiwar_segment_log::disk::Recovered;
use hiwar_segment_log::{LogId, Position, Record};

use super::control::{self, Origin};
use super::{Inner, airing, log, recollect, wall_us};

/// Longest hole that is filled. Whoever heard nothing for longer has reconnected; a longer hole is one jump, which the log
/// marks as a gap.
const FILLED_MAX: Duration = Duration::from_secs(10);

/// Appends what the workers gave back after `recovered`, fills the hole behind it, and says where the next programme begins. `since` is when the space's
/// clock began.
pub(super) fn cross(
    studio: &Inner,
    space: &LogId,
    access: Access,
    recovered: &Recovered,
    given_back: Vec<Record>,
    since: SystemTime,
) -> Origin {
    let last_wall_us = given_back.last().map_or(recovered.last_wall_us, |last| last.wall_us);
    if last_wall_us == 0 {
        return Origin::since(since);
    }
    let logged = Origin { index: recovered.next.0, time: Time(recovered.next_time) };
    let begin = given_back.first().map_or(logged, |first| Origin { index: first.position.0, time: Time(first.time) });
    let end = given_back.last().map_or(logged, recollect::after);
    let hole = Duration::from_micros(wall_us().saturating_sub(last_wall_us));
    let origin = end.later(hole);
    let silent = if hole > FILLED_MAX { Vec::new() } else { silence(space, end, origin) };
    if given_back.is_empty() && silent.is_empty() {
        return origin;
    }
    let append = |record: Record| {
        // A full queue leaves a gap, which the log marks.
        studio.log.send(log::Job::Append { log: *space, record });
    };
    // As old as what follows it, or the next hole would be measured from now.
    let begun_wall_us = given_back.first().map_or_else(wall_us, |first| first.wall_us);
    append(airing::header(space, Position(begin.index), recovered.epoch, begin.time, begun_wall_us));
    for record in given_back {
        // A worker that missed it hears it now, as it was; those that have it see that they do.
        studio.publisher.publish(Down::Chunk { log: *space, record: record.clone() });
        append(Record { epoch: recovered.epoch, ..record });
    }
    let header = airing::header(space, Position(end.index), recovered.epoch, end.time, wall_us());
    studio.publisher.publish(airing::opened(space, access, header));
    for chunk in silent {
        let record = airing::record(&chunk, recovered.epoch);
        studio.publisher.publish(Down::Chunk { log: *space, record: record.clone() });
        studio.made(*space, &record);
        append(record);
    }
    origin
}

/// Chunks without a voice from `begin` up to `end`.
fn silence(space: &LogId, begin: Origin, end: Origin) -> Vec<Chunk> {
    let Some(mut programme) = control::programme_at(space, begin, Audience::Hears) else { return Vec::new() };
    // Whoever was heard last is not heard now.
    let _ = programme.tell(control::NOBODY.into());
    let now = Instant::now();
    let mut chunks = Vec::new();
    for _ in 0..end.index.saturating_sub(begin.index) * CHUNK_FRAMES as u64 {
        programme.handle(now, Input::Beat);
        while let Some(output) = programme.poll() {
            if let Output::Chunk(chunk) = output {
                // The programme has a small pool of chunks: each is copied and given back.
                chunks.push((*chunk).clone());
                programme.recycle(chunk);
            }
        }
    }
    chunks
}
