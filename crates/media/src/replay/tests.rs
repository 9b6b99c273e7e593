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

fn chapter(begin_ms: u64, title: &str) -> Chapter {
    Chapter { begin: Time(begin_ms * 48), title: title.to_owned() }
}

struct Sealed {
    replay: Replay,
    mp4: Vec<u8>,
    ogg: Vec<u8>,
}

fn seal(chunks: &[Chunk]) -> Sealed {
    let parts = || chunks.iter().map(|chunk| Part { index: chunk.index, mp4: &chunk.mp4, facts: chunk.facts });
    let mut sealer = Sealer::new();
    let refused: Vec<_> = parts().map(|part| sealer.measure(&part).map(drop)).collect();
    let chapters = [chapter(0, "ليلى"), chapter(61_500, "Sara")];
    let labels = Labels { title: "حوار", date: Some("2026-11-23"), track: Track::mono(), chapters: &chapters };
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
    assert_eq!(
        Sealer::new().finish(&Labels { title: "", date: None, track: Track::mono(), chapters: &[] }).unwrap_err(),
        Empty
    );
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
fn the_files_list_the_chapters() {
    let sealed = seal(&dummy(30, 80));
    let tags = String::from_utf8_lossy(&sealed.ogg[..500]).into_owned();
    for tag in ["CHAPTER000=00:00:00.000", "CHAPTER000NAME=ليلى", "CHAPTER001=00:01:01.500", "CHAPTER001NAME=Sara"]
    {
        assert!(tags.contains(tag), "{tag}");
    }
    let [chpl] =
        sealed.mp4.windows(4).enumerate().filter(|(_, w)| w == b"chpl").map(|(at, _)| at).collect::<Vec<_>>()[..]
    else {
        panic!("not one chpl")
    };
    let body = &sealed.mp4[chpl + 4..][..4 + 4 + 1 + 9 + 8 + 9 + 4];
    let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 2];
    for (begin, title) in [(0_u64, "ليلى"), (615_000_000, "Sara")] {
        expected.extend_from_slice(&begin.to_be_bytes());
        expected.push(title.len() as u8);
        expected.extend_from_slice(title.as_bytes());
    }
    assert_eq!(body, expected);
}

#[test]
fn as_many_chapters_as_may_be_leave_room_for_the_rest_of_the_head() {
    let chapters: Vec<_> = (0..400).map(|n| chapter(n, &"ح".repeat(200))).collect();
    let mut sealer = Sealer::new();
    let chunk = dummy(1, 3).remove(0);
    sealer.measure(&Part { index: 0, mp4: &chunk.mp4, facts: chunk.facts }).unwrap();
    let title = "t".repeat(2 * TITLE_BYTES_MAX);
    let labels = Labels { title: &title, date: Some("2026-11-23"), track: Track::mono(), chapters: &chapters };
    let replay = sealer.finish(&labels).unwrap();
    let (mut mp4, mut ogg) = (Vec::new(), Vec::new());
    drop((replay.mp4(&mut mp4), replay.ogg(1, &mut ogg)));
    assert!(mp4.len() < clip::FRONT_BYTES, "{}", mp4.len());
    let tags = String::from_utf8_lossy(&ogg);
    assert!(tags.contains("CHAPTER254NAME=") && !tags.contains("CHAPTER255"), "all of them fit on their page");
}

#[test]
fn a_part_says_where_in_the_replay_its_events_are() {
    let mut chunks = dummy(30, 80);
    chunks.drain(5..12);
    let mut sealer = Sealer::new();
    let mut events = Vec::new();
    for chunk in &chunks {
        let measured = sealer.measure(&Part { index: chunk.index, mp4: &chunk.mp4, facts: chunk.facts }).unwrap();
        assert_eq!(measured.samples(), 9600);
        events.extend(measured.events().map(|(time, event)| (time.0, String::from_utf8(event.to_vec()).unwrap())));
    }
    let found = open(&seal(&chunks)).events;
    assert_eq!(events, found.into_iter().filter(|(_, event)| !event.contains("gap")).collect::<Vec<_>>());
}

