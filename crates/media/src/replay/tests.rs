//! Replays of made-up spaces, read by other people's code: `mp4-atom`, `ogg` and libopus.

use mp4_atom::{Any, Codec, DecodeMaybe as _, EmsgTimestamp};
use opus::{Application, Bitrate, Decoder, Encoder};

use super::*;
use crate::chunk::{Chunk, Frames};
use crate::package::ogg;

/// When the made-up programme began: a space that has run for a while.
const ORIGIN: u64 = 48_000 * 3600;

/// A voice-like buzz, encoded as the programme is.
fn buzz(chunks: u64) -> Vec<Chunk> {
    let mut encoder = encoder(Application::Audio, 32_000);
    let mut at = 0_u32;
    (0..chunks)
        .map(|n| {
            let mut frames = Frames::new();
            for _ in 0..10 {
                let pcm: Vec<f32> = (at..at + 960).map(sample).collect();
                at += 960;
                frames.push(&encoder.encode_vec_float(&pcm, 1275).unwrap()).unwrap();
            }
            chunk(n, &frames)
        })
        .collect()
}

/// A saw-tooth of 120 Hz with breath in it: many frequencies, so that it is like itself at one delay only.
fn sample(at: u32) -> f32 {
    (at % 400) as f32 / 800.0 - 0.25 + (at.wrapping_mul(2_654_435_761) >> 16) as f32 / 1e6
}

fn encoder(application: Application, bits_per_second: i32) -> Encoder {
    let mut encoder = Encoder::new(48_000, opus::Channels::Mono, application).unwrap();
    encoder.set_bitrate(Bitrate::Bits(bits_per_second)).unwrap();
    encoder
}

/// Chunks whose frames have the given length and mean nothing.
fn dummy(chunks: u64, frame_bytes: usize) -> Vec<Chunk> {
    let mut frames = Frames::new();
    (0..10).for_each(|_| frames.push(&vec![0xf8; frame_bytes]).unwrap());
    (0..chunks).map(|n| chunk(n, &frames)).collect()
}

fn chunk(n: u64, frames: &Frames) -> Chunk {
    let mut chunk = Chunk::new();
    (chunk.index, chunk.time, chunk.duration) = (n + 500, Time(ORIGIN + n * 9600), frames.duration());
    chunk.facts = Facts { energy: [0.125; 2], true_peak: 0.5 };
    if n.is_multiple_of(10) {
        emsg::write(&mut chunk.mp4, chunk.time, n as u32, format!("event {n}").as_bytes()).unwrap();
    }
    fmp4::fragment(&mut chunk.mp4, chunk.index as u32 + 1, chunk.time, frames);
    chunk
}

struct Sealed {
    replay: Replay,
    mp4: Vec<u8>,
    ogg: Vec<u8>,
}

fn seal(chunks: &[Chunk]) -> Sealed {
    let parts = || chunks.iter().map(|chunk| Part { index: chunk.index, mp4: &chunk.mp4, facts: chunk.facts });
    let mut sealer = Sealer::new();
    let refused: Vec<_> = parts().map(|part| sealer.measure(&part)).collect();
    let labels = Labels { title: "حوار", date: Some("2026-11-23"), track: Track::mono() };
    let replay = sealer.finish(&labels).unwrap();
    let (mut mp4, mut ogg) = (Vec::new(), Vec::new());
    let mut writer = replay.mp4(&mut mp4);
    assert_eq!(parts().map(|part| writer.write(&part, &mut mp4)).collect::<Vec<_>>(), refused);
    writer.finish(&mut mp4).expect("the second pass saw what the first did");
    let mut writer = replay.ogg(77, &mut ogg);
    assert_eq!(parts().map(|part| writer.write(&part, &mut ogg)).collect::<Vec<_>>(), refused);
    writer.finish(&mut ogg);
    assert_eq!(mp4.len() as u64, replay.mp4_bytes());
    Sealed { replay, mp4, ogg }
}

/// What `mp4-atom` finds in a replay.
struct Found {
    moov: mp4_atom::Moov,
    sidx: mp4_atom::Sidx,
    /// Zero is the first sample heard.
    events: Vec<(u64, String)>,
    frames: Vec<Vec<u8>>,
    media_duration: u64,
}

