//! What whoever has to wait is told: as a problem that our page reads, as an address that a player follows, or as a page that comes back by itself.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hiwar_admission::door::ticket::Worth;

use crate::answer::{Answer, keep};
use crate::head::{Civil, Head};
use crate::problem::{Keep, Language};
use crate::request::{Method, Request};

/// The parameter in which a player carries its ticket. Our page has its in `t`.
pub(crate) const PLAYERS: &str = "ticket";
/// In which the player of a page without scripts has how often it was sent on.
const HOP: &str = "hop";
/// So often at the most: a new connection meets any worker, of two nearly always the one that has a place.
const HOPS_MAX: u32 = 8;
/// With which our page says that its browser plays the delayed stream.
pub(crate) const PLAYS_HLS: &str = "hls";
/// And in which either shows for whom the house vouches.
pub(crate) const VOUCHER: &str = "voucher";

/// Somebody's place in time.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Waiting<'a> {
    /// For what.
    pub(crate) space: &'a str,
    /// What they carry.
    pub(crate) ticket: &'a str,
    /// Until then.
    pub(crate) wait: Duration,
    /// What comes then.
    pub(crate) worth: Worth,
    /// To whom no place can be promised yet: about how long until they have one, if that is within half an hour.
    pub(crate) expected: Option<Duration>,
    /// What else there is for them.
    pub(crate) offers: Offers<'a>,
}

/// What there is for whoever cannot expect a place in good time.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Offers<'a> {
    /// The origin at which others carry the delayed stream, if they do.
    pub(crate) elsewhere: Option<&'a str>,
    /// Where people find this server, without a slash at its end.
    pub(crate) origin: &'a str,
}

impl Waiting<'_> {
    /// Nothing is to be waited for but a moment.
    pub(crate) fn is_soon(&self) -> bool {
        matches!(self.worth, Worth::Place { promised } if promised.is_zero())
    }

    fn stage(&self) -> &'static str {
        match self.worth {
            Worth::Draw(_) => "draw",
            Worth::Place { promised } if promised.is_zero() => "soon",
            Worth::Place { .. } => "place",
            Worth::Rank(_) => "rank",
        }
    }

    /// In whole seconds, and not before; a second at least.
    fn seconds(&self) -> u64 {
        (self.wait.as_millis().div_ceil(1_000) as u64).max(1)
    }

    /// Where the delayed stream is, for whoever is told no time; `None`: nobody carries it.
    fn elsewhere(&self, request: &Request<'_>) -> Option<String> {
        let origin = self.offers.elsewhere.filter(|_| matches!(self.worth, Worth::Rank(_)))?;
        Some(delayed(request, self.space, origin))
    }

    fn words(&self, language: Language) -> (&'static str, String) {
        let minutes = in_minutes(self.wait);
        match (language, self.worth) {
            // Their time has come and none is free, they were inside before, or no house says how many there are: of each this is true.
            (Language::English, Worth::Place { promised }) if promised.is_zero() => (
                "No place at this moment",
                format!(
                    "One is asked for again by itself, in about {}. Nothing need be done.",
                    if minutes > 1 { format!("{minutes} min") } else { format!("{} seconds", self.seconds()) }
                ),
            ),
            (Language::Arabic, Worth::Place { promised }) if promised.is_zero() => (
                "لا مكان في هذه اللحظة",
                format!(
                    "سيُطلب لك مكان مجددًا من تلقاء نفسه بعد نحو {}. لا حاجة إلى فعل شيء.",
                    if minutes > 1 { counted(minutes, MINUTES) } else { counted(self.seconds(), SECONDS) }
                ),
            ),
            (Language::English, Worth::Draw(_)) => (
                "Many people came at once",
                format!(
                    "Whoever comes in this minute is drawn. In about {} seconds you are told your time.",
                    self.seconds()
                ),
            ),
            (Language::English, Worth::Place { .. }) => (
                "You have a place",
                format!(
                    "In about {minutes} min. If you are at most ten minutes late, the next free place is yours, without waiting in line again."
                ),
            ),
            (Language::English, Worth::Rank(_)) if let Some(expected) = self.expected => (
                "Your turn is kept",
                format!(
                    "You will probably have a place in about {} min; this is an estimate, and no promise. Look again in {minutes} min; if it is recorded, the recording will be at the conversation's page.",
                    in_minutes(expected)
                ),
            ),
            (Language::Arabic, Worth::Rank(_)) if let Some(expected) = self.expected => (
                "دورك محفوظ",
                format!(
                    "يُتوقع أن يخلو لك مكان بعد نحو {}، وهذا تقدير لا وعد. عُد بعد {}، وإن سُجّل الحوار فستجد التسجيل في صفحته.",
                    counted(in_minutes(expected), MINUTES),
                    counted(minutes, MINUTES)
                ),
            ),
            (Language::English, Worth::Rank(_)) => (
                "No place within half an hour",
                format!(
                    "More people came than can listen at once. Look again in {minutes} min; if it is recorded, the recording will be at the conversation's page."
                ),
            ),
            (Language::Arabic, Worth::Draw(_)) => (
                "جاء كثيرون في وقت واحد",
                format!(
                    "نُجري قرعة بين كل من يصل في هذه الدقيقة، وستعرف موعدك بعد نحو {}.",
                    counted(self.seconds(), SECONDS)
                ),
            ),
            (Language::Arabic, Worth::Place { .. }) => (
                "مكانك محجوز",
                format!(
                    "بعد نحو {}. وإن تأخرت عشر دقائق على الأكثر فلك أول مكان يخلو، ولا تنتظر دورك من جديد.",
                    counted(minutes, MINUTES)
                ),
            ),
            (Language::Arabic, Worth::Rank(_)) => (
                "لا مكان خلال نصف ساعة",
                format!(
                    "الحاضرون أكثر مما يمكن أن يستمع معًا. عُد بعد {}، وإن سُجّل الحوار فستجد التسجيل في صفحته.",
                    counted(minutes, MINUTES)
                ),
            ),
        }
    }
}

