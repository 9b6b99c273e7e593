//! Packs Opus packets with copies of earlier ones (RFC 2198), as browsers do. Shares nothing with the server's reader of them.

/// Longest block that can be a copy, in bytes: its length has ten bits (RFC 2198 §3).
const COPY_BYTES_MAX: usize = 1023;
/// Furthest back that a copy can lie, in samples: its offset has fourteen bits.
const OFFSET_MAX: u32 = (1 << 14) - 1;

/// One payload: copies, oldest first, each with how many samples it lies before `newest`, then `newest`. A copy that cannot be said so is left out.
pub fn pack(payload_type: u8, copies: &[(u32, &[u8])], newest: &[u8]) -> Vec<u8> {
    let can = |(offset, bytes): &&(u32, &[u8])| *offset <= OFFSET_MAX && bytes.len() <= COPY_BYTES_MAX;
    let mut packed = Vec::with_capacity(newest.len() * (copies.len() + 1) + 16);
    for (offset, bytes) in copies.iter().filter(can) {
        // F, seven bits of type, fourteen of offset, ten of length.
        let head = 1 << 31 | u32::from(payload_type & 0x7f) << 24 | offset << 10 | bytes.len() as u32;
        packed.extend(head.to_be_bytes());
    }
    packed.push(payload_type & 0x7f);
    copies.iter().filter(can).for_each(|(_, bytes)| packed.extend_from_slice(bytes));
    packed.extend_from_slice(newest);
    packed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

    use hiwar_media::packet::{Coding, Depacketizer, Rtp};

    use super::*;

    #[test]
    fn the_server_reads_what_is_packed() {
        let copies: [(u32, &[u8]); 3] = [(1920, &[0xf8, 1]), (20_000, &[0xf8, 9]), (960, &[0xf8, 2, 2])];
        let payload = pack(111, &copies, &[0xf8, 3]);
        let rtp = Rtp { coding: Coding::Red, ssrc: 1, sequence: 7, timestamp: 9600, level: None, payload: &payload };
        let mut read = Vec::new();
        let take = |packet: hiwar_media::packet::Packet<hiwar_media::packet::Opus<'_>>| {
            read.push((
                packet.timestamp as u32,
                packet.sequence as u16,
                packet.redundant,
                packet.payload.as_slice().to_vec(),
            ));
        };
        Depacketizer::new().depacketize(std::time::Instant::now(), rtp, take).unwrap();
        let expected =
            [(7680, 5, true, vec![0xf8, 1]), (8640, 6, true, vec![0xf8, 2, 2]), (9600, 7, false, vec![0xf8, 3])];
        assert_eq!(read, expected);
    }
}
