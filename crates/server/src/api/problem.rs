//! What a client is told when it does not get what it asked for: problem details (RFC 9457), in its language.
//!
//! A handler returns a [`Problem`]; the outermost layer ([`super::dress`]) knows the client's language and writes it out.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hiwar_admission as admission;
use hiwar_media::hold::LENGTH_MAX;
use hiwar_rtc::{candidate, offer};
use hiwar_space as space;
use serde::Serialize;
use utoipa::ToSchema;

use super::BODY_BYTES_MAX;
use super::speech::{Language, Word};
use crate::registry;

/// `Accept-Post` (W3C Linked Data Platform §7.1), which the http crate does not name.
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// `Accept-Patch` (RFC 5789 §3.1), which the http crate does not name.
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// After how many seconds it is worth asking again when a part of the house is busy.
const RETRY_S: u32 = 5;

/// One kind of problem: its type is `/problems/` and the name, which does not change once published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is explained to people in locales/en/server.ftl under its name")]
pub enum Kind {
    NotFound,
    MethodNotAllowed,
    SpaceNotFound,
    SessionNotFound,
    PassMissing,
    PassInvalid,
    PassExpired,
    PassWrongSpace,
    PassNotEnough,
    BodyTooLarge,
    MediaType,
    Malformed,
    TitleEmpty,
    TitleTooLong,
    NameEmpty,
    NameTooLong,
    LanguageUnknown,
    AlreadyStarted,
    NotStarted,
    AlreadyEnded,
    StillLive,
    NoRecording,
    NoTracks,
    ReplayInTheMaking,
    NotInReview,
    OutsideRecording,
    TooShort,
    StageFull,
    WingsFull,
    SpacesFull,
    SubscribersFull,
    OfferMalformed,
    OfferRefused,
    IfMatchMissing,
    IfMatchStale,
    FragmentMalformed,
    FragmentRefused,
    RehearsalRefused,
    CadenceUnknown,
    BitrateUnknown,
    OrderUnknown,
    NoDoors,
    FormatUnknown,
    Unavailable,
    Storage,
    DiskFull,
    NotHost,
    NotCoHost,
    NotThemselves,
    NotBelow,
    DoorsShut,
    Cancelled,
    TimeMalformed,
    InThePast,
    TooFarAhead,
    DoorsTooEarly,
    ReasonTooLong,
    StageLocked,
    CoHostsFull,
    PeopleFull,
    NotOnStage,
    AlreadyOnStage,
    NotCalled,
    NotAgreed,
    Removed,
    Blocked,
    NotRemoved,
    AskingClosed,
    HandsFull,
    NoHand,
    ParticipantUnknown,
    HoldMusicRefused,
    HoldMusicFull,
}

