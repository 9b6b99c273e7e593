//! Who calls: the bearer pass of a request (RFC 6750 §2.1), and what it allows. Cookies are not looked at.

use std::convert::Infallible;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use hiwar_admission::StagePass;
use hiwar_segment_log::LogId;
use hiwar_space::Audience;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};
use super::speech::Language;
use super::{Api, Keys};

/// The media type of bodies that are neither SDP nor a problem.
const JSON: &str = "application/json";

/// What a request says of whoever sent it. Nothing is checked yet.
pub(super) struct Caller {
    token: Option<String>,
    /// From `?pass=`: passes to listen only may travel in addresses.
    listen_token: Option<String>,
    /// What to speak with them.
    pub(super) language: Language,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        // A pass is base64url, which needs no decoding in a query.
        let listen_token = query.split('&').find_map(|pair| pair.strip_prefix("pass=")).map(str::to_owned);
        Ok(Self { token: bearer(&parts.headers), listen_token, language: Language::of(&parts.headers) })
    }
}

impl Caller {
    /// The caller's pass of the stage, checked. What it allows is still to be asked.
    pub(super) fn pass(&self, keys: &Keys) -> Result<StagePass, Problem> {
        let token = self.token.as_deref().ok_or(Kind::PassMissing)?;
        Ok(keys.stage(SystemTime::now(), token)?)
    }

    /// Whether the caller holds any pass for this space.
    pub(super) fn is_invited(&self, keys: &Keys, space: &LogId) -> Result<(), Problem> {
        match (&self.token, &self.listen_token) {
            (Some(token), _) => Ok(keys.sees(SystemTime::now(), token, space.as_str())?),
            (None, Some(token)) => Ok(keys.listens(SystemTime::now(), token, space.as_str())?),
            (None, None) => Err(Kind::PassMissing.into()),
        }
    }

    /// Whether the caller may be on the stage of this space.
    pub(super) fn is_on_stage(&self, keys: &Keys, space: &LogId) -> bool {
        self.pass(keys).is_ok_and(|pass| pass.sees(space.as_str()).is_ok())
    }
}

impl Api {
    /// The space of an address, if there is one.
    pub(super) fn space(&self, id: &str) -> Result<(LogId, Audience), Problem> {
        let id = LogId::parse(id).map_err(|_| Kind::SpaceNotFound)?;
        let audience = self.registry.audience(&id).ok_or(Kind::SpaceNotFound)?;
        Ok((id, audience))
    }

    /// The same, if this caller may see it.
    pub(super) fn seen_space(&self, id: &str, caller: &Caller) -> Result<LogId, Problem> {
        let (id, audience) = self.space(id)?;
        if audience == Audience::Invited {
            caller.is_invited(&self.keys, &id)?;
        }
        Ok(id)
    }

    /// The same, if this caller rules it.
    pub(super) fn hosted_space(&self, id: &str, caller: &Caller) -> Result<LogId, Problem> {
        let (id, _) = self.space(id)?;
        caller.pass(&self.keys)?.hosts(id.as_str())?;
        Ok(id)
    }
}

/// The body of a request, if it came whole and within [`super::BODY_BYTES_MAX`].
pub(super) fn body(read: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    read.map_err(|why| match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Kind::BodyTooLarge.into(),
        _ => Kind::Malformed.into(),
    })
}

/// Requires a content type, parameters aside (RFC 9110 §8.3).
pub(super) fn require_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(Problem::media_type(expected)) }
}

/// The body of a request as what it is to be.
pub(super) fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    require_type(headers, JSON)?;
    serde_json::from_slice(&body(read)?).map_err(|_| Kind::Malformed.into())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim().to_owned()).filter(|token| !token.is_empty())
}
