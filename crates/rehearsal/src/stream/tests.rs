//! Streams written by the product's own packagers, read by this listener, which shares nothing with them.

use hiwar_media::Time;
use hiwar_media::chunk::Frames;
use hiwar_media::package::{Track, emsg, fmp4, ogg};
use proptest::prelude::*;

use super::*;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\n\r\n";
const CHUNK: u64 = 9_600;

fn frames(seed: u64) -> Frames {
    let mut frames = Frames::new();
    for n in 0..10 {
        frames.push(&vec![(seed * 31 + n) as u8; 80 + (seed as usize * 7 + n as usize * 13) % 300]).unwrap();
    }
    frames
}

/// What a listener gets who joins at chunk `from`, and hears `count` of them.
fn bytes(format: Format, from: u64, count: u64) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    match format {
        Format::Mp4 => out.extend(fmp4::init(&Track::mono())),
        Format::Ogg => out.extend(ogg::head(7, &Track::mono(), &[("TITLE", "a talk")])),
    }
    for n in from..from + count {
        match format {
            Format::Mp4 => {
                if n % 3 == 0 {
                    emsg::write(&mut out, Time(n * CHUNK), n as u32, b"{\"t\":\"stage\"}").unwrap();
                }
                fmp4::fragment(&mut out, n as u32 + 1, Time(n * CHUNK), &frames(n));
            }
            Format::Ogg => {
                ogg::page(&mut out, 7, n as u32 + 2, (n + 1) * CHUNK + 312, &frames(n), ogg::Place::Middle);
            }
        }
    }
    out
}

/// Hears it all in pieces of so many bytes.
fn hear(programme: &mut Programme, bytes: &[u8], at_once: usize) -> (Vec<Heard>, Vec<Fault>, Result<(), Fault>) {
    let (mut stream, mut all, mut faults) = (Stream::default(), Vec::new(), Vec::new());
    for read in bytes.chunks(at_once.max(1)) {
        let taken = stream.take(read, programme, |came| match came {
            Ok(Came::Sound(heard)) => all.push(heard),
            Ok(Came::Cadence(_)) => {}
            Err(fault) => faults.push(fault),
        });
        if taken.is_err() {
            return (all, faults, taken);
        }
    }
    (all, faults, Ok(()))
}

#[test]
fn every_chunk_is_heard_however_it_comes_in() {
    for format in [Format::Mp4, Format::Ogg] {
        let mut programme = Programme::new(format);
        for at_once in [1, 7, 1_000, 1_000_000] {
            let (heard, faults, end) = hear(&mut programme, &bytes(format, 5, 20), at_once);
            assert_eq!((heard.len(), faults.len(), end), (20, 0, Ok(())), "{format:?} by {at_once}");
            let length = heard[0].ends - heard[0].begins;
            assert_eq!(length.as_millis(), 200, "{format:?}");
        }
    }
}

#[test]
fn who_joins_later_or_earlier_hears_the_same() {
    for format in [Format::Mp4, Format::Ogg] {
        let mut programme = Programme::new(format);
        for (from, count) in [(100, 10), (105, 10), (90, 30), (200, 5)] {
            let (heard, faults, end) = hear(&mut programme, &bytes(format, from, count), 4_096);
            assert_eq!((heard.len() as u64, faults.len(), end), (count, 0, Ok(())), "{format:?} from {from}");
        }
    }
}

#[test]
fn one_frame_of_a_voice_in_a_chunk_of_silence_is_heard() {
    for format in [Format::Mp4, Format::Ogg] {
        // The longest frame that stands for silence, and the shortest of a voice at half the bitrate.
        for (last, sounds) in [(10, false), (40, true)] {
            let mut frames = Frames::new();
            (0..9).for_each(|_| frames.push(&[7; 8]).unwrap());
            frames.push(&vec![7; last]).unwrap();
            let mut stream = bytes(format, 0, 0);
            match format {
                Format::Mp4 => fmp4::fragment(&mut stream, 1, Time(0), &frames),
                Format::Ogg => ogg::page(&mut stream, 7, 2, CHUNK + 312, &frames, ogg::Place::Middle),
            };
            let (heard, ..) = hear(&mut Programme::new(format), &stream, 1_000);
            assert_eq!(heard.iter().map(|heard| heard.sounds).collect::<Vec<_>>(), [sounds], "{format:?} {last}");
        }
    }
}

#[test]
fn a_byte_that_others_heard_otherwise_is_wrong() {
    for format in [Format::Mp4, Format::Ogg] {
        let right = bytes(format, 0, 10);
        let mut wrong = right.clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        let mut programme = Programme::new(format);
        assert_eq!(hear(&mut programme, &right, 1_000).2, Ok(()));
        assert_eq!(hear(&mut programme, &wrong, 1_000).2, Err(Fault::WrongBytes), "{format:?}");
    }
}

