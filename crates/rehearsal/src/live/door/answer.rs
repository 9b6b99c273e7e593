//! What a door answers, read as little as a browser has to: status, length, and the ticket of who has to wait.

use std::time::Duration;

use hiwar_admission::door::desk::{AFTER_SILENCE_MAX, SPREAD, TALLY, WINDOW};
use hiwar_admission::door::look::LOOK_MAX;
use hiwar_admission::door::timetable::HORIZON;
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
    /// How long they are to wait, if that was said.
    pub(super) retry_after: Option<Duration>,
}

const PIECE: &[u8] = b"moof";

/// What is told to who has to wait.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) ticket: String,
    wait_ms: u64,
    stage: String,
}

/// What their time is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// They are drawn until then.
    Draw,
    /// It is promised.
    Place,
    /// Nobody can tell.
    Rank,
    /// They come again in a moment.
    Soon,
}

/// No clock and no network is better.
const SLACK: Duration = Duration::from_secs(5);

impl Wait {
    /// Of the body of a 503. `None`: it is another kind of refusal.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        match self.stage.as_str() {
            "draw" => Some(Stage::Draw),
            "place" => Some(Stage::Place),
            "rank" => Some(Stage::Rank),
            "soon" => Some(Stage::Soon),
            _ => None,
        }
    }

    /// Whether that may be true: a time that is not over, and not farther off than any that is told.
    pub(super) fn may_be_true(&self) -> bool {
        let most = match self.stage() {
            Some(Stage::Draw) => WINDOW + TALLY + SPREAD,
            Some(Stage::Place) => HORIZON,
            Some(Stage::Rank) => LOOK_MAX,
            Some(Stage::Soon) => AFTER_SILENCE_MAX,
            None => return false,
        };
        !self.ticket.is_empty() && self.wait_ms > 0 && self.time() <= most + SLACK
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
        let fields = lines.filter_map(|line| line.split_once(':'));
        let number = |wanted: &str| {
            let mut named = fields.clone().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            named.find_map(|(_, value)| value.trim().parse::<u32>().ok())
        };
        let length = number("content-length").map(|length| length as usize);
        let retry_after = number("retry-after").map(|seconds| Duration::from_secs(seconds.into()));
        Ok(Some(Self { status: status.ok_or("no answer of HTTP/1.1")?, body: end + 4, length, retry_after }))
    }

    /// The place that somebody has who was let in.
    pub(super) fn place<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let head = std::str::from_utf8(bytes.get(..self.body)?).ok()?;
        head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("hiwar-place").then(|| value.trim())
        })
    }

    /// The body, when it is all there.
    pub(super) fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.body..self.body + self.length?)
    }

    /// Whether a piece of sound came with it: its name (ISO 14496-12 §8.8.4) is in the body.
    pub(super) fn has_sound(&self, bytes: &[u8]) -> bool {
        bytes.get(self.body..).is_some_and(|body| body.windows(PIECE.len()).any(|name| name == PIECE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_heard_with_an_answer_and_not_in_its_head() {
        for (text, has_sound) in [
            ("HTTP/1.1 200 OK\r\nX: moof\r\n\r\n....moov....", false),
            ("HTTP/1.1 200 OK\r\n\r\n....moov........moof", true),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
        ] {
            let head = Head::read(text.as_bytes()).expect("nothing is wrong with it").expect("it is there");
            assert_eq!(head.has_sound(text.as_bytes()), has_sound, "{text}");
        }
    }

    #[test]
    fn an_answer_is_read_when_it_is_all_there() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 124\r\nContent-LENGTH: 66\r\n\r\n\
            {\"type\":\"x/wait\",\"ticket\":\"AbC\",\"wait_ms\":123456,\"stage\":\"place\"} ";
        for length in 0..text.len() - 1 {
            let head = Head::read(&text[..length]).expect("nothing is wrong with it");
            assert!(head.is_none_or(|head| head.body(&text[..length]).is_none()));
        }
        let head = Head::read(text).expect("an answer").expect("all of it");
        assert_eq!((head.status, head.retry_after), (503, Some(Duration::from_secs(124))));
        let wait = head.body(text).and_then(Wait::read).expect("somebody who has to wait");
        assert_eq!(
            (wait.ticket.as_str(), wait.time(), wait.stage()),
            ("AbC", Duration::from_millis(123_456), Some(Stage::Place))
        );
    }

    #[test]
    fn a_time_that_is_over_or_farther_off_than_any_is_not_true() {
        let told = |stage: &str, wait_ms: u64| Wait { ticket: "AbC".into(), wait_ms, stage: stage.into() };
        for (stage, most_s) in [("draw", 78), ("place", 1_800), ("rank", 3_600), ("soon", 480)] {
            assert!(told(stage, 1).may_be_true() && told(stage, most_s * 1_000).may_be_true());
            assert!(!told(stage, 0).may_be_true() && !told(stage, (most_s + 6) * 1_000).may_be_true());
        }
        assert!(!told("open", 1_000).may_be_true());
        assert!(!Wait { ticket: String::new(), ..told("place", 1_000) }.may_be_true());
    }

    #[test]
    fn whoever_is_let_in_is_told_their_place() {
        let text = b"HTTP/1.1 200 OK\r\nhiwar-place: AbC\r\n\r\nHiwar-Place: no";
        let head = Head::read(text).expect("an answer").expect("all of it");
        assert_eq!(head.place(text), Some("AbC"));
        let text = b"HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(Head::read(text).expect("an answer").expect("all of it").place(text), None);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(Head::read(b"SSH-2.0\r\n\r\n").is_err());
        assert!(Head::read(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
        assert!(Wait::read(br#"{"type":"x/starting","status":503}"#).is_none());
    }
}
