//! Two languages, and how numbers look in them: digits as in the web app's plain `ar` and `en`, short units as CLDR has them.

use std::fmt::{self, Display};

/// Which language an article is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Arabic,
    English,
}

impl Language {
    /// The value of `lang`, and what ids end in.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Arabic => "ar",
            Self::English => "en",
        }
    }

    /// The value of `dir`.
    pub(super) fn direction(self) -> &'static str {
        match self {
            Self::Arabic => "rtl",
            Self::English => "ltr",
        }
    }
}

/// The same in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    arabic: &'static str,
    english: &'static str,
}

/// The same in both languages; neither holds a character that HTML would take for its own.
pub(super) const fn words(arabic: &'static str, english: &'static str) -> Words {
    Words { arabic, english }
}

impl Words {
    pub(super) fn of(self, language: Language) -> &'static str {
        match language {
            Language::Arabic => self.arabic,
            Language::English => self.english,
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// People, things.
    Count,
    /// Given in microseconds.
    Time,
    Bytes,
    BytesPerSecond,
    Cores,
    /// Given as 0 to 1, said in percent.
    Share,
}

/// What a unit is divided by from some size on, and the symbol that says so, with the space before it.
type Symbol = (f64, Words);

const COUNTS: &[Symbol] =
    &[(1.0, words("", "")), (1e6, words("\u{a0}مليون", "\u{a0}M")), (1e9, words("\u{a0}مليار", "\u{a0}bn"))];
const TIMES: &[Symbol] = &[
    (1.0, words("\u{a0}ميكرو\u{a0}ث", "\u{a0}µs")),
    (1e3, words("\u{a0}ملي\u{a0}ث", "\u{a0}ms")),
    (1e6, words("\u{a0}ث", "\u{a0}s")),
];
const BYTES: &[Symbol] = &[
    (1.0, words("\u{a0}بايت", "\u{a0}B")),
    (1e3, words("\u{a0}ك.ب", "\u{a0}kB")),
    (1e6, words("\u{a0}م.ب", "\u{a0}MB")),
    (1e9, words("\u{a0}غ.ب", "\u{a0}GB")),
    (1e12, words("\u{a0}ت.ب", "\u{a0}TB")),
];
const BYTES_PER_SECOND: &[Symbol] = &[
    (1.0, words("\u{a0}بايت/ث", "\u{a0}B/s")),
    (1e3, words("\u{a0}ك.ب/ث", "\u{a0}kB/s")),
    (1e6, words("\u{a0}م.ب/ث", "\u{a0}MB/s")),
    (1e9, words("\u{a0}غ.ب/ث", "\u{a0}GB/s")),
    (1e12, words("\u{a0}ت.ب/ث", "\u{a0}TB/s")),
];
const CORES: &[Symbol] = &[(1.0, words("", ""))];
/// In Arabic the sign is left of its number, whatever letters are before it: a mark keeps it from being taken for a part of the number (UAX #9, W5).
pub(super) const PERCENT: Words = words("\u{200f}٪", "%");
const SHARES: &[Symbol] = &[(0.01, PERCENT)];

impl Unit {
    /// By what numbers up to `most` are divided to read well, and the symbol that is then put after them.
    pub(super) fn symbol(self, most: f64) -> Symbol {
        let symbols = match self {
            // Seven digits can still be read at an axis.
            Self::Count if most < 1e7 => &COUNTS[..1],
            Self::Count => COUNTS,
            Self::Time => TIMES,
            Self::Bytes => BYTES,
            Self::BytesPerSecond => BYTES_PER_SECOND,
            Self::Cores => CORES,
            Self::Share => SHARES,
        };
        let fits = symbols.iter().rev().find(|(divisor, _)| *divisor <= most);
        *fits.unwrap_or(&symbols[0])
    }

