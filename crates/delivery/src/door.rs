//! What whoever has to wait is told: as a problem that our page reads, as an address that a player follows, or as a page that comes back by itself.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hiwar_admission::door::ticket::Worth;

use crate::answer::{Answer, keep};
use crate::head::Head;
use crate::problem::{Keep, Language};
use crate::request::{Method, Request};

/// The parameter in which a player carries its ticket. Our page has its in `t`.
pub(crate) const PLAYERS: &str = "ticket";
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
}

impl Waiting<'_> {
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

    fn words(&self, language: Language) -> (&'static str, String) {
        let minutes = self.seconds().div_ceil(60);
        match (language, self.worth) {
            (Language::English, Worth::Draw(_)) => (
                "Many people came at once",
                format!(
                    "Whoever comes in this minute is drawn. In about {} seconds you are told your time.",
                    self.seconds()
                ),
            ),
            (Language::English, Worth::Place { promised }) if promised.is_zero() => {
                ("In a moment", String::from("The door is being opened. Nothing need be done."))
            }
            (Language::Arabic, Worth::Place { promised }) if promised.is_zero() => {
                ("بعد لحظات", String::from("يُفتح الباب الآن. لا حاجة إلى فعل شيء."))
            }
            (Language::English, Worth::Place { .. }) => (
                "You have a place",
                format!(
                    "In about {minutes} min. If you are at most ten minutes late, the next free place is yours, without waiting in line again."
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
    let body = format!(
        "{{\"type\":\"/problems/wait\",\"title\":\"{title}\",\"status\":503,\"detail\":\"{detail}\",\"lang\":\"{code}\",\"ticket\":\"{ticket}\",\"wait_ms\":{wait_ms},\"stage\":\"{stage}\"}}"
    );
    let head = Head::new(503, now)
        .field("Content-Type", "application/problem+json")
        .field("Content-Language", code)
        .field("Retry-After", waiting.seconds());
    ready(request, head, body)
}

/// For a player: where it finds its place in time. The method stays what it was (RFC 9110 §15.4.8).
pub(crate) fn redirect(request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) -> Answer {
    let mut location = String::from(request.target.split('?').next().unwrap_or_default());
    let others = request.query.unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && pair.split_once('=').is_none_or(|(name, _)| name != PLAYERS));
    for (at, pair) in others.enumerate() {
        let _ = write!(location, "{}{pair}", if at == 0 { '?' } else { '&' });
    }
    let mark = if location.contains('?') { '&' } else { '?' };
    let _ = write!(location, "{mark}{PLAYERS}={}", waiting.ticket);
    ready(request, Head::new(307, now).field("Location", location), String::new())
}

/// Where the delayed stream is, at an origin where others carry it.
pub(crate) fn send_elsewhere(request: &Request<'_>, space: &str, origin: &str, now: SystemTime) -> Answer {
    let pass = token(request, "pass").map(|pass| format!("?pass={pass}")).unwrap_or_default();
    let location = format_args!("{origin}/hls/{space}/live.m3u8{pass}");
    ready(request, Head::new(307, now).field("Location", location), String::new())
}

/// Where a conversation's own page is, for whoever waited for it until it was over.
pub(crate) fn to_page(request: &Request<'_>, space: &str, now: SystemTime) -> Answer {
    let pass = token(request, "pass").map(|pass| format!("?pass={pass}")).unwrap_or_default();
    ready(request, Head::new(303, now).field("Location", format_args!("/s/{space}{pass}")), String::new())
}

/// For whoever has no JavaScript: the page comes back by itself when it is time.
pub(crate) fn page(request: &Request<'_>, waiting: Waiting<'_>, now: SystemTime) -> Answer {
    let (language, _) = preferred(request);
    let (title, detail) = waiting.words(language);
    let again = match language {
        Language::English => "Leave this page open: it comes back by itself.",
        Language::Arabic => "أبقِ هذه الصفحة مفتوحة، فهي تعود وحدها.",
    };
    let body = format!("<h1>{title}</h1><p role=\"status\">{detail}</p><p>{again}</p>");
    let mut address = format!("/s/{}/wait?t={}", waiting.space, waiting.ticket);
    for name in ["pass", VOUCHER] {
        token(request, name).into_iter().for_each(|token| _ = write!(address, "&{name}={token}"));
    }
    let head = Head::new(200, now).field("Refresh", format_args!("{}; url={address}", waiting.seconds()));
    html(request, Keep::Close, head, title, &body)
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
    let query = |ticket| {
        let query = [("t", ticket), ("pass", token(request, "pass")), (VOUCHER, token(request, VOUCHER))];
        let query: Vec<_> = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect();
        query.join("&amp;")
    };
    let (sound, anew) = (query(ticket), query(None));
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
        Waiting { space: "demo", ticket: "TICKET", wait: Duration::from_millis(150_001), worth }
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const PLACE: Worth = Worth::Place { promised: Duration::from_secs(151) };

    #[test]
    fn our_page_reads_when_and_with_what_it_comes_back() {
        for (worth, stage) in [
            (PLACE, "place"),
            (Worth::Place { promised: Duration::ZERO }, "soon"),
            (Worth::Draw(Turn::FIRST), "draw"),
            (Worth::Rank(7), "rank"),
        ] {
            for language in ["ar", "en"] {
                let (head, body) = asked("/listen/demo.mp4?t=", language, |request| wait(request, waiting(worth), NOW));
                assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 151\r\n"), "{head}");
                assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
                assert!(head.contains("no-store") && head.contains(&format!("Content-Length: {}\r\n", body.len())));
                let told =
                    format!("\"lang\":\"{language}\",\"ticket\":\"TICKET\",\"wait_ms\":150001,\"stage\":\"{stage}\"}}");
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
    fn a_page_without_javascript_comes_back_by_itself_and_then_plays() {
        let (head, body) = asked("/s/demo/wait?pass=P&voucher=V", "ar", |request| page(request, waiting(PLACE), NOW));
        assert!(head.contains("\r\nRefresh: 151; url=/s/demo/wait?t=TICKET&pass=P&voucher=V\r\n"), "{head}");
        assert!(body.contains("lang=\"ar\" dir=\"rtl\"") && body.contains("٣ دقائق"), "{body}");
        let (head, body) = asked("/s/demo/wait?t=TICKET", "en", |request| enter(request, "demo", Some("TICKET"), NOW));
        let vouched = "/s/demo/wait?voucher=V&t=TICKET&pass=P";
        let (_, vouched) = asked(vouched, "en", |request| enter(request, "demo", Some("TICKET"), NOW));
        assert!(vouched.contains("src=\"/listen/demo.mp3?t=TICKET&amp;pass=P&amp;voucher=V\""), "{vouched}");
        assert!(vouched.contains("href=\"/s/demo/wait?pass=P&amp;voucher=V\""), "a place is asked for anew: {vouched}");
        let hostile = "/s/demo/wait?pass=%3C\"><b>&voucher=\"><b>";
        let (_, other) = asked(hostile, "en", |request| enter(request, "demo", None, NOW));
        assert!(other.contains("src=\"/listen/demo.mp3?\""), "{other}");
        assert!(!head.contains("Connection: close"), "{head}");
        assert!(!head.contains("Refresh") && body.contains("src=\"/listen/demo.mp3?t=TICKET\""), "{body}");
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
