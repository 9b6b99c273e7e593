//! Lean forms of chunks: one more encode per space while some worker asks for it, none otherwise.
//!
//! The thread takes finished chunks, as the live bus gets them, and gives the workers a second record of each a few milliseconds later. Nothing of it is kept. It may be
//! late, or miss chunks that it was too late for; then listeners hear those as they are. Which chunks a decoder can enter: [`hiwar_media::lean`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::{Count, Down, WorkerId};
use hiwar_media::lean::Encoder;
use hiwar_media::package::fmp4;
use hiwar_segment_log::{LogId, Parts, Record};

use super::beside::{GRACE, Make};
use super::{Inner, airing, wall_us};

/// Chunks kept of every space that runs: one for a new encoder to hear first, and one that is made lean at once.
const RECENT: usize = 2;
/// Who waits for a lean form does so until the next chunk, for 200 ms; a quarter of them is for the way to the workers. What is older would help nobody and
/// make the next one late: with more spaces than the thread can do (some 220), all of them instead of some.
const LATE: Duration = Duration::from_millis(150);

/// The thread's work.
pub(super) struct Lean {
    studio: Arc<Inner>,
    spaces: HashMap<LogId, Space>,
    /// What each worker asked for when it last said so.
    asked: HashMap<WorkerId, Vec<LogId>>,
}

/// A space that runs, or that is asked for.
#[derive(Default)]
struct Space {
    /// The last chunks, oldest first.
    recent: VecDeque<Record>,
    /// Some worker asks, or did a moment ago.
    wanted_until: Option<Instant>,
    encoder: Option<Encoder>,
}

/// Of which logs somebody is to hear lean forms.
pub(super) fn asked(counts: &[Count]) -> Vec<LogId> {
    counts.iter().filter(|count| count.lean).map(|count| count.log).collect()
}

impl Make for Lean {
    const THREAD: &'static str = "lean";
    /// As the workers, which are busy when it is needed, and wait for it.
    const NICE: i32 = 0;

    fn chunk(&mut self, space: LogId, record: Record) {
        let kept = self.spaces.entry(space).or_default();
        kept.recent.push_back(record);
        kept.recent.drain(..kept.recent.len().saturating_sub(RECENT));
        self.air(space);
    }

    fn wanted(&mut self, worker: WorkerId, spaces: Vec<LogId>) {
        let before = self.asked.remove(&worker).unwrap_or_default();
        for space in &spaces {
            let kept = self.spaces.entry(*space).or_default();
            kept.wanted_until = Some(Instant::now() + GRACE);
            match &mut kept.encoder {
                None => self.begin(*space),
                // Who begins to hear it lean does so with the next chunk.
                Some(encoder) if !before.contains(space) => encoder.open(),
                Some(_) => {}
            }
        }
        if !spaces.is_empty() {
            self.asked.insert(worker, spaces);
        }
    }

    fn end(&mut self, space: LogId) {
        self.spaces.remove(&space);
    }

    fn look(&mut self, now: Instant) {
        let known = |space: &LogId| self.studio.lock().knows(space);
        self.spaces.retain(|space, kept| {
            let wanted = kept.wanted_until.is_some_and(|until| until > now);
            if !wanted && kept.encoder.take().is_some() {
                tracing::debug!(%space, "no lean forms are asked for any more");
            }
            wanted || known(space)
        });
    }
}

impl Lean {
    /// Nobody asks yet.
    pub(super) fn new(studio: Arc<Inner>) -> Self {
        Self { studio, spaces: HashMap::new(), asked: HashMap::new() }
    }

    fn begin(&mut self, space: LogId) {
        let Some(kept) = self.spaces.get_mut(&space) else { return };
        let encoder = Encoder::new().and_then(|mut encoder| {
            // Codecs that have heard nothing would fade in.
            let heard = kept.recent.len().saturating_sub(1);
            for record in kept.recent.range(..heard) {
                form(&mut encoder, &space, record)?;
            }
            encoder.open();
            Ok(encoder)
        });
        match encoder {
            Ok(encoder) => kept.encoder = Some(encoder),
            Err(why) => return tracing::error!(%space, "no lean forms: {why}"),
        }
        tracing::debug!(%space, "lean forms are asked for: encoding");
        self.air(space);
    }

    /// Makes the newest chunk of a space lean, if that is wanted, and tells the workers.
    fn air(&mut self, space: LogId) {
        let Some(kept) = self.spaces.get_mut(&space) else { return };
        let (Some(encoder), Some(record)) = (&mut kept.encoder, kept.recent.back()) else { return };
        if Duration::from_micros(wall_us().saturating_sub(record.wall_us)) > LATE {
            return;
        }
        match form(encoder, &space, record) {
            Ok(Some((entry, record))) => self.studio.publisher.publish(Down::Lean { log: space, entry, record }),
            Ok(None) => tracing::warn!(%space, position = record.position.0, "a chunk that cannot be made lean"),
            Err(why) => {
                tracing::error!(%space, "lean forms begin anew: {why}");
                // The next report of a worker brings another.
                kept.encoder = None;
            }
        }
    }
}

