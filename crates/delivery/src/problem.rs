//! What a stranger is told when a request is refused here: problem details (RFC 9457), in Arabic or English.
//!
//! Only the worker's own refusals are here; what the house refuses, the house explains.

use bytes::Bytes;
use std::time::{Duration, SystemTime};

use crate::clip::Unclippable;
use crate::head::Head;
use crate::hls::Misdirection;
use crate::request::{Method, Refusal};

/// A refusal, one variant per kind that a client can act on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The request cannot be understood.
    Request(Refusal),
    /// Delivery directives of HLS that cannot be followed (RFC 8216bis §6.2.5.2).
    Misdirected(Misdirection),
    /// The head did not arrive in time.
    Slow,
    /// HTTP came where HTTPS was due.
    PlainHttp,
    /// What was asked for is not at the name of HLS (RFC 9110 §15.5.20): a client that took this connection for another name's opens its own.
    OtherName,
    /// Nothing is here.
    NotFound,
    /// The method is not for this resource.
    Method(&'static str),
    /// A pass is needed, and the one shown is missing, expired or for something else.
    Pass,
    /// Whoever plays listeners has no leave to, or no longer.
    Badge,
    /// The doors are shut still, for about so many seconds.
    Early(u32),
    /// The conversation does not take place.
    Cancelled,
    /// The conversation has ended; the recording may be there.
    Ended,
    /// There is no such clip of a recording.
    Clip(Unclippable),
    /// What was waited for did not come, because nothing comes for now: come back in a moment.
    NotYet,
    /// The house has not told everything yet: what is not known here may be there all the same.
    Starting,
    /// The house is restarting.
    HouseAway,
    /// The house took too long.
    HouseSlow,
    /// As many requests are in flight as may be.
    Busy,
    /// This listener has reacted as often as one may, and may again after so long.
    TooOften(Duration),
    /// Nobody's reaction is taken, because too many listen.
    Reactionless,
}

/// A language we can answer in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// العربية
    Arabic,
    /// English
    English,
}

impl Language {
    /// The better of the two for an `Accept-Language` (RFC 9110 §12.5.4); English if it says nothing.
    pub fn preferred(accept: Option<&str>) -> Self {
        let mut best = (0, Self::English);
        for range in accept.unwrap_or_default().split(',').take(16) {
            let (tag, quality) = range.split_once(';').unwrap_or((range, "q=1"));
            let language = match tag.trim().split('-').next() {
                Some(tag) if tag.eq_ignore_ascii_case("ar") => Self::Arabic,
                Some(tag) if tag.eq_ignore_ascii_case("en") => Self::English,
                _ => continue,
            };
            let quality = milli(quality);
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }
}

/// A weight (`q=0.8`) in thousandths; 0 if it is none.
pub(crate) fn milli(quality: &str) -> u32 {
    let value = quality.trim().strip_prefix("q=").or_else(|| quality.trim().strip_prefix("Q=")).unwrap_or("0");
    value.parse::<f32>().map_or(0, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u32)
}

impl Problem {
    /// Its status.
    pub fn status(self) -> u16 {
        match self {
            Self::Request(refusal) => refusal.status(),
            Self::Misdirected(_) => 400,
            Self::Slow => 408,
            Self::PlainHttp => 400,
            Self::OtherName => 421,
            Self::NotFound => 404,
            Self::Method(_) => 405,
            Self::Pass => 401,
            Self::Badge => 403,
            Self::Ended | Self::Cancelled => 410,
            Self::Clip(Unclippable::Forbidden) => 403,
            Self::Clip(Unclippable::Outside) => 404,
            Self::Clip(_) => 400,
            Self::TooOften(_) => 429,
            Self::Early(_) | Self::NotYet | Self::Starting | Self::HouseAway | Self::Busy | Self::Reactionless => 503,
            Self::HouseSlow => 504,
        }
    }

