//! What we write, read by other people's code: `mp4-atom` and `ogg`. And what we read, given damage.

use mp4_atom::{Any, Codec, DecodeMaybe as _, EmsgTimestamp};
use proptest::prelude::*;

use super::{Channels, PRE_SKIP, Track, emsg, fmp4, ogg};
use crate::chunk::{Chunk, FRAME_BYTES_MAX, Frames};
use crate::{CHUNK_FRAMES, Time};

const TIME: Time = Time(u32::MAX as u64 * 3 + 960);

fn frames_of(lengths: &[usize]) -> Frames {
    let mut frames = Frames::new();
    for (n, &length) in lengths.iter().enumerate() {
        frames.push(&vec![n as u8 + 1; length]).unwrap();
    }
    frames
}

fn boxes(mut bytes: &[u8]) -> Vec<Any> {
    let mut found = Vec::new();
    while let Some(atom) = Any::decode_maybe(&mut bytes).unwrap() {
        found.push(atom);
    }
    assert!(bytes.is_empty(), "{} bytes are in no box", bytes.len());
    found
}

#[test]
fn the_init_segment_says_opus_to_other_peoples_code() {
    for (channels, count) in [(Channels::Mono, 1), (Channels::Stereo, 2)] {
        let init = boxes(&fmp4::init(&Track { channels, language: *b"ara" }));
        let [Any::Ftyp(ftyp), Any::Moov(moov)] = &init[..] else { panic!("{init:?}") };
        assert_eq!(ftyp.major_brand, mp4_atom::FourCC::new(b"iso6"));
        assert!(ftyp.compatible_brands.contains(&mp4_atom::FourCC::new(b"cmfc")));
        assert_eq!((moov.mvhd.timescale, moov.mvhd.duration), (48_000, 0));
        let trak = &moov.trak[0];
        assert!(trak.edts.is_none(), "a live listener joins in mid-stream and must drop nothing");
        assert_eq!((trak.mdia.mdhd.timescale, trak.mdia.mdhd.language.as_str()), (48_000, "ara"));
        let [Codec::Opus(opus)] = &trak.mdia.minf.stbl.stsd.codecs[..] else { panic!("no Opus entry") };
        assert_eq!(opus.audio.channel_count, count);
        assert_eq!(opus.dops.output_channel_count, count as u8);
        assert_eq!((opus.dops.pre_skip, opus.dops.input_sample_rate, opus.dops.output_gain), (312, 48_000, 0));
        let trex = &moov.mvex.as_ref().unwrap().trex[0];
        assert_eq!((trex.track_id, trex.default_sample_duration), (trak.tkhd.track_id, 960));
        assert_eq!(trex.default_sample_flags & 0x0001_0000, 0, "every sample is a sync sample");
    }
}

#[test]
fn a_chunk_is_its_events_one_moof_and_one_mdat() {
    let lengths = [3, 80, 254, 255, 256, 509, 510, 511, 1, FRAME_BYTES_MAX];
    let frames = frames_of(&lengths);
    let mut out = Vec::new();
    emsg::write(&mut out, TIME, 7, b"{\"t\":\"ended\"}").unwrap();
    let before_moof = out.len();
    assert_eq!(before_moof, emsg::EVENT_OVERHEAD_BYTES + 13);
    assert_eq!(emsg::EVENT_OVERHEAD_BYTES, 88, "docs/formats/event.md says so");
    fmp4::fragment(&mut out, 42, TIME, &frames);
    let found = boxes(&out);
    let [Any::Emsg(event), Any::Moof(moof), Any::Mdat(mdat)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(event.scheme_id_uri, "https://aomedia.org/emsg/ID3");
    assert_eq!(event.presentation_time, EmsgTimestamp::Absolute(TIME.0));
    assert_eq!((event.timescale, event.id), (48_000, 7));
    assert_eq!(&event.message_data[..10], b"ID3\x04\0\0\0\0\0\x1d", "10 for the frame's head, and 19");
    assert_eq!(&event.message_data[10..20], b"PRIV\0\0\0\x13\0\0");
    assert_eq!(&event.message_data[20..], b"hiwar\0{\"t\":\"ended\"}");
    assert_eq!(moof.mfhd.sequence_number, 42);
    let traf = &moof.traf[0];
    assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, TIME.0);
    assert!(traf.tfhd.default_base_is_moof);
    let trun = &traf.trun[0];
    let offset = before_moof + trun.data_offset.unwrap() as usize;
    assert_eq!(out[offset..], mdat.data[..]);
    let sizes: Vec<usize> = trun.samples.iter().map(|sample| sample.size.unwrap() as usize).collect();
    assert_eq!(sizes, lengths);
    assert_eq!(mdat.data, frames.iter().flatten().copied().collect::<Vec<_>>());
}