impl Kind {
    /// All of them, in the order above.
    pub const ALL: [Self; 73] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::SpaceNotFound,
        Self::SessionNotFound,
        Self::PassMissing,
        Self::PassInvalid,
        Self::PassExpired,
        Self::PassWrongSpace,
        Self::PassNotEnough,
        Self::BodyTooLarge,
        Self::MediaType,
        Self::Malformed,
        Self::TitleEmpty,
        Self::TitleTooLong,
        Self::NameEmpty,
        Self::NameTooLong,
        Self::LanguageUnknown,
        Self::AlreadyStarted,
        Self::NotStarted,
        Self::AlreadyEnded,
        Self::StillLive,
        Self::NoRecording,
        Self::NoTracks,
        Self::ReplayInTheMaking,
        Self::NotInReview,
        Self::OutsideRecording,
        Self::TooShort,
        Self::StageFull,
        Self::WingsFull,
        Self::SpacesFull,
        Self::SubscribersFull,
        Self::OfferMalformed,
        Self::OfferRefused,
        Self::IfMatchMissing,
        Self::IfMatchStale,
        Self::FragmentMalformed,
        Self::FragmentRefused,
        Self::RehearsalRefused,
        Self::CadenceUnknown,
        Self::BitrateUnknown,
        Self::OrderUnknown,
        Self::NoDoors,
        Self::FormatUnknown,
        Self::Unavailable,
        Self::Storage,
        Self::DiskFull,
        Self::NotHost,
        Self::NotCoHost,
        Self::NotThemselves,
        Self::NotBelow,
        Self::DoorsShut,
        Self::Cancelled,
        Self::TimeMalformed,
        Self::InThePast,
        Self::TooFarAhead,
        Self::DoorsTooEarly,
        Self::ReasonTooLong,
        Self::StageLocked,
        Self::CoHostsFull,
        Self::PeopleFull,
        Self::NotOnStage,
        Self::AlreadyOnStage,
        Self::NotCalled,
        Self::NotAgreed,
        Self::Removed,
        Self::Blocked,
        Self::NotRemoved,
        Self::AskingClosed,
        Self::HandsFull,
        Self::NoHand,
        Self::ParticipantUnknown,
        Self::HoldMusicRefused,
        Self::HoldMusicFull,
    ];

    /// Last part of the type's address.
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// HTTP status.
    pub fn status(self) -> StatusCode {
        self.parts().1
    }

    fn parts(self) -> (&'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::NotFound => ("not-found", S::NOT_FOUND),
            Self::MethodNotAllowed => ("method-not-allowed", S::METHOD_NOT_ALLOWED),
            Self::SpaceNotFound => ("space-not-found", S::NOT_FOUND),
            Self::SessionNotFound => ("session-not-found", S::NOT_FOUND),
            Self::PassMissing => ("pass-missing", S::UNAUTHORIZED),
            Self::PassInvalid => ("pass-invalid", S::UNAUTHORIZED),
            Self::PassExpired => ("pass-expired", S::UNAUTHORIZED),
            Self::PassWrongSpace => ("pass-wrong-space", S::FORBIDDEN),
            Self::PassNotEnough => ("pass-not-enough", S::FORBIDDEN),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE),
            Self::MediaType => ("media-type", S::UNSUPPORTED_MEDIA_TYPE),
            Self::Malformed => ("malformed", S::BAD_REQUEST),
            Self::TitleEmpty => ("title-empty", S::UNPROCESSABLE_ENTITY),
            Self::TitleTooLong => ("title-too-long", S::UNPROCESSABLE_ENTITY),
            Self::NameEmpty => ("name-empty", S::UNPROCESSABLE_ENTITY),
            Self::NameTooLong => ("name-too-long", S::UNPROCESSABLE_ENTITY),
            Self::LanguageUnknown => ("language-unknown", S::UNPROCESSABLE_ENTITY),
            Self::CadenceUnknown => ("cadence-unknown", S::UNPROCESSABLE_ENTITY),
            Self::BitrateUnknown => ("bitrate-unknown", S::UNPROCESSABLE_ENTITY),
            Self::OrderUnknown => ("order-unknown", S::UNPROCESSABLE_ENTITY),
            Self::NoDoors => ("no-doors", S::CONFLICT),
            Self::FormatUnknown => ("format-unknown", S::NOT_IMPLEMENTED),
            Self::AlreadyStarted => ("already-started", S::CONFLICT),
            Self::NotStarted => ("not-started", S::CONFLICT),
            Self::AlreadyEnded => ("already-ended", S::CONFLICT),
            Self::StillLive => ("still-live", S::CONFLICT),
            Self::NoRecording => ("no-recording", S::CONFLICT),
            Self::NoTracks => ("no-tracks", S::CONFLICT),
            Self::ReplayInTheMaking => ("replay-in-the-making", S::CONFLICT),
            Self::NotInReview => ("not-in-review", S::CONFLICT),
            Self::OutsideRecording => ("outside-recording", S::UNPROCESSABLE_ENTITY),
            Self::TooShort => ("too-short", S::UNPROCESSABLE_ENTITY),
            Self::StageFull => ("stage-full", S::SERVICE_UNAVAILABLE),
            Self::WingsFull => ("wings-full", S::SERVICE_UNAVAILABLE),
            Self::SpacesFull => ("spaces-full", S::SERVICE_UNAVAILABLE),
            Self::SubscribersFull => ("subscribers-full", S::SERVICE_UNAVAILABLE),
            Self::OfferMalformed => ("offer-malformed", S::BAD_REQUEST),
            Self::OfferRefused => ("offer-refused", S::UNPROCESSABLE_ENTITY),
            Self::IfMatchMissing => ("if-match-missing", S::PRECONDITION_REQUIRED),
            Self::IfMatchStale => ("if-match-stale", S::PRECONDITION_FAILED),
            Self::FragmentMalformed => ("fragment-malformed", S::BAD_REQUEST),
            Self::FragmentRefused => ("fragment-refused", S::UNPROCESSABLE_ENTITY),
            Self::RehearsalRefused => ("rehearsal-refused", S::FORBIDDEN),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE),
            Self::Storage => ("storage", S::SERVICE_UNAVAILABLE),
            Self::DiskFull => ("disk-full", S::INSUFFICIENT_STORAGE),
            Self::NotHost => ("not-host", S::FORBIDDEN),
            Self::NotCoHost => ("not-co-host", S::FORBIDDEN),
            Self::NotThemselves => ("not-themselves", S::FORBIDDEN),
            Self::NotBelow => ("not-below", S::FORBIDDEN),
            Self::DoorsShut => ("doors-shut", S::CONFLICT),
            Self::Cancelled => ("cancelled", S::CONFLICT),
            Self::TimeMalformed => ("time-malformed", S::UNPROCESSABLE_ENTITY),
            Self::InThePast => ("in-the-past", S::UNPROCESSABLE_ENTITY),
            Self::TooFarAhead => ("too-far-ahead", S::UNPROCESSABLE_ENTITY),
            Self::DoorsTooEarly => ("doors-too-early", S::UNPROCESSABLE_ENTITY),
            Self::ReasonTooLong => ("reason-too-long", S::UNPROCESSABLE_ENTITY),
            Self::StageLocked => ("stage-locked", S::CONFLICT),
            Self::CoHostsFull => ("co-hosts-full", S::CONFLICT),
            Self::PeopleFull => ("people-full", S::CONFLICT),
            Self::NotOnStage => ("not-on-stage", S::CONFLICT),
            Self::AlreadyOnStage => ("already-on-stage", S::CONFLICT),
            Self::NotCalled => ("not-called", S::CONFLICT),
            Self::NotAgreed => ("not-agreed", S::CONFLICT),
            Self::Removed => ("removed", S::FORBIDDEN),
            Self::Blocked => ("blocked", S::FORBIDDEN),
            Self::NotRemoved => ("not-removed", S::CONFLICT),
            Self::AskingClosed => ("asking-closed", S::CONFLICT),
            Self::HandsFull => ("hands-full", S::SERVICE_UNAVAILABLE),
            Self::NoHand => ("no-hand", S::CONFLICT),
            Self::ParticipantUnknown => ("participant-unknown", S::NOT_FOUND),
            Self::HoldMusicRefused => ("hold-music-refused", S::UNPROCESSABLE_ENTITY),
            Self::HoldMusicFull => ("hold-music-full", S::SERVICE_UNAVAILABLE),
        }
    }

    /// The number that the detail names, if it names one.
    fn limit(self) -> usize {
        match self {
            Self::BodyTooLarge => BODY_BYTES_MAX / 1024,
            Self::TitleTooLong => space::Title::CHARS_MAX,
            Self::NameTooLong => space::Name::BYTES_MAX,
            Self::StageFull => space::SPEAKERS_MAX,
            Self::WingsFull => space::WINGS_MAX,
            Self::TooFarAhead => days(space::Schedule::AHEAD_MAX),
            Self::DoorsTooEarly => minutes(space::Schedule::DOORS_BEFORE_MAX),
            Self::ReasonTooLong => space::Reason::CHARS_MAX,
            Self::CoHostsFull => space::CO_HOSTS_MAX,
            Self::PeopleFull => space::KNOWN_MAX,
            Self::HandsFull => space::HANDS_MAX,
            Self::SpacesFull => registry::SPACES_MAX,
            Self::HoldMusicRefused => minutes(LENGTH_MAX),
            Self::HoldMusicFull => registry::HOLDS_MAX,
            _ => 0,
        }
    }

    /// When to try again, in seconds, where trying again may help.
    fn retry_s(self) -> Option<u32> {
        match self {
            Self::NotStarted | Self::ReplayInTheMaking | Self::Unavailable | Self::SubscribersFull => Some(RETRY_S),
            Self::StageFull | Self::WingsFull | Self::Storage | Self::HandsFull | Self::DoorsShut => Some(30),
            Self::DiskFull => Some(300),
            Self::SpacesFull | Self::HoldMusicFull => Some(3600),
            _ => None,
        }
    }

    /// Title and detail as people read them.
    pub fn words(self, language: Language) -> (String, String) {
        Problem::from(self).words(language)
    }
}

