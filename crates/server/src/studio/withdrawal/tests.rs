#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use std::path::PathBuf;

use hiwar_media::packet::Packet;
use hiwar_media::programme::{Input, Output, Returning, Seat, Speaker, SpeakerConfig, Voicing};
use hiwar_media::{FRAME_SAMPLES, opus};
use hiwar_segment_log::Header;

use super::*;
use crate::api::speaking_event;
use crate::studio::control::Origin;
use crate::studio::tracks;
use crate::studio::{Audience, Clips};

/// Ids, names, and how high they speak. Two of them have one name.
const CAST: [(&str, &str, f64); 3] =
    [("p1aaaa", "ليلى", 190.0), ("p2bbbb", "Basil \"the quick\"", 130.0), ("p3cccc", "Noor", 250.0)];
const SECONDS: u64 = 12;

fn id() -> LogId {
    LogId::parse("talk").unwrap()
}

fn stage(people: &[(&str, &str, f64)]) -> Vec<u8> {
    let speakers: Vec<_> =
        people.iter().map(|(id, name, _)| serde_json::json!({ "id": id, "name": name, "muted": false })).collect();
    serde_json::json!({ "t": "stage", "title": "حوار", "speakers": speakers, "state": "live" }).to_string().into()
}

struct Person {
    seat: Seat,
    tap: tracks::Tap,
    encoder: opus::Encoder,
}

