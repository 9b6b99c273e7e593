//! WHIP (RFC 9725): how speakers of any make reach the stage.
//!
//! The endpoint is `/whip/{space}`, a session `/whip/{space}/{session}`. The pass names the participant; the newest session
//! of a participant takes the place of the older one. A session may be touched by its participant alone: whoever hosts has commands for the rest.
//!
//! With `?at=wings` whoever has still to accept a call, or to agree, connects already: they hear the stage, and are heard when they have.

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hiwar_rtc::session::Patched;
use hiwar_segment_log::LogId;
use hiwar_space::Place;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, body, require_type};
use super::problem::{Details, Kind, Problem};
use super::{Api, Shared};

/// What an offer is (RFC 9725 §4.2).
pub(super) const SDP: &str = "application/sdp";
/// What a PATCH carries (RFC 8840 §9).
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// How somebody offers to come. Some encoders append parameters of their own, which mean nothing here.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Coming {
    /// `wings`: who has still to accept a call, or to agree to be recorded, waits connected, and is heard when they have. Without, they have to have done so.
    #[serde(default)]
    at: At,
}

/// Where an offer leads.
#[derive(Deserialize, ToSchema, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum At {
    /// At once to the stage.
    #[default]
    Stage,
    /// To the stage as soon as nothing that is theirs to say is missing.
    Wings,
}

/// Whether this is a WHIP endpoint: no content (RFC 9725 §4.1)
#[utoipa::path(get, path = "/whip/{space}", tag = "whip", params(("space" = String, Path)),
    responses((status = 204), (status = 404, body = Details)))]
pub(super) async fn look(State(api): Shared, Path(space): Path<String>) -> Result<StatusCode, Problem> {
    api.space(&space)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go on stage, or into the wings: offer in, answer out
#[utoipa::path(post, path = "/whip/{space}", tag = "whip", params(("space" = String, Path), Coming),
    request_body(content = String, content_type = "application/sdp"), security(("pass" = [])),
    responses(
        (status = 201, content_type = "application/sdp", body = String,
            headers(("Location" = String, description = "The session"), ("ETag" = String, description = "Its ICE generation"))),
        (status = 400, body = Details), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 413, body = Details),
        (status = 415, body = Details), (status = 422, body = Details), (status = 503, body = Details)))]
pub(super) async fn publish(
    State(api): Shared,
    Path(space): Path<String>,
    asked: Result<Query<Coming>, QueryRejection>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (id, _) = api.space(&space)?;
    let Query(Coming { at }) = asked.map_err(|_| Kind::Malformed)?;
    let at = match at {
        At::Stage => Place::Stage,
        At::Wings => Place::Wings,
    };
    let holder = caller.holder(&api.keys, &id)?;
    require_type(&headers, SDP)?;
    let offer = text(read, Kind::OfferMalformed)?;
    let participant = holder.id.clone();
    let published = api.registry.speak(&id, holder, at, offer).await.inspect_err(|why| {
        tracing::info!(space = %id, %participant, "a speaker was not seated: {why}");
    })?;
    let mut response = (StatusCode::CREATED, published.answer).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    // An absolute path: several clients resolve a relative one against the wrong base.
    headers.insert(LOCATION, value(format!("/whip/{id}/{}", published.session))?);
    headers.insert(ETAG, value(published.etag)?);
    Ok(response)
}

/// Whether the session lives: no content
#[utoipa::path(get, path = "/whip/{space}/{session}", tag = "whip",
    params(("space" = String, Path), ("session" = String, Path)), security(("pass" = [])),
    responses((status = 204), (status = 401, body = Details), (status = 403, body = Details), (status = 404, body = Details)))]
pub(super) async fn look_at_session(
    State(api): Shared,
    Path((space, session)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    api.own_session(&space, &session, &caller)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Trickle candidates, or restart ICE (RFC 9725 §4.3)
#[utoipa::path(patch, path = "/whip/{space}/{session}", tag = "whip",
    params(("space" = String, Path), ("session" = String, Path), ("If-Match" = String, Header)),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"), security(("pass" = [])),
    responses((status = 204), (status = 200, content_type = "application/trickle-ice-sdpfrag", body = String),
        (status = 400, body = Details), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 412, body = Details), (status = 413, body = Details),
        (status = 415, body = Details), (status = 422, body = Details), (status = 428, body = Details)))]
pub(super) async fn patch(
    State(api): Shared,
    Path((space, session)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (id, etag) = api.own_session(&space, &session, &caller)?;
    require_type(&headers, FRAGMENT)?;
    let condition = headers.get(IF_MATCH).ok_or(Kind::IfMatchMissing)?;
    if !matches(condition, &etag) {
        return Err(Kind::IfMatchStale.into());
    }
    let fragment = text(read, Kind::FragmentMalformed)?;
    match api.registry.patch(&id, &session, fragment).await?? {
        // RFC 9725 §4.3.2: no entity tag, the generation has not changed.
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { sdpfrag, etag } => {
            let mut response = (StatusCode::OK, sdpfrag).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            response.headers_mut().insert(ETAG, value(etag)?);
            Ok(response)
        }
    }
}

/// Leave the stage. `If-Match` does not matter (RFC 9725 §4.2)
#[utoipa::path(delete, path = "/whip/{space}/{session}", tag = "whip",
    params(("space" = String, Path), ("session" = String, Path)), security(("pass" = [])),
    responses((status = 200), (status = 401, body = Details), (status = 403, body = Details), (status = 404, body = Details)))]
pub(super) async fn hang_up(
    State(api): Shared,
    Path((space, session)): Path<(String, String)>,
    caller: Caller,
) -> Result<&'static str, Problem> {
    let (id, _) = api.own_session(&space, &session, &caller)?;
    api.registry.hang_up(&id, &session);
    // A few bytes: FFmpeg takes an answer without a body for an error.
    Ok("bye\n")
}

impl Api {
    /// The space and entity tag of a session that this caller may touch.
    fn own_session(&self, space: &str, session: &str, caller: &Caller) -> Result<(LogId, String), Problem> {
        let (id, holder) = self.stage_of(space, caller)?;
        let (participant, etag) = self.registry.session(&id, session)?;
        if holder.id == participant { Ok((id, etag)) } else { Err(Kind::NotThemselves.into()) }
    }
}

/// Whether `If-Match` names this strong tag (RFC 9110 §13.1.1). RFC 9725's own examples write the star in quotes, and
/// clients follow them.
fn matches(condition: &HeaderValue, etag: &str) -> bool {
    let condition = condition.to_str().unwrap_or_default();
    condition.split(',').map(str::trim).any(|tag| tag == "*" || tag == "\"*\"" || tag == etag)
}

/// A body of text; SDP is UTF-8 (RFC 8866 §5).
fn text(read: Result<Bytes, BytesRejection>, malformed: Kind) -> Result<String, Problem> {
    String::from_utf8(body(read)?.into()).map_err(|_| malformed.into())
}

fn value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(|_| Kind::Unavailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_an_encoders_own_keep_nobody_out_but_an_unknown_place_does() {
        let place = |asked: &str| {
            let coming = Query::<Coming>::try_from_uri(&format!("/whip/demo?{asked}").parse().unwrap());
            coming.map(|Query(Coming { at })| matches!(at, At::Wings)).ok()
        };
        assert_eq!(place(""), Some(false));
        assert_eq!(place("stream=live&at=wings&codec=opus"), Some(true));
        assert_eq!(place("resource=x"), Some(false));
        assert_eq!(place("at=balcony"), None);
    }
}