fn days(duration: Duration) -> usize {
    minutes(duration) / (24 * 60)
}

fn minutes(duration: Duration) -> usize {
    usize::try_from(duration.as_secs() / 60).unwrap_or(usize::MAX)
}

/// A problem on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    /// Which of several reasons, by name.
    reason: Option<&'static str>,
    /// In which line of the body; 0 when it is not about a line.
    line: usize,
    /// The content type that is taken instead.
    expected: &'static str,
}

impl Problem {
    /// A body of the wrong kind; `expected` is the right one.
    pub fn media_type(expected: &'static str) -> Self {
        Self { expected, ..Kind::MediaType.into() }
    }

    /// A problem that has several reasons, each with words of its own under this name.
    pub fn refused(kind: Kind, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..kind.into() }
    }

    fn malformed(kind: Kind, line: usize) -> Self {
        Self { line, ..kind.into() }
    }

    fn words(self, language: Language) -> (String, String) {
        let key = format!("problem-{}", self.kind.name());
        let args = [
            ("limit", Word::Number(self.kind.limit())),
            ("line", Word::Number(self.line)),
            ("reason", Word::Text(self.reason.unwrap_or("other"))),
            ("expected", Word::Text(self.expected)),
        ];
        (language.say(&key, &args), language.say(&format!("{key}.detail"), &args))
    }

    /// Writes the problem out in the client's language.
    pub fn write(self, language: Language, mut response: Response) -> Response {
        let (title, detail) = self.words(language);
        let details = Details {
            r#type: format!("/problems/{}", self.kind.name()),
            title,
            status: self.kind.status().as_u16(),
            detail,
            lang: language.code().to_owned(),
            reason: self.reason.map(str::to_owned),
        };
        *response.body_mut() = Body::from(serde_json::to_vec(&details).expect("strings and numbers are JSON"));
        let headers = response.headers_mut();
        // Of the body that was here before: the router has written an empty one by now.
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
        headers.insert(VARY, HeaderValue::from_static("Accept-Language"));
        response
    }
}