/// A conversation of the three that is over: its log, its tracks and its replay. They speak in turn, two seconds each, and now and then over each other.
fn conversation(home: &Path) {
    let desk = tracks::Desk::default();
    desk.keep(&id());
    let (mut log, at) = Writer::open(&home.join("log"), Options::default()).unwrap();
    let (mut kept, of) = Writer::open(&home.join(TRACKS), Options::default()).unwrap();
    desk.claimed(&id(), of.epoch);
    log.append(&airing::header(&id(), Position(0), at.epoch, Time(0), 1)).unwrap();
    kept.append(&tracks::header(Position(0), of.epoch, Time(0), 1)).unwrap();

    let mut programme = control::programme_at(&id(), Origin { index: 0, time: Time(0) }, Audience::Hears).unwrap();
    programme.stand(stage(&CAST).into());
    let mut people: Vec<Person> = CAST
        .iter()
        .map(|(id, ..)| {
            let config = SpeakerConfig {
                speaking_event: speaking_event(id).into(),
                returning: Returning::Unwanted,
                voicing: Voicing::Open,
                return_bitrate_bps: 32_000,
            };
            let seat = programme.seat(Box::new(Speaker::new(config).unwrap().kept())).unwrap();
            Person {
                seat,
                tap: desk.begin(&super::tests::id(), id).unwrap(),
                encoder: opus::Encoder::new(32_000).unwrap(),
            }
        })
        .collect();
    let start = Instant::now();
    for beat in 0..50 * SECONDS {
        let now = start + Duration::from_millis(20 * beat);
        if beat == 90 {
            programme.tell(r#"{"t":"notice","text":"Basil \"the quick\" has come"}"#.as_bytes().into()).unwrap();
            programme.tell(r#"{"t":"notice","text":"be kind"}"#.as_bytes().into()).unwrap();
        }
        for (n, (person, (.., hertz))) in people.iter_mut().zip(CAST).enumerate() {
            let speaks = beat / 100 % 3 == n as u64 || beat % 170 < 40;
            let sound: [f32; FRAME_SAMPLES] = std::array::from_fn(|i| {
                let t = (beat * FRAME_SAMPLES as u64 + i as u64) as f64 / 48_000.0;
                let envelope = (t * 3.0 * std::f64::consts::TAU).sin().max(0.0);
                if speaks { (0.2 * envelope * (t * hertz * std::f64::consts::TAU).sin()) as f32 } else { 0.0 }
            });
            let payload = person.encoder.encode(&sound).unwrap();
            let packet = Packet {
                source: 0,
                sequence: (1 << 32) + beat,
                timestamp: (1 << 32) + beat * FRAME_SAMPLES as u64,
                arrival: now,
                redundant: false,
                level: None,
                payload,
            };
            programme.handle(now, Input::Packet { seat: person.seat, packet });
        }
        programme.handle(now + Duration::from_millis(4), Input::Beat);
        for person in &mut people {
            if let Some((time, Ok(piece))) = programme.piece(person.seat) {
                assert!(person.tap.write(time, person.seat, piece));
            }
        }
        while let Some(output) = programme.poll() {
            if let Output::Chunk(chunk) = output {
                let made = Record { wall_us: 1 + chunk.index * 200_000, ..airing::record(&chunk, at.epoch) };
                let (epoch, body) = desk.gather(&id(), &chunk).unwrap();
                log.append(&made).unwrap();
                kept.append(&tracks::record(&made, epoch, body)).unwrap();
                programme.recycle(chunk);
            }
        }
    }
    log.seal(2).unwrap();
    kept.seal(2).unwrap();
    let wanted = seal::Wanted { title: "حوار".to_owned(), clips: Clips::Allowed, stretch: None };
    seal::make(&home.join("log"), &home.join("replay"), &id(), &wanted, &mut |_| {}).unwrap();
}

fn wanted(who: &[&str]) -> Wanted {
    let who = who.iter().map(|who| (*who).to_owned()).collect();
    Wanted { space: id(), title: "حوار".to_owned(), stretch: None, who, speaking: speaking_event }
}

/// All files below a folder, by their path in it.
fn files(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![home.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(home).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn is_in(files: &BTreeMap<PathBuf, Vec<u8>>, word: &str) -> bool {
    // As it is, as JSON writes it, and as JSON in JSON would.
    let quoted = serde_json::Value::from(word).to_string();
    let words = [word.to_owned(), quoted.trim_matches('"').to_owned()];
    let has = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|some| some == word.as_bytes());
    files
        .iter()
        .any(|(path, bytes)| words.iter().any(|word| has(bytes, word) || has(path.to_string_lossy().as_bytes(), word)))
}

fn chunks(log: &Path) -> Vec<Record> {
    let records = Reader::open(log).unwrap().records(Position(0)).unwrap();
    records.map(Result::unwrap).filter(|record| record.kind == Kind::Chunk).collect()
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        fs::create_dir_all(to.join(&path).parent().unwrap()).unwrap();
        fs::write(to.join(path), bytes).unwrap();
    }
}

#[test]
fn nobody_taken_out_is_the_same_recording_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    conversation(dir.path());
    let before = chunks(&dir.path().join("log"));
    let replay = |name: &str| fs::read(dir.path().join("replay").join(name)).unwrap();
    let old = REPLAY.map(replay);
    let progress = Progress::default();
    let made = prepare(dir.path(), &wanted(&[]), &progress).unwrap();
    commit(dir.path()).unwrap();
    assert_eq!((made.silenced, progress.percent()), (Duration::ZERO, 99));
    assert_eq!(made.duration, Duration::from_secs(SECONDS));
    for (old, new) in before.iter().zip(chunks(&dir.path().join("log"))) {
        assert!(Record { epoch: old.epoch, ..new } == *old, "chunk {}", old.position);
    }
    assert!(REPLAY.map(replay) == old, "another replay");
    let report = disk::verify(&dir.path().join("log")).unwrap();
    assert!(report.sealed && report.damage_total == 0 && report.gaps == 0, "{report:?}");
}

#[test]
fn who_withdraws_leaves_no_trace_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    conversation(dir.path());
    // Something that was made of the old sound.
    fs::write(dir.path().join("replay/clip.ogg"), "a clip of ليلى").unwrap();
    let (gone, stay) = (["p1aaaa", "ليلى", "p2bbbb", "Basil \"the quick\""], ["p3cccc", "Noor", "be kind"]);
    let before = files(dir.path());
    assert!(gone.iter().chain(&stay).all(|word| is_in(&before, word)));
    let old = chunks(&dir.path().join("log"));
    // One by name, one by id, one after the other.
    for who in ["ليلى", "p2bbbb"] {
        prepare(dir.path(), &wanted(&[who]), &Progress::default()).unwrap();
        commit(dir.path()).unwrap();
    }
    let after = files(dir.path());
    for word in gone {
        assert!(!is_in(&after, word), "{word}");
    }
    for word in stay {
        assert!(is_in(&after, word), "{word}");
    }
    let new = chunks(&dir.path().join("log"));
    assert_eq!(old.len(), new.len());
    let energy = |record: &Record| Facts::from_bytes(&record.part(airing::PART_FACTS).unwrap()).unwrap().energy[0];
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(
            (old.position, old.time, old.duration, old.wall_us),
            (new.position, new.time, new.duration, new.wall_us)
        );
    }
    // In a turn in which nobody else spoke.
    let (layla, noor) = (&new[7], &new[26]);
    assert!(energy(&old[7]) > 1e-4 && energy(layla) < 1e-7, "{} then {}", energy(&old[7]), energy(layla));
    assert!(energy(noor) > 1e-4, "{}", energy(noor));
    let kept = chunks(&dir.path().join(TRACKS));
    let owners: BTreeSet<Vec<u8>> =
        kept.iter().flat_map(Record::parts).map(|(_, bytes)| Voice::parse(&bytes).unwrap().owner.to_vec()).collect();
    assert_eq!(owners, BTreeSet::from([b"p3cccc".to_vec()]));
}