/// In whole minutes, and not before; one at least.
fn in_minutes(time: Duration) -> u64 {
    (time.as_millis().div_ceil(60_000) as u64).max(1)
}

/// One, two, three to ten, and more of something, as they are counted after a preposition.
type Forms = [&'static str; 4];
const MINUTES: Forms = ["دقيقة واحدة", "دقيقتين", "دقائق", "دقيقة"];
const SECONDS: Forms = ["ثانية واحدة", "ثانيتين", "ثوانٍ", "ثانية"];

/// So many of them, in Arabic: the hundreds do not count for the form (CLDR, plural rules of `ar`).
fn counted(number: u64, [one, two, few, many]: Forms) -> String {
    match (number, number % 100) {
        (1, _) => one.into(),
        (2, _) => two.into(),
        (_, 3..=10) => format!("{} {few}", arabic(number)),
        _ => format!("{} {many}", arabic(number)),
    }
}

/// In the digits of Arabic text.
fn arabic(number: u64) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|d| char::from_u32('٠' as u32 + d)).unwrap_or(c);
    number.to_string().chars().map(digit).collect()
}

fn preferred(request: &Request<'_>) -> (Language, &'static str) {
    match Language::preferred(request.field("accept-language")) {
        Language::Arabic => (Language::Arabic, "ar"),
        Language::English => (Language::English, "en"),
    }
}

/// Waiting connections are closed: thousands of them would be in the way of those who listen, and whoever came back over one would always find the same worker, which may have no place when
/// another has.
fn ready(request: &Request<'_>, head: Head, body: String) -> Answer {
    answer(request, Keep::Close, head, body)
}

fn answer(request: &Request<'_>, keep: Keep, head: Head, body: String) -> Answer {
    let head = head
        .field("Content-Length", body.len())
        .field("Cache-Control", "no-store")
        .field("Access-Control-Allow-Origin", "*")
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    let body = if request.method == Method::Head { Bytes::new() } else { Bytes::from(body) };
    Answer::Ready { head, body, keep }
}