/// Problem details as they are sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// Address of the kind of problem; does not change.
    #[schema(example = "/problems/already-started")]
    r#type: String,
    /// What it is, for people, in their language.
    title: String,
    /// HTTP status.
    status: u16,
    /// What to do about it, for people, in their language.
    detail: String,
    /// The language of title and detail.
    lang: String,
    /// Which of several reasons, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        let headers = response.headers_mut();
        let challenge = match self.kind {
            Kind::PassMissing => Some("Bearer realm=\"hiwar\""),
            Kind::PassInvalid | Kind::PassExpired => Some("Bearer realm=\"hiwar\", error=\"invalid_token\""),
            Kind::PassWrongSpace | Kind::PassNotEnough => Some("Bearer realm=\"hiwar\", error=\"insufficient_scope\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.kind.retry_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.expected {
            super::whip::SDP => drop(headers.insert(ACCEPT_POST, HeaderValue::from_static(super::whip::SDP))),
            super::whip::FRAGMENT => {
                drop(headers.insert(ACCEPT_PATCH, HeaderValue::from_static(super::whip::FRAGMENT)));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self { kind, reason: None, line: 0, expected: "" }
    }
}

impl From<admission::Refusal> for Problem {
    fn from(refusal: admission::Refusal) -> Self {
        use admission::Refusal as R;
        Self::from(match refusal {
            // Which check a forged pass failed is not the stranger's business.
            R::TooLong | R::Malformed | R::WrongSignature | R::WrongKind => Kind::PassInvalid,
            R::Expired => Kind::PassExpired,
            R::WrongSpace => Kind::PassWrongSpace,
            R::WrongRole => Kind::PassNotEnough,
        })
    }
}

impl From<space::Refusal> for Problem {
    fn from(refusal: space::Refusal) -> Self {
        use space::Refusal as R;
        Self::from(match refusal {
            R::NotHouse => Kind::PassNotEnough,
            R::NotHost => Kind::NotHost,
            R::NotCoHost => Kind::NotCoHost,
            R::NotThemselves => Kind::NotThemselves,
            R::NotBelow => Kind::NotBelow,
            R::DoorsShut => Kind::DoorsShut,
            R::AlreadyStarted => Kind::AlreadyStarted,
            R::NotStarted => Kind::NotStarted,
            R::AlreadyEnded => Kind::AlreadyEnded,
            R::Cancelled => Kind::Cancelled,
            R::InThePast => Kind::InThePast,
            R::TooFarAhead => Kind::TooFarAhead,
            R::StillLive => Kind::StillLive,
            R::NoRecording => Kind::NoRecording,
            R::ReplayInTheMaking => Kind::ReplayInTheMaking,
            R::NotInReview => Kind::NotInReview,
            R::OutsideRecording => Kind::OutsideRecording,
            R::TooShort => Kind::TooShort,
            R::StageFull => Kind::StageFull,
            R::WingsFull => Kind::WingsFull,
            R::StageLocked => Kind::StageLocked,
            R::CoHostsFull => Kind::CoHostsFull,
            R::TooManyKnown => Kind::PeopleFull,
            R::NotOnStage => Kind::NotOnStage,
            R::AlreadyOnStage => Kind::AlreadyOnStage,
            R::NotCalled => Kind::NotCalled,
            R::NotAgreed => Kind::NotAgreed,
            R::Removed => Kind::Removed,
            R::Blocked => Kind::Blocked,
            R::NotRemoved => Kind::NotRemoved,
            R::AskingClosed => Kind::AskingClosed,
            R::HandsFull => Kind::HandsFull,
            R::NoHand => Kind::NoHand,
            R::Unknown => Kind::ParticipantUnknown,
            // The API takes an empty reason for none.
            R::ReasonEmpty => Kind::Malformed,
            R::ReasonTooLong => Kind::ReasonTooLong,
            R::TitleEmpty => Kind::TitleEmpty,
            R::TitleTooLong => Kind::TitleTooLong,
            R::NameEmpty => Kind::NameEmpty,
            R::NameTooLong => Kind::NameTooLong,
            R::NotALanguage => Kind::LanguageUnknown,
        })
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Unknown => Kind::SpaceNotFound.into(),
            registry::Error::NoSession => Kind::SessionNotFound.into(),
            registry::Error::Refused(refusal) => refusal.into(),
            registry::Error::Full => Kind::SpacesFull.into(),
            registry::Error::StageFull => Kind::StageFull.into(),
            registry::Error::Watched => Kind::SubscribersFull.into(),
            registry::Error::Offer(refusal) => refusal.into(),
            registry::Error::NoTracks => Kind::NoTracks.into(),
            registry::Error::HoldsFull => Kind::HoldMusicFull.into(),
            registry::Error::Storage(_) => Kind::Storage.into(),
            registry::Error::Studio(_) => Kind::Unavailable.into(),
        }
    }
}

