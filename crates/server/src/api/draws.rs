//! What is public of the draws at a space's door: what is committed to, and the records.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hiwar_segment_log::LogId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::problem::{Details, Kind, Problem};
use crate::door::draws::{Public, hex, record_path};

/// A record is sent in pieces of so many bytes: it may be as large as a file.
const PIECE_BYTES: usize = 64 * 1024;

/// Where records are, and by what they are sealed.
#[derive(Debug)]
pub struct Draws {
    /// The folders of spaces.
    pub spaces: PathBuf,
    /// The public key.
    pub key: [u8; 32],
}

/// What is public of a space's draws.
#[derive(Serialize, ToSchema)]
pub(super) struct PublicDraws {
    /// The key by which this server seals records, in hexadecimal.
    key: String,
    /// What decides the draws that come next, committed to before anybody comes. Of a conversation without a door there is none.
    next: Vec<Commitment>,
    /// Draws that were made, the oldest first.
    made: Vec<Made>,
}

/// What cannot be changed any more, and cannot be read yet.
#[derive(Serialize, ToSchema)]
pub(super) struct Commitment {
    /// Of which crowd, counted from 0.
    opening: u16,
    /// A hash of the secret, in hexadecimal.
    commitment: String,
}

/// A draw that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    /// Of which crowd.
    opening: u16,
    /// What was committed to, in hexadecimal.
    commitment: String,
    /// What decided it, in hexadecimal.
    secret: String,
    /// Where the record is, for `hiwar draw verify`.
    record: String,
}

/// What is committed to before a draw at the door, and the draws that were made. Of an invited space with any pass for it
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/draws", tag = "listening", params(("id" = String, Path)),
    security((), ("pass" = [])),
    responses((status = 200, body = PublicDraws), (status = 401, body = Details), (status = 404, body = Details),
        (status = 503, body = Details)))]
pub(super) async fn list(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<PublicDraws>, Problem> {
    let id = api.seen_space(&id, &caller)?;
    let folder = api.draws.spaces.join(id.as_str());
    let public = match waited(move || Public::read(&folder)).await {
        Ok(public) => public,
        Err(why) => {
            tracing::warn!(%id, "what is public of its draws: {why}");
            return Err(Kind::Unavailable.into());
        }
    };
    let next = public.next.into_iter();
    let made = public.made.into_iter().map(|made| Made {
        opening: made.opening,
        commitment: hex(&made.commitment),
        secret: hex(&made.secret),
        record: format!("{}/api/spaces/v1/spaces/{id}/draws/{}", api.settings.public_origin, made.opening),
    });
    Ok(Json(PublicDraws {
        key: hex(&api.draws.key),
        next: next.map(|(opening, commitment)| Commitment { opening, commitment: hex(&commitment) }).collect(),
        made: made.collect(),
    }))
}

/// The record of a draw: a file, for `hiwar draw verify` (docs/formats/draw.md). Of an invited space with any pass for it
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/draws/{opening}", tag = "listening",
    params(("id" = String, Path), ("opening" = u16, Path)), security((), ("pass" = [])),
    responses((status = 200, description = "The record", content_type = "application/octet-stream"),
        (status = 401, body = Details), (status = 404, body = Details)))]
pub(super) async fn record(
    State(api): Shared,
    Path((id, opening)): Path<(String, u16)>,
    caller: Caller,
) -> Result<Response, Problem> {
    let id = api.seen_space(&id, &caller)?;
    let path = record_path(&api.draws.spaces.join(id.as_str()), opening);
    let file = waited(move || File::open(path)).await.map_err(|_| Kind::NotFound)?;
    let pieces = stream::try_unfold(file, |mut file| {
        waited(move || {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            Ok((!piece.is_empty()).then_some((piece, file)))
        })
    });
    Ok((
        [
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", name(id, opening))),
            // It may still be filled in.
            (CACHE_CONTROL, "no-cache".to_owned()),
        ],
        Body::from_stream(pieces),
    )
        .into_response())
}

/// Does what waits for a disk where nobody else waits.
async fn waited<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn name(id: LogId, opening: u16) -> String {
    format!("{id}-{opening}.draw")
}
