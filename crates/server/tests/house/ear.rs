//! A listener, and what can be said of what it heard.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use hiwar_media::opus::Decoder;
use hiwar_media::package::fmp4;
use hiwar_media::packet::Opus;

use crate::http;
use crate::server::PATIENCE;

/// What came over a connection so far.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    closed: bool,
}

/// One connection that never ends by itself: a listener, or a watcher of events. A thread reads it.
pub(crate) struct Ear {
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Ear {
    /// Connects; the answer must be 200.
    pub(crate) fn on(at: SocketAddr, path: &str) -> Self {
        Self::asking(at, path, &[])
    }

    /// The same with headers of its own.
    pub(crate) fn asking(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = http::open(at, "GET", path, headers, None).expect("a connection");
        let heard = Arc::<(Mutex<Heard>, Condvar)>::default();
        let shared = heard.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                let read = stream.read(&mut buffer);
                let mut heard = shared.0.lock().unwrap();
                match read {
                    Ok(length @ 1..) => heard.bytes.extend_from_slice(&buffer[..length]),
                    _ => heard.closed = true,
                }
                shared.1.notify_all();
                // The test let go of the ear: hang up.
                if heard.closed || Arc::strong_count(&shared) == 1 {
                    return;
                }
            }
        });
        let ear = Self { heard };
        let status = ear.until(&format!("an answer for {path}"), |bytes, _| Some(http::head(bytes)?.1));
        assert_eq!(status, 200, "{path}");
        ear
    }

    /// Waits until what came (head and all) is as wished.
    fn until<T>(&self, what: &str, mut look: impl FnMut(&[u8], bool) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().unwrap();
        loop {
            if let Some(found) = look(&heard.bytes, heard.closed) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited too long: {what} ({} bytes, closed: {})", heard.bytes.len(), heard.closed);
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// Waits until the body is as wished.
    pub(crate) fn body<T>(&self, what: &str, mut look: impl FnMut(&[u8]) -> Option<T>) -> T {
        self.until(what, |bytes, _| look(&bytes[http::head(bytes)?.0..]))
    }

    /// The head of the answer.
    pub(crate) fn head(&self) -> String {
        self.until("a head", |bytes, _| Some(String::from_utf8_lossy(&bytes[..http::head(bytes)?.0]).into_owned()))
    }

    /// Waits until the server ends the connection; the whole body.
    pub(crate) fn closed(&self, what: &str) -> Vec<u8> {
        self.until(what, |bytes, closed| closed.then(|| bytes[http::head(bytes).unwrap().0..].to_vec()))
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.heard.0.lock().unwrap().closed
    }

    /// How many bytes came.
    pub(crate) fn bytes(&self) -> usize {
        self.heard.0.lock().unwrap().bytes.len()
    }

    /// Waits for a tone in the Ogg stream: from `from` (bytes) on, half a second of it is mostly that tone.
    pub(crate) fn hears(&self, hz: f32, from: usize) {
        self.body(&format!("a tone of {hz} Hz"), |body| (tone(tail(&ogg(body, from), 0.5)?, hz) > 0.6).then_some(()));
    }
}

/// One page of an Ogg stream.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) granule: u64,
    pub(crate) sequence: u32,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// The whole pages of a live stream, headers and all. It may end inside a page.
pub(crate) fn pages(mut bytes: &[u8]) -> Vec<Page> {
    let mut pages = Vec::new();
    while let Some(head) = bytes.get(..27) {
        assert_eq!(&head[..4], b"OggS", "not at a page");
        let count = usize::from(head[26]);
        let Some(table) = bytes.get(27..27 + count) else { break };
        let length: usize = table.iter().map(|segment| usize::from(*segment)).sum();
        let Some(mut body) = bytes.get(27 + count..27 + count + length) else { break };
        let (mut packets, mut size) = (Vec::new(), 0);
        for segment in table {
            size += usize::from(*segment);
            if *segment < 255 {
                let (packet, rest) = body.split_at(size);
                packets.push(packet.to_vec());
                (body, size) = (rest, 0);
            }
        }
        let granule = u64::from_le_bytes(head[6..14].try_into().unwrap());
        let sequence = u32::from_le_bytes(head[18..22].try_into().unwrap());
        pages.push(Page { granule, sequence, packets });
        bytes = &bytes[27 + count + length..];
    }
    pages
}

/// The sound of a live Ogg stream from the first page after `from` bytes on.
pub(crate) fn ogg(body: &[u8], from: usize) -> Vec<f32> {
    let mut at = 0;
    let mut packets = Vec::new();
    for page in pages(body) {
        at += page.packets.iter().map(Vec::len).sum::<usize>();
        if at >= from && page.granule > 0 {
            packets.extend(page.packets);
        }
    }
    pcm(packets.iter().map(Vec::as_slice))
}

/// One chunk of a live MP4 stream.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Samples at 48 kHz.
    pub(crate) time: u64,
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) events: Vec<serde_json::Value>,
}

/// The whole chunks of a live MP4 stream. It may end inside one.
pub(crate) fn pieces(mut bytes: &[u8]) -> Vec<Piece> {
    let (mut pieces, mut gathered) = (Vec::new(), Vec::new());
    while let Some(head) = bytes.get(..8) {
        let size = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let Some(whole) = bytes.get(..size) else { break };
        if matches!(&head[4..8], b"emsg" | b"moof" | b"mdat") {
            gathered.extend_from_slice(whole);
        }
        if &head[4..8] == b"mdat" {
            let fragment = fmp4::frames(&gathered).expect("a chunk");
            pieces.push(Piece {
                time: fragment.time.0,
                frames: fragment.iter().map(<[u8]>::to_vec).collect(),
                events: fragment.events().map(|event| serde_json::from_slice(event.payload).expect("JSON")).collect(),
            });
            gathered.clear();
        }
        bytes = &bytes[size..];
    }
    pieces
}

/// Decodes packets, one after the other, to mono at 48 kHz.
pub(crate) fn pcm<'a>(packets: impl Iterator<Item = &'a [u8]>) -> Vec<f32> {
    let mut decoder = Decoder::new().expect("a decoder");
    let mut samples = Vec::new();
    let mut out = [0.0; 5760];
    for packet in packets {
        let opus = Opus::new(packet).expect("a packet");
        let length = decoder.decode(opus, &mut out).expect("an Opus packet");
        samples.extend_from_slice(&out[..length]);
    }
    samples
}

/// The last seconds, if there are so many.
pub(crate) fn tail(samples: &[f32], seconds: f32) -> Option<&[f32]> {
    let wanted = (seconds * 48_000.0) as usize;
    samples.get(samples.len().checked_sub(wanted)?..)
}

/// How much of the power is at this frequency, 0 to 1 (Goertzel's algorithm).
pub(crate) fn tone(samples: &[f32], hz: f32) -> f32 {
    let power: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    if power < 1e-3 {
        return 0.0;
    }
    let (mut re, mut im) = (0.0_f64, 0.0_f64);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * f64::from(hz) * n as f64 / 48_000.0;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    (2.0 * (re * re + im * im) / (samples.len() as f64 * power)) as f32
}

/// Root mean square.
pub(crate) fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// Waits until the last half second of what comes next is as wished.
pub(crate) fn next(ear: &Ear, what: &str, wish: impl Fn(&[f32]) -> bool) {
    let from = ear.bytes();
    ear.body(what, |body| {
        let sound = ogg(body, from);
        tail(&sound, 0.5).is_some_and(&wish).then_some(())
    });
}