impl From<offer::Refusal> for Problem {
    fn from(refusal: offer::Refusal) -> Self {
        use offer::Refusal as R;
        let reason = match refusal {
            R::TooLarge => return Kind::BodyTooLarge.into(),
            R::Malformed { line } => return Self::malformed(Kind::OfferMalformed, line),
            R::Video => "video",
            R::NoAudio => "no-audio",
            R::ManyMedia => "many-media",
            R::NotSending => "not-sending",
            R::NotSecure => "not-secure",
            R::NoOpus => "no-opus",
            R::NoRtcpMux => "no-rtcp-mux",
            R::NoBundle => "no-bundle",
            R::NoIceCredentials => "no-ice-credentials",
            R::IceLite => "ice-lite",
            R::NoFingerprint => "no-fingerprint",
            R::BadMid => "bad-mid",
            R::BadSetup => "bad-setup",
            R::Unusable => "unusable",
        };
        Self::refused(Kind::OfferRefused, reason)
    }
}

impl From<candidate::Refusal> for Problem {
    fn from(refusal: candidate::Refusal) -> Self {
        use candidate::Refusal as R;
        let reason = match refusal {
            R::TooLarge => return Kind::BodyTooLarge.into(),
            R::Malformed { line } => return Self::malformed(Kind::FragmentMalformed, line),
            R::Closed => return Kind::SessionNotFound.into(),
            R::NoCredentials => "no-credentials",
            R::ManyCredentials => "many-credentials",
            R::HalfRestart => "half-restart",
            R::TooManyCandidates => "too-many-candidates",
        };
        Self::refused(Kind::FragmentRefused, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_explained_in_both_languages() {
        for kind in Kind::ALL {
            for language in [Language::Arabic, Language::English] {
                let (title, detail) = kind.words(language);
                assert!(!title.starts_with("problem-") && !detail.starts_with("problem-"), "{kind:?} {language:?}");
                let arabic = detail.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c));
                assert_eq!(arabic, language == Language::Arabic, "{kind:?}: {detail}");
            }
        }
    }