    /// Seconds after which trying again makes sense.
    fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Early(seconds) => Some(seconds),
            Self::Starting => Some(1),
            Self::NotYet => Some(2),
            Self::HouseAway => Some(3),
            Self::Busy => Some(5),
            // In whole seconds, and not before.
            Self::TooOften(wait) => Some(wait.as_millis().div_ceil(1_000) as u32),
            // It is so for a calm minute at least.
            Self::Reactionless => Some(30),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Request(Refusal::BodyTooLarge) => "body-too-large",
            Self::Request(_) => "bad-request",
            Self::Misdirected(_) => "hls-directive",
            Self::Slow => "slow-request",
            Self::PlainHttp => "plain-http",
            Self::OtherName => "other-name",
            Self::NotFound => "not-found",
            Self::Method(_) => "method",
            Self::Pass => "pass",
            Self::Badge => "rehearsal",
            Self::Early(_) => "doors-shut",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Clip(Unclippable::Nonsense) => "clip-times",
            Self::Clip(Unclippable::Reversed) => "clip-reversed",
            Self::Clip(Unclippable::TooLong) => "clip-too-long",
            Self::Clip(Unclippable::Outside) => "clip-outside",
            Self::Clip(Unclippable::Forbidden) => "clips-off",
            Self::NotYet => "not-yet",
            Self::Starting => "starting",
            Self::HouseAway => "house-away",
            Self::HouseSlow => "house-slow",
            Self::Busy => "busy",
            Self::TooOften(_) => "too-often",
            Self::Reactionless => "no-reactions",
        }
    }

    fn words(self, language: Language) -> (&'static str, &'static str) {
        let (english, arabic) = match self {
            Self::Request(Refusal::BodyTooLarge) => (
                ("Too large", "The request carries more than may be sent here."),
                ("أكبر من المسموح", "يحمل الطلب أكثر مما يُقبل هنا."),
            ),
            Self::Request(_) => (
                ("The request cannot be understood", "It breaks the rules of HTTP or a limit of this server."),
                ("تعذّر فهم الطلب", "الطلب يخالف قواعد HTTP أو حدود هذا الخادم."),
            ),
            Self::Misdirected(Misdirection::PartAlone) => (
                ("A part of which segment?", "_HLS_part needs _HLS_msn beside it."),
                ("جزء من أي مقطع؟", "لا معنى للمعامل _HLS_part دون المعامل _HLS_msn."),
            ),
            Self::Misdirected(Misdirection::Value) => (
                ("Not a number", "_HLS_msn and _HLS_part are decimal numbers, and _HLS_skip is YES or v2."),
                ("ليس رقمًا", "قيمة _HLS_msn و_HLS_part رقم عشري، وقيمة _HLS_skip هي YES أو v2."),
            ),
            Self::Misdirected(Misdirection::TooFar) => (
                ("Too far ahead", "Ask for at most two segments, or three parts, after what is listed."),
                ("أبعد من الموجود", "اطلب مقطعين أو ثلاثة أجزاء على الأكثر بعد آخر ما في القائمة."),
            ),
            Self::Slow => (
                ("The request took too long", "It did not arrive in time. Please try again."),
                ("استغرق الطلب وقتًا طويلًا", "لم يصل الطلب في الوقت المحدد. حاول مرة أخرى."),
            ),
            Self::PlainHttp => (
                ("This port speaks HTTPS", "Use an address that begins with https://."),
                ("هذا المنفذ يتحدث HTTPS", "استخدم عنوانًا يبدأ بـ https://."),
            ),
            Self::OtherName => (
                ("Not at this name", "This name serves HLS alone. Everything else is at the address of the page."),
                ("ليس على هذا الاسم", "هذا الاسم مخصص لبث HLS وحده. كل ما عداه على عنوان الصفحة."),
            ),
            Self::NotFound => (
                ("Nothing is here", "There is no such conversation or recording."),
                ("لا شيء هنا", "لا يوجد حوار أو تسجيل بهذا العنوان."),
            ),
            Self::Method(_) => (
                ("Not possible here", "This address does not take that method."),
                ("غير ممكن هنا", "لا يقبل هذا العنوان هذا النوع من الطلبات."),
            ),
            Self::Pass => (
                ("By invitation", "Open the link from your invitation to listen."),
                ("بدعوة فقط", "افتح الرابط الذي وصلك في الدعوة للاستماع."),
            ),
            Self::Badge => (
                (
                    "No leave to rehearse",
                    "The badge in Hiwar-Rehearsal is of no grant of this server, or its time is over.",
                ),
                ("لا إذن بالتجربة", "الشارة في Hiwar-Rehearsal ليست من إذن أصدره هذا الخادم، أو انتهى وقتها."),
            ),
            Self::Early(_) => (
                ("The doors are not open yet", "Come back when they open; the conversation's page says when."),
                ("لم تُفتح الأبواب بعد", "عُد حين تُفتح؛ وصفحة الحوار تقول متى."),
            ),
            Self::Cancelled => {
                (("Cancelled", "This conversation does not take place."), ("أُلغي", "لن يُعقد هذا الحوار."))
            }
            Self::Ended => (
                ("The conversation has ended", "The recording may be on its page."),
                ("انتهى الحوار", "قد تجد التسجيل في صفحة الحوار."),
            ),
            Self::Clip(Unclippable::Nonsense) => (
                ("Which part?", "from and to are seconds with at most three decimals, such as from=754&to=784.5."),
                ("أي جزء؟", "قيمة from وقيمة to ثوانٍ بثلاث منازل عشرية على الأكثر، مثل from=754&to=784.5."),
            ),
            Self::Clip(Unclippable::Reversed) => (
                ("It ends before it begins", "to must be later than from."),
                ("ينتهي قبل أن يبدأ", "يجب أن تكون قيمة to بعد قيمة from."),
            ),
            Self::Clip(Unclippable::TooLong) => (
                ("Too long for a clip", "A clip has at most 90 seconds."),
                ("أطول مما يُقتطع", "مدة المقطع ٩٠ ثانية على الأكثر."),
            ),
            Self::Clip(Unclippable::Outside) => (
                ("Not in the recording", "The recording ends before that."),
                ("خارج التسجيل", "ينتهي التسجيل قبل ذلك."),
            ),
            Self::Clip(Unclippable::Forbidden) => (
                ("No clips of this one", "The host has not allowed clips of this conversation."),
                ("لا مقاطع من هذا الحوار", "لم يسمح المضيف باقتطاع مقاطع من هذا الحوار."),
            ),
            Self::NotYet => (
                ("In a moment", "The sound is about to begin. Please try again in a few seconds."),
                ("بعد لحظات", "الصوت على وشك أن يبدأ. حاول بعد ثوانٍ قليلة."),
            ),
            Self::Starting => (
                (
                    "Just starting",
                    "A part of the service is starting, and not every conversation is known yet. Please try again in a second.",
                ),
                ("نبدأ بعد لحظات", "يبدأ جزء من الخدمة الآن، ولم تُعرف كل الحوارات بعد. حاول مرة أخرى بعد ثانية."),
            ),
            Self::HouseAway => (
                ("Back in a moment", "A part of the service is restarting. Please try again in a few seconds."),
                ("نعود بعد لحظات", "يُعاد تشغيل جزء من الخدمة. حاول بعد ثوانٍ قليلة."),
            ),
            Self::HouseSlow => (
                ("No answer in time", "A part of the service did not answer in time."),
                ("لم يصل الرد في الوقت المحدد", "لم يجب جزء من الخدمة في الوقت المحدد."),
            ),
            Self::Busy => (
                ("Many people at once", "Please try again in a few seconds."),
                ("إقبال كبير الآن", "حاول مرة أخرى بعد ثوانٍ قليلة."),
            ),
            Self::TooOften(_) => (
                ("A little slower", "Five reactions at once, and then one a second."),
                ("على مهلك", "خمسة تفاعلات دفعة واحدة، ثم تفاعل كل ثانية."),
            ),
            Self::Reactionless => (
                ("No reactions for now", "Very many people are listening, and the sound comes first."),
                ("لا تفاعلات الآن", "عدد المستمعين كبير جدًا، والصوت أولى."),
            ),
        };
        if language == Language::Arabic { arabic } else { english }
    }

    /// The whole answer: head and body, or the head alone for HEAD. The connection is closed after it unless told otherwise.
    pub fn answer(self, language: Language, method: Option<Method>, keep: Keep, now: SystemTime) -> (Vec<u8>, Bytes) {
        let (title, detail) = self.words(language);
        let code = if language == Language::Arabic { "ar" } else { "en" };
        let (name, status) = (self.name(), self.status());
        let body = format!(
            "{{\"type\":\"/problems/{name}\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\",\"lang\":\"{code}\"}}"
        );
        let allow = if let Self::Method(allow) = self { Some(allow) } else { None };
        let head = Head::new(status, now)
            .field("Content-Type", "application/problem+json")
            .field("Content-Language", code)
            .field("Content-Length", body.len())
            .field("Cache-Control", "no-store")
            .field("Access-Control-Allow-Origin", "*")
            .maybe("Retry-After", self.retry_after_s())
            // No browser heeds Retry-After when a person opens a page; this they all do, and the page comes by itself.
            .maybe("Refresh", self.retry_after_s().filter(|_| self == Self::Starting))
            .maybe("Allow", allow)
            .maybe("WWW-Authenticate", (self == Self::Pass).then_some("Bearer"))
            .maybe("Connection", (keep == Keep::Close).then_some("close"))
            .end();
        let body = if method == Some(Method::Head) { Bytes::new() } else { Bytes::from(body) };
        (head, body)
    }
}

