//! What is asked of a log as HLS, and what of it must wait: the delivery directives and the blocking of RFC 8216bis §6.2.5.
//!
//! A request for what another worker may have already, and this one will have within three parts, is held and never answered with 404.
//! Pure: a tail and a name in, an outcome out; who waits, and how long, is the worker's business (`http`).

use bytes::Bytes;

use crate::coding::Coding;
use crate::playlist::{self, Extent};
use crate::problem::Problem;
use crate::request::Request;
use crate::tail::{Ended, Tail, hls_rendition};
use crate::window::{AHEAD_PARTS, Found, PART_CHUNKS, SEGMENT_CHUNKS, SEGMENT_PARTS};

/// One file of a log's folder.
///
/// Sound ends in `.m4a`: shaka-player (5.2) takes `.m4s` in a playlist of its own for video until it has read a newer one, and for sound from then
/// on; it changes the type of its buffer, without the initialization section that must follow, and nothing plays.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// `live.m3u8`
    Live(Directives),
    /// `rewind.m3u8`, which is read from the disk: see `rewind`.
    Rewind(Extent),
    /// `init.mp4`
    Init,
    /// `{number}.m4a`
    Segment(u64),
    /// `{number}.{part}.m4a`
    Part(u64, usize),
}

/// The delivery directives of a request for a playlist (RFC 8216bis §6.2.5).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn` and `_HLS_part`: answer when this is listed.
    pub until: Option<Until>,
    /// `_HLS_skip`: a delta is welcome.
    pub extent: Extent,
}

/// What a playlist must list before it is sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Until {
    /// A media sequence number.
    pub number: u64,
    /// One of its parts; `None`: all of it.
    pub part: Option<u64>,
}

/// Directives that cannot be followed: answered with 400 (RFC 8216bis §6.2.5.2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Misdirection {
    /// `_HLS_part` without `_HLS_msn`.
    PartAlone,
    /// A value that is no decimal number, or no `YES` or `v2`.
    Value,
    /// More than two segments or three parts after what is listed.
    TooFar,
}

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent.
    Send(Sent),
    /// Held until the log has come to this position, or ends.
    Hold(u64),
}

/// Something to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// `Content-Type`.
    pub mime: &'static str,
    /// Seconds for which caches may give it to others.
    pub max_age_s: u64,
    /// The body.
    pub body: Bytes,
    /// How it is written.
    pub coding: Coding,
    /// Whether its addresses need the listener's pass.
    pub has_addresses: bool,
}

impl File {
    /// Reads the last segment of a path and, for the playlist, the query. `Ok(None)` if nothing has that name: one file has one name, or
    /// caches would keep it many times.
    ///
    /// # Errors
    /// [`Misdirection::PartAlone`] and [`Misdirection::Value`].
    pub fn parse(name: &str, request: &Request<'_>) -> Result<Option<Self>, Misdirection> {
        if name == "live.m3u8" {
            return Directives::parse(request).map(|directives| Some(Self::Live(directives)));
        }
        if name == "rewind.m3u8" {
            return Directives::parse(request).map(|directives| Some(Self::Rewind(directives.extent)));
        }
        if name == "init.mp4" {
            return Ok(Some(Self::Init));
        }
        let Some(name) = name.strip_suffix(".m4a") else { return Ok(None) };
        Ok(match name.split_once('.') {
            None => number(name).map(Self::Segment),
            Some((segment, part)) => {
                let part = number(part).and_then(|part| usize::try_from(part).ok());
                number(segment).zip(part).map(|(number, part)| Self::Part(number, part))
            }
        })
    }
}

impl Directives {
    fn parse(request: &Request<'_>) -> Result<Self, Misdirection> {
        let value = |name| match request.parameter(name) {
            None => Ok(None),
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<u64>().map(Some).map_err(|_| Misdirection::Value)
            }
            Some(_) => Err(Misdirection::Value),
        };
        let until = match (value("_HLS_msn")?, value("_HLS_part")?) {
            (None, None) => None,
            (None, Some(_)) => return Err(Misdirection::PartAlone),
            (Some(number), part) => Some(Until { number, part }),
        };
        let extent = match request.parameter("_HLS_skip") {
            None => Extent::Whole,
            // Version 2 may skip dates as well; there are none.
            Some("YES" | "v2") => Extent::Delta,
            Some(_) => return Err(Misdirection::Value),
        };
        Ok(Self { until, extent })
    }
}

