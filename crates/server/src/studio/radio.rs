//! MP3 for radios: one encode per space while somebody listens to it, none otherwise.
//!
//! The thread takes finished chunks, as the live bus and the log get them, and gives the workers a log beside the space's: the same positions, MP3
//! instead of Opus, twice, the second time with titles between the sound for players that ask. Nothing of it is kept: it can be made again.
//! It may be late, or miss chunks that it was too late for; only radios hear that.
//!
//! Titles are the way of SHOUTcast: after every [`TITLE_EVERY`] bytes of sound a length byte and text. Because all frames are alike, that many bytes
//! are whole frames, so the same pieces do for everyone, whenever they came.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::{Access, Count, Down, Field, WorkerId};
use hiwar_media::opus::CodecError;
use hiwar_media::package::fmp4;
use hiwar_media::{CHUNK_FRAMES, FRAME_SAMPLES, SAMPLE_RATE, mp3};
use hiwar_segment_log::{Epoch, Header, Kind, LogId, Parts, Position, Record, Rendition};

use super::beside::{GRACE, Make};
use super::{Inner, airing, wall_us};

/// The extension in URLs, and what stands in the name of the log beside a space's.
const FORM: &str = "mp3";
/// Body parts of its chunks: MP3 frames, and the same with titles between them.
const PART_PLAIN: u8 = 0;
const PART_TITLED: u8 = 1;
/// Bytes of sound between two titles: 25 frames, that is three chunks. Players take any number that they are told; 16,000 is usual at higher rates.
const TITLE_EVERY: usize = 25 * mp3::FRAME_BYTES;
/// A title is told when it changes, and to those who come later every sixteenth time (9.6 s): some displays begin to scroll anew each time.
const TITLE_AGAIN: u32 = 16;
/// A length byte counts sixteens.
const TITLE_BYTES_MAX: usize = 255 * 16;
/// Chunks kept of every space that runs, so that the first listener gets the longest burst that there is of MP3 (`fanout::burst`) at once.
const RECENT: usize = 25;
/// How old those may be: a programme may have stood still.
const FRESH: Duration = Duration::from_secs(8);
/// A space that is over is forgotten by the workers so long after: by then its last listener has heard the end.
const FAREWELL: Duration = Duration::from_secs(120);
/// What players that show titles are told of a space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caption {
    /// What it is called.
    pub title: String,
    /// Who is heard now.
    pub speaking: Option<String>,
}

impl Caption {
    /// As radios show it: who, and in what.
    fn line(&self) -> String {
        match &self.speaking {
            Some(name) => format!("{name} - {}", self.title),
            None => self.title.clone(),
        }
    }
}

/// Of which spaces somebody hears the MP3.
pub(super) fn heard(counts: &[Count]) -> Vec<LogId> {
    let is_heard = |count: &&Count| count.audience.listening + count.rehearsal.listening > 0 && is_radio(&count.log);
    counts.iter().filter(is_heard).map(|count| count.log.stem()).collect()
}

/// What the workers are told when a space goes on the air, or is called something else. `None`: its name is too long for another beside it.
pub(super) fn opened(space: &LogId, access: Access, epoch: Epoch, caption: &Caption) -> Option<Down> {
    let log = space.beside(FORM)?;
    let rendition = |part, name: &str| Rendition {
        part,
        name: name.into(),
        mime: mp3::MIME.into(),
        codecs: mp3::CODECS.into(),
        init: Vec::new().into(),
    };
    let header = Header {
        timescale: SAMPLE_RATE,
        chunk_duration: u32::try_from(CHUNK_FRAMES * FRAME_SAMPLES).expect("200 ms fit"),
        begun_wall_us: wall_us(),
        renditions: vec![rendition(PART_PLAIN, FORM), rendition(PART_TITLED, "icy")],
    };
    let field = |rendition, name: &str, value: String| Field { rendition, name: name.into(), value };
    let mut fields = vec![field(PART_TITLED, "icy-metaint", TITLE_EVERY.to_string())];
    for part in [PART_PLAIN, PART_TITLED] {
        fields.push(field(part, "icy-name", caption.title.clone()));
        fields.push(field(part, "icy-br", mp3::KBIT_PER_S.to_string()));
        // In nobody's directory.
        fields.push(field(part, "icy-pub", "0".into()));
    }
    let header = Record {
        position: Position(0),
        epoch,
        kind: Kind::Header,
        time: 0,
        duration: 0,
        wall_us: wall_us(),
        body: header.to_body(),
    };
    Some(Down::Open { log, access, header, notices: Vec::new(), fields })
}