/// For our page: when, and with what; and for a player that shows the ticket that it has.
pub(crate) fn wait(request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) -> Answer {
    let (language, code) = preferred(request);
    let (title, detail) = waiting.words(language);
    let (ticket, wait_ms, stage) = (waiting.ticket, waiting.wait.as_millis(), waiting.stage());
    let mut body = format!(
        "{{\"type\":\"/problems/wait\",\"title\":\"{title}\",\"status\":503,\"detail\":\"{detail}\",\"lang\":\"{code}\",\"ticket\":\"{ticket}\",\"wait_ms\":{wait_ms},\"stage\":\"{stage}\""
    );
    if let Some(expected) = waiting.expected {
        let _ = write!(body, ",\"expected_ms\":{}", expected.as_millis());
    }
    if waiting.worth == Worth::NO_TURN {
        body.push_str(",\"kept\":false");
    }
    if let Some(address) = waiting.elsewhere(request) {
        let _ = write!(body, ",\"elsewhere\":\"{address}\"");
    }
    if matches!(waiting.worth, Worth::Rank(_)) {
        let _ = write!(body, ",\"page\":\"{}\"", own_page(request, waiting.space));
    }
    body.push('}');
    let head = Head::new(503, now)
        .field("Content-Type", "application/problem+json")
        .field("Content-Language", code)
        .field("Retry-After", waiting.seconds());
    ready(request, head, body)
}

/// For a player: where it finds its place in time. The method stays what it was (RFC 9110 §15.4.8).
pub(crate) fn redirect(request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) -> Answer {
    let location = same_with(request, PLAYERS, waiting.ticket);
    ready(request, Head::new(307, now).field("Location", location), String::new())
}

/// For the player of a page without scripts, which can only follow: this worker has no place, another may, and it meets any of them by a new connection. `None`: it was sent on often enough, or is another player.
pub(crate) fn send_on(request: &Request<'_>, now: SystemTime) -> Option<Answer> {
    let hops: u32 = request.parameter(HOP)?.parse().ok().filter(|hops| *hops < HOPS_MAX)?;
    let location = same_with(request, HOP, &(hops + 1).to_string());
    Some(ready(request, Head::new(307, now).field("Location", location), String::new()))
}

/// What was asked for, with that value of one parameter.
fn same_with(request: &Request<'_>, changed: &str, value: &str) -> String {
    let mut location = String::from(request.target.split('?').next().unwrap_or_default());
    let others = request.query.unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && pair.split_once('=').is_none_or(|(name, _)| name != changed));
    for (at, pair) in others.enumerate() {
        let _ = write!(location, "{}{pair}", if at == 0 { '?' } else { '&' });
    }
    let mark = if location.contains('?') { '&' } else { '?' };
    let _ = write!(location, "{mark}{changed}={value}");
    location
}

/// Where the delayed stream is, at an origin where others carry it.
pub(crate) fn send_elsewhere(request: &Request<'_>, space: &str, origin: &str, now: SystemTime) -> Answer {
    ready(request, Head::new(307, now).field("Location", delayed(request, space, origin)), String::new())
}

fn delayed(request: &Request<'_>, space: &str, origin: &str) -> String {
    format!("{origin}/hls/{space}/live.m3u8{}", pass(request))
}

/// Where a conversation is, and its recording afterwards, if there is one.
fn own_page(request: &Request<'_>, space: &str) -> String {
    format!("/s/{space}{}", pass(request))
}

/// Their pass, as the query of an address.
fn pass(request: &Request<'_>) -> String {
    token(request, "pass").map(|pass| format!("?pass={pass}")).unwrap_or_default()
}

/// Where a conversation's own page is, for whoever waited for it until it was over.
pub(crate) fn to_page(request: &Request<'_>, space: &str, now: SystemTime) -> Answer {
    ready(request, Head::new(303, now).field("Location", own_page(request, space)), String::new())
}

