//! Performers: speakers whose sound comes from files instead of the network, for the demo conversation.
//!
//! Their frames enter the same ring as packets from the net thread, so that the demo exercises the whole path.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_media::packet::{Opus, Packet};
use hiwar_rtc::ring::{Writer, ring};
use hiwar_segment_log::LogId;

use super::control::Ends;
use super::{PACKETS_WAITING, PublishRefusal, Speaking, Studio};

/// Silence between two rounds of the conversation, so that a newcomer hears that it begins again.
const PAUSE: Duration = Duration::from_secs(2);
const FRAME: Duration = Duration::from_millis(20);

/// One voice of the demo.
pub struct Performer {
    /// As for any speaker.
    pub who: Speaking,
    /// 20 ms Opus frames.
    pub frames: Arc<[Box<[u8]>]>,
}

/// How long they wait until they sit down again, where there was no seat.
const SEAT_WAIT: Duration = Duration::from_secs(1);

/// Seats the performers and lets them speak in unison, round after round, for as long as the space is on the air.
///
/// # Errors
/// No seat, or no thread.
pub fn start(studio: &Studio, space: LogId, performers: Vec<Performer>) -> Result<(), PublishRefusal> {
    let (studio, voices) = (studio.clone(), seat(studio, &space, &performers)?);
    let perform = move || {
        run(voices);
        // Nobody takes what they say: the space is over, or its programme broke and another follows.
        loop {
            match seat(&studio, &space, &performers) {
                Ok(voices) => run(voices),
                Err(PublishRefusal::NotOnAir) => return,
                Err(_) => std::thread::park_timeout(SEAT_WAIT),
            }
        }
    };
    let thread = std::thread::Builder::new().name("performers".into()).spawn(perform);
    thread.map(drop).map_err(|_: io::Error| PublishRefusal::Unavailable)
}

fn seat(studio: &Studio, space: &LogId, performers: &[Performer]) -> Result<Vec<Voice>, PublishRefusal> {
    let mut voices = Vec::with_capacity(performers.len());
    for Performer { who, frames } in performers {
        let (ring, packets) = ring(PACKETS_WAITING);
        studio.inner.lock().seat(space, who.clone(), None, Ends { packets, returns: None }, |_| Ok(()))?;
        voices.push(Voice { ring, frames: frames.clone(), sequence: 0 });
    }
    Ok(voices)
}

struct Voice {
    ring: Writer<Packet<()>>,
    frames: Arc<[Box<[u8]>]>,
    sequence: u64,
}

#[expect(clippy::disallowed_methods, reason = "pacing: a frame every 20 ms on an absolute schedule")]
fn run(mut voices: Vec<Voice>) {
    let rounds = voices.iter().map(|v| v.frames.len()).max().unwrap_or(0);
    let mut due = Instant::now();
    let mut timestamp = 0;
    loop {
        for index in 0..rounds {
            due += FRAME;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            timestamp += hiwar_media::FRAME_SAMPLES as u64;
            for voice in &mut voices {
                voice.say(index, timestamp);
            }
            if voices.iter().all(|v| v.ring.is_abandoned()) {
                return;
            }
        }
        due += PAUSE;
        timestamp += u64::from(hiwar_media::SAMPLE_RATE) * PAUSE.as_secs();
    }
}

impl Voice {
    fn say(&mut self, index: usize, timestamp: u64) {
        let Some(opus) = self.frames.get(index).and_then(|frame| Opus::new(frame)) else { return };
        self.sequence += 1;
        // A full ring means that the beat stopped; a real speaker's packets would be lost too.
        let (sequence, arrival) = (self.sequence, Instant::now());
        let head = Packet { source: 0, sequence, timestamp, arrival, redundant: false, level: None, payload: () };
        let _ = self.ring.write(head, opus);
    }
}
