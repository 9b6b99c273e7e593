//! The return feed: what a speaker hears, one Opus packet every 20 ms, on the same section as the voice.

use std::time::Instant;

use hiwar_media::Time;
use hiwar_media::packet::Opus;
use str0m::Rtc;
use str0m::media::{Mid, Pt};
use str0m::rtp::RtpWrite;

/// One frame of the return feed (mix-minus) on its way to a speaker.
#[derive(Debug, Clone, Copy)]
pub struct Return<'a> {
    /// The Opus packet.
    pub payload: Opus<'a>,
    /// When it sounds, on the space's clock: becomes the RTP timestamp.
    pub time: Time,
}

/// The outgoing RTP stream of one session: numbers the packets.
#[derive(Debug)]
pub(crate) struct Outgoing {
    mid: Mid,
    opus: Pt,
    /// Extended sequence number of the next packet. Starts below 65,536, as the receiver's rollover counter starts at 0 (RFC 3711 §3.3.1).
    sequence: u64,
    next: Option<Time>,
}

impl Outgoing {
    pub(crate) fn new(mid: Mid, opus: Pt) -> Self {
        Self { mid, opus, sequence: 1, next: None }
    }

    /// Hands one frame to the WebRTC library; it goes out at the next poll. Silently nothing if the stream is gone.
    pub(crate) fn write(&mut self, now: Instant, rtc: &mut Rtc, frame: Return<'_>) {
        let mut direct = rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(self.mid, None) else { return };
        // The marker says that time did not run on from the packet before (RFC 7587 §4.1).
        let marker = self.next != Some(frame.time);
        let timestamp = frame.time.0 as u32;
        let write = RtpWrite::new(self.opus, self.sequence.into(), timestamp, now, frame.payload.as_slice());
        stream.write_rtp(write.marker(marker));
        self.sequence += 1;
        let duration = frame.payload.duration().unwrap_or(hiwar_media::FRAME_SAMPLES as u32);
        self.next = Some(Time(frame.time.0 + u64::from(duration)));
    }
}