/// For whoever has no JavaScript: the page comes back by itself when it is time.
pub(crate) fn page(request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) -> Answer {
    let (language, _) = preferred(request);
    let (title, detail) = waiting.words(language);
    let again = match language {
        Language::English => "Leave this page open: it comes back by itself.",
        Language::Arabic => "أبقِ هذه الصفحة مفتوحة، فهي تعود وحدها.",
    };
    let mut body = format!("<h1>{title}</h1><p role=\"status\">{detail}</p><p>{again}</p>");
    if matches!(waiting.worth, Worth::Rank(_)) {
        offer(&mut body, request, waiting, now);
    }
    let mut address = format!("/s/{}/wait?t={}", waiting.space, waiting.ticket);
    for name in ["pass", VOUCHER] {
        token(request, name).into_iter().for_each(|token| _ = write!(address, "&{name}={token}"));
    }
    let head = Head::new(200, now)
        .field("Refresh", format_args!("{}; url={address}", waiting.seconds()))
        // A player on another page waits by it, too (web/src/embed/door.ts).
        .field("Access-Control-Expose-Headers", "Refresh");
    html(request, Keep::Close, head, title, &body)
}

/// Links to what there is for whoever is told no time.
fn offer(body: &mut String, request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) {
    let (language, _) = preferred(request);
    let (later, page, calendar) = match language {
        Language::English => (
            "Listen now, some seconds later",
            "The conversation's page, with the recording if there is one",
            "Put it in your calendar",
        ),
        Language::Arabic => ("استمع الآن متأخرًا بضع ثوانٍ", "صفحة الحوار، وفيها التسجيل إن سُجّل", "أضِفه إلى تقويمك"),
    };
    if let Some(address) = waiting.elsewhere(request) {
        let _ = write!(body, "<p><a href=\"{}\">{later}</a></p>", attribute(&address));
    }
    let own = own_page(request, waiting.space);
    let file = escaped(&event(language, waiting, &own, now));
    let _ = write!(
        body,
        "<p><a href=\"{own}\">{page}</a></p><p><a id=\"calendar\" download=\"hiwar.ics\" href=\"data:text/calendar;charset=utf-8,{file}\">{calendar}</a></p>"
    );
}

/// A file for calendars (RFC 5545): to look again then.
fn event(language: Language, waiting: Waiting<'_>, own: &str, now: SystemTime) -> String {
    let summary = match language {
        Language::English => "Look again for a place to listen",
        Language::Arabic => "انظر من جديد هل من مكان للاستماع",
    };
    let (made, at) = (stamp(now), stamp(now + Duration::from_secs(waiting.seconds())));
    let (space, origin) = (waiting.space, waiting.offers.origin);
    let host = origin.split("://").last().unwrap_or_default();
    let mut file = String::new();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Hiwar//Door//EN",
        "BEGIN:VEVENT",
        &format!("UID:{at}-{space}@{host}"),
        &format!("DTSTAMP:{made}"),
        &format!("DTSTART:{at}"),
        &format!("SUMMARY:{summary}"),
        &format!("URL:{origin}{own}"),
        "END:VEVENT",
        "END:VCALENDAR",
    ] {
        fold(&mut file, line);
    }
    file
}

/// One line of it: 75 bytes at the most, and what is left on the next ones (§3.1).
fn fold(file: &mut String, line: &str) {
    let mut room = LINE_BYTES_MAX;
    for c in line.chars() {
        if c.len_utf8() > room {
            file.push_str("\r\n ");
            room = LINE_BYTES_MAX - 1;
        }
        file.push(c);
        room -= c.len_utf8();
    }
    file.push_str("\r\n");
}

/// RFC 5545 §3.1, without the line's end.
const LINE_BYTES_MAX: usize = 75;