/// Whether the connection outlives the answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The next request may follow.
    Alive,
    /// Closed when the answer is out.
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_asked_for() {
        let check = |accept: Option<&str>, language| assert_eq!(Language::preferred(accept), language, "{accept:?}");
        check(None, Language::English);
        check(Some("ar"), Language::Arabic);
        check(Some("ar-EG,ar;q=0.9,en;q=0.8"), Language::Arabic);
        check(Some("fr, en;q=0.3, ar;q=0.2"), Language::English);
        check(Some("de, ar;q=0.1"), Language::Arabic);
        check(Some("ar;q=0, *"), Language::English);
        check(Some(";;,q=;=q"), Language::English);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let (head, body) = Problem::HouseAway.answer(Language::Arabic, None, Keep::Close, SystemTime::UNIX_EPOCH);
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 3\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("\"lang\":\"ar\""));
    }

    #[test]
    fn a_page_that_is_not_known_yet_is_asked_for_again_by_the_browser() {
        let head = |problem: Problem| {
            let (head, _) = problem.answer(Language::English, None, Keep::Close, SystemTime::UNIX_EPOCH);
            String::from_utf8(head).unwrap()
        };
        let starting = head(Problem::Starting);
        assert!(starting.contains("Retry-After: 1\r\n") && starting.contains("Refresh: 1\r\n"), "{starting}");
        assert!(!head(Problem::NotFound).contains("Refresh"));
    }
}
