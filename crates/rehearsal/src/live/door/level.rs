//! How crowded a server says that it is, while a launch is played there.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::Deserialize;

use super::crowd::Target;

/// Whoever has no answer by then knows nothing of this second.
const WAIT: Duration = Duration::from_millis(500);
/// More than a server says of any conversation.
const BYTES_MAX: u64 = 1 << 20;

/// What it says of a conversation (`GET /api/spaces/v1/spaces/ID`), as far as it is read.
#[derive(Deserialize)]
struct Space {
    ladder: Option<Ladder>,
}

#[derive(Deserialize)]
struct Ladder {
    level: u8,
}

/// Asks, and waits for the answer: 0 to 5, or `None` if it does not say. Blocks for a second at the most.
pub(super) fn level(target: &Target) -> Option<u8> {
    read(&ask(target).ok()?)
}

fn ask(target: &Target) -> io::Result<Vec<u8>> {
    let address = target.address();
    let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    // HTTP/1.0: to the end, and not in chunks (RFC 9112 §6.3).
    write!(stream, "GET /api/spaces/v1/spaces/{} HTTP/1.0\r\nHost: {address}\r\n\r\n", target.space())?;
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(answer: &[u8]) -> Option<u8> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let space: Space = serde_json::from_slice(&answer[end + 4..]).ok()?;
    space.ladder.map(|ladder| ladder.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read_and_of_anything_else_nothing_is_known() {
        let said = |body: &str| read(format!("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{body}").as_bytes());
        assert_eq!(said(r#"{"id":"demo","ladder":{"level":5,"reasons":["crowd"]}}"#), Some(5));
        for other in ["", "[]", r#"{"id":"demo"}"#, r#"{"ladder":{"level":-1}}"#, r#"{"ladder":{"level":5}"#] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(read(br#"{"ladder":{"level":5}}"#), None);
    }
}
