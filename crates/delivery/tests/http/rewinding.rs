//! The past of a live log: the rewind playlist, and segments that have left the tail.

use hiwar_delivery::http::{Access, Update};
use hiwar_segment_log::disk::{Options, Writer};
use hiwar_segment_log::retention::Retention;

use crate::rig::{Answer, Rig, chunk, header_record, id};

/// A log on the disk whose chunks the worker hears, too, as the house writes and tells them.
struct Studio {
    rig: Rig,
    writer: Writer,
}

impl Studio {
    fn new(access: Access) -> Self {
        let rig = Rig::new();
        let options = Options { segment_bytes: 2_000, retention: Retention::EVERYTHING, ..Options::default() };
        let (mut writer, _) = Writer::open(&rig.folder.path().join("spaces/demo/log"), options).unwrap();
        writer.append(&header_record()).unwrap();
        rig.open("demo", access);
        rig.until("open", |rig| !rig.counts().is_empty());
        Self { rig, writer }
    }

    /// Writes these chunks and tells the worker.
    fn speak(&mut self, positions: std::ops::Range<u64>) {
        let newest = positions.end - 1;
        positions.clone().for_each(|n| self.writer.append(&chunk(n, 0)).unwrap());
        self.rig.chunks("demo", positions);
        // Told in order: once the newest segment can be had, all of it was.
        let path = format!("/hls/demo/{}.m4a", (newest + 1) / 20 - 1);
        self.rig.until("told", |_| self.get(&path).status == 200);
    }

    fn get(&self, path: &str) -> Answer {
        self.rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    }

    /// The list as soon as it names this segment: it is made anew at most twice a second.
    fn list_with(&self, path: &str, line: &str) -> Answer {
        let begin = std::time::Instant::now();
        loop {
            let list = self.get(path);
            if list.body.lines().any(|l| l.starts_with(line)) {
                return list;
            }
            assert!(begin.elapsed() < crate::rig::WAIT, "in vain: {line} in {list:?}");
            std::thread::yield_now();
        }
    }
}

/// What a segment's bytes are, by the numbers that its chunks say.
fn sound(positions: std::ops::Range<u64>) -> String {
    positions.map(|n| format!("m{n};")).collect()
}

#[test]
fn what_has_left_the_tail_is_heard_from_the_disk_and_is_the_same() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..200);
    let live = studio.get("/hls/demo/4.m4a");
    assert_eq!((live.status, &*live.body), (200, &*sound(80..100)));
    studio.speak(200..2_010);
    let list = studio.list_with("/hls/demo/rewind.m3u8", "99.m4a");
    assert!(list.has("Cache-Control: public, max-age=2") && list.has("Access-Control-Allow-Origin: *"), "{list:?}");
    assert!(list.has("Content-Type: application/vnd.apple.mpegurl"), "{list:?}");
    assert!(list.body.starts_with("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"));
    assert!(!list.body.contains("ENDLIST") && !list.body.contains("DISCONTINUITY\n") && !list.body.contains("GAP"));
    let named: Vec<&str> = list.body.lines().filter(|line| line.ends_with(".m4a")).collect();
    assert_eq!(named, (0..100).map(|n| format!("{n}.m4a")).collect::<Vec<_>>());
    for (number, name) in named.iter().enumerate().step_by(7) {
        let number = number as u64;
        let past = studio.get(&format!("/hls/demo/{name}"));
        assert_eq!((past.status, &*past.body), (200, &*sound(number * 20..number * 20 + 20)));
    }
    let again = studio.get("/hls/demo/4.m4a");
    assert_eq!(again.body, live.body, "the same bytes, from the disk and from the tail");
    let field =
        |answer: &Answer, name: &str| answer.head.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert_eq!(field(&again, "Cache-Control"), field(&live, "Cache-Control"));
    let head = studio.rig.ask("HEAD /hls/demo/4.m4a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(head.status == 200 && head.body.is_empty() && head.has(&format!("Content-Length: {}", live.body.len())));
}

#[test]
fn what_is_not_there_is_a_problem_that_no_cache_keeps() {
    let mut studio = Studio::new(Access::Open);
    assert_eq!(studio.get("/hls/demo/rewind.m3u8").status, 503, "nothing is whole yet");
    studio.speak(0..400);
    for path in ["/hls/demo/20.m4a", "/hls/demo/99999.m4a", "/hls/demo/18446744073709551615.m4a", "/hls/demo/01.m4a"] {
        let missing = studio.get(path);
        assert!(missing.status == 404 && missing.has("Cache-Control: no-store"), "{path}: {missing:?}");
        assert!(missing.has("Content-Type: application/problem+json"), "{path}: {missing:?}");
    }
    assert_eq!(studio.get("/hls/nobody/rewind.m3u8").status, 404);
    let wrong = studio.rig.ask("PUT /hls/demo/rewind.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(wrong.status, 405);
}

#[test]
fn a_list_grows_with_the_log_and_a_delta_is_its_end() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..1_000);
    studio.list_with("/hls/demo/rewind.m3u8", "49.m4a");
    studio.speak(1_000..1_020);
    let whole = studio.list_with("/hls/demo/rewind.m3u8", "50.m4a").body;
    assert!(whole.contains("#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"), "{whole}");
    let delta = studio.get("/hls/demo/rewind.m3u8?_HLS_skip=YES").body;
    assert!(
        delta.contains("#EXT-X-MEDIA-SEQUENCE:0\n") && delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=45\n"),
        "{delta}"
    );
    let names = |list: &str| list.lines().filter(|l| l.ends_with(".m4a")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&delta), names(&whole)[45..]);
}