#[test]
fn a_crash_anywhere_leaves_the_old_one_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("made");
    conversation(&home);
    let old = files(&home);
    prepare(&home, &wanted(&["p1aaaa"]), &Progress::default()).unwrap();
    let spaces = dir.path().join("undone");
    copy(&home, &spaces.join("talk"));
    finish_all(&spaces);
    assert!(files(&spaces.join("talk")) == old, "not decided, and not as it was");

    fs::rename(home.join(BEGUN), home.join(DONE)).unwrap();
    let whole = dir.path().join("whole");
    copy(&home, &whole);
    finish(&whole).unwrap();
    let new = files(&whole);
    assert!(new != old && !is_in(&new, "p1aaaa"));
    let moves: [(&str, &str); 7] = [
        ("withdrawn/replay/replay.mp4", "replay/replay.mp4"),
        ("withdrawn/replay/replay.ogg", "replay/replay.ogg"),
        ("withdrawn/replay/index.m3u8", "replay/index.m3u8"),
        ("log", "log.deleted"),
        ("withdrawn/log", "log"),
        ("tracks", "tracks.deleted"),
        ("withdrawn/tracks", "tracks"),
    ];
    for done in 0..=moves.len() {
        let spaces = dir.path().join(format!("after-{done}"));
        copy(&home, &spaces.join("talk"));
        for (from, to) in &moves[..done] {
            let (from, to) = (spaces.join("talk").join(from), spaces.join("talk").join(to));
            // What was deleted of the log is gone by the time that the tracks' turn comes, or not yet.
            fs::rename(from, to).unwrap();
        }
        finish_all(&spaces);
        finish_all(&spaces);
        assert!(files(&spaces.join("talk")) == new, "after {done} moves");
    }
}