/// A moment of UTC, as calendars write it (§3.3.5).
fn stamp(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Civil { year, month, day, hour, minute, second, .. } = Civil::from_unix(seconds);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// As a part of an address (RFC 3986 §2.1): nothing in it ends an attribute.
fn escaped(text: &str) -> String {
    let mut address = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

/// In quotes.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Somebody may come in: their player does, with the ticket if there is one.
pub(crate) fn enter(request: &Request<'_>, space: &str, ticket: Option<&str>, now: SystemTime) -> Answer {
    let (language, _) = preferred(request);
    let (title, detail, again) = match language {
        Language::English => {
            ("It is your turn", "If nothing is heard, press play.", "Nothing to hear? Ask for a place again.")
        }
        Language::Arabic => ("حان دورك", "إن لم تسمع شيئًا فاضغط زر التشغيل.", "لا تسمع شيئًا؟ اطلب مكانًا من جديد."),
    };
    let query = |ticket, hop| {
        let query = [("t", ticket), ("pass", token(request, "pass")), (VOUCHER, token(request, VOUCHER)), (HOP, hop)];
        let query: Vec<_> = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect();
        query.join("&amp;")
    };
    let (sound, anew) = (query(ticket, Some("0")), query(None, None));
    let body = format!(
        "<h1>{title}</h1><p role=\"status\">{detail}</p><audio controls autoplay src=\"/listen/{space}.mp3?{sound}\"></audio><p><a href=\"/s/{space}/wait?{anew}\">{again}</a></p>"
    );
    // Over the same connection: where there is a place for them.
    html(request, keep(request), Head::new(200, now), title, &body)
}

/// Their pass, or what else they show, if it is written as such are: it is repeated in a page.
fn token<'r>(request: &Request<'r>, name: &str) -> Option<&'r str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    request.parameter(name).filter(|token| token.bytes().all(is_token))
}

