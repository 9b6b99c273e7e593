//! The live bus over real Unix sockets.

use bytes::Bytes;
use hiwar_engine::live_bus::frame::PREFACE;
use hiwar_engine::live_bus::{
    Access, Bitrate, Broken, CadenceNotice, Count, Document, Down, Field, Figures, Heard, Hub, Left, Notices,
    Publisher, Reactions, Register, Report, Run, Subscription, Up, WorkerFigures, WorkerId, frame,
};
use hiwar_engine::socket;
use hiwar_segment_log::{Epoch, Kind, LogId, Position, Record};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Longer than any machine needs; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

struct House {
    hub: Hub,
    publisher: Publisher,
    reports: Receiver<Report>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    // Deeper than a socket's address has room for.
    let folder = dir.path().join("a".repeat(80)).join("b".repeat(80));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("bus.sock");
    assert!(path.as_os_str().len() > 108);
    let (hub, reports) = Hub::spawn(socket::bind(&path).unwrap()).unwrap();
    House { publisher: hub.publisher(), hub, reports, path, _dir: dir }
}

impl House {
    fn report(&self) -> Report {
        self.reports.recv_timeout(PATIENCE).expect("the hub reports")
    }

    fn worker(&self) -> (Subscription, WorkerId) {
        let subscription = Subscription::connect(&self.path).unwrap();
        match self.report() {
            Report::Joined(id, _) => (subscription, id),
            other => panic!("not Joined but {other:?}"),
        }
    }
}

fn log(name: &str) -> LogId {
    LogId::parse(name).unwrap()
}

fn record(kind: Kind, position: u64, body: usize) -> Record {
    Record {
        position: Position(position),
        epoch: Epoch(1),
        kind,
        time: position * 9_600,
        duration: 9_600,
        wall_us: 1_790_000_000_000_000,
        body: Bytes::from(vec![position as u8; body]),
    }
}

fn chunk(name: &str, position: u64) -> Down {
    Down::Chunk { log: log(name), record: record(Kind::Chunk, position, 2_000) }
}

fn opened(name: &str) -> Down {
    let cadence = |chunks| CadenceNotice {
        chunks,
        lead_ms: 20_000,
        soon: Bytes::from_static(b"soon"),
        now: Bytes::from_static(b"now"),
    };
    let told = Notices { away: Bytes::from_static(b"away"), cadences: vec![cadence(5), cadence(10)] };
    let (header, notices) = (record(Kind::Header, 0, 100), vec![told, Notices::default()]);
    let field = |rendition, name: &str, value: &str| Field { rendition, name: name.into(), value: value.into() };
    let fields = vec![field(0, "icy-name", "حوار"), field(1, "", "")];
    Down::Open { log: log(name), access: Access::Pass, header, notices, fields }
}