/// Answers from what the tail has. `coding`: how a playlist is welcome; sound has one of its own.
///
/// # Errors
/// `Ended` when the sound of a log that ended is forgotten, `NotFound` for what is not here and will not be, `Misdirected` for
/// directives that ask too much.
pub fn answer(tail: &mut Tail, file: File, coding: Coding) -> Result<Outcome, Problem> {
    let Some((_, rendition)) = hls_rendition(tail.header()) else {
        let is_over = tail.ended() == Ended::Yes && matches!(file, File::Live(_));
        return Err(if is_over { Problem::Ended } else { Problem::NotFound });
    };
    let window = tail.window();
    let target = playlist::target_s(tail.header());
    let media = |found| match found {
        Found::Here(body) => {
            let max_age_s = target * MEDIA_TARGETS;
            Ok(Outcome::Send(sound(body, max_age_s)))
        }
        Found::Soon(position) => Ok(Outcome::Hold(position)),
        Found::Nothing => Err(Problem::NotFound),
    };
    match file {
        File::Init => Ok(Outcome::Send(sound(rendition.init.clone(), 60))),
        File::Rewind(_) => Err(Problem::NotFound),
        File::Segment(number) => media(window.segment(number)),
        // Before the first chunk nothing is known of what another worker has promised: it is judged when that comes.
        File::Part(..) if window.reckoned_end().is_none() && !window.ended() => Ok(Outcome::Hold(tail.live() + 1)),
        File::Part(number, part) => media(window.part(number, part)),
        File::Live(directives) => live(tail, directives, target, coding),
    }
}

fn sound(body: Bytes, max_age_s: u64) -> Sent {
    Sent { mime: "audio/mp4", max_age_s, body, coding: Coding::Plain, has_addresses: false }
}

fn live(tail: &mut Tail, directives: Directives, target: u64, coding: Coding) -> Result<Outcome, Problem> {
    let window = tail.window();
    if directives.until.is_some() && window.reckoned_end().is_none() && !window.ended() {
        return Ok(Outcome::Hold(tail.live() + 1));
    }
    let wanted = match directives.until {
        Some(until) if !window.ended() => Some(wanted(until, window.reckoned_end().unwrap_or(0))?),
        _ => None,
    };
    let listed = window.parts_end().unwrap_or(0);
    if let Some(parts) = wanted.filter(|&parts| window.reckoned_end().is_none_or(|now| parts > now)) {
        return Ok(Outcome::Hold(parts * PART_CHUNKS));
    }
    let Some((body, coding)) = tail.playlist(directives.extent, coding) else {
        return match tail.ended() {
            Ended::Yes => Err(Problem::Ended),
            // The first segment will be whole in a moment: who asks before waits for it.
            Ended::No => Ok(Outcome::Hold((tail.live() / SEGMENT_CHUNKS + 1) * SEGMENT_CHUNKS)),
        };
    };
    // What was held for is the same for everyone who asks for it (Apple's profile: six target durations). Who asked for something long
    // past is given what is newest, and that is not.
    let fresh = wanted.is_some_and(|parts| parts + SEGMENT_PARTS as u64 > listed);
    let max_age_s = if fresh { target * MEDIA_TARGETS } else { 1 };
    Ok(Outcome::Send(Sent { mime: "application/vnd.apple.mpegurl", max_age_s, body, coding, has_addresses: true }))
}

/// How many parts of the log must be listed, when `listed` are now.
fn wanted(until: Until, listed: u64) -> Result<u64, Problem> {
    let parts_of = |segments: Option<u64>| segments.and_then(|n| n.checked_mul(SEGMENT_PARTS as u64));
    let too_far = Problem::Misdirected(Misdirection::TooFar);
    let next = until.number.checked_add(1);
    let parts = match until.part {
        None => parts_of(next),
        // Past the end of a segment is the first part of the next one (RFC 8216bis §6.2.5.2).
        Some(part) if part >= SEGMENT_PARTS as u64 => parts_of(next).and_then(|parts| parts.checked_add(1)),
        Some(part) => parts_of(Some(until.number)).and_then(|parts| parts.checked_add(part + 1)),
    };
    let parts = parts.ok_or(too_far)?;
    // The number is that of a segment; the newest whole one is the one before that which is being filled.
    let numbers_ahead = (until.number + 1).saturating_sub(listed / SEGMENT_PARTS as u64);
    let far = until.part.is_some() && parts > listed + AHEAD_PARTS || numbers_ahead > NUMBERS_AHEAD;
    if far { Err(too_far) } else { Ok(parts) }
}

