#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use proptest::prelude::*;

use super::*;

/// TOC of a 20 ms CELT mono frame, and one byte.
const OPUS: [u8; 4] = [0xf8, 1, 2, 3];

fn rtp<'a>(ssrc: u32, sequence: u16, timestamp: u32, payload: &'a [u8]) -> Rtp<'a> {
    Rtp { coding: Coding::Opus, ssrc, sequence, timestamp, level: None, payload }
}

fn take(depacketizer: &mut Depacketizer, rtp: Rtp<'_>) -> Result<Vec<Packet<Payload>>, Malformed> {
    let mut packets = Vec::new();
    depacketizer.depacketize(Instant::now(), rtp, |packet| packets.push(packet.with(packet.payload.into())))?;
    Ok(packets)
}

fn red(blocks: &[(u16, &[u8])], primary: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (offset, block) in blocks {
        let word = 1_u32 << 31 | 111 << 24 | u32::from(*offset) << 10 | block.len() as u32;
        bytes.extend(word.to_be_bytes());
    }
    bytes.push(111);
    blocks.iter().for_each(|(_, block)| bytes.extend(*block));
    bytes.extend(primary);
    bytes
}

#[test]
fn counters_go_on_over_the_wrap_and_back() {
    let mut d = Depacketizer::new();
    let first = take(&mut d, rtp(1, 65_535, u32::MAX - 479, &OPUS)).unwrap().remove(0);
    let second = take(&mut d, rtp(1, 0, 480, &OPUS)).unwrap().remove(0);
    let late = take(&mut d, rtp(1, 65_534, u32::MAX - 1439, &OPUS)).unwrap().remove(0);
    assert_eq!(second.sequence, first.sequence + 1);
    assert_eq!(second.timestamp, first.timestamp + 960);
    assert_eq!(late.sequence, first.sequence - 1);
    assert_eq!(late.timestamp, first.timestamp - 960);
}

#[test]
fn a_late_first_packet_has_a_number_too() {
    let mut d = Depacketizer::new();
    let first = take(&mut d, rtp(1, 0, 0, &OPUS)).unwrap().remove(0);
    let earlier = take(&mut d, rtp(1, 65_535, 0_u32.wrapping_sub(960), &OPUS)).unwrap().remove(0);
    assert_eq!(earlier.sequence + 1, first.sequence);
    assert_eq!(earlier.timestamp + 960, first.timestamp);
}

#[test]
fn a_new_ssrc_is_a_new_source_and_stragglers_of_the_old_one_are_dropped() {
    let mut d = Depacketizer::new();
    assert_eq!(take(&mut d, rtp(1, 10, 0, &OPUS)).unwrap()[0].source, 0);
    assert_eq!(take(&mut d, rtp(2, 900, 5, &OPUS)).unwrap()[0].source, 1);
    assert!(take(&mut d, rtp(1, 11, 960, &OPUS)).unwrap().is_empty());
    assert_eq!(take(&mut d, rtp(2, 901, 965, &OPUS)).unwrap()[0].source, 1);
    let returned = (0..20).filter_map(|n| take(&mut d, rtp(1, 12 + n, 0, &OPUS)).unwrap().pop()).collect::<Vec<_>>();
    assert_eq!(returned.len(), 20 - usize::from(RETURN_TO_OLD_SSRC) + 1);
    assert!(returned.iter().all(|packet| packet.source == 2));
}

#[test]
fn red_gives_the_old_packet_and_the_new_one() {
    let mut d = Depacketizer::new();
    let old = [0xf8, 9];
    let bytes = red(&[(960, &old)], &OPUS);
    let packets = take(&mut d, Rtp { coding: Coding::Red, ..rtp(1, 7, 9600, &bytes) }).unwrap();
    assert_eq!(packets.len(), 2);
    assert!(packets[0].redundant && !packets[1].redundant);
    assert_eq!(packets[0].payload.as_slice(), old);
    assert_eq!(packets[1].payload.as_slice(), OPUS);
    assert_eq!(packets[0].timestamp + 960, packets[1].timestamp);
    assert_eq!(packets[0].sequence + 1, packets[1].sequence);
}

#[test]
fn nothing_inside_is_not_an_error() {
    let mut d = Depacketizer::new();
    assert!(take(&mut d, rtp(1, 7, 0, &[])).unwrap().is_empty());
    assert!(take(&mut d, Rtp { coding: Coding::Red, ..rtp(1, 8, 0, &[]) }).unwrap().is_empty());
    let bytes = red(&[(960, &[])], &OPUS);
    assert_eq!(take(&mut d, Rtp { coding: Coding::Red, ..rtp(1, 9, 0, &bytes) }).unwrap().len(), 1);
}

#[test]
fn each_kind_of_rubbish_has_its_name() {
    let check = |coding, payload: &[u8], expected| {
        let mut d = Depacketizer::new();
        assert_eq!(take(&mut d, Rtp { coding, ..rtp(1, 7, 0, payload) }).unwrap_err(), expected, "{payload:?}");
    };
    check(Coding::Red, &[0x80 | 111], Malformed::RedHeader);
    check(Coding::Red, &[0x80 | 111, 0, 0, 1], Malformed::RedHeader);
    check(Coding::Red, &[0xff; 64], Malformed::RedHeader);
    check(Coding::Red, &[0x80 | 111, 0, 0, 9, 111, 1], Malformed::RedLength);
    check(Coding::Opus, &[0xf8; PAYLOAD_BYTES_MAX + 1], Malformed::TooLong);
    check(Coding::Opus, &[0xfb], Malformed::NotOpus);
    check(Coding::Opus, &[0xfb, 0], Malformed::NotOpus);
    check(Coding::Opus, &[0xfb, 7], Malformed::NotOpus);
}

#[test]
fn durations_follow_the_table_of_rfc_6716() {
    let check = |bytes: &[u8], samples| assert_eq!(Opus::new(bytes).unwrap().duration(), Some(samples), "{bytes:?}");
    check(&[3 << 3, 0], 2880);
    check(&[12 << 3, 0], 480);
    check(&[16 << 3, 0], 120);
    check(&[31 << 3, 0], 960);
    check(&[31 << 3 | 1, 0], 1920);
    check(&[31 << 3 | 3, 3], 2880);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        packets in proptest::collection::vec((any::<bool>(), 0_u32..3, any::<u16>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..40)
    ) {
        let mut d = Depacketizer::new();
        for (is_red, ssrc, sequence, timestamp, payload) in packets {
            let coding = if is_red { Coding::Red } else { Coding::Opus };
            if let Ok(found) = take(&mut d, Rtp { coding, ..rtp(ssrc, sequence, timestamp, &payload) }) {
                prop_assert!(found.len() <= RED_BLOCKS_MAX);
                prop_assert!(found.iter().all(|packet| packet.payload.opus().duration().is_some()));
            }
        }
    }
}