/// What the workers are told when a space's MP3 is gone, its listeners with it.
pub(super) fn closed(space: &LogId) -> Option<Down> {
    space.beside(FORM).map(|log| Down::Closed { log })
}

fn is_radio(log: &LogId) -> bool {
    log.stem().beside(FORM) == Some(*log)
}

/// The thread's work.
pub(super) struct Radio {
    studio: Arc<Inner>,
    stations: HashMap<LogId, Station>,
    /// Spaces that are over, oldest first, and when the workers forget their MP3.
    over: VecDeque<(Instant, LogId)>,
}

/// A space that runs, or that somebody wants to hear.
#[derive(Default)]
struct Station {
    /// The last chunks, oldest first.
    recent: VecDeque<Record>,
    /// Somebody listens, or did a moment ago.
    wanted_until: Option<Instant>,
    encode: Option<Encode>,
}

impl Make for Radio {
    const THREAD: &'static str = "radio";
    /// Below everything else that this machine does for who is on the air.
    const NICE: i32 = 5;

    fn chunk(&mut self, space: LogId, record: Record) {
        let station = self.stations.entry(space).or_default();
        station.recent.push_back(record);
        station.recent.drain(..station.recent.len().saturating_sub(RECENT));
        if station.encode.is_some() {
            self.air(space, 1);
        }
    }

    fn wanted(&mut self, _: WorkerId, spaces: Vec<LogId>) {
        spaces.into_iter().for_each(|space| self.heard(space));
    }

    fn end(&mut self, space: LogId) {
        self.stations.remove(&space);
        if let Some(log) = space.beside(FORM) {
            self.studio.publisher.publish(Down::Ended { log });
            self.over.push_back((Instant::now() + FAREWELL, space));
        }
    }

    fn look(&mut self, now: Instant) {
        let known = |space: &LogId| self.studio.lock().knows(space);
        self.stations.retain(|space, station| {
            let wanted = station.wanted_until.is_some_and(|until| until > now);
            if !wanted && station.encode.take().is_some() {
                tracing::debug!(%space, "nobody listens by radio any more");
            }
            wanted || known(space)
        });
        while let Some((_, space)) = self.over.pop_front_if(|(at, _)| *at <= now) {
            if let Some(closed) = closed(&space).filter(|_| !self.studio.lock().knows(&space)) {
                self.studio.publisher.publish(closed);
            }
        }
    }
}

impl Radio {
    /// Nobody listens yet.
    pub(super) fn new(studio: Arc<Inner>) -> Self {
        Self { studio, stations: HashMap::new(), over: VecDeque::new() }
    }

    fn heard(&mut self, space: LogId) {
        let station = self.stations.entry(space).or_default();
        station.wanted_until = Some(Instant::now() + GRACE);
        if station.encode.is_some() {
            return;
        }
        match Encode::new() {
            Ok(encode) => station.encode = Some(encode),
            Err(why) => return tracing::error!(%space, "no MP3: {why}"),
        }
        tracing::debug!(%space, "somebody listens by radio: encoding MP3");
        let since = wall_us().saturating_sub(FRESH.as_micros() as u64);
        let fresh = station.recent.iter().rev().take_while(|record| record.wall_us >= since).count();
        self.air(space, fresh);
    }