fn front(sealed: &Sealed) -> clip::Recorded {
    let start = &sealed.mp4[..sealed.mp4.len().min(clip::FRONT_BYTES)];
    clip::Recorded::read(&sealed.mp4[..clip::front_bytes(start).unwrap()]).unwrap()
}

const LABEL: clip::Label<'_> = clip::Label { link: "https://talk.example/s/demo#t=1", serial: 5 };

/// The frames of the MP4 form of a clip, with its edit and how long its media is.
fn whole(file: &[u8]) -> (Vec<Vec<u8>>, (u64, u64), u64) {
    let mut rest = file;
    let mut moov = None;
    while let Some(atom) = Any::decode_maybe(&mut rest).unwrap() {
        if let Any::Moov(found) = atom {
            moov = Some(found);
        }
    }
    let trak = &moov.unwrap().trak[0];
    let stbl = &trak.mdia.minf.stbl;
    let mut at = stbl.stco.as_ref().unwrap().entries[0] as usize;
    let mp4_atom::StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("no sizes") };
    let frames = sizes.iter().map(|&size| {
        let frame = file[at..at + size as usize].to_vec();
        at += size as usize;
        frame
    });
    let frames: Vec<_> = frames.collect();
    assert_eq!(at, file.len());
    let edit = &trak.edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0];
    let media = stbl.stts.entries.iter().map(|e| u64::from(e.sample_count) * u64::from(e.sample_delta)).sum();
    (frames, (edit.media_time.unwrap(), edit.segment_duration), media)
}

#[test]
fn a_clip_has_the_frames_of_its_part_and_says_which_samples_are_heard() {
    // Every frame is another, so that it can be told which they are.
    let mut chunks = dummy(41, 80);
    for (n, chunk) in chunks.iter_mut().enumerate() {
        let at = chunk.mp4.len() - 800;
        (0..10).for_each(|frame| {
            chunk.mp4[at + frame * 80 + 1..][..2].copy_from_slice(&(n as u16 * 10 + frame as u16).to_be_bytes())
        });
    }
    let sealed = seal(&chunks);
    let (recorded, all) = (front(&sealed), open(&sealed).frames);
    assert_eq!((recorded.title(), recorded.samples()), ("حوار", 41 * 9600));
    let end = 41 * 9600;
    for (from, to) in [
        (0, 1),
        (0, end),
        (48, 48 + 960),
        (9_288, 9_289),
        (9_600, 19_200),
        (191_000, 193_000),
        (192_000, 192_048),
        (383_687, 383_689),
        (383_688, end),
        (end - 1, end),
        (end - 960, end),
        (100_000, 390_000),
    ] {
        let clip = recorded.clip(Time(from), Time(to)).unwrap();
        let bytes = clip.bytes();
        let bytes = &sealed.mp4[bytes.start as usize..bytes.end as usize];
        let (mp4, ogg) = (clip.mp4(bytes, &LABEL).unwrap(), clip.ogg(bytes, &LABEL).unwrap());
        let (frames, (skip, heard), media) = whole(&mp4);
        assert_eq!((heard, media), (to - from, skip + to - from), "{from} to {to}");
        let first = (from + 312 - skip) / 960;
        assert_eq!((from + 312 - skip) % 960, 0);
        assert_eq!(frames[..], all[first as usize..][..frames.len()]);
        assert!(skip >= 9_600 || first == 0, "there is enough to find the way in: {skip} before {from}");
        assert!((frames.len() as u64 - 1) * 960 < media && media <= frames.len() as u64 * 960);
        let stream = ogg::frames(&ogg).unwrap();
        assert!(u64::from(stream.pre_skip) == skip && stream.packets == frames);
        let mut reader = ::ogg::PacketReader::new(std::io::Cursor::new(&ogg));
        let mut last = None;
        while let Some(packet) = reader.read_packet().unwrap() {
            last = Some(packet);
        }
        let last = last.unwrap();
        assert!(last.last_in_stream() && last.absgp_page() == media);
    }
}

