//! A clip of a recording: which part of it is asked for. What is in a recording, and how a part of it becomes a file, is unknown here.
//!
//! Pure: a request in, a span out; fuzzed by `request`.

use crate::request::Request;

/// A part of a recording, as a file of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clip {
    /// In which form.
    pub form: ClipForm,
    /// Where it begins, in milliseconds from the recording's beginning.
    pub from_ms: u64,
    /// Where it ends: later, by at most [`CLIP_MS_MAX`].
    pub to_ms: u64,
}

/// The forms of a clip.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClipForm {
    /// `clip.mp4`
    Mp4,
    /// `clip.ogg`
    Ogg,
}

/// Why there is no such clip, one variant per rule.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unclippable {
    /// `from` or `to` is missing or no number of seconds.
    Nonsense,
    /// It does not end after its beginning.
    Reversed,
    /// It is longer than [`CLIP_MS_MAX`].
    TooLong,
    /// The recording ends before it does.
    Outside,
    /// Whoever the recording is of did not allow clips.
    Forbidden,
}

/// The longest clip: enough for an answer to be heard out, and short enough to be a quotation. It is also what is held in memory for whoever reads it.
pub const CLIP_MS_MAX: u64 = 90_000;

impl ClipForm {
    /// The form whose file has this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "clip.mp4" => Some(Self::Mp4),
            "clip.ogg" => Some(Self::Ogg),
            _ => None,
        }
    }
}

impl Clip {
    /// Reads the span out of a request for a clip: `?from=754&to=784.5`.
    ///
    /// # Errors
    /// [`Unclippable::Nonsense`], [`Unclippable::Reversed`] and [`Unclippable::TooLong`].
    pub fn parse(form: ClipForm, request: &Request<'_>) -> Result<Self, Unclippable> {
        let time = |name| request.parameter(name).and_then(milliseconds).ok_or(Unclippable::Nonsense);
        let (from_ms, to_ms) = (time("from")?, time("to")?);
        match to_ms.checked_sub(from_ms) {
            None | Some(0) => Err(Unclippable::Reversed),
            Some(length) if length > CLIP_MS_MAX => Err(Unclippable::TooLong),
            Some(_) => Ok(Self { form, from_ms, to_ms }),
        }
    }
}

/// Seconds, of which nine digits are years, with up to three decimals.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 9) || !digits(decimals, 3) {
        return None;
    }
    Some(whole.parse::<u64>().ok()? * 1_000 + format!("{decimals:0<3}").parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Parsed, parse};

    fn check(query: &str, expected: Result<(u64, u64), Unclippable>) {
        let head = format!("GET /replay/demo/clip.mp4{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        let Parsed::Complete { request, .. } = parse(head.as_bytes()) else { panic!("{query}") };
        let clip = Clip::parse(ClipForm::Mp4, &request);
        assert_eq!(clip.map(|clip| (clip.from_ms, clip.to_ms)), expected, "{query}");
    }

    #[test]
    fn a_span_is_seconds_with_up_to_three_decimals() {
        check("?from=0&to=90", Ok((0, 90_000)));
        check("?to=2.5&from=1.25", Ok((1_250, 2_500)));
        check("?pass=x&from=754.001&to=754.002&x=y", Ok((754_001, 754_002)));
        check("?from=999999999.999&to=0", Err(Unclippable::Reversed));
        for nonsense in [
            "",
            "?",
            "?from=1",
            "?to=1",
            "?from=&to=1",
            "?from=a&to=2",
            "?from=-1&to=2",
            "?from=+1&to=2",
            "?from=1.&to=2",
            "?from=.5&to=2",
            "?from=1.0001&to=2",
            "?from=1e3&to=2",
            "?from=1,5&to=2",
            "?from=NaN&to=2",
            "?from=1&to=9999999999",
            "?from=1&to=%32",
            "?from=1.2.3&to=4",
            "?from=0x1&to=4",
            "?From=1&To=2",
        ] {
            check(nonsense, Err(Unclippable::Nonsense));
        }
    }

    #[test]
    fn a_clip_ends_after_its_beginning_and_is_not_long() {
        check("?from=1&to=1", Err(Unclippable::Reversed));
        check("?from=2&to=1", Err(Unclippable::Reversed));
        check("?from=10&to=100.001", Err(Unclippable::TooLong));
        check("?from=10&to=100", Ok((10_000, 100_000)));
    }
}