#[test]
fn a_part_that_is_made_after_a_withdrawal_that_was_not_finished_stays_that_part() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("talk");
    conversation(&home);
    prepare(&home, &wanted(&["p1aaaa"]), &Progress::default()).unwrap();
    // A file lies where a folder has to go: decided, and nothing could be moved.
    fs::rename(home.join("replay"), home.join("kept")).unwrap();
    fs::write(home.join("replay"), "").unwrap();
    commit(&home).unwrap_err();
    let second = u64::from(SAMPLE_RATE);
    let part = seal::Wanted {
        title: "حوار".to_owned(),
        clips: Clips::Allowed,
        stretch: Some(Stretch { from: Time(2 * second), to: Time(6 * second) }),
    };
    assert!(seal::seal(&home, &id(), &part).is_err(), "a part of what is to be withdrawn from");
    fs::remove_file(home.join("replay")).unwrap();
    fs::rename(home.join("kept"), home.join("replay")).unwrap();
    let made = seal::seal(&home, &id(), &part).unwrap();
    assert_eq!(made.duration, Duration::from_secs(4));
    let before = files(&home);
    finish_all(dir.path());
    assert!(files(&home) == before && !is_in(&before, "p1aaaa"), "another replay");
}

#[test]
fn sound_of_which_the_track_is_lost_becomes_silence() {
    let dir = tempfile::tempdir().unwrap();
    conversation(dir.path());
    // The end of the tracks is torn off, in the middle of a record.
    let tracks = dir.path().join(TRACKS).join(format!("{:020}.seg", 0));
    let bytes = fs::read(&tracks).unwrap();
    fs::write(&tracks, &bytes[..bytes.len() * 3 / 4]).unwrap();
    let made = prepare(dir.path(), &wanted(&["Noor"]), &Progress::default()).unwrap();
    assert!(made.silenced > Duration::from_secs(1) && made.silenced < Duration::from_secs(5), "{:?}", made.silenced);
    assert_eq!(made.duration, Duration::from_secs(SECONDS));
    commit(dir.path()).unwrap();
    assert!(!is_in(&files(dir.path()), "Noor"));
}

#[test]
fn nothing_changes_when_nobody_can_be_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    conversation(dir.path());
    let before = files(dir.path());
    match prepare(dir.path(), &wanted(&["p1aaaa", "nobody"]), &Progress::default()) {
        Err(Failure::Nobody { there }) => {
            assert_eq!(there.keys().cloned().collect::<Vec<_>>(), CAST.map(|(id, ..)| id))
        }
        other => panic!("{other:?}"),
    }
    assert!(files(dir.path()) == before);
    fs::remove_dir_all(dir.path().join(TRACKS)).unwrap();
    assert!(matches!(prepare(dir.path(), &wanted(&["p1aaaa"]), &Progress::default()), Err(Failure::NoTracks)));
    let there: BTreeMap<String, BTreeSet<String>> =
        ["p1", "p2"].map(|id| (id.to_owned(), BTreeSet::from(["Sam".to_owned()]))).into();
    match resolve(&["Sam".to_owned()], &there) {
        Err(Failure::Several { ids }) => assert_eq!(ids, ["p1", "p2"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(resolve(&["p2".to_owned()], &there).unwrap().ids.len(), 1);
}

#[test]
fn one_at_a_time_in_one_space_and_some_in_all() {
    let desk = Desk::default();
    let space = |n: usize| LogId::parse(&format!("s{n}")).unwrap();
    let first = desk.begin(space(0)).unwrap();
    assert!(desk.begin(space(0)).is_none());
    for n in 1..WAITING_MAX {
        assert!(desk.begin(space(n)).is_some());
    }
    assert!(desk.begin(space(99)).is_none());
    first.end(Err(Failure::NoTracks));
    assert!(desk.begin(space(0)).is_some());
    for n in 1..WAITING_MAX {
        desk.of(&space(n)).unwrap().end(Err(Failure::NoTracks));
    }
    for n in 0..200 {
        desk.begin(space(1000 + n)).unwrap().end(Err(Failure::NoTracks));
    }
    assert!(desk.lock().len() <= RESULTS_MAX && desk.of(&space(1199)).is_some());
    assert!(Header::from_body(&tracks::header(Position(0), Epoch(1), Time(0), 1).body).unwrap().renditions.is_empty());
}