fn document(path: &str, body: &str) -> Down {
    let document = Document {
        mime: "text/html; charset=utf-8".into(),
        etag: "\"1\"".into(),
        cache: "no-cache".into(),
        policy: Some("default-src 'self'".into()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        brotli: (body.len() > 3).then(|| Bytes::from_static(b"br")),
        as_of_ms: (body.len() > 3).then_some(1 << 40),
    };
    Down::Document { path: path.into(), document }
}

fn counts(listening: u32) -> Up {
    let audience = Figures { listening, joined_total: 7, silent_total: 2, turned_away_total: 3, bytes_total: 1 << 40 };
    let rehearsal = Figures { listening: 1_000_000, ..audience };
    Up::Counts {
        run: Run(1 << 60),
        counts: vec![Count { log: log("demo"), audience, rehearsal, fetched: true, lean: true }],
    }
}

fn door(name: &str, bytes: usize) -> Down {
    Down::Door { log: log(name), body: Bytes::from(vec![7; bytes]) }
}

fn at_door(bytes: usize) -> Up {
    Up::Door { run: Run(1 << 60), log: log("demo"), body: Bytes::from(vec![7; bytes]) }
}

fn reactions(logs: usize) -> Up {
    let of = |_| Reactions { log: log(&"z".repeat(40)), before: [1, 2, 3, 4, 5], totals: [u64::MAX, 2, 3, 4, 1 << 40] };
    Up::Reactions { run: Run(1 << 60), reactions: (0..logs).map(of).collect() }
}

fn every_down() -> Vec<Down> {
    vec![
        document("/", "short"),
        document("/s/demo", ""),
        Down::Forget { path: "/s/حوار".into() },
        opened("demo"),
        Down::Open {
            log: log("a"),
            access: Access::Open,
            header: record(Kind::Header, 3, 0),
            notices: vec![],
            fields: vec![],
        },
        chunk("demo", 9),
        Down::Ask { log: log("demo"), from: Position(1 << 40) },
        Down::Ended { log: log("demo") },
        Down::Shut { log: log("demo"), access: Access::Pass, opens_ms: Some(1 << 41) },
        Down::Shut { log: log("demo"), access: Access::Open, opens_ms: None },
        Down::Closed { log: log(&"z".repeat(40)) },
        Down::Shelved { log: log("demo"), access: Access::Open },
        Down::Shelved { log: log("demo"), access: Access::Pass },
        Down::Shelved { log: log("demo"), access: Access::Review },
        Down::Whole,
        Down::Mark { mark: 1 << 50 },
        Down::Cadence { chunks: 10 },
        Down::Lean { log: log("demo"), entry: true, record: record(Kind::Chunk, 9, 900) },
        Down::Lean { log: log("demo"), entry: false, record: record(Kind::Chunk, 10, 0) },
        door("demo", 3_000),
        door("a", 0),
        Down::Ladder { levels: [0, 5, 255] },
        Down::Bitrate { wish: None },
        Down::Bitrate { wish: Some(Bitrate::Standard) },
        Down::Bitrate { wish: Some(Bitrate::Lean) },
        Down::Leaving,
    ]
}

fn held(positions: std::ops::Range<u64>) -> Up {
    let records = positions.map(|position| record(Kind::Chunk, position, 3)).collect();
    Up::Held { log: log("demo"), records }
}

#[test]
fn a_question_stands_until_its_log_is_open() {
    let house = house();
    let ask = |name: &str| Down::Ask { log: log(name), from: Position(7) };
    house.publisher.publish(document("/", "app"));
    house.publisher.publish(ask("slow"));
    house.publisher.publish(ask("quick"));
    house.publisher.publish(opened("quick"));
    let (mut worker, id) = house.worker();
    for down in [ask("slow"), document("/", "app"), opened("quick")] {
        assert_eq!(worker.next().unwrap(), down);
    }
    worker.up(&held(7..9)).unwrap();
    assert_eq!(house.report(), Report::Up(id, held(7..9)));
}

#[test]
fn workers_hear_what_is_published_in_order() {
    let house = house();
    let (mut one, _) = house.worker();
    let (mut two, _) = house.worker();
    for down in every_down() {
        house.publisher.publish(down);
    }
    for worker in [&mut one, &mut two] {
        for down in every_down() {
            assert_eq!(worker.next().unwrap(), down);
        }
    }
    assert_eq!(house.hub.stats().workers, 2);
}

#[test]
fn a_worker_that_connects_is_told_what_stands_before_what_comes() {
    let house = house();
    house.publisher.publish(document("/", "old"));
    house.publisher.publish(document("/", "new"));
    house.publisher.publish(document("/gone", "x"));
    house.publisher.publish(Down::Forget { path: "/gone".into() });
    let shut = |name: &str| Down::Shut { log: log(name), access: Access::Open, opens_ms: Some(5) };
    for name in ["planned", "closed", "live"] {
        house.publisher.publish(shut(name));
    }
    for name in ["closed", "ended", "live"] {
        house.publisher.publish(opened(name));
    }
    for position in 0..25 {
        house.publisher.publish(chunk("live", position));
        house.publisher.publish(chunk("closed", position));
        house.publisher.publish(chunk("never-opened", position));
    }
    house.publisher.publish(chunk("ended", 0));
    house.publisher.publish(Down::Ended { log: log("ended") });
    house.publisher.publish(Down::Closed { log: log("closed") });
    let (mut worker, _) = house.worker();
    house.publisher.publish(chunk("live", 25));

    let mut expected = vec![document("/", "new"), opened("ended"), chunk("ended", 0)];
    expected.extend([Down::Ended { log: log("ended") }, opened("live")]);
    expected.extend((15..25).map(|position| chunk("live", position)));
    for down in expected.into_iter().chain([shut("planned"), chunk("live", 25)]) {
        assert_eq!(worker.next().unwrap(), down);
    }
}

#[test]
fn wishes_stand_and_neither_lean_forms_nor_what_is_said_of_doors_do() {
    let house = house();
    let lean = |position| Down::Lean { log: log("live"), entry: true, record: record(Kind::Chunk, position, 9) };
    let bitrate = |wish| Down::Bitrate { wish };
    let ladder = |levels| Down::Ladder { levels };
    house.publisher.publish(bitrate(Some(Bitrate::Lean)));
    house.publisher.publish(ladder([1, 2, 3]));
    house.publisher.publish(ladder([255, 4, 5]));
    house.publisher.publish(door("live", 9));
    for down in [opened("live"), chunk("live", 0), lean(0), Down::Cadence { chunks: 5 }, bitrate(None)] {
        house.publisher.publish(down);
    }
    let (mut worker, _) = house.worker();
    house.publisher.publish(lean(1));
    house.publisher.publish(door("live", 8));
    let stands = [Down::Cadence { chunks: 5 }, bitrate(None), ladder([255, 4, 5]), opened("live"), chunk("live", 0)];
    for down in stands.into_iter().chain([lean(1), door("live", 8)]) {
        assert_eq!(worker.next().unwrap(), down);
    }
}

#[test]
fn that_this_was_all_is_told_after_what_stands_and_before_what_comes() {
    let house = house();
    for down in [document("/", "app"), opened("live"), chunk("live", 0)] {
        house.publisher.publish(down);
    }
    let (mut early, _) = house.worker();
    house.publisher.publish(opened("read-last"));
    house.publisher.publish(Down::Whole);
    // Known before everything was told, or after: the place of the word is the same.
    house.publisher.publish(document("/s/new", "page"));
    let (mut late, _) = house.worker();
    house.publisher.publish(chunk("live", 1));

    let first = [document("/", "app"), opened("live"), chunk("live", 0), opened("read-last"), Down::Whole];
    for down in first.into_iter().chain([document("/s/new", "page"), chunk("live", 1)]) {
        assert_eq!(early.next().unwrap(), down);
    }
    let standing = [document("/", "app"), document("/s/new", "page"), opened("live"), chunk("live", 0)];
    for down in standing.into_iter().chain([opened("read-last"), Down::Whole, chunk("live", 1)]) {
        assert_eq!(late.next().unwrap(), down);
    }
}

#[test]
fn a_worker_that_connects_while_chunks_fly_gets_each_once() {
    let house = house();
    house.publisher.publish(opened("live"));
    let publisher = house.publisher.clone();
    let publishing = std::thread::spawn(move || {
        for position in 0..500 {
            publisher.publish(chunk("live", position));
            std::thread::yield_now();
        }
    });
    for _ in 0..5 {
        let mut worker = Subscription::connect(&house.path).unwrap();
        assert_eq!(worker.next().unwrap(), opened("live"));
        let mut last = None;
        while last != Some(499) {
            let Down::Chunk { record, .. } = worker.next().unwrap() else { panic!("not a chunk") };
            assert!(last.is_none_or(|last| record.position.0 == last + 1), "{} after {last:?}", record.position);
            last = Some(record.position.0);
        }
    }
    publishing.join().unwrap();
}

#[test]
fn the_house_hears_counts_and_who_comes_and_goes() {
    let house = house();
    let (mut one, first) = house.worker();
    let (two, second) = house.worker();
    assert_ne!(first, second);
    one.up(&counts(3)).unwrap();
    assert_eq!(house.report(), Report::Up(first, counts(3)));
    two.uplink().unwrap().up(&counts(4)).unwrap();
    assert_eq!(house.report(), Report::Up(second, counts(4)));
    drop(one);
    assert_eq!(house.report(), Report::Left(first, Left::Closed));
}

#[test]
fn a_worker_that_does_not_read_is_cut_and_the_others_lose_nothing() {
    let house = house();
    let (mut good, _) = house.worker();
    let (mut slow, slow_id) = house.worker();
    // At a pace that the good worker keeps up with, whatever this machine does meanwhile: publish, then hear it.
    for position in 0..5_000 {
        house.publisher.publish(chunk("live", position));
        assert_eq!(good.next().unwrap(), chunk("live", position));
    }
    assert_eq!(house.report(), Report::Left(slow_id, Left::Slow));
    let stats = house.hub.stats();
    assert_eq!((stats.cut_slow, stats.overflows), (1, 0));
    let broken = loop {
        match slow.next() {
            Ok(_) => {}
            Err(broken) => break broken,
        }
    };
    assert!(matches!(broken, Broken::Closed), "{broken:?}");
    let (mut again, _) = house.worker();
    house.publisher.publish(document("/", "after"));
    assert_eq!(again.next().unwrap(), document("/", "after"));
}

#[test]
fn what_stands_may_be_more_than_a_worker_may_fall_behind() {
    let house = house();
    let body = "x".repeat(1 << 20);
    for at in 0..8 {
        house.publisher.publish(document(&format!("/{at}"), &body));
    }
    let (mut worker, _) = house.worker();
    house.publisher.publish(document("/9", "last"));
    for at in 0..8 {
        assert_eq!(worker.next().unwrap(), document(&format!("/{at}"), &body));
    }
    assert_eq!(worker.next().unwrap(), document("/9", "last"));
}

#[test]
fn publishing_without_workers_or_faster_than_anyone_reads_never_waits() {
    let house = house();
    let began = Instant::now();
    for position in 0..20_000 {
        house.publisher.publish(chunk("live", position));
    }
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_message_that_fits_no_frame_is_left_out_and_counted() {
    let house = house();
    let (mut worker, _) = house.worker();
    house.publisher.publish(document("/", &"x".repeat(9 << 20)));
    house.publisher.publish(document(&"p".repeat(70_000), "x"));
    house.publisher.publish(document("/", "fits"));
    assert_eq!(worker.next().unwrap(), document("/", "fits"));
    assert_eq!(house.hub.stats().too_long, 2);
}

#[test]
fn garbage_costs_a_worker_its_connection_and_the_house_nothing() {
    let house = house();
    let (mut good, good_id) = house.worker();
    let mut malformed = frame::encode_up(&counts(1)).unwrap().to_vec();
    malformed[4] = 99;
    let garbage: [&[u8]; 4] = [&[0; 64], &[0xFF; 64], b"GET / HTTP/1.1\r\n\r\n", &malformed];
    for garbage in garbage {
        let mut stream = socket::connect(&house.path).unwrap();
        let Report::Joined(id, _) = house.report() else { panic!("not Joined") };
        stream.write_all(&PREFACE).unwrap();
        stream.write_all(garbage).unwrap();
        assert_eq!(house.report(), Report::Left(id, Left::Malformed), "{garbage:?}");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert_eq!(said, PREFACE);
    }
    house.publisher.publish(chunk("live", 0));
    assert_eq!(good.next().unwrap(), chunk("live", 0));
    good.up(&counts(1)).unwrap();
    assert_eq!(house.report(), Report::Up(good_id, counts(1)));
    assert_eq!(house.hub.stats().cut_malformed, 4);
}

#[test]
fn a_house_that_is_no_house_is_noticed_by_the_worker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.sock");
    let listener = socket::bind(&path).unwrap();
    let check = |garbage: &[u8], malformed: bool| {
        let mut worker = Subscription::connect(&path).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; PREFACE.len()]).unwrap();
        stream.write_all(&PREFACE).unwrap();
        stream.write_all(garbage).unwrap();
        drop(stream);
        match worker.next() {
            Err(Broken::Malformed) => assert!(malformed, "{garbage:?}"),
            Err(Broken::Closed) => assert!(!malformed, "{garbage:?}"),
            other => panic!("{garbage:?}: {other:?}"),
        }
    };
    check(&[0; 8], true);
    check(&[0xFF; 8], true);
    check(&[1, 0, 0, 0, 200], true);
    check(&[9, 0, 0, 0, 1], false);
    check(&[], false);
}