#[test]
fn a_page_carries_packets_of_any_length_to_other_peoples_code() {
    for lengths in [
        vec![3; 10],
        vec![1, 254, 255, 256, 509, 510, 511, 764, 765, 1275],
        vec![FRAME_BYTES_MAX; CHUNK_FRAMES],
        vec![80],
        vec![],
    ] {
        let frames = frames_of(&lengths);
        let mut file = ogg::head(0xdead_beef, &Track::mono(), &[("TITLE", "حوار")]);
        let mut page = Vec::new();
        ogg::page(&mut page, 0xdead_beef, 2, 9_912, &frames, ogg::Place::Middle);
        file.extend_from_slice(&page);
        ogg::page(&mut file, 0xdead_beef, 3, 19_512, &frames_of(&[3]), ogg::Place::Last);
        let mut reader = ::ogg::PacketReader::new(std::io::Cursor::new(&file));
        let mut packets = Vec::new();
        while let Some(packet) = reader.read_packet().expect("checksums and lacing are right") {
            assert_eq!(packet.stream_serial(), 0xdead_beef);
            packets.push(packet);
        }
        assert!(packets[0].first_in_stream() && packets[0].data.starts_with(b"OpusHead\x01\x01\x38\x01"));
        assert!(packets[1].data.starts_with(b"OpusTags") && packets[1].absgp_page() == 0);
        let sound = &packets[2..packets.len() - 1];
        assert!(sound.iter().map(|packet| &packet.data[..]).eq(frames.iter()));
        assert!(sound.iter().all(|packet| packet.absgp_page() == 9_912));
        assert!(packets.last().unwrap().last_in_stream());

        let stream = ogg::frames(&file).unwrap();
        assert_eq!((stream.channels, stream.pre_skip), (Channels::Mono, PRE_SKIP));
        assert!(stream.packets.iter().map(|packet| &packet[..]).eq(frames.iter().chain([&[1_u8; 3][..]])));
    }
}

#[test]
fn tags_that_do_not_fit_their_page_are_left_out() {
    let long = "x".repeat(64_900);
    let head = ogg::head(1, &Track::mono(), &[("A", &long), ("B", &long), ("C", "short")]);
    let mut reader = ::ogg::PacketReader::new(std::io::Cursor::new(&head));
    reader.read_packet_expected().unwrap();
    let tags = reader.read_packet_expected().unwrap().data;
    assert_eq!(tags[8..21], *b"\x05\0\0\0hiwar\x02\0\0\0");
    assert!(tags.ends_with(b"C=short"));
}

#[test]
fn a_chunk_is_written_without_growing_its_buffers() {
    let frames = frames_of(&[FRAME_BYTES_MAX; CHUNK_FRAMES]);
    let mut chunk = Chunk::new();
    for index in 0..3 {
        chunk.clear();
        let before = (chunk.mp4.as_ptr(), chunk.ogg.as_ptr());
        emsg::write(&mut chunk.mp4, TIME, index, &[b'x'; emsg::EVENT_BYTES_MAX]).unwrap();
        fmp4::fragment(&mut chunk.mp4, index, TIME, &frames);
        ogg::page(&mut chunk.ogg, 1, index, TIME.0, &frames, ogg::Place::Middle);
        assert_eq!((chunk.mp4.as_ptr(), chunk.ogg.as_ptr()), before);
        assert_eq!(chunk.ogg.len(), ogg::CHUNK_PAGE_BYTES_MAX);
        assert_eq!(chunk.mp4.len(), fmp4::FRAGMENT_BYTES_MAX + emsg::EVENT_BYTES_MAX + emsg::EVENT_OVERHEAD_BYTES);
    }
}

#[test]
fn an_event_that_is_too_long_is_not_written() {
    let mut out = vec![1, 2, 3];
    assert_eq!(emsg::write(&mut out, TIME, 1, &[0; emsg::EVENT_BYTES_MAX + 1]), Err(emsg::Long));
    assert_eq!(out, [1, 2, 3]);
}

/// A part with two events and ten frames.
fn part() -> Vec<u8> {
    let mut out = Vec::new();
    emsg::write(&mut out, TIME, 1, b"one").unwrap();
    emsg::write(&mut out, Time(TIME.0 + 960), 2, b"").unwrap();
    fmp4::fragment(&mut out, 9, TIME, &frames_of(&[3, 80, 81, 82, 300, 84, 85, 86, 87, 3]));
    out
}

#[test]
fn a_stored_part_is_read_as_it_was_written() {
    let bytes = part();
    let fragment = fmp4::frames(&bytes).unwrap();
    assert_eq!((fragment.sequence, fragment.time, fragment.duration(), fragment.len()), (9, TIME, 9600, 10));
    assert!(fragment.iter().eq(frames_of(&[3, 80, 81, 82, 300, 84, 85, 86, 87, 3]).iter()));
    let events: Vec<_> = fragment.events().map(|event| (event.time.0 - TIME.0, event.id, event.payload)).collect();
    assert_eq!(events, [(0, 1, &b"one"[..]), (960, 2, b"")]);
}

#[test]
fn a_part_that_ends_early_or_goes_on_is_not_read() {
    let mut bytes = part();
    for end in 0..bytes.len() {
        assert!(fmp4::frames(&bytes[..end]).is_err(), "cut at {end}");
    }
    bytes.extend_from_slice(b"\0\0\0\x08free");
    assert!(fmp4::frames(&bytes).is_err());
}

/// Reads everything there is to read: nothing may panic, and what is taken is consistent.
fn read_part(bytes: &[u8]) {
    if let Ok(fragment) = fmp4::frames(bytes) {
        assert!(fragment.len() <= CHUNK_FRAMES && fragment.iter().count() == fragment.len());
        assert!(fragment.iter().all(|frame| (1..=FRAME_BYTES_MAX).contains(&frame.len())));
        assert!(fragment.events().all(|event| event.payload.len() <= emsg::EVENT_BYTES_MAX));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_part_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_part(&bytes);
        let _ = ogg::frames(&bytes);
    }

    #[test]
    fn a_damaged_part_is_a_part_or_is_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = part();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        read_part(&bytes);
        bytes.truncate(end.index(bytes.len()) + 1);
        read_part(&bytes);
    }

    #[test]
    fn a_damaged_ogg_file_is_refused(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut file = ogg::head(1, &Track::mono(), &[]);
        ogg::page(&mut file, 1, 2, 9_912, &frames_of(&[80; 10]), ogg::Place::Last);
        let at = at.index(file.len());
        file[at] ^= flip;
        prop_assert!(ogg::frames(&file).is_err(), "byte {at}");
    }
}
