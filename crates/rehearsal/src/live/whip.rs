//! The least of HTTP/1.1 that a WHIP client needs (RFC 9725 §4.2): offer in, answer out, goodbye.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Error;

/// A house that is measured answers in milliseconds; one that hangs must not hang the bench.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// `http://HOST:PORT/PATH`, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Url {
    pub(super) host: String,
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.strip_prefix("http://")?.split_once('/')?;
        Some(Self { host: host.to_owned(), path: format!("/{path}") })
    }
}

/// Sends an offer; the session's path and the answer.
pub(super) fn publish(url: &Url, pass: &str, offer: &str) -> Result<(String, String), Error> {
    let answer = ask(url, "POST", &url.path, pass, offer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    match location {
        Some(location) if head.contains(" 201 ") => Ok((location, body.to_owned())),
        _ => Err(Error::Refused(answer)),
    }
}

/// Ends a session.
pub(super) fn leave(url: &Url, pass: &str, session: &str) -> Result<(), Error> {
    ask(url, "DELETE", session, pass, "").map(drop)
}

fn ask(url: &Url, method: &str, path: &str, pass: &str, body: &str) -> Result<String, Error> {
    let doing = |why| Error::World("asking the stage", why);
    let mut stream = TcpStream::connect(&url.host).map_err(doing)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(doing)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {pass}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        url.host,
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(doing)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(doing)?;
    String::from_utf8(answer).map_err(|_| Error::Refused("bytes that are no text".into()))
}

/// The first UDP candidate of an answer (RFC 8839 §5.1).
pub(super) fn udp_candidate(answer: &str) -> Option<SocketAddr> {
    answer.lines().filter_map(|line| line.strip_prefix("a=candidate:")).find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, _, transport, _, ip, port, ..] = words[..] else { return None };
        transport.eq_ignore_ascii_case("udp").then(|| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))?
    })
}