fn open(sealed: &Sealed) -> Found {
    let mut rest = &sealed.mp4[..];
    let mut next = || (sealed.mp4.len() - rest.len(), Any::decode_maybe(&mut rest).unwrap());
    let (_, Some(Any::Ftyp(_))) = next() else { panic!("no ftyp") };
    let (_, Some(Any::Moov(moov))) = next() else { panic!("no moov") };
    let (_, Some(Any::Sidx(sidx))) = next() else { panic!("no sidx") };
    let mut found = Found { moov, sidx, events: vec![], frames: vec![], media_duration: 0 };
    let mut moofs = Vec::new();
    let mut begin = None;
    while let (at, Some(atom)) = next() {
        begin = begin.or(Some(at));
        match atom {
            Any::Emsg(event) => {
                let EmsgTimestamp::Absolute(time) = event.presentation_time else { panic!("version 0") };
                found.events.push((time, String::from_utf8(event.message_data[26..].to_vec()).unwrap()));
            }
            Any::Moof(moof) => {
                assert_eq!(moof.mfhd.sequence_number as usize, moofs.len() + 1);
                let traf = &moof.traf[0];
                assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, found.media_duration);
                let mut data_at = at + traf.trun[0].data_offset.unwrap() as usize;
                for sample in traf.trun[0].samples.iter() {
                    let size = sample.size.unwrap() as usize;
                    found.frames.push(sealed.mp4[data_at..data_at + size].to_vec());
                    data_at += size;
                    found.media_duration += u64::from(sample.duration.unwrap_or(960));
                }
                moofs.push(begin.unwrap());
            }
            Any::Mdat(_) => begin = None,
            other => panic!("{other:?}"),
        }
    }
    // The index leads to the first box of each fragment.
    let mut at = moofs[0];
    for (reference, &moof) in found.sidx.references.iter().zip(&moofs) {
        assert_eq!(at, moof);
        at += reference.referenced_size as usize;
    }
    assert_eq!((found.sidx.references.len(), at), (moofs.len(), sealed.mp4.len()));
    found
}

fn check_lengths(chunks: u64) {
    let sealed = seal(&dummy(chunks, 80));
    let (found, samples) = (open(&sealed), chunks * 9600);
    assert_eq!(sealed.replay.samples(), samples);
    assert_eq!(sealed.replay.duration(), Duration::from_millis(chunks * 200));
    assert_eq!(found.frames.len() as u64, chunks * 10 + 1);
    assert_eq!(found.media_duration, samples + 312);
    assert_eq!(found.moov.mvex.as_ref().unwrap().mehd.as_ref().unwrap().fragment_duration, samples);
    let edit = &found.moov.trak[0].edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0];
    assert_eq!((edit.segment_duration, edit.media_time), (samples, Some(312)));
    let indexed: u64 = found.sidx.references.iter().map(|reference| u64::from(reference.subsegment_duration)).sum();
    assert_eq!(indexed, samples);
    assert_eq!(found.sidx.references.len() as u64, chunks.div_ceil(20));

    let mut reader = ::ogg::PacketReader::new(std::io::Cursor::new(&sealed.ogg));
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet().unwrap() {
        packets.push(packet);
    }
    let end = packets.last().unwrap();
    assert!(end.last_in_stream());
    assert_eq!(end.absgp_page(), samples + 312);
    assert!(packets[2..].iter().map(|packet| &packet.data[..]).eq(found.frames.iter().map(|frame| &frame[..])));
}

#[test]
fn both_files_are_exactly_as_long_as_the_sound() {
    for chunks in [1, 4, 5, 19, 20, 21, 40, 41] {
        check_lengths(chunks);
    }
}

#[test]
fn the_sound_is_where_it_was_said() {
    let sealed = seal(&buzz(10));
    let stream = ogg::frames(&sealed.ogg).unwrap();
    let mut decoder = Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut heard = Vec::new();
    for packet in &stream.packets {
        let mut pcm = [0.0; 960];
        decoder.decode_float(packet, &mut pcm, false).unwrap();
        heard.extend_from_slice(&pcm);
    }
    let heard = &heard[usize::from(stream.pre_skip)..][..sealed.replay.samples() as usize];
    for from in [4800, 48_000, 91_000] {
        let likeness =
            |late: usize| -> f32 { (from..from + 4800).map(|at| heard[at + late - 50] * sample(at as u32)).sum() };
        let late = (0..100).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap();
        // On such a plain sound the codec's own error moves the best place by a sample; a wrong pre-skip moves it by hundreds.
        assert!(late.abs_diff(50) <= 2, "at {from}: {} samples late", late as i32 - 50);
    }
}