#[test]
fn sound_that_is_left_out_or_comes_twice_is_a_gap_and_the_rest_is_heard() {
    for format in [Format::Mp4, Format::Ogg] {
        let whole = bytes(format, 0, 10);
        let start = bytes(format, 0, 0).len();
        let at = |n: u64| bytes(format, 0, n).len();
        for cut in [[&whole[..at(4)], &whole[at(6)..]], [&whole[..at(4)], &whole[at(3)..]]] {
            let (heard, faults, end) = hear(&mut Programme::new(format), &cut.concat(), 900);
            assert_eq!((faults, end), (vec![Fault::Gap], Ok(())), "{format:?}");
            assert!(heard.len() >= 8 && start > HEAD.len());
        }
    }
}

/// The same at another bitrate: chunks from `from` on, which others heard as [`bytes`].
fn lean(format: Format, from: u64, count: u64) -> Vec<u8> {
    let mut out = bytes(format, from, 0);
    for n in from..from + count {
        let mut frames = Frames::new();
        (0..10).for_each(|frame| frames.push(&vec![(n + frame) as u8; 30 + (n + frame) as usize % 9]).unwrap());
        match format {
            Format::Mp4 => fmp4::fragment(&mut out, n as u32 + 1, Time(n * CHUNK), &frames),
            Format::Ogg => ogg::page(&mut out, 7, n as u32 + 2, (n + 1) * CHUNK + 312, &frames, ogg::Place::Middle),
        }
    }
    out
}

#[test]
fn a_piece_may_be_heard_in_two_forms_and_no_third() {
    for format in [Format::Mp4, Format::Ogg] {
        let head = bytes(format, 0, 0).len();
        let standard = bytes(format, 0, 10);
        let mixed = [&standard[..bytes(format, 0, 6).len()], &lean(format, 6, 4)[head..]].concat();
        let mut programme = Programme::new(format);
        for stream in [&mixed, &standard, &mixed, &lean(format, 0, 10)] {
            let (heard, faults, end) = hear(&mut programme, stream, 1_000);
            assert_eq!((heard.len(), faults, end), (10, vec![], Ok(())), "{format:?}");
        }
        // Four of the first, though nobody knew it then; four of the third, ten of the last.
        assert_eq!((programme.lean(), programme.lean()), (18, 0), "{format:?}");
        let mut third = bytes(format, 0, 0);
        let mut frames = Frames::new();
        (0..10).for_each(|_| frames.push(&[1; 50]).unwrap());
        match format {
            Format::Mp4 => fmp4::fragment(&mut third, 2, Time(CHUNK), &frames),
            Format::Ogg => ogg::page(&mut third, 7, 3, 2 * CHUNK + 312, &frames, ogg::Place::Middle),
        }
        assert_eq!(hear(&mut programme, &third, 1_000).2, Err(Fault::WrongBytes), "{format:?}");
    }
}

#[test]
fn what_is_not_whole_or_of_another_place_is_no_second_form() {
    for format in [Format::Mp4, Format::Ogg] {
        let head = bytes(format, 0, 0).len();
        let good = lean(format, 4, 1);
        // Every byte of it, but those of the frames in a container without a checksum, and of what says how long it is: a listener then waits for more.
        let frames = match format {
            Format::Mp4 => good.len() - (30..39).sum::<usize>() - 34..good.len(),
            Format::Ogg => 0..0,
        };
        let mut refused = 0;
        for at in (head..good.len()).filter(|at| !frames.contains(at)) {
            let mut programme = Programme::new(format);
            assert_eq!(hear(&mut programme, &bytes(format, 4, 1), 10_000).2, Ok(()));
            let mut bad = good.clone();
            bad[at] ^= 1;
            let (heard, faults, end) = hear(&mut programme, &bad, 10_000);
            // Or it says that it is of another time, and is heard as that.
            let is_another = heard
                .iter()
                .all(|heard| heard.begins != duration(4 * CHUNK) && heard.begins != duration(4 * CHUNK + 312));
            assert!(end.is_err() || is_another, "{format:?} at {at}: {heard:?} {faults:?}");
            refused += u32::from(end.is_err());
        }
        assert!(refused > 20, "{format:?}: {refused}");
        let mut programme = Programme::new(format);
        assert_eq!(hear(&mut programme, &bytes(format, 4, 1), 10_000).2, Ok(()));
        assert_eq!(hear(&mut programme, &good, 10_000).2, Ok(()));
        assert_eq!(programme.lean(), 1);
    }
}

fn event(id: u32, words: &str) -> Vec<u8> {
    let mut out = Vec::new();
    emsg::write(&mut out, Time(0), id, words.as_bytes()).unwrap();
    out
}

