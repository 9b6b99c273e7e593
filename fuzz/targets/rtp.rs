//! A speaker's RTP payloads, plain and RED, in any order and with any numbers. Counters must not wrap, and what comes out must be
//! Opus packets of a length that exists.
#![no_main]

use std::time::Instant;

use hiwar_media::packet::{Coding, Depacketizer, PAYLOAD_BYTES_MAX, Rtp};
use libfuzzer_sys::fuzz_target;

/// Before each payload: coding, length, SSRC, sequence number, timestamp.
const HEAD_BYTES: usize = 1 + 2 + 1 + 2 + 4;

fuzz_target!(|bytes: &[u8]| {
    let arrival = Instant::now();
    let mut depacketizer = Depacketizer::new();
    let mut source = 0;
    let mut rest = bytes;
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let [coding, len @ .., ssrc, s0, s1, t0, t1, t2, t3] = *head;
        let len = usize::from(u16::from_le_bytes(len)).min(behind.len());
        let (payload, behind) = behind.split_at(len);
        rest = behind;
        let rtp = Rtp {
            coding: if coding & 1 == 0 { Coding::Opus } else { Coding::Red },
            // Few speakers, many changes between them.
            ssrc: u32::from(ssrc & 3),
            sequence: u16::from_le_bytes([s0, s1]),
            timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
            level: None,
            payload,
        };
        let _ = depacketizer.depacketize(arrival, rtp, |packet| {
            assert!(packet.source >= source, "sources only count up");
            source = packet.source;
            let sound = packet.payload.as_slice();
            assert!(!sound.is_empty() && sound.len() <= PAYLOAD_BYTES_MAX);
            let _ = (packet.payload.duration(), packet.payload.has_fec(), packet.payload.is_silence());
        });
    }
});