    #[test]
    fn names_of_problems_are_distinct() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }

    #[test]
    fn every_reason_has_words_of_its_own() {
        use offer::Refusal as R;
        let offers = [
            R::Video,
            R::NoAudio,
            R::ManyMedia,
            R::NotSending,
            R::NotSecure,
            R::NoOpus,
            R::NoRtcpMux,
            R::NoBundle,
            R::NoIceCredentials,
            R::IceLite,
            R::NoFingerprint,
            R::BadMid,
            R::BadSetup,
            R::Unusable,
        ];
        for language in [Language::Arabic, Language::English] {
            let mut details: Vec<_> = offers.iter().map(|refusal| Problem::from(*refusal).words(language).1).collect();
            details.sort_unstable();
            details.dedup();
            assert_eq!(details.len(), offers.len(), "{language:?}");
        }
        for language in [Language::Arabic, Language::English] {
            let detail = |reason| Problem::refused(Kind::RehearsalRefused, reason).words(language).1;
            let [expired, elsewhere, other] = ["expired", "elsewhere", "other"].map(detail);
            assert!(expired != elsewhere && expired != other && elsewhere != other, "{language:?}");
        }
        for language in [Language::Arabic, Language::English] {
            let reasons = ["not-wav", "samples", "rate", "channels", "long", "short", "silent", "large", "other"];
            let words = reasons.map(|reason| Problem::refused(Kind::HoldMusicRefused, reason).words(language).1);
            assert_eq!(words.iter().collect::<std::collections::HashSet<_>>().len(), reasons.len(), "{language:?}");
        }
        let line = Problem::from(R::Malformed { line: 7 }).words(Language::English).1;
        assert!(line.contains("Line 7"), "{line}");
    }
}