#[test]
fn a_clip_sounds_as_the_whole_does_there() {
    let sealed = seal(&buzz(40));
    let decode = |file: &[u8]| {
        let stream = ogg::frames(file).unwrap();
        let mut decoder = Decoder::new(48_000, opus::Channels::Mono).unwrap();
        let mut heard = Vec::new();
        for packet in &stream.packets {
            let mut pcm = [0.0; 960];
            decoder.decode_float(packet, &mut pcm, false).unwrap();
            heard.extend_from_slice(&pcm);
        }
        heard.split_off(usize::from(stream.pre_skip))
    };
    let (recorded, all) = (front(&sealed), decode(&sealed.ogg));
    for (from, to) in [(100_000, 200_000), (0, 50_000), (191_999, 250_001), (300_000, 384_000)] {
        let clip = recorded.clip(Time(from), Time(to)).unwrap();
        let bytes = clip.bytes();
        let ogg = clip.ogg(&sealed.mp4[bytes.start as usize..bytes.end as usize], &LABEL).unwrap();
        let (heard, there) = (decode(&ogg), &all[from as usize..to as usize]);
        let power =
            |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| f64::from(sample).powi(2)).sum::<f64>();
        let error = power(&mut heard.iter().zip(there).map(|(one, other)| one - other));
        let decibels = 10.0 * (power(&mut there.iter().copied()) / error.max(1e-12)).log10();
        assert!(decibels > 50.0, "{from} to {to}: {decibels} dB");
    }
}

#[test]
fn a_clip_says_what_it_is_of() {
    let sealed = seal(&dummy(41, 80));
    let recorded = front(&sealed);
    let clip = recorded.clip(Time(48_000), Time(8 * 48_000)).unwrap();
    let bytes = clip.bytes();
    let bytes = &sealed.mp4[bytes.start as usize..bytes.end as usize];
    for file in [clip.mp4(bytes, &LABEL).unwrap(), clip.ogg(bytes, &LABEL).unwrap()] {
        let head = String::from_utf8_lossy(&file[..file.len().min(4_000)]).into_owned();
        for said in ["حوار (0:01–0:08)", "2026-11-23", LABEL.link] {
            assert!(head.contains(said), "{said}");
        }
    }
}

#[test]
fn outside_the_recording_there_is_no_clip() {
    let sealed = seal(&dummy(5, 80));
    let recorded = front(&sealed);
    for (from, to) in [(0, 0), (5, 4), (0, 48_001), (48_000, 48_001), (48_001, 48_002), (0, u64::MAX), (u64::MAX, 1)] {
        assert_eq!(recorded.clip(Time(from), Time(to)), Err(clip::NoClip::Outside), "{from} to {to}");
    }
    assert!(recorded.clip(Time(0), Time(48_000)).is_ok());
}