#[test]
fn what_a_worker_says_itself_stands_anywhere_and_all_sound_is_still_compared() {
    let mut programme = Programme::new(Format::Mp4);
    let at = |n: u64| bytes(Format::Mp4, 0, n).len();
    let whole = bytes(Format::Mp4, 0, 10);
    assert_eq!(hear(&mut programme, &whole, 1_000).2, Ok(()));
    for (place, words) in [(0, r#"{"t":"cadence","ms":2000}"#), (4, r#"{"t":"away"}"#), (9, "no JSON"), (7, "")] {
        let told = [&whole[..at(place)], &event(0x4000_0003, words), &whole[at(place)..]].concat();
        let (heard, faults, end) = hear(&mut programme, &told, 700);
        assert_eq!((heard.len(), faults, end), (10, vec![], Ok(())), "{words} at {place}");
        let mut wrong = told;
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(hear(&mut programme, &wrong, 700).2, Err(Fault::WrongBytes), "{words} at {place}");
    }
}

#[test]
fn a_cadence_is_told_where_it_stands() {
    let told = |id, words: &str| {
        let stream = [
            bytes(Format::Mp4, 0, 1),
            event(id, words),
            bytes(Format::Mp4, 1, 1)[bytes(Format::Mp4, 1, 0).len()..].to_vec(),
        ];
        let (mut programme, mut came) = (Programme::new(Format::Mp4), Vec::new());
        Stream::default().take(&stream.concat(), &mut programme, |what| came.push(what.unwrap())).unwrap();
        match came[..] {
            [Came::Sound(_), Came::Cadence(cadence), Came::Sound(_)] => Some(cadence),
            [Came::Sound(_), Came::Sound(_)] => None,
            _ => panic!("{came:?}"),
        }
    };
    let (ms, id) = (Duration::from_millis, 0x4000_0001);
    let cadence = |length, notice| Some(Cadence { length: ms(length), notice });
    assert_eq!(told(id, r#"{"t":"cadence","ms":2000,"in_ms":20000}"#), cadence(2_000, Some(ms(20_000))));
    assert_eq!(told(id + 9, r#"{"t":"cadence","ms":200}"#), cadence(200, None));
    assert_eq!(told(id, r#"{"t":"cadence","ms":400,"later":[1]}"#), cadence(400, None));
    for words in [
        r#"{"t":"cadence"}"#,
        r#"{"t":"cadence","ms":0}"#,
        r#"{"t":"cadence","ms":-200}"#,
        r#"{"t":"cadence","ms":99999999999}"#,
        r#"{"t":"cadence","ms":2000,"in_ms":"soon"}"#,
        r#"{"t":"other","ms":2000}"#,
        r#"{"t":"away"}"#,
        "{",
    ] {
        assert_eq!(told(id, words), None, "{words}");
    }
    // The programme cannot say how a worker sends.
    assert_eq!(told(7, r#"{"t":"cadence","ms":2000}"#), None);
}

#[test]
fn what_is_no_stream_says_so() {
    let mut long = b"HTTP/1.1 200 OK\r\nA: ".to_vec();
    long.resize(HEAD_BYTES_MAX, b'a');
    for (bytes, fault) in [
        (&b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..], Fault::Status(503)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", Fault::Status(302)),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Fault::Malformed),
        (b"HTTP/1.1 \r\n\r\n", Fault::Malformed),
        (b"HTTP/1.1 200 OK\r\n\r\n<html><body>", Fault::Malformed),
        (&long, Fault::Malformed),
    ] {
        assert_eq!(hear(&mut Programme::new(Format::Mp4), bytes, 500).2, Err(fault), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_programme_forgets_and_goes_on() {
    let mut programme = Programme::new(Format::Mp4);
    let (heard, faults, end) = hear(&mut programme, &bytes(Format::Mp4, 0, 1_500), 65_536);
    assert_eq!((heard.len(), faults.len(), end), (1_500, 0, Ok(())));
    assert_eq!(programme.pieces.len(), PIECES_KEPT);
    // Somebody far behind is not compared, and what comes new still is.
    assert_eq!(hear(&mut programme, &bytes(Format::Mp4, 3, 5), 1_000).2, Ok(()));
    let mut wrong = bytes(Format::Mp4, 1_490, 5);
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(hear(&mut programme, &wrong, 1_000).2, Err(Fault::WrongBytes));
}

proptest! {
    #[test]
    fn whatever_comes_nothing_panics(noise in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..4_000, format in prop_oneof![Just(Format::Mp4), Just(Format::Ogg)]) {
        let mut stream = bytes(format, 0, 3);
        let at = at % stream.len();
        stream.splice(at..at, noise);
        let _ = hear(&mut Programme::new(format), &stream, 333);
    }
}