fn html(request: &Request<'_>, keep: Keep, head: Head, title: &str, body: &str) -> Answer {
    let (language, code) = preferred(request);
    let direction = if language == Language::Arabic { "rtl" } else { "ltr" };
    let text = format!(
        "<!doctype html><html lang=\"{code}\" dir=\"{direction}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><main>{body}</main></html>"
    );
    let head = head
        .field("Content-Type", "text/html; charset=utf-8")
        .field("Content-Language", code)
        .field("Vary", "Accept-Language")
        .field(
            "Content-Security-Policy",
            "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        );
    answer(request, keep, head, text)
}

const STYLE: &str = "body{margin:0;font:1.1rem/1.6 system-ui,sans-serif;color-scheme:light dark}main{max-width:34rem;margin:12vh auto;padding:0 1.25rem}h1{font-size:1.6rem;line-height:1.25}audio{width:100%}";

/// The head of a stream, and the place by which it is heard.
pub(crate) fn with_place(mut head: Vec<u8>, place: &str) -> Vec<u8> {
    head.truncate(head.len().saturating_sub(2));
    head.extend_from_slice(b"Hiwar-Place: ");
    head.extend_from_slice(place.as_bytes());
    head.extend_from_slice(b"\r\nAccess-Control-Expose-Headers: Hiwar-Place\r\n\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Parsed, parse};
    use hiwar_admission::door::network::Turn;

    fn asked(target: &str, language: &str, act: impl FnOnce(&Request<'_>) -> Answer) -> (String, String) {
        let text = format!("GET {target} HTTP/1.1\r\nHost: talk.example\r\nAccept-Language: {language}\r\n\r\n");
        let Parsed::Complete { request, .. } = parse(text.as_bytes()) else { panic!("{target}") };
        let Answer::Ready { head, body, .. } = act(&request) else { panic!("an answer") };
        (String::from_utf8(head).expect("text"), String::from_utf8(body.to_vec()).expect("text"))
    }

    fn waiting(worth: Worth) -> Waiting<'static> {
        Waiting {
            space: "demo",
            ticket: "TICKET",
            wait: Duration::from_millis(150_001),
            worth,
            expected: None,
            offers: NOTHING,
        }
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const NOTHING: Offers<'static> = Offers { elsewhere: None, origin: "https://talk.example" };
    const DELAYED: Offers<'static> = Offers { elsewhere: Some("https://cdn.example"), ..NOTHING };
    const PLACE: Worth = Worth::Place { promised: Duration::from_secs(151) };

    #[test]
    fn our_page_reads_when_and_with_what_it_comes_back() {
        for (worth, stage) in [
            (PLACE, "place"),
            (Worth::Place { promised: Duration::ZERO }, "soon"),
            (Worth::Draw(Turn::FIRST), "draw"),
            (Worth::Rank(7), "rank"),
            (Worth::NO_TURN, "rank"),
        ] {
            for language in ["ar", "en"] {
                let (head, body) = asked("/listen/demo.mp4?t=", language, |request| wait(request, waiting(worth), NOW));
                assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 151\r\n"), "{head}");
                assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
                assert!(head.contains("no-store") && head.contains(&format!("Content-Length: {}\r\n", body.len())));
                let page = if stage == "rank" { ",\"page\":\"/s/demo\"" } else { "" };
                let kept = if worth == Worth::NO_TURN { ",\"kept\":false" } else { "" };
                let told = format!(
                    "\"lang\":\"{language}\",\"ticket\":\"TICKET\",\"wait_ms\":150001,\"stage\":\"{stage}\"{kept}{page}}}"
                );
                assert!(body.starts_with("{\"type\":\"/problems/wait\"") && body.ends_with(&told), "{body}");
            }
        }
    }

    #[test]
    fn a_player_is_sent_to_its_place_and_loses_nothing_on_the_way() {
        let location = |target: &str| {
            let (head, _) = asked(target, "en", |request| redirect(request, waiting(PLACE), NOW));
            assert!(head.starts_with("HTTP/1.1 307 "), "{head}");
            let at = head.split_once("\r\nLocation: ").expect("a location").1;
            at.split_once("\r\n").expect("its end").0.to_owned()
        };
        assert_eq!(location("/listen/demo.ogg"), "/listen/demo.ogg?ticket=TICKET");
        assert_eq!(location("/listen/demo.ogg?voucher=V&pass=P"), "/listen/demo.ogg?voucher=V&pass=P&ticket=TICKET");
        assert_eq!(location("/listen/demo.ogg?ticket=OLD&pass=P"), "/listen/demo.ogg?pass=P&ticket=TICKET");
    }

    #[test]
    fn whoever_finds_no_place_in_time_is_told_so_and_when_one_is_asked_for_again() {
        let soon = |wait| Waiting { wait, ..waiting(Worth::Place { promised: Duration::ZERO }) };
        for (language, none, long, short) in [
            ("en", "No place at this moment", "in about 8 min", "in about 6 seconds"),
            ("ar", "لا مكان في هذه اللحظة", "بعد نحو ٨ دقائق", "بعد نحو ٦ ثوانٍ"),
        ] {
            let told = |wait| asked("/s/demo/wait", language, |request| page(request, soon(wait), NOW)).1;
            let (late, early) = (told(Duration::from_secs(480)), told(Duration::from_secs(6)));
            assert!(late.contains(none) && late.contains(long), "{late}");
            assert!(early.contains(none) && early.contains(short), "{early}");
        }
    }

    #[test]
    fn whoever_is_told_no_time_is_told_what_to_expect_within_half_an_hour() {
        for (language, turn, none) in [
            (
                "en",
                "in about 21 min; this is an estimate, and no promise. Look again in 3 min",
                "No place within half an hour",
            ),
            ("ar", "بعد نحو ٢١ دقيقة، وهذا تقدير لا وعد. عُد بعد ٣ دقائق", "لا مكان خلال نصف ساعة"),
        ] {
            for expected in [None, Some(Duration::from_millis(1_200_001))] {
                let waiting = Waiting { expected, ..waiting(Worth::Rank(7)) };
                let (_, told) = asked("/listen/demo.mp4?t=", language, |request| wait(request, waiting, NOW));
                assert_eq!(
                    told.contains(",\"stage\":\"rank\",\"expected_ms\":1200001,\"page\""),
                    expected.is_some(),
                    "{told}"
                );
                let (_, page) = asked("/s/demo/wait", language, |request| page(request, waiting, NOW));
                for told in [told, page] {
                    assert_eq!(
                        (told.contains(turn), told.contains(none)),
                        (expected.is_some(), expected.is_none()),
                        "{told}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_player_of_a_page_without_javascript_is_sent_on_so_many_times() {
        let mut target = String::from("/listen/demo.mp3?t=T&pass=P&hop=0");
        for hops in 1..=HOPS_MAX {
            let (head, _) = asked(&target, "en", |request| send_on(request, NOW).expect("it is sent on"));
            target = format!("/listen/demo.mp3?t=T&pass=P&hop={hops}");
            assert!(head.contains(&format!("\r\nLocation: {target}\r\n")), "{head}");
            assert!(head.starts_with("HTTP/1.1 307 ") && head.contains("\r\nConnection: close\r\n"), "{head}");
        }
        for target in [&target, "/listen/demo.mp3?t=T", "/listen/demo.mp3?t=T&hop=-1", "/listen/demo.mp3?hop="] {
            asked(target, "en", |request| {
                assert!(send_on(request, NOW).is_none(), "{target}");
                wait(request, waiting(PLACE), NOW)
            });
        }
    }

    #[test]
    fn a_page_without_javascript_comes_back_by_itself_and_then_plays() {
        let (head, body) = asked("/s/demo/wait?pass=P&voucher=V", "ar", |request| page(request, waiting(PLACE), NOW));
        assert!(head.contains("\r\nRefresh: 151; url=/s/demo/wait?t=TICKET&pass=P&voucher=V\r\n"), "{head}");
        assert!(body.contains("lang=\"ar\" dir=\"rtl\"") && body.contains("٣ دقائق"), "{body}");
        let (head, body) = asked("/s/demo/wait?t=TICKET", "en", |request| enter(request, "demo", Some("TICKET"), NOW));
        let vouched = "/s/demo/wait?voucher=V&t=TICKET&pass=P";
        let (_, vouched) = asked(vouched, "en", |request| enter(request, "demo", Some("TICKET"), NOW));
        assert!(vouched.contains("src=\"/listen/demo.mp3?t=TICKET&amp;pass=P&amp;voucher=V&amp;hop=0\""), "{vouched}");
        assert!(vouched.contains("href=\"/s/demo/wait?pass=P&amp;voucher=V\""), "a place is asked for anew: {vouched}");
        let hostile = "/s/demo/wait?pass=%3C\"><b>&voucher=\"><b>";
        let (_, other) = asked(hostile, "en", |request| enter(request, "demo", None, NOW));
        assert!(other.contains("src=\"/listen/demo.mp3?hop=0\""), "{other}");
        assert!(!head.contains("Connection: close"), "{head}");
        assert!(!head.contains("Refresh") && body.contains("src=\"/listen/demo.mp3?t=TICKET&amp;hop=0\""), "{body}");
    }

    #[test]
    fn whoever_is_told_no_time_is_offered_the_delayed_stream_where_there_is_one() {
        let hostile = "%22%3E%3Cb%3E";
        for (query, shown) in [("pass=P", "?pass=P"), ("", ""), (&format!("pass={hostile}"), "")] {
            for (language, words) in [("ar", "استمع الآن متأخرًا"), ("en", "Listen now, some seconds later")]
            {
                let address = format!("https://cdn.example/hls/demo/live.m3u8{shown}");
                for (worth, offers) in [(Worth::Rank(7), DELAYED), (Worth::Rank(7), NOTHING), (PLACE, DELAYED)] {
                    let is_offered = matches!(worth, Worth::Rank(_)) && offers.elsewhere.is_some();
                    let waiting = Waiting { offers, ..waiting(worth) };
                    let (_, told) =
                        asked(&format!("/listen/demo.mp4?t=&{query}"), language, |request| wait(request, waiting, NOW));
                    assert_eq!(told.contains(&format!(",\"elsewhere\":\"{address}\"")), is_offered, "{told}");
                    assert_eq!(told.contains("cdn.example"), is_offered, "{told}");
                    let (_, page) =
                        asked(&format!("/s/demo/wait?{query}"), language, |request| page(request, waiting, NOW));
                    assert_eq!(page.contains(&format!("<a href=\"{address}\">{words}")), is_offered, "{page}");
                    assert_eq!(page.contains("cdn.example"), is_offered, "{page}");
                    assert!(!page.contains("<b>") && !told.contains("<b>"), "{page} {told}");
                }
            }
        }
    }

    #[test]
    fn whoever_is_told_no_time_finds_the_conversation_and_a_file_for_a_calendar_without_javascript() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_800);
        for (language, words, summary) in [
            ("ar", "وفيها التسجيل إن سُجّل", "SUMMARY:انظر من جديد"),
            ("en", "with the recording if there is one", "SUMMARY:Look again"),
        ] {
            let asked_for =
                |worth| asked("/s/demo/wait?pass=P", language, |request| page(request, waiting(worth), at)).1;
            let body = asked_for(Worth::Rank(7));
            let own = body.split_once("<a href=\"/s/demo?pass=P\">").expect("the conversation").1;
            assert!(own.split("</a>").next().is_some_and(|text| text.contains(words)), "{body}");
            let file = body.split_once("href=\"data:text/calendar;charset=utf-8,").expect("a file").1;
            let file = decoded(file.split('"').next().expect("its end"));
            assert!(file.starts_with("BEGIN:VCALENDAR\r\n") && file.ends_with("\r\nEND:VCALENDAR\r\n"), "{file}");
            // The 29th of February 2024, and 151 seconds later.
            assert!(file.contains("\r\nDTSTAMP:20240229T000000Z\r\nDTSTART:20240229T000231Z\r\n"), "{file}");
            assert!(file.contains(summary), "{file}");
            assert!(file.contains("\r\nURL:https://talk.example/s/demo?pass=P\r\n"), "{file}");
            assert!(file.split("\r\n").all(|line| line.len() <= 75), "{file}");
            let body = asked_for(PLACE);
            assert!(!body.contains("calendar") && !body.contains(words), "{body}");
        }
    }

    /// What such an address says.
    fn decoded(text: &str) -> String {
        let mut parts = text.split('%');
        let mut bytes = parts.next().expect("one").as_bytes().to_vec();
        for part in parts {
            let (code, rest) = part.split_at(2);
            bytes.push(u8::from_str_radix(code, 16).expect("two digits"));
            bytes.extend_from_slice(rest.as_bytes());
        }
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_of_a_calendar_is_folded_between_letters() {
        for text in ["x".repeat(75), "x".repeat(200), "ح".repeat(100)] {
            let mut file = String::new();
            fold(&mut file, &text);
            assert!(file.split("\r\n").all(|line| line.len() <= 75), "{file}");
            assert_eq!(file.strip_suffix("\r\n").expect("an end").replace("\r\n ", ""), text);
        }
    }

    #[test]
    fn moments_are_written_as_calendars_do() {
        for (s, text) in
            [(0, "19700101T000000Z"), (951_868_799, "20000229T235959Z"), (4_107_542_400, "21000301T000000Z")]
        {
            assert_eq!(stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(s)), text);
        }
    }

    #[test]
    fn whoever_waited_until_it_was_over_is_sent_to_its_page() {
        for (target, page) in [("/s/demo/wait?t=TICKET", "/s/demo"), ("/s/demo/wait?pass=P&t=T", "/s/demo?pass=P")] {
            let (head, _) = asked(target, "ar", |request| to_page(request, "demo", NOW));
            assert!(head.starts_with("HTTP/1.1 303 ") && head.contains(&format!("\r\nLocation: {page}\r\n")), "{head}");
        }
    }

    #[test]
    fn arabic_counts_as_it_is_spoken() {
        let said = [1, 2, 3, 10, 11, 99, 100, 103, 111].map(|number| counted(number, MINUTES));
        let forms = "دقيقة واحدة|دقيقتين|٣ دقائق|١٠ دقائق|١١ دقيقة|٩٩ دقيقة|١٠٠ دقيقة|١٠٣ دقائق|١١١ دقيقة";
        assert_eq!(said.join("|"), forms);
    }

    #[test]
    fn a_stream_says_by_which_place_it_is_heard() {
        let head = with_place(Head::new(200, NOW).end(), "PLACE");
        let head = String::from_utf8(head).expect("text");
        assert!(
            head.contains("\r\nHiwar-Place: PLACE\r\n") && head.ends_with("\r\n\r\n") && !head.contains("\r\n\r\nH")
        );
    }
}