    /// Encodes the last chunks of a space and tells the workers; what they had of an earlier encode they know.
    fn air(&mut self, space: LogId, chunks: usize) {
        let (Some(station), Some(log)) = (self.stations.get_mut(&space), space.beside(FORM)) else { return };
        let Some(encode) = &mut station.encode else { return };
        let title = self.studio.lock().caption(&space).line();
        let mut outcome = Ok(());
        for record in station.recent.range(station.recent.len().saturating_sub(chunks)..) {
            match encode.encode(record, &title) {
                Ok(record) => self.studio.publisher.publish(Down::Chunk { log, record }),
                Err(why) => outcome = Err(why),
            }
        }
        if let Err(why) = outcome {
            tracing::error!(%space, "MP3 begins anew: {why}");
            // The next report of a worker brings another.
            station.encode = None;
        }
    }
}

/// One encode, and where it is between two titles.
struct Encode {
    encoder: mp3::Encoder,
    /// Sound since the last title: less than [`TITLE_EVERY`] bytes between chunks.
    since_title: Vec<u8>,
    titles: Titles,
}

impl Encode {
    fn new() -> Result<Self, CodecError> {
        Ok(Self { encoder: mp3::Encoder::new()?, since_title: Vec::new(), titles: Titles::default() })
    }

    /// A chunk's MP3, as a chunk of the log beside: the frames that it made whole, and, where it completes a piece between two titles, that piece.
    fn encode(&mut self, record: &Record, title: &str) -> Result<Record, CodecError> {
        let mut plain = Vec::with_capacity(9 * mp3::FRAME_BYTES);
        let fragment = record.part(airing::PART_MP4).unwrap_or_default();
        match fmp4::frames(&fragment) {
            Ok(fragment) => self.encoder.encode(fragment.iter(), &mut plain)?,
            Err(why) => tracing::warn!(position = record.position.0, "a chunk that is missing in the MP3: {why:?}"),
        }
        self.since_title.extend_from_slice(&plain);
        let mut titled = Vec::new();
        while let Some(rest) = self.since_title.get(TITLE_EVERY..) {
            let rest = rest.to_vec();
            titled.extend_from_slice(&self.since_title[..TITLE_EVERY]);
            self.titles.write(&mut titled, title);
            self.since_title = rest;
        }
        let body = Parts::new().push(PART_PLAIN, &plain).push(PART_TITLED, &titled).finish();
        Ok(Record { body, ..record.clone() })
    }
}

/// The texts between the sound.
#[derive(Default)]
struct Titles {
    told: String,
    /// How many more times nothing is said.
    quiet: u32,
}

