//! How listeners are served, as the operator wishes.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use bytes::Bytes;
use hiwar_admission::ladder::Cadence;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Caller, json};
use super::problem::{Details, Kind, Problem};

/// How listeners are served.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    /// Milliseconds of sound that a listener is sent at once: 200, 400, 1000, 2000 or 4000; `null`: as each worker finds right, 200 until there are too many.
    #[schema(example = 2000)]
    cadence_ms: Option<u32>,
}

/// How listeners are served
#[utoipa::path(get, path = "/api/spaces/v1/delivery", tag = "operation", security(("pass" = [])),
    responses((status = 200, body = Delivery), (status = 401, body = Details), (status = 403, body = Details)))]
pub(super) async fn show(State(api): Shared, caller: Caller) -> Result<Json<Delivery>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    Ok(Json(Delivery { cadence_ms: api.cadence.get().map(Cadence::ms) }))
}

/// Change how listeners are served
///
/// Nobody is dropped. Those who listen are told before their sound comes in longer pieces: 20 s, 26 s at 2 s, 52 s at 4 s.
#[utoipa::path(put, path = "/api/spaces/v1/delivery", tag = "operation", request_body = Delivery, security(("pass" = [])),
    responses((status = 200, body = Delivery), (status = 401, body = Details), (status = 403, body = Details), (status = 422, body = Details)))]
pub(super) async fn change(
    State(api): Shared,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<Delivery>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    let wanted: Delivery = json(&headers, read)?;
    let cadence = match wanted.cadence_ms {
        None => None,
        Some(ms) => Some(Cadence::of_ms(ms).ok_or(Kind::CadenceUnknown)?),
    };
    if let Err(why) = api.cadence.set(cadence) {
        tracing::warn!("the cadence stands, but a house that follows this one will not know of it: {why}");
    }
    tracing::info!(cadence_ms = wanted.cadence_ms, "the operator wishes for a cadence");
    Ok(Json(wanted))
}
