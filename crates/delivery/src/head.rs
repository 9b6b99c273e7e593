//! The head of a response, written field by field, and the date in it.

use std::fmt::Write as _;
use std::time::SystemTime;

/// A response head under construction.
#[derive(Debug)]
pub struct Head(String);

impl Head {
    /// A status line and the fields that every answer of ours has: `Date`, and what keeps browsers from guessing types or leaking
    /// tokens in a Referer.
    pub fn new(status: u16, now: SystemTime) -> Self {
        let mut text = String::with_capacity(512);
        let _ = write!(text, "HTTP/1.1 {status} {}\r\nDate: {}\r\n", reason(status), Date(now));
        text.push_str("X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
        Self(text)
    }

    /// Adds a field. One whose name or value could break the head is left out.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let begin = self.0.len();
        let _ = write!(self.0, "{name}: {value}");
        if self.0.as_bytes().iter().skip(begin).any(|&b| b < b' ' && b != b'\t' || b == 0x7f) || name.is_empty() {
            self.0.truncate(begin);
            return self;
        }
        self.0.push_str("\r\n");
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// The bytes, with the empty line.
    pub fn end(mut self) -> Vec<u8> {
        self.0.push_str("\r\n");
        self.0.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        303 => "See Other",
        307 => "Temporary Redirect",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

/// A time as HTTP writes it (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Copy, Clone, Debug)]
pub struct Date(pub SystemTime);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let Civil { year, month, day, weekday, hour, minute, second } = Civil::from_unix(seconds);
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][weekday];
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// A moment in the proleptic Gregorian calendar, UTC.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u64,
    /// 1 to 12.
    pub(crate) month: usize,
    pub(crate) day: u64,
    /// Days since a Thursday, 0 to 6: the epoch was one.
    pub(crate) weekday: usize,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
}

impl Civil {
    pub(crate) fn from_unix(seconds: u64) -> Self {
        // Counted in eras of 400 years that begin on 1 March, so that leap days come last (Hinnant, "chrono-compatible date algorithms").
        // Bounded, so that a clock gone wild still has a four-digit year.
        let seconds = seconds.min(253_402_300_799);
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            weekday: (days % 7) as usize,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_standard() {
        let check = |seconds, text: &str| {
            assert_eq!(Date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), text);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT");
    }

    #[test]
    fn a_value_with_a_line_break_is_left_out() {
        let head = Head::new(200, SystemTime::UNIX_EPOCH).field("A", "b\r\nSet-Cookie: c").field("D", "e").end();
        let text = String::from_utf8(head).unwrap();
        assert!(!text.contains("Cookie") && text.ends_with("D: e\r\n\r\n"), "{text}");
    }
}