#[test]
fn who_speaks_another_version_is_told_apart_from_who_talks_nonsense() {
    let mut other = PREFACE;
    other[7] += 1;
    let house = house();
    for said in [&other[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = socket::connect(&house.path).unwrap();
        let Report::Joined(id, _) = house.report() else { panic!("not Joined") };
        // In two parts: half a version is none.
        stream.write_all(&said[..3]).unwrap();
        stream.write_all(&said[3..]).unwrap();
        assert_eq!(house.report(), Report::Left(id, Left::Version));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.sock");
    let listener = socket::bind(&path).unwrap();
    let mut worker = Subscription::connect(&path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&other).unwrap();
    // Were it read, it would be malformed.
    stream.write_all(&[0; 64]).unwrap();
    assert!(matches!(worker.next(), Err(Broken::Version)));
}

#[test]
fn a_house_that_ends_says_its_last_word() {
    let house = house();
    let (mut worker, _) = house.worker();
    let House { hub, publisher, .. } = house;
    publisher.publish(chunk("live", 0));
    publisher.publish(Down::Leaving);
    drop(hub);
    assert_eq!(worker.next().unwrap(), chunk("live", 0));
    assert_eq!(worker.next().unwrap(), Down::Leaving);
    assert!(matches!(worker.next(), Err(Broken::Closed)));
}

#[test]
fn a_mark_is_reached_when_every_worker_has_said_so_or_is_gone() {
    let house = house();
    let (told, was_told) = std::sync::mpsc::channel();
    let when_told = |name| {
        let told = told.clone();
        house.publisher.when_told(move || told.send(name).unwrap());
    };
    when_told("nobody is there");
    assert_eq!(was_told.recv_timeout(PATIENCE), Ok("nobody is there"));

    let (mut one, one_id) = house.worker();
    let (mut other, other_id) = house.worker();
    house.publisher.publish(document("/s/new", "a page"));
    when_told("both have said so");
    let reach = |worker: &mut Subscription| {
        let Down::Mark { mark } = worker.next().unwrap() else { panic!("no mark") };
        worker.uplink().unwrap().up(&Up::Reached { mark }).unwrap();
        mark
    };
    for worker in [&mut one, &mut other] {
        assert_eq!(worker.next().unwrap(), document("/s/new", "a page"));
    }
    let mark = reach(&mut one);
    // What one says afterwards has come, and the mark is not reached by it, nor by being said twice.
    one.uplink().unwrap().up(&Up::Reached { mark }).unwrap();
    one.uplink().unwrap().up(&counts(3)).unwrap();
    assert_eq!(house.report(), Report::Up(one_id, counts(3)));
    assert!(was_told.try_recv().is_err());
    reach(&mut other);
    assert_eq!(was_told.recv_timeout(PATIENCE), Ok("both have said so"));

    when_told("one has left");
    reach(&mut one);
    drop(other);
    assert_eq!(house.report(), Report::Left(other_id, Left::Closed));
    assert_eq!(was_told.recv_timeout(PATIENCE), Ok("one has left"));
}

#[test]
fn a_worker_that_does_not_answer_is_waited_for_once() {
    let house = house();
    let (told, was_told) = std::sync::mpsc::channel();
    let when_told = |name| {
        let told = told.clone();
        house.publisher.when_told(move || told.send(name).unwrap());
    };
    let (mut hung, _) = house.worker();
    when_told("first");
    assert!(was_told.recv_timeout(Duration::from_millis(1_100)).is_err(), "it might still answer");
    when_told("second");
    assert_eq!(was_told.recv_timeout(PATIENCE), Ok("first"));
    assert_eq!(was_told.recv_timeout(PATIENCE), Ok("second"));

    // It answers, if late, and is waited for again.
    for _ in 0..2 {
        let Down::Mark { mark } = hung.next().unwrap() else { panic!("no mark") };
        hung.uplink().unwrap().up(&Up::Reached { mark }).unwrap();
    }
    hung.uplink().unwrap().up(&counts(1)).unwrap();
    assert!(matches!(house.report(), Report::Up(_, Up::Counts { .. })));
    when_told("third");
    assert!(matches!(hung.next().unwrap(), Down::Mark { .. }));
    assert!(was_told.try_recv().is_err());
}

#[test]
fn a_worker_connects_again_after_the_house_was_gone() {
    let house = house();
    let (mut worker, _) = house.worker();
    let House { hub, publisher, reports: _reports, path, _dir } = house;
    publisher.publish(chunk("live", 0));
    worker.next().unwrap();
    drop(hub);
    assert!(matches!(worker.next(), Err(Broken::Closed)));
    assert!(Subscription::connect(&path).is_err());
    // A dead house leaves its socket; the next takes its place.
    let (hub, _reports) = Hub::spawn(socket::bind(&path).unwrap()).unwrap();
    hub.publisher().publish(document("/", "back"));
    let mut worker = Subscription::connect(&path).unwrap();
    assert_eq!(worker.next().unwrap(), document("/", "back"));
}

#[test]
fn closing_the_uplink_frees_who_waits_for_the_house() {
    let house = house();
    let (mut worker, _) = house.worker();
    let uplink = worker.uplink().unwrap();
    let waiting = std::thread::spawn(move || worker.next());
    uplink.close();
    assert!(matches!(waiting.join().unwrap(), Err(Broken::Closed)));
}

#[test]
fn a_socket_takes_only_a_sockets_place() {
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("file");
    std::fs::write(path, b"precious").unwrap();
    assert_eq!(socket::bind(path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(path).unwrap(), b"precious");
}

#[test]
fn frames_are_read_as_they_were_written_and_not_otherwise() {
    for down in every_down() {
        let bytes = frame::encode_down(&down).unwrap();
        assert_eq!(frame::frame_len(&bytes, frame::FRAME_BYTES_MAX), Ok(Some(bytes.len())));
        let content = bytes.slice(frame::LENGTH_BYTES..);
        assert_eq!(frame::decode_down(content.clone()), Ok(down.clone()));
        for end in 0..content.len() {
            assert!(frame::decode_down(content.slice(..end)).is_err(), "{down:?} cut at {end}");
        }
        let longer = Bytes::from([&content[..], &[0]].concat());
        assert!(frame::decode_down(longer).is_err(), "{down:?} and a byte");
        for at in 0..content.len().min(300) {
            let mut flipped = content.to_vec();
            flipped[at] ^= 1 << (at % 8);
            // Some flips make another message; none makes a panic.
            let _ = frame::decode_down(Bytes::from(flipped));
        }
    }
    let people = |heard, registers: usize| {
        let registers = vec![Register { index: 16_383, value: 51 }; registers];
        Up::People { log: log(&"z".repeat(40)), heard, registers }
    };
    let figures = WorkerFigures {
        connections: 1,
        http2_requests: 2,
        accepted_total: 3,
        http2_calmed_total: 1 << 60,
        level: 3,
        cadence_ms: 4_000,
        lean: true,
        reasons: 0b101,
        felt: [1, 2, 3, 4, 5, u32::MAX],
        ..WorkerFigures::default()
    };
    let worker = Up::Worker { run: Run(7), figures };
    let few = [people(Heard::Ever, 0), people(Heard::ByPieces, 2), worker];
    let more = [
        held(0..0),
        held(5..8),
        counts(9),
        reactions(0),
        reactions(2),
        at_door(0),
        at_door(300),
        Up::Reached { mark: 1 << 50 },
    ];
    for up in few.into_iter().chain(more) {
        let content = frame::encode_up(&up).unwrap().slice(frame::LENGTH_BYTES..);
        assert_eq!(frame::decode_up(content.clone()), Ok(up));
        for end in 0..content.len() {
            assert!(frame::decode_up(content.slice(..end)).is_err(), "cut at {end}");
        }
    }
    for unknown in [&[13, 3][..], &[13, 255]] {
        assert!(frame::decode_down(Bytes::copy_from_slice(unknown)).is_err(), "{unknown:?}");
    }
    assert!(frame::encode_up(&held(0..51)).is_err());
    for up in [counts(9), reactions(2)] {
        let mut lying = frame::encode_up(&up).unwrap().slice(frame::LENGTH_BYTES..).to_vec();
        lying[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(frame::decode_up(Bytes::from(lying)).is_err());
    }
    let count = Count {
        log: log(&"z".repeat(40)),
        audience: Figures::default(),
        rehearsal: Figures::default(),
        fetched: false,
        lean: false,
    };
    let most = Up::Counts { run: Run(1), counts: vec![count; frame::COUNTS_MAX] };
    assert!(frame::encode_up(&most).unwrap().len() <= frame::UP_FRAME_BYTES_MAX);
    assert!(frame::encode_up(&reactions(frame::COUNTS_MAX)).unwrap().len() <= frame::UP_FRAME_BYTES_MAX);
    assert!(frame::encode_up(&reactions(frame::COUNTS_MAX + 1)).is_err());
    assert!(frame::encode_up(&people(Heard::Ever, frame::REGISTERS_MAX)).is_ok());
    assert!(frame::encode_up(&people(Heard::Ever, frame::REGISTERS_MAX + 1)).is_err());
    let (said, told) = (door("demo", frame::DOOR_BYTES_MAX), at_door(frame::DOOR_BYTES_MAX));
    let [said, told] = [frame::encode_down(&said), frame::encode_up(&told)].map(|frame| frame.unwrap().slice(4..));
    assert!(frame::decode_down(said.clone()).is_ok() && frame::decode_up(told.clone()).is_ok());
    assert!(frame::encode_down(&door("demo", frame::DOOR_BYTES_MAX + 1)).is_err());
    assert!(frame::encode_up(&at_door(frame::DOOR_BYTES_MAX + 1)).is_err());
    // Another length and a byte more: as long as it says, and longer than it may be.
    let longer = |frame: Bytes, at: usize| {
        let mut frame = [&frame[..], &[0]].concat();
        frame[at..at + 4].copy_from_slice(&(frame::DOOR_BYTES_MAX as u32 + 1).to_le_bytes());
        Bytes::from(frame)
    };
    assert!(frame::decode_down(longer(said, 6)).is_err() && frame::decode_up(longer(told, 14)).is_err());
}
