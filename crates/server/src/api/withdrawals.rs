//! Somebody withdraws from a recording: asked for by whoever runs the server, and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Caller, json};
use super::problem::{Details, Kind, Problem};
use super::speech::{Language, Word};
use crate::studio::withdrawal::{Failure, Progress};

/// People taken out at once; a stage has twenty.
const PEOPLE_MAX: usize = 20;
/// What identifies somebody is a name or an id: this is more than either may have.
const WHO_BYTES_MAX: usize = 256;

/// Who is to be taken out of a recording.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdraw {
    /// Ids of people on its stage, or the names that they had there: 1 to 20.
    who: Vec<String>,
}

/// How far a withdrawal is, or how it ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Withdrawal {
    /// `working`, `done` or `failed`.
    #[schema(example = "working")]
    state: &'static str,
    /// 0 to 100.
    percent: u64,
    /// If it is done: milliseconds of sound of which no track was there, and which are silence now.
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced_ms: Option<u64>,
    /// If it failed: why, for people, in their language. The recording is then as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// If nobody of that id or name was there: who was, by id, and their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<BTreeMap<String, Vec<String>>>,
}

impl Withdrawal {
    fn of(progress: &Progress, language: Language) -> Self {
        let say = |what: &str, why: &str| {
            language.say("withdrawal-failed", &[("reason", Word::Text(what)), ("why", Word::Text(why))])
        };
        let answer =
            Self { state: "working", percent: progress.percent(), silenced_ms: None, detail: None, people: None };
        progress.outcome(|outcome| match outcome {
            None => answer,
            Some(Ok(made)) => {
                let silenced_ms = u64::try_from(made.silenced.as_millis()).ok();
                Self { state: "done", percent: 100, silenced_ms, ..answer }
            }
            Some(Err(why)) => {
                let failed = Self { state: "failed", ..answer };
                match why {
                    Failure::NoTracks => Self { detail: Some(Kind::NoTracks.words(language).1), ..failed },
                    Failure::Nobody { there } => {
                        let people = there.iter().map(|(id, names)| (id.clone(), names.iter().cloned().collect()));
                        let people = Some(people.collect());
                        Self { detail: Some(say("nobody", "")), people, ..failed }
                    }
                    Failure::Several { ids } => Self { detail: Some(say("several", &ids.join(" "))), ..failed },
                    Failure::Log(why) => Self { detail: Some(say("other", &why.to_string())), ..failed },
                    Failure::Write(why) => Self { detail: Some(say("other", why)), ..failed },
                }
            }
        })
    }
}

/// Take somebody out of a recording
///
/// The conversation must be over, and its speakers' tracks kept. Everything is mixed again without them; until that is done the recording stays as it is. Then what
/// they said, and their name, is nowhere in it any more.
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/withdrawal", tag = "operation", params(("id" = String, Path)),
    request_body = Withdraw, security(("pass" = [])),
    responses((status = 202, body = Withdrawal), (status = 400, body = Details), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 503, body = Details)))]
pub(super) async fn begin(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Withdrawal>), Problem> {
    caller.pass(&api.keys)?.operates()?;
    let (id, _) = api.space(&id)?;
    let Withdraw { who } = json(&headers, read)?;
    if who.is_empty() || who.len() > PEOPLE_MAX || who.iter().any(|who| who.is_empty() || who.len() > WHO_BYTES_MAX) {
        return Err(Kind::Malformed.into());
    }
    let who = who.iter().map(|who| who.trim().to_owned()).collect();
    let progress: Arc<Progress> = api.registry.withdraw(id, who).await?;
    Ok((StatusCode::ACCEPTED, Json(Withdrawal::of(&progress, caller.language))))
}

/// How far the last withdrawal is
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/withdrawal", tag = "operation", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = Withdrawal), (status = 401, body = Details), (status = 403, body = Details), (status = 404, body = Details)))]
pub(super) async fn show(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Withdrawal>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    let (id, _) = api.space(&id)?;
    let progress = api.registry.withdrawal(&id).ok_or(Kind::NotFound)?;
    Ok(Json(Withdrawal::of(&progress, caller.language)))
}