#[test]
fn damage_makes_no_clip_and_no_panic() {
    let sealed = seal(&dummy(30, 80));
    let recorded = front(&sealed);
    let clip = recorded.clip(Time(4_800), Time(240_000)).unwrap();
    let bytes = clip.bytes();
    let bytes = &sealed.mp4[bytes.start as usize..bytes.end as usize];
    for end in 0..bytes.len() {
        assert_eq!(clip.ogg(&bytes[..end], &LABEL), Err(clip::Malformed));
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x81;
        let _ = clip.mp4(&damaged, &LABEL);
    }
    let head = &sealed.mp4[..clip::front_bytes(&sealed.mp4).unwrap()];
    for at in 0..head.len() {
        let mut damaged = head.to_vec();
        damaged[at] ^= 0x81;
        if let (Ok(_), Ok(recorded)) = (clip::front_bytes(&damaged), clip::Recorded::read(&damaged)) {
            let _ = recorded.clip(Time(4_800), Time(240_000)).map(|clip| clip.mp4(bytes, &LABEL));
        }
        assert!(clip::Recorded::read(&head[..at]).is_err());
    }
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
    let replay = sealer.finish(&Labels { title: &title, date: None, track: Track::mono(), chapters: &[] }).unwrap();
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

/// The chunks of a stretch, in milliseconds of the whole.
fn trimmed(chunks: &[Chunk], from_ms: u64, to_ms: u64) -> Vec<Chunk> {
    let mut trim = Trim::new(Stretch { from: Time(from_ms * 48), to: Time(to_ms * 48) });
    let is_within = |chunk: &&Chunk| {
        let part = Part { index: chunk.index, mp4: &chunk.mp4, facts: chunk.facts };
        trim.place(&part).is_ok_and(|(place, _)| place == Place::Within)
    };
    chunks.iter().filter(is_within).cloned().collect()
}

#[test]
fn a_stretch_has_the_parts_that_are_in_it_whole() {
    let chunks = buzz(60);
    let whole = open(&seal(&chunks));
    let check = |from_ms, to_ms, begin: usize, end: usize| {
        let sealed = seal(&trimmed(&chunks, from_ms, to_ms));
        let found = open(&sealed);
        let due = &whole.frames[begin * 10..end * 10];
        // What is after the last is the frame of silence that lets the late samples out.
        assert_eq!(found.frames[..due.len()], *due, "{from_ms} to {to_ms}");
        assert_eq!(found.frames[due.len()..], [SILENCE.to_vec()]);
        assert_eq!(sealed.replay.duration(), Duration::from_millis((end - begin) as u64 * 200));
        assert_eq!(sealed.replay.holes, 0, "what was cut at an end is no hole");
        // It begins at zero, and nothing is told that was outside.
        let told: Vec<_> = (0..60).step_by(10).filter(|n| (begin..end).contains(n)).collect();
        let told: Vec<_> = told.iter().map(|n| (((n - begin) * 9_600) as u64, format!("event {n}"))).collect();
        assert_eq!(found.events, told);
    };
    check(0, 12_000, 0, 60);
    check(4_000, 8_000, 20, 40);
    // To the parts that are whole, whatever is asked for.
    check(3_999, 8_199, 20, 40);
    check(4_001, 8_200, 21, 41);
    check(0, 1_000, 0, 5);
    check(11_000, 99_000, 55, 60);
    assert!(trimmed(&chunks, 4_001, 4_399).is_empty());
}

#[test]
fn a_stretch_is_of_the_time_that_is_heard() {
    // Fourteen parts are missing, and filled with silence of the same length.
    let mut chunks = dummy(60, 20);
    chunks.drain(20..34);
    let stretch = |from_ms, to_ms| {
        let indices: Vec<_> = trimmed(&chunks, from_ms, to_ms).iter().map(|chunk| chunk.index - 500).collect();
        (indices.first().copied(), indices.last().copied())
    };
    assert_eq!(stretch(4_000, 8_000), (Some(34), Some(39)));
    assert_eq!(stretch(2_000, 6_000), (Some(10), Some(19)));
    assert_eq!(stretch(4_000, 6_800), (None, None));
    // Of eleven hours two seconds are left.
    let mut chunks = dummy(20, 20);
    let mut frames = Frames::new();
    (0..10).for_each(|_| frames.push(&[0xf8; 20]).unwrap());
    for late in &mut chunks[10..] {
        *late = chunk(late.index - 500 + 200_000, &frames);
    }
    assert_eq!(seal(&chunks).replay.duration(), Duration::from_millis(6_000));
    assert_eq!(trimmed(&chunks, 4_000, 5_000).len(), 5);
}