/// The lean form of a chunk, and whether it can be entered. `None`: it is no chunk of ours.
fn form(
    encoder: &mut Encoder,
    space: &LogId,
    record: &Record,
) -> Result<Option<(bool, Record)>, hiwar_media::opus::CodecError> {
    let part = record.part(airing::PART_MP4).unwrap_or_default();
    let Ok(fragment) = fmp4::frames(&part) else { return Ok(None) };
    let lean = encoder.encode(&fragment, airing::serial(space))?;
    let body = Parts::new().push(airing::PART_MP4, &lean.mp4).push(airing::PART_OGG, &lean.ogg).finish();
    Ok(Some((lean.entry, Record { body, ..record.clone() })))
}

#[cfg(test)]
mod tests {
    use hiwar_media::chunk::{Chunk, Frames};
    use hiwar_media::package::{PRE_SKIP, ogg};
    use hiwar_media::{CHUNK_FRAMES, Time, opus};
    use hiwar_segment_log::Epoch;

    use super::*;

    /// Chunk `index` of a hum, as a programme makes it.
    fn chunk(space: &LogId, index: u64, encoder: &mut opus::Encoder) -> Record {
        let mut frames = Frames::new();
        for _ in 0..CHUNK_FRAMES {
            let hum = std::array::from_fn(|n| ((n % 320) as f32 / 320.0 - 0.5) * 0.2);
            frames.push(encoder.encode(&hum).unwrap().as_slice()).unwrap();
        }
        let (mut chunk, time) = (Chunk::new(), Time(index * 9_600));
        (chunk.index, chunk.time, chunk.duration) = (index, time, 9_600);
        fmp4::fragment(&mut chunk.mp4, index as u32 + 1, time, &frames);
        let granule = time.0 + 9_600 + u64::from(PRE_SKIP);
        let page = index as u32 + ogg::HEAD_PAGES;
        ogg::page(&mut chunk.ogg, airing::serial(space), page, granule, &frames, ogg::Place::Middle);
        airing::record(&chunk, Epoch(3))
    }

    #[test]
    fn it_is_a_record_of_the_same_chunk_with_the_parts_that_listeners_get() {
        let space = LogId::parse("demo").unwrap();
        let (mut standard, mut lean) = (opus::Encoder::new(32_000).unwrap(), Encoder::new().unwrap());
        for index in 7..12 {
            let record = chunk(&space, index, &mut standard);
            let (entry, made) = form(&mut lean, &space, &record).unwrap().unwrap();
            assert_eq!(entry, index < 9);
            assert_eq!(Record { body: record.body.clone(), ..made.clone() }, record);
            let (mp4, ogg) = (made.part(airing::PART_MP4).unwrap(), made.part(airing::PART_OGG).unwrap());
            let fragment = fmp4::frames(&mp4).unwrap();
            assert_eq!((fragment.sequence, fragment.time, fragment.len()), (index as u32 + 1, Time(index * 9_600), 10));
            // All before the checksum: granule, serial number and number of the page.
            assert_eq!(ogg[..22], record.part(airing::PART_OGG).unwrap()[..22]);
            assert!(made.part(airing::PART_FACTS).is_none());
            assert!(made.body.len() < record.body.len() * 4 / 5, "{} of {}", made.body.len(), record.body.len());
        }
    }

    #[test]
    fn what_is_no_chunk_has_no_lean_form() {
        let space = LogId::parse("demo").unwrap();
        let record = chunk(&space, 0, &mut opus::Encoder::new(32_000).unwrap());
        let body = Parts::new().push(airing::PART_MP4, b"nonsense").finish();
        let broken = Record { body, ..record };
        assert_eq!(form(&mut Encoder::new().unwrap(), &space, &broken), Ok(None));
    }

    /// Which part of the chunks has a lean form before the next chunk, once the queue is as long as it gets: so many spaces begin theirs in turn with the beats,
    /// each takes 0.9 ms (ADR 19), and what is older than `late` is left out.
    fn in_time(spaces: u64, late: Duration) -> f64 {
        let (chunk_us, beat_us, work_us, rounds) = (200_000, 20_000, 900, 100);
        let (mut now_us, mut in_time) = (0, 0);
        for round in 0..rounds {
            let mut comes: Vec<u64> = (0..spaces).map(|space| round * chunk_us + space % 10 * beat_us).collect();
            comes.sort_unstable();
            for came_us in comes {
                now_us = now_us.max(came_us);
                if Duration::from_micros(now_us - came_us) <= late {
                    now_us += work_us;
                    in_time += u64::from(round == rounds - 1 && now_us - came_us < chunk_us);
                }
            }
        }
        in_time as f64 / spaces as f64
    }

    #[test]
    fn with_more_spaces_than_can_be_done_some_are_and_not_none() {
        for spaces in [1, 100, 200, 220] {
            assert!(in_time(spaces, LATE) == 1.0, "{spaces}");
        }
        for (spaces, part) in [(240, 0.9), (300, 0.7), (600, 0.35)] {
            assert!(in_time(spaces, LATE) > part, "{spaces}: {}", in_time(spaces, LATE));
            // As it would be for whoever is left a chunk longer.
            assert!(in_time(spaces, 2 * Duration::from_millis(200)) < 0.1, "{spaces}");
        }
    }

    #[test]
    fn only_what_a_worker_asks_for_is_made() {
        let id = |text: &str| LogId::parse(text).unwrap();
        let count = |name: &str, lean| Count {
            log: id(name),
            audience: Default::default(),
            rehearsal: Default::default(),
            fetched: true,
            lean,
        };
        assert_eq!(asked(&[count("a", false), count("b", true), count("b--mp3", false)]), [id("b")]);
    }
}