/// Digits only, without leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// Target durations for which caches may keep a part, a segment, or a playlist that was waited for.
const MEDIA_TARGETS: u64 = 6;
/// How far ahead of the newest whole segment a playlist may be asked for (RFC 8216bis §6.2.5.2).
const NUMBERS_AHEAD: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Parsed, parse};
    use crate::tail::tests::tail;

    fn answer(tail: &mut Tail, file: File) -> Result<Outcome, Problem> {
        super::answer(tail, file, Coding::Plain)
    }

    fn file(target: &str) -> Result<Option<File>, Misdirection> {
        let head = format!("GET /hls/demo/{target} HTTP/1.1\r\nHost: a\r\n\r\n");
        match parse(head.as_bytes()) {
            Parsed::Complete { request, .. } => File::parse(request.path.rsplit('/').next().unwrap(), &request),
            other => panic!("{other:?}"),
        }
    }

    fn live(query: &str) -> File {
        file(&format!("live.m3u8?{query}")).unwrap().unwrap()
    }

    fn sent(outcome: Result<Outcome, Problem>) -> (u64, String) {
        match outcome {
            Ok(Outcome::Send(sent)) => (sent.max_age_s, String::from_utf8(sent.body.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    const TOO_FAR: Result<Outcome, Problem> = Err(Problem::Misdirected(Misdirection::TooFar));

    #[test]
    fn a_file_has_one_name() {
        assert_eq!(file("12.m4a"), Ok(Some(File::Segment(12))));
        assert_eq!(file("12.3.m4a"), Ok(Some(File::Part(12, 3))));
        for name in [
            "012.m4a",
            "+1.m4a",
            "1.03.m4a",
            "1..m4a",
            ".m4a",
            "1.2.3.m4a",
            "1.m4a.",
            "x",
            "99999999999999999999.m4a",
            "12.m4s",
        ] {
            assert_eq!(file(name), Ok(None), "{name}");
        }
    }

    #[test]
    fn directives_that_mean_nothing_are_refused() {
        assert_eq!(file("live.m3u8?_HLS_part=1"), Err(Misdirection::PartAlone));
        for query in [
            "_HLS_msn=x",
            "_HLS_msn=-1",
            "_HLS_msn=1&_HLS_part=",
            "_HLS_msn=1&_HLS_part=1.5",
            "_HLS_skip=NO",
            "_HLS_msn=99999999999999999999",
        ] {
            let parsed = file(&format!("live.m3u8?{query}"));
            // An empty value is no number either.
            assert_eq!(parsed, Err(Misdirection::Value), "{query}");
        }
        assert_eq!(
            live("a=b&_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"),
            File::Live(Directives { until: Some(Until { number: 7, part: Some(2) }), extent: Extent::Delta })
        );
        assert_eq!(
            live("_HLS_report=0"),
            File::Live(Directives { until: None, extent: Extent::Whole }),
            "unknown ones mean nothing here"
        );
    }

    #[test]
    fn a_playlist_waits_for_what_it_is_to_list() {
        // Two whole segments, two whole parts of the third, and two chunks.
        let mut tail = tail(0..52);
        let mut ask = |query: &str| answer(&mut tail, live(query));
        assert_eq!(sent(ask("")).0, 1);
        assert_eq!(sent(ask("_HLS_msn=2&_HLS_part=1")).0, 24);
        assert_eq!(sent(ask("_HLS_msn=0")).0, 1, "long past: what is newest, and that is not for long");
        assert_eq!(ask("_HLS_msn=2&_HLS_part=2"), Ok(Outcome::Hold(55)));
        assert_eq!(ask("_HLS_msn=2"), Ok(Outcome::Hold(60)));
        assert_eq!(ask("_HLS_msn=3"), Ok(Outcome::Hold(80)), "two after the newest whole one");
        assert_eq!(ask("_HLS_msn=4"), TOO_FAR);
        assert_eq!(ask("_HLS_msn=2&_HLS_part=4"), Ok(Outcome::Hold(65)), "the first part of the next");
        assert_eq!(ask("_HLS_msn=3&_HLS_part=0"), Ok(Outcome::Hold(65)));
        assert_eq!(ask("_HLS_msn=3&_HLS_part=1"), TOO_FAR);
        assert_eq!(ask("_HLS_msn=18446744073709551615"), TOO_FAR);
        assert_eq!(ask("_HLS_msn=18446744073709551615&_HLS_part=18446744073709551615"), TOO_FAR);
        assert_eq!(ask("_HLS_msn=4611686018427387903&_HLS_part=3"), TOO_FAR);
    }

    #[test]
    fn before_the_first_chunk_nothing_that_another_promised_is_refused() {
        let mut tail = tail(0..0);
        assert_eq!(answer(&mut tail, live("_HLS_msn=512&_HLS_part=2")), Ok(Outcome::Hold(1)));
        assert_eq!(answer(&mut tail, File::Part(512, 2)), Ok(Outcome::Hold(1)));
        tail.push(&crate::tail::tests::chunk(10_250, 1));
        assert_eq!(answer(&mut tail, live("_HLS_msn=512&_HLS_part=2")), Ok(Outcome::Hold(10_255)));
    }

    #[test]
    fn a_worker_that_has_just_begun_keeps_what_another_promised() {
        let mut tail = tail(1_007..1_012);
        assert_eq!(answer(&mut tail, live("_HLS_msn=50&_HLS_part=3")), Ok(Outcome::Hold(1_020)));
        assert_eq!(answer(&mut tail, File::Part(50, 3)), Ok(Outcome::Hold(1_020)));
        assert_eq!(answer(&mut tail, live("_HLS_msn=53&_HLS_part=3")), TOO_FAR);
        // Its list begins with the next segment, unless the past is recalled before.
        assert_eq!(answer(&mut tail, live("_HLS_msn=50&_HLS_part=1")), Ok(Outcome::Hold(1_020)));
        let past: Vec<_> = (600..1_007).map(|position| crate::tail::tests::chunk(position, 1)).collect();
        assert!(tail.recall(&past));
        let mut long = crate::tail::tests::tail(0..1_012);
        for file in [live(""), live("_HLS_skip=YES"), File::Segment(49), File::Part(50, 1)] {
            assert_eq!(answer(&mut tail, file), answer(&mut long, file));
        }
    }

    #[test]
    fn the_first_segment_is_waited_for() {
        let mut tail = tail(0..7);
        assert_eq!(answer(&mut tail, live("")), Ok(Outcome::Hold(20)));
        tail.end();
        assert!(sent(answer(&mut tail, live(""))).1.ends_with("0.m4a\n#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn at_the_end_nobody_waits() {
        let mut tail = tail(0..45);
        tail.end();
        assert!(sent(answer(&mut tail, live("_HLS_msn=3&_HLS_part=0"))).1.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(answer(&mut tail, File::Part(2, 1)), Err(Problem::NotFound));
        assert_eq!(answer(&mut tail, File::Segment(2)).map(|_| ()), Ok(()));
        tail.fade();
        assert_eq!(answer(&mut tail, live("")), Err(Problem::Ended));
    }

    #[test]
    fn media_comes_at_once_or_soon_or_never() {
        let mut tail = tail(0..52);
        assert!(sent(answer(&mut tail, File::Part(2, 1))).1.starts_with("m45;"));
        assert_eq!(answer(&mut tail, File::Part(2, 2)), Ok(Outcome::Hold(55)));
        assert_eq!(answer(&mut tail, File::Segment(2)), Ok(Outcome::Hold(60)));
        assert_eq!(answer(&mut tail, File::Part(3, 1)), Err(Problem::NotFound));
        assert_eq!(answer(&mut tail, File::Part(u64::MAX / 4, 3)), Err(Problem::NotFound));
        assert_eq!(sent(answer(&mut tail, File::Init)).1, "init-mp4;");
    }
}
