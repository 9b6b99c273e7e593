//! How listeners are served, as the operator wishes.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use bytes::Bytes;
use hiwar_admission::ladder::{Bitrate, Cadence};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Caller, json};
use super::problem::{Details, Kind, Problem};
use crate::listening::{Said, Wish};

/// How listeners are served.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delivery {
    /// Milliseconds of sound that a listener is sent at once: 200, 400, 1000, 2000 or 4000; `null`: as each worker finds right, 200 until there are too many.
    #[schema(example = 2000)]
    cadence_ms: Option<u32>,
    /// kbit/s of sound: 32 or 16; `null`: as each worker finds right, 32 until there are too many, or the line is full.
    #[schema(example = 16)]
    bitrate_kbps: Option<u32>,
}

impl From<Wish> for Delivery {
    fn from(wish: Wish) -> Self {
        Self { cadence_ms: wish.cadence.map(Cadence::ms), bitrate_kbps: wish.bitrate.map(Bitrate::kbps) }
    }
}

/// How listeners are to be served. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// As in `Delivery`; `null`: as each worker finds right.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, example = 2000)]
    cadence_ms: Option<Option<u32>>,
    /// As in `Delivery`; `null`: as each worker finds right.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, example = 16)]
    bitrate_kbps: Option<Option<u32>>,
}

/// `null` is something else than nothing.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// How listeners are served
#[utoipa::path(get, path = "/api/spaces/v1/delivery", tag = "operation", security(("pass" = [])),
    responses((status = 200, body = Delivery), (status = 401, body = Details), (status = 403, body = Details)))]
pub(super) async fn show(State(api): Shared, caller: Caller) -> Result<Json<Delivery>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    Ok(Json(api.listening.get().into()))
}

/// Change how listeners are served
///
/// Nobody is dropped. Those who listen are told before their sound comes in longer pieces: 20 s, 26 s at 2 s, 52 s at 4 s. Another bitrate is heard at once.
#[utoipa::path(put, path = "/api/spaces/v1/delivery", tag = "operation", request_body = Change, security(("pass" = [])),
    responses((status = 200, body = Delivery), (status = 401, body = Details), (status = 403, body = Details), (status = 422, body = Details)))]
pub(super) async fn change(
    State(api): Shared,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<Delivery>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    let wanted: Change = json(&headers, read)?;
    let said = Said {
        cadence: one_of(wanted.cadence_ms, Cadence::of_ms, Kind::CadenceUnknown)?,
        bitrate: one_of(wanted.bitrate_kbps, Bitrate::of_kbps, Kind::BitrateUnknown)?,
    };
    if let Err(why) = api.listening.say(said) {
        tracing::warn!("the wish stands, but a house that follows this one will not know of it: {why}");
    }
    tracing::info!(?said, "the operator wishes for another way to serve listeners");
    Ok(Json(api.listening.get().into()))
}

fn one_of<T>(
    wanted: Option<Option<u32>>,
    of: fn(u32) -> Option<T>,
    otherwise: Kind,
) -> Result<Option<Option<T>>, Problem> {
    let known = |number| of(number).ok_or_else(|| otherwise.into());
    wanted.map(|number| number.map(known).transpose()).transpose()
}