#[test]
fn what_retention_has_removed_is_not_listed_and_not_served() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..1_000);
    studio.list_with("/hls/demo/rewind.m3u8", "0.m4a");
    assert_eq!(studio.get("/hls/demo/3.m4a").status, 200);
    let folder = studio.rig.folder.path().join("spaces/demo/log");
    let mut firsts: Vec<u64> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".seg")?.parse().ok())
        .collect();
    firsts.sort_unstable();
    let kept = firsts[firsts.len() / 2];
    for first in firsts.iter().filter(|&&first| first < kept) {
        std::fs::remove_file(folder.join(format!("{first:020}.seg"))).unwrap();
    }
    let begin = kept.div_ceil(20);
    assert_eq!(studio.get("/hls/demo/3.m4a").status, 404, "although it was just read");
    assert_eq!(studio.get(&format!("/hls/demo/{}.m4a", begin - 1)).status, 404);
    assert_eq!(studio.get(&format!("/hls/demo/{begin}.m4a")).status, 200);
    let list = studio.list_with("/hls/demo/rewind.m3u8", &format!("#EXT-X-MEDIA-SEQUENCE:{begin}"));
    assert!(!list.body.contains(&format!("\n{}.m4a", begin - 1)), "{list:?}");
}

#[test]
fn a_hole_in_the_log_is_told_as_one() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..45);
    studio.speak(85..600);
    let list = studio.list_with("/hls/demo/rewind.m3u8", "29.m4a").body;
    assert!(list.contains("\n#EXTINF:1,\n2.m4a\n#EXT-X-GAP\n#EXTINF:4,\n3.m4a\n#EXT-X-DISCONTINUITY\n"), "{list}");
    assert_eq!(studio.get("/hls/demo/3.m4a").status, 404);
    assert_eq!(studio.get("/hls/demo/2.m4a").body, sound(40..45));
    assert_eq!(studio.get("/hls/demo/4.m4a").body, sound(85..100));
}

#[test]
fn by_invitation_the_past_needs_the_pass_and_the_list_repeats_it() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..400);
    studio.rig.open("demo", Access::Pass);
    studio.rig.until("by invitation", |_| studio.get("/hls/demo/rewind.m3u8").status == 401);
    assert_eq!(studio.get("/hls/demo/0.m4a").status, 401);
    let expires = std::time::SystemTime::now() + crate::rig::WAIT;
    let scope = hiwar_admission::Scope::parse("demo").unwrap();
    let pass = hiwar_admission::Listen { id: hiwar_admission::PassId([1; 8]), scope, expires };
    let token = hiwar_admission::ListenKey::from_bytes([7; 32]).sign(&pass);
    let list = studio.list_with(&format!("/hls/demo/rewind.m3u8?pass={token}"), "19.m4a");
    assert!(list.has("Cache-Control: private, max-age=2"), "{list:?}");
    assert_eq!(list.body.matches(&format!("?pass={token}")).count(), 21);
    let first = list.body.lines().find(|line| line.starts_with("0.m4a")).unwrap();
    let past = studio.get(&format!("/hls/demo/{first}"));
    assert!(past.status == 200 && past.has("Cache-Control: private, max-age=24"), "{past:?}");
}

#[test]
fn when_a_conversation_ends_the_list_does_and_after_its_log_both_are_gone() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..410);
    studio.writer.seal(1).unwrap();
    studio.rig.handle.push(Update::Ended { log: id("demo") });
    studio.rig.until("ended", |_| studio.get("/hls/demo/live.m3u8").body.ends_with("#EXT-X-ENDLIST\n"));
    let list = studio.list_with("/hls/demo/rewind.m3u8", "#EXT-X-ENDLIST").body;
    assert!(list.ends_with("#EXTINF:2,\n20.m4a\n#EXT-X-ENDLIST\n"), "the last one is as long as it is: {list}");
    assert_eq!(studio.get("/hls/demo/20.m4a").body, sound(400..410));
    let Studio { rig, writer } = studio;
    drop(writer);
    std::fs::remove_dir_all(rig.folder.path().join("spaces/demo/log")).unwrap();
    let get = |path: &str| rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_eq!(get("/hls/demo/2.m4a").status, 404, "it has left the window");
    rig.until("gone", |_| get("/hls/demo/rewind.m3u8").status == 410);
}

#[test]
fn one_that_goes_back_is_answered_on_one_connection() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..1_000);
    let mut client = studio.rig.client();
    for number in [0u64, 20, 49] {
        client.say(&format!("GET /hls/demo/{number}.m4a HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.hear_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("Connection: close"), "{head}");
        assert!(client.hear_until(&format!("m{};", number * 20 + 19)).starts_with(&format!("m{};", number * 20)));
    }
}

#[test]
fn a_worker_that_begins_anew_lists_what_the_others_list() {
    let mut studio = Studio::new(Access::Open);
    studio.speak(0..407);
    let whole = studio.get("/hls/demo/live.m3u8").body;
    assert_eq!(whole.matches("#EXTINF:").count(), 15);
    // Beside it one that is told the last two seconds, as after a restart, on the same disk.
    let rig = Rig::beside(&studio.rig);
    rig.open("demo", Access::Open);
    rig.chunks("demo", 397..407);
    let get = |path: &str| rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    // Asked before it has read the past, it waits rather than refuse.
    let blocking = get("/hls/demo/live.m3u8?_HLS_msn=20&_HLS_part=0");
    assert_eq!((blocking.status, blocking.body), (200, whole));
    assert_eq!(get("/hls/demo/19.2.m4a").body, sound(390..395));
}
