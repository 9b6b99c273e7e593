//! Music for an audience that waits: given and taken away by those who host.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use hiwar_media::hold::{Unfit, WAV_BYTES_MAX};
use tokio::sync::Semaphore;

use super::Shared;
use super::caller::{Caller, require_type};
use super::problem::{Details, Kind, Problem};
use crate::disk::Room;
use crate::registry::StageView;
use crate::studio::Studio;

/// The one form that is read here; browsers and ffmpeg make it of all others.
const WAV: &str = "audio/wav";
/// Recordings that are read and encoded at once: some 90 MB of memory, and a second of a core, for each.
static DESKS: Semaphore = Semaphore::const_new(2);

/// Give the audience something to hear until it begins, in place of silence
///
/// A WAV file: 16 or 24 bits, or floating-point numbers; one channel or two; 8 to 96 kHz; 1 s to 3 minutes, at most 20 MB. It is brought to the loudness of a
/// conversation, fades in and out, and is heard again and again, from the next moment on. By those who host, at the stage's own origin.
#[utoipa::path(put, path = "/api/spaces/v1/spaces/{id}/hold-music", tag = "stage", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "audio/wav"), security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 413, body = Details),
        (status = 415, body = Details), (status = 422, body = Details), (status = 503, body = Details),
        (status = 507, body = Details)))]
pub(super) async fn give(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StageView>, Problem> {
    let (id, holder) = api.stage_of(&id, &caller)?;
    // Before anything is read: a stranger's megabytes are not looked at.
    api.registry.require_may_hold(&id, &holder)?;
    require_type(&headers, WAV)?;
    if api.disk.found().0 == Room::Scarce {
        return Err(Kind::DiskFull.into());
    }
    let desk = DESKS.try_acquire().map_err(|_| Kind::Unavailable)?;
    // It comes from a worker that has all of it, or does not come: what is wrong with it is its length.
    let large = |_| Problem::refused(Kind::HoldMusicRefused, "large");
    let wav = axum::body::to_bytes(body, WAV_BYTES_MAX).await.map_err(large)?;
    let made = tokio::task::spawn_blocking(move || {
        // Whoever asked may hang up; the desk is taken until this is done.
        let _desk = desk;
        Studio::hold_music(&wav)
    });
    let music = made.await.map_err(|_| Kind::Unavailable)?.map_err(unfit)?;
    api.registry.hold(id, holder.clone(), Some(music)).await?;
    Ok(Json(api.registry.stage_view(&id, &holder).ok_or(Kind::SpaceNotFound)?))
}

/// Let the audience hear silence until it begins
#[utoipa::path(delete, path = "/api/spaces/v1/spaces/{id}/hold-music", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 503, body = Details)))]
pub(super) async fn take(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    let (id, holder) = api.stage_of(&id, &caller)?;
    api.registry.hold(id, holder.clone(), None).await?;
    Ok(Json(api.registry.stage_view(&id, &holder).ok_or(Kind::SpaceNotFound)?))
}

fn unfit(why: Unfit) -> Problem {
    let reason = match why {
        Unfit::NotWav => "not-wav",
        Unfit::Samples => "samples",
        Unfit::Rate => "rate",
        Unfit::Channels => "channels",
        Unfit::Long => "long",
        Unfit::Short => "short",
        Unfit::Silent => "silent",
        Unfit::Codec => return Kind::Unavailable.into(),
    };
    Problem::refused(Kind::HoldMusicRefused, reason)
}