impl Titles {
    /// Appends the next text: a length in sixteens, and that many bytes, padded with zeros. Most are empty.
    fn write(&mut self, out: &mut Vec<u8>, title: &str) {
        if title == self.told && self.quiet > 0 {
            self.quiet -= 1;
            return out.push(0);
        }
        (self.told, self.quiet) = (title.to_owned(), TITLE_AGAIN - 1);
        // Nothing escapes a quotation mark: players look for the first that is followed by a semicolon.
        let said: String = title.chars().filter(|c| !c.is_control()).map(|c| if c == '\'' { '’' } else { c }).collect();
        let room = TITLE_BYTES_MAX - "StreamTitle='';".len();
        let text = format!("StreamTitle='{}';", &said[..said.floor_char_boundary(room)]);
        out.push(u8::try_from(text.len().div_ceil(16)).unwrap_or(u8::MAX));
        out.extend_from_slice(text.as_bytes());
        out.resize(out.len() + text.len().next_multiple_of(16) - text.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hiwar_media::chunk::Frames;
    use hiwar_media::{Time, opus};

    /// Chunk `index` of silence, as airing makes it.
    fn chunk(index: u64, silence: &[u8]) -> Record {
        let mut frames = Frames::new();
        (0..CHUNK_FRAMES).for_each(|_| frames.push(silence).unwrap());
        let (mut fragment, time) = (Vec::new(), Time(index * 9_600));
        fmp4::fragment(&mut fragment, index as u32, time, &frames);
        Record {
            position: Position(index),
            epoch: Epoch(1),
            kind: Kind::Chunk,
            time: time.0,
            duration: 9_600,
            wall_us: 7,
            body: Parts::new().push(airing::PART_MP4, &fragment).finish(),
        }
    }

    /// Sound and texts of a stream with titles, as a player takes it apart.
    fn apart(mut bytes: &[u8]) -> (Vec<u8>, Vec<String>) {
        let (mut sound, mut texts) = (Vec::new(), Vec::new());
        while let Some((piece, rest)) = bytes.split_at_checked(TITLE_EVERY) {
            sound.extend_from_slice(piece);
            let (text, rest) = rest[1..].split_at(usize::from(rest[0]) * 16);
            if !text.is_empty() {
                texts.push(String::from_utf8(text.to_vec()).unwrap().trim_end_matches('\0').to_owned());
            }
            bytes = rest;
        }
        assert!(bytes.is_empty(), "every piece ends with a title");
        (sound, texts)
    }

    #[test]
    fn with_and_without_titles_it_is_the_same_sound_and_a_listener_may_begin_at_any_piece() {
        let silence = opus::Encoder::silence(32_000).unwrap();
        let mut encode = Encode::new().unwrap();
        let (mut plain, mut pieces) = (Vec::new(), Vec::new());
        for index in 0..100 {
            let title = if index < 20 { "حوار" } else { "L'invité - حوار" };
            let made = encode.encode(&chunk(index, silence.as_slice()), title).unwrap();
            assert_eq!((made.position, made.time, made.wall_us), (Position(index), index * 9_600, 7));
            plain.extend_from_slice(&made.part(PART_PLAIN).unwrap());
            pieces.push(made.part(PART_TITLED).unwrap());
        }
        let (sound, texts) = apart(&pieces.concat());
        assert_eq!(sound, plain[..sound.len()]);
        assert!(plain.len() - sound.len() < TITLE_EVERY);
        assert_eq!(texts.first().map(String::as_str), Some("StreamTitle='حوار';"));
        let change = texts.iter().position(|text| text == "StreamTitle='L’invité - حوار';").expect("the new title");
        assert_eq!((change, texts.len()), (1, 3), "told at once, and every sixteenth time: {texts:?}");
        for begin in 0..pieces.len() {
            let (sound, _) = apart(&pieces[begin..].concat());
            assert!(plain.windows(sound.len()).any(|part| part == sound), "beginning at {begin}");
        }
    }

    #[test]
    fn a_title_is_never_longer_than_its_length_can_say() {
        for title in ["", "a", "abc", &"🎙".repeat(2_000), &"ا".repeat(3_000), "x\0y\r\nz"] {
            let mut out = Vec::new();
            Titles::default().write(&mut out, title);
            assert_eq!(out.len(), 1 + usize::from(out[0]) * 16, "{} bytes", title.len());
            let text = String::from_utf8(out[1..].to_vec()).expect("whole characters");
            assert!(text.trim_end_matches('\0').ends_with("';") && !text.contains('\n'));
        }
    }

    #[test]
    fn a_chunk_that_makes_no_sense_is_left_out_and_the_stream_goes_on() {
        let silence = opus::Encoder::silence(32_000).unwrap();
        let mut encode = Encode::new().unwrap();
        let body = Parts::new().push(airing::PART_MP4, b"nonsense").finish();
        let broken = Record { body, ..chunk(0, silence.as_slice()) };
        assert_eq!(encode.encode(&broken, "").unwrap().part(PART_PLAIN).unwrap().len(), 0);
        let made: usize = (1..4)
            .map(|n| encode.encode(&chunk(n, silence.as_slice()), "").unwrap().part(PART_PLAIN).unwrap().len())
            .sum();
        assert!(made >= 20 * mp3::FRAME_BYTES, "{made}");
    }

    #[test]
    fn only_our_form_is_a_radios() {
        let id = |text: &str| LogId::parse(text).unwrap();
        assert!(is_radio(&id("demo--mp3")));
        assert!(!is_radio(&id("demo")) && !is_radio(&id("demo--ogg")) && !is_radio(&id("demo--mp3--mp3")));
    }
}
