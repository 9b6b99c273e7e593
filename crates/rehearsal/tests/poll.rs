//! The crowd that polls HLS, against a server that does it right and servers that do not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use clap::Parser;
use hiwar_rehearsal::live::listen::{Options, poll};
use hiwar_rehearsal::report::Report;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Another byte in some answers.
    Byte,
    /// The list has moved on before anybody could follow.
    Hole,
    /// There is no such segment.
    Gone,
    /// Hangs up after some answers.
    Cut,
}

const SEGMENT_MS: u128 = 200;

fn serve(flaw: Flaw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hls/live.m3u8", listener.local_addr().unwrap());
    let began = Instant::now();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap(), began, flaw));
        }
    });
    url
}

/// Until the other side hangs up.
fn answer(stream: &TcpStream, began: Instant, flaw: Flaw) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    for turn in 0.. {
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        while !lines.next()?.ok()?.is_empty() {}
        let newest = 10 + began.elapsed().as_millis() / SEGMENT_MS * if flaw == Flaw::Hole { 9 } else { 1 };
        let body = match path.strip_prefix("/hls/")?.strip_suffix(".m4s") {
            None => format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXTINF:0.2,\n{newest}.m4s\n", newest - 2),
            Some(number) if flaw == Flaw::Byte && turn % 3 == 0 => format!("other {number}"),
            Some(number) => format!("sound {number}").repeat(500),
        };
        let status = if flaw == Flaw::Gone && path.ends_with("s") { "404 Not Found" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\ncontent-LENGTH: {}\r\n\r\n", body.len());
        (&*stream).write_all(format!("{head}{body}").as_bytes()).ok()?;
        if flaw == Flaw::Cut && turn == 8 {
            return None;
        }
    }
    None
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn rehearse(flaw: Flaw) -> Report {
    let words = ["crowd", "--listeners", "20", "--within", "1", "--seconds", "3", "--cadence-ms", "200"];
    poll::run(&serve(flaw), &Line::parse_from(words).options).unwrap()
}

#[test]
fn everyone_gets_every_segment_once() {
    let report = rehearse(Flaw::None);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let sum = |of: fn(&hiwar_rehearsal::report::Second) -> u64| report.seconds.iter().map(of).sum::<u64>();
    assert_eq!((sum(|s| s.joined), sum(|s| s.failed), sum(|s| s.left)), (20, 0, 0));
    assert_eq!(report.seconds.last().unwrap().listening, 20);
    // Four seconds of twenty listeners, who came in the first: 5 segments a second.
    assert!((280..=420).contains(&sum(|s| s.chunks)), "{}", sum(|s| s.chunks));
    assert_eq!(sum(|s| s.chunks_late), 0);
}

#[test]
fn what_is_wrong_is_seen() {
    let work = [
        (Flaw::Byte, "other bytes than others heard"),
        (Flaw::Hole, "a segment was gone before it was fetched"),
        (Flaw::Gone, "answered 404"),
        (Flaw::Cut, "the server closed the connection"),
    ]
    .map(|(flaw, name)| (name, std::thread::spawn(move || rehearse(flaw))));
    for (name, work) in work {
        let report = work.join().unwrap();
        assert!(report.faults.get(name).is_some_and(|count| *count >= 5), "{name}: {:?}", report.faults);
    }
}

#[test]
fn only_loopback_is_polled() {
    let options = Line::parse_from(["crowd"]).options;
    for url in ["http://192.0.2.1:80/live.m3u8", "https://127.0.0.1:1/live.m3u8", "http://localhost:80/live.m3u8"] {
        assert!(poll::run(url, &options).is_err(), "{url}");
    }
}