#[test]
fn events_keep_their_place_in_the_sound() {
    let events = open(&seal(&dummy(41, 80))).events;
    let expected: Vec<_> = (0..5_u64).map(|n| (n * 96_000, format!("event {}", n * 10))).collect();
    assert_eq!(events, expected);
}

#[test]
fn a_hole_is_filled_with_silence_and_told() {
    let mut chunks = dummy(30, 80);
    chunks.drain(5..12);
    let sealed = seal(&chunks);
    assert_eq!(
        (sealed.replay.holes, sealed.replay.missing, sealed.replay.cut),
        (1, Duration::from_millis(1400), Duration::ZERO)
    );
    assert_eq!(sealed.replay.duration(), Duration::from_secs(6));
    let found = open(&sealed);
    assert!(found.frames[50..120].iter().all(|frame| frame[..] == SILENCE));
    assert!(found.frames[..50].iter().chain(&found.frames[120..300]).all(|frame| frame.len() == 80));
    let told = found.events.iter().find(|(_, event)| event.contains("gap")).unwrap();
    assert_eq!(*told, (48_000, r#"{"t":"gap","missing_ms":1400,"silence_ms":1400}"#.to_owned()));
}

#[test]
fn a_hole_of_more_than_ten_minutes_is_cut_to_two_seconds() {
    for (missing_chunks, left) in [(3000, Duration::from_secs(600)), (3001, Duration::from_secs(2))] {
        let mut chunks = dummy(1, 80);
        chunks.push(dummy(missing_chunks + 2, 3).pop().unwrap());
        let sealed = seal(&chunks);
        assert_eq!(sealed.replay.duration(), Duration::from_millis(400) + left);
        assert_eq!(sealed.replay.missing - sealed.replay.cut, left);
        open(&sealed);
    }
}

#[test]
fn a_damaged_or_repeated_part_is_a_hole_in_both_passes() {
    let mut chunks = dummy(30, 80);
    chunks[7].mp4[100] ^= 1;
    chunks[8].mp4.clear();
    chunks.insert(20, chunks[19].clone());
    let sealed = seal(&chunks);
    assert_eq!((sealed.replay.holes, sealed.replay.missing), (1, Duration::from_millis(400)));
    assert_eq!(sealed.replay.duration(), Duration::from_secs(6));
    open(&sealed);
}

#[test]
fn a_second_pass_over_other_parts_is_noticed() {
    let chunks = dummy(30, 80);
    let replay = seal(&chunks).replay;
    for others in [dummy(29, 80), dummy(31, 80), dummy(30, 81)] {
        let mut out = Vec::new();
        let mut writer = replay.mp4(&mut out);
        for chunk in &others {
            writer.write(&Part { index: chunk.index, mp4: &chunk.mp4, facts: chunk.facts }, &mut out).unwrap();
        }
        assert_eq!(writer.finish(&mut out), Err(Changed));
    }
}

#[test]
fn an_empty_recording_has_no_replay() {
    assert_eq!(Sealer::new().finish(&Labels { title: "", date: None, track: Track::mono() }).unwrap_err(), Empty);
}

#[test]
fn pages_with_long_packets_are_closed_before_they_overflow() {
    // 6 segments a packet: 42 fit on a page, 50 do not.
    let sealed = seal(&dummy(20, 1275));
    assert_eq!(ogg::frames(&sealed.ogg).unwrap().packets.len(), 201);
    check_lengths(20);
}

#[test]
fn the_files_say_title_date_and_loudness() {
    let sealed = seal(&dummy(30, 80));
    // Energy 0.125: −0.691 − 9.031 = −9.722 LUFS; the peak of 0.5 is −6.02 dBTP.
    let loudness = sealed.replay.loudness;
    assert!((loudness.integrated_lufs.unwrap() + 9.722).abs() < 0.001);
    assert!((loudness.true_peak_dbtp.unwrap() + 6.02).abs() < 0.01);
    let text = String::from_utf8_lossy(&sealed.ogg[..400]).into_owned();
    for tag in ["TITLE=حوار", "DATE=2026-11-23", "R128_TRACK_GAIN=-3399"] {
        assert!(text.contains(tag), "{tag}");
    }
    let moov = open(&sealed).moov;
    let [Codec::Opus(opus)] = &moov.trak[0].mdia.minf.stbl.stsd.codecs[..] else { panic!("no Opus entry") };
    assert_eq!(opus.dops.pre_skip, 312);
    let has = |bytes: &[u8]| sealed.mp4.windows(bytes.len()).any(|window| window == bytes);
    assert!(has("\0\0\0\x18data\0\0\0\x01\0\0\0\0حوار".as_bytes()) && has(b"\xa9day\0\0\0\x1adata"));
    assert!(has(b"ludt\0\0\0\x16tlou\0\0\0\0") && has(b"R128_TRACK_GAIN\0\0\0\x15data\0\0\0\x01\0\0\0\0-3399"));
}

#[test]
fn a_silent_recording_claims_no_loudness() {
    let mut chunks = dummy(5, 3);
    chunks.iter_mut().for_each(|chunk| chunk.facts = Facts::default());
    let sealed = seal(&chunks);
    assert_eq!(sealed.replay.loudness, Loudness { integrated_lufs: None, true_peak_dbtp: None });
    let has = |file: &[u8], bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    assert!(!has(&sealed.ogg, b"R128") && !has(&sealed.mp4, b"R128") && !has(&sealed.mp4, b"ludt"));
    open(&sealed);
}

#[test]
fn a_long_title_is_cut_between_letters() {
    let title = "ح".repeat(TITLE_BYTES_MAX);
    let mut sealer = Sealer::new();
    let chunk = dummy(1, 3).remove(0);
    sealer.measure(&Part { index: 0, mp4: &chunk.mp4, facts: chunk.facts }).unwrap();
    let replay = sealer.finish(&Labels { title: &title, date: None, track: Track::mono() }).unwrap();
    let mut out = Vec::new();
    replay.ogg(1, &mut out).finish(&mut out);
    let tags = String::from_utf8_lossy(&out).matches('ح').count();
    assert_eq!(tags, TITLE_BYTES_MAX / 2);
}

#[test]
fn the_playlist_cuts_the_file_where_its_fragments_are() {
    let sealed = seal(&dummy(41, 80));
    let text = sealed.replay.playlist("../demo.mp4");
    let lines: Vec<&str> = text.lines().collect();
    let (map, _) =
        lines[5].strip_prefix("#EXT-X-MAP:URI=\"../demo.mp4\",BYTERANGE=\"").unwrap().split_once('@').unwrap();
    assert!(map.parse::<usize>().is_ok_and(|end| &sealed.mp4[end + 4..end + 8] == b"sidx"));
    let mut ends = Vec::new();
    for range in lines.iter().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")) {
        let (bytes, from) = range.split_once('@').unwrap();
        let from: usize = from.parse().unwrap();
        assert!([&b"emsg"[..], b"moof"].contains(&&sealed.mp4[from + 4..from + 8]));
        ends.push(from + bytes.parse::<usize>().unwrap());
    }
    assert_eq!((ends.len(), ends[2]), (3, sealed.mp4.len()));
    let seconds: f64 =
        lines.iter().filter_map(|l| l.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok()).sum();
    assert!((seconds - 8.2).abs() < 0.000_01);
    assert_eq!(lines.last(), Some(&"#EXT-X-ENDLIST"));
}

#[test]
fn the_silent_frame_is_silence_after_speech_of_any_mode() {
    for (application, bits_per_second) in
        [(Application::Audio, 32_000), (Application::Voip, 16_000), (Application::Voip, 24_000)]
    {
        let mut encoder = encoder(application, bits_per_second);
        let mut decoder = Decoder::new(48_000, opus::Channels::Mono).unwrap();
        let mut pcm = [0.0; 960];
        for n in 0..50_u32 {
            let buzz: Vec<f32> = (n * 960..(n + 1) * 960).map(sample).collect();
            let packet = encoder.encode_vec_float(&buzz, 1275).unwrap();
            decoder.decode_float(&packet, &mut pcm, false).unwrap();
        }
        assert!(pcm.iter().any(|sample| sample.abs() > 0.1));
        let peaks: Vec<f32> = (0..5)
            .map(|_| {
                assert_eq!(decoder.decode_float(&SILENCE, &mut pcm, false).unwrap(), 960);
                pcm.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()))
            })
            .collect();
        assert!(peaks[1..].iter().all(|&peak| peak < 1e-6), "{application:?} {bits_per_second}: {peaks:?}");
    }
}
