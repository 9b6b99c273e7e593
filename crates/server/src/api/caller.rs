//! Who calls: the bearer pass of a request (RFC 6750 §2.1), and what it allows. Cookies are not looked at.

use std::convert::Infallible;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use hiwar_admission::{Grant, StagePass};
use hiwar_segment_log::LogId;
use hiwar_space::{Audience, Name, ParticipantId, Warrant};
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};
use super::speech::Language;
use super::{Api, Keys};
use crate::registry::Holder;

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

    /// Whom the caller's pass names in this space.
    pub(super) fn holder(&self, keys: &Keys, space: &LogId) -> Result<Holder, Problem> {
        let pass = self.pass(keys)?;
        let person = pass.person(space.as_str())?;
        let warrant = match pass.grant {
            Grant::Host(..) => Warrant::Host,
            Grant::Speak(..) => Warrant::Speak,
            Grant::Ask(..) | Grant::Create | Grant::Invite(_) | Grant::Operate => Warrant::Listen,
        };
        let id = ParticipantId::parse(person.participant()).ok_or(Kind::PassInvalid)?;
        // Passes of encoders may name nobody; they are called by their id.
        let name = Name::parse(person.name()).or_else(|_| Name::parse(person.participant()))?;
        Ok(Holder { id, name, warrant })
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
            self.invited(&id, caller)?;
        }
        Ok(id)
    }

    /// Whether the caller holds a pass for this space that is still worth something.
    pub(super) fn invited(&self, id: &LogId, caller: &Caller) -> Result<(), Problem> {
        caller.is_invited(&self.keys, id)?;
        match caller.holder(&self.keys, id) {
            Ok(holder) => self.registry.require_not_blocked(id, &holder).map_err(Problem::from),
            // Passes that name nobody.
            Err(_) => Ok(()),
        }
    }

    /// The same, and whom this caller's pass names there.
    pub(super) fn stage_of(&self, id: &str, caller: &Caller) -> Result<(LogId, Holder), Problem> {
        let (id, _) = self.space(id)?;
        let holder = caller.holder(&self.keys, &id)?;
        Ok((id, holder))
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

/// The body of a request that may have none: then as if it said nothing.
pub(super) fn json_if_any<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let bytes = body(read)?;
    if bytes.is_empty() { Ok(T::default()) } else { json(headers, Ok(bytes)) }
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