    /// One value, in the symbol that suits it.
    pub(super) fn say(self, value: f64, language: Language) -> String {
        if self == Self::Count {
            return whole(value as u64);
        }
        let (divisor, symbol) = self.symbol(value);
        format!("{}{}", decimal(value / divisor), symbol.of(language))
    }
}

/// `19000` → `19,000`.
pub(super) fn whole(number: u64) -> String {
    grouped(&number.to_string())
}

/// Three digits or all that are before the point, whichever are more: `1,234`, `12.3`, `0.12`; none that say nothing.
pub(super) fn decimal(number: f64) -> String {
    let digits = match number.abs() {
        hundreds if hundreds >= 99.95 => 0,
        tens if tens >= 9.995 => 1,
        ones if ones >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{number:.digits$}");
    match text.split_once('.') {
        None => grouped(&text),
        Some((before, after)) => match after.trim_end_matches('0') {
            "" => grouped(before),
            after => format!("{}.{after}", grouped(before)),
        },
    }
}

/// Puts a comma before each three digits.
fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds since 1970 as a date and time of day, in UTC: `2026-01-31 20:00:05`. `None` after the year 9999.
pub(super) fn date(unix_s: u64) -> Option<String> {
    let (mut day, second) = (unix_s / 86_400, unix_s % 86_400);
    let mut year = 1970;
    let length = loop {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = if leap { 366 } else { 365 };
        if day < length {
            break length;
        }
        day -= length;
        year += 1;
        if year > 9999 {
            return None;
        }
    };
    let mut month = 1;
    for days in [31, length - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (day, hour, minute, second) = (day + 1, second / 3600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
}

/// Text from outside, made harmless: nothing in it is markup, no character that controls or turns others comes through, and it has an end.
pub(super) struct Outside<'a>(pub(super) &'a str);

/// Characters of an [`Outside`] that are shown: more than any address or fault that means something has.
const OUTSIDE_MAX: usize = 300;

impl Display for Outside<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.chars().enumerate() {
            match character {
                _ if at == OUTSIDE_MAX => return out.write_str("…"),
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                // A 503 must not read as 305.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.write_str("\u{fffd}")?,
                control if control.is_control() => out.write_str("\u{fffd}")?,
                other => write!(out, "{other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_have_three_digits() {
        let check = |number: f64, text: &str| assert_eq!(decimal(number), text);
        check(0.0, "0");
        check(0.1234, "0.123");
        check(0.9999, "1");
        check(1.5, "1.5");
        check(12.34, "12.3");
        check(99.97, "100");
        check(1234.5, "1,234");
        check(1e15, "1,000,000,000,000,000");
        assert_eq!(whole(999), "999");
        assert_eq!(whole(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn values_are_said_in_the_unit_that_suits_them() {
        let check = |unit: Unit, value: f64, arabic: &str, english: &str| {
            assert_eq!(unit.say(value, Language::Arabic).replace('\u{a0}', " "), arabic);
            assert_eq!(unit.say(value, Language::English).replace('\u{a0}', " "), english);
        };
        check(Unit::Count, 20_000_000.0, "20,000,000", "20,000,000");
        check(Unit::Time, 0.0, "0 ميكرو ث", "0 µs");
        check(Unit::Time, 1500.0, "1.5 ملي ث", "1.5 ms");
        check(Unit::Time, 3.6e9, "3,600 ث", "3,600 s");
        check(Unit::Bytes, 104_857_600.0, "105 م.ب", "105 MB");
        check(Unit::Share, 0.905, "90.5\u{200f}٪", "90.5%");
        check(Unit::Cores, 1.25, "1.25", "1.25");
    }

    #[test]
    fn seconds_are_dates() {
        let check = |unix_s: u64, date: Option<&str>| assert_eq!(super::date(unix_s).as_deref(), date);
        check(0, Some("1970-01-01 00:00:00"));
        check(951_782_399, Some("2000-02-28 23:59:59"));
        check(951_782_400, Some("2000-02-29 00:00:00"));
        check(1_767_225_599, Some("2025-12-31 23:59:59"));
        check(4_107_542_400, Some("2100-03-01 00:00:00"));
        check(253_402_300_799, Some("9999-12-31 23:59:59"));
        check(253_402_300_800, None);
        check(u64::MAX, None);
    }

    #[test]
    fn text_from_outside_is_no_markup_and_has_an_end() {
        assert_eq!(Outside("<a href='x'>&\"\0\n").to_string(), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}\u{fffd}");
        assert_eq!(Outside("\u{202e}503\u{2069}").to_string(), "\u{fffd}503\u{fffd}");
        assert_eq!(Outside(&"م".repeat(1000)).to_string().chars().count(), OUTSIDE_MAX + 1);
    }
}
