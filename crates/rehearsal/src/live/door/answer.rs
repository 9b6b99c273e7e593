//! What a door answers, read as little as a browser has to: status, length, and the ticket of who has to wait.

use std::time::Duration;

use serde::Deserialize;

/// A head is not longer than that.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// An answer whose head is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Where the body begins.
    pub(super) body: usize,
    /// How long it is, if that was said.
    pub(super) length: Option<usize>,
}

/// What is told to who has to wait.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) ticket: String,
    wait_ms: u64,
    stage: String,
}

impl Wait {
    /// Of the body of a 503. `None`: it is another kind of refusal.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    /// Whether that time is a promise.
    pub(super) fn is_promise(&self) -> bool {
        self.stage == "place"
    }
}

impl Head {
    /// `Ok(None)`: it is not all there yet. RFC 9112 §2.1.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES_MAX { Err("a head without end") } else { Ok(None) };
        };
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| "a head that is no text")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        Ok(Some(Self { status: status.ok_or("no answer of HTTP/1.1")?, body: end + 4, length }))
    }

    /// The body, when it is all there.
    pub(super) fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.body..self.body + self.length?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_all_there() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 124\r\nContent-LENGTH: 66\r\n\r\n\
            {\"type\":\"x/wait\",\"ticket\":\"AbC\",\"wait_ms\":123456,\"stage\":\"place\"} ";
        for length in 0..text.len() - 1 {
            let head = Head::read(&text[..length]).expect("nothing is wrong with it");
            assert!(head.is_none_or(|head| head.body(&text[..length]).is_none()));
        }
        let head = Head::read(text).expect("an answer").expect("all of it");
        assert_eq!(head.status, 503);
        let wait = head.body(text).and_then(Wait::read).expect("somebody who has to wait");
        assert_eq!(
            (wait.ticket.as_str(), wait.time(), wait.is_promise()),
            ("AbC", Duration::from_millis(123_456), true)
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(Head::read(b"SSH-2.0\r\n\r\n").is_err());
        assert!(Head::read(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
        assert!(Wait::read(br#"{"type":"x/starting","status":503}"#).is_none());
    }
}
