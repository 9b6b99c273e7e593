//! Listeners that note when each chunk came.
//!
//! A chunk of the `.mp4` is complete when its `mdat` box is (ISO/IEC 14496-12 §8.1.1); of the `.ogg` only bytes and reads are counted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Error;
use super::whip::Url;

/// Nothing for so long: the stream is dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sound that comes faster than time at the beginning: the burst for who joins late.
const BURST: Duration = Duration::from_secs(1);
/// A chunk that comes this long after the one before is late by a whole beat: 200 ms and 20.
const LATE: Duration = Duration::from_millis(220);

/// What they are told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Stream of the mp4 rendition, whose chunks are timed
    #[arg(long)]
    mp4: String,
    /// Streams that are merely listened to
    #[arg(long = "other", num_args = 0..)]
    others: Vec<String>,
    /// Seconds to listen
    #[arg(long)]
    seconds: u64,
}

/// Listens, and returns how the chunks came. `arrivals_ms` is every interval, for whoever wants to look.
///
/// # Errors
/// The server refuses, or a stream breaks.
pub fn run(options: &Options) -> Result<Value, Error> {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut others = Vec::new();
    for other in &options.others {
        let mut stream = open(other)?;
        others.push(std::thread::spawn(move || drain(&mut stream, end)));
    }
    // An ear that is itself late would blame the server; without the right to this it may.
    let prompt = super::hurry();
    let mut stream = open(&options.mp4)?;
    let intervals = listen(&mut stream, end)?;
    let other_bytes: u64 = others.into_iter().map(|other| other.join().unwrap_or(0)).sum();
    let mut sorted = intervals.clone();
    sorted.sort_unstable();
    let at = |share: f64| sorted.get(((sorted.len().saturating_sub(1)) as f64 * share) as usize).copied();
    let ms = |interval: Option<Duration>| interval.map(|interval| interval.as_secs_f64() * 1e3);
    Ok(json!({
        "event": "done",
        "prompt": prompt,
        "chunks": intervals.len(),
        "chunks_late": intervals.iter().filter(|interval| **interval > LATE).count(),
        "interval_ms_p50": ms(at(0.5)),
        "interval_ms_p99": ms(at(0.99)),
        "interval_ms_max": ms(at(1.0)),
        "other_bytes": other_bytes,
        "arrivals_ms": intervals.iter().map(|i| (i.as_secs_f64() * 1e4).round() / 10.0).collect::<Vec<_>>(),
    }))
}

fn open(url: &str) -> Result<TcpStream, Error> {
    let doing = |why| Error::World("listening", why);
    let url = Url::parse(url).ok_or(Error::Asked("a stream must be http://HOST:PORT/PATH"))?;
    let mut stream = TcpStream::connect(&url.host).map_err(doing)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(doing)?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.path, url.host);
    stream.write_all(request.as_bytes()).map_err(doing)?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        stream.read_exact(&mut byte).map_err(doing)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.contains(" 200 ") { Ok(stream) } else { Err(Error::Refused(head)) }
}

fn drain(stream: &mut TcpStream, end: Instant) -> u64 {
    let mut buffer = [0; 16 * 1024];
    let mut bytes = 0;
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes += length as u64,
        }
    }
    bytes
}

/// Times between the ends of chunks, after the first burst.
fn listen(stream: &mut TcpStream, end: Instant) -> Result<Vec<Duration>, Error> {
    let doing = |why| Error::World("listening", why);
    let counts_from = Instant::now() + BURST;
    let mut intervals = Vec::new();
    let mut last = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head).map_err(doing)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let body = length.checked_sub(8).and_then(|length| buffer.get_mut(..length));
        let body = body.ok_or_else(|| Error::Refused("a box of impossible length".into()))?;
        stream.read_exact(body).map_err(doing)?;
        if &head[4..] != b"mdat" {
            continue;
        }
        let now = Instant::now();
        if let Some(last) = last
            && now > counts_from
        {
            intervals.push(now - last);
        }
        last = Some(now);
        if now >= end {
            return Ok(intervals);
        }
    }
}
