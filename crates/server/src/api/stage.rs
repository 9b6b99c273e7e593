//! What happens in a space: its life, its stage, and who asks for the word. Each request is one command; the space's rules allow or refuse it.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use hiwar_space::{Command, ParticipantId, Reason, Title};
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::{Caller, json, json_if_any};
use super::problem::{Details, Kind, Problem};
use super::spaces::{AskingName, moment};
use super::{Api, Shared};
use crate::registry::{SpaceView, StageView};

/// Another time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Postponement {
    /// When it is to begin (RFC 3339).
    starts_at: String,
    /// What the audience is told; up to 280 characters.
    reason: Option<String>,
}

/// That it does not take place.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancellation {
    /// What the audience is told; up to 280 characters.
    reason: Option<String>,
}

/// What of a recording is to be posted, in milliseconds from its beginning. What is absent is not cut; a fifth of a second that a cut goes through is left out.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Posting {
    /// Where it is to begin.
    #[schema(example = 4_000)]
    start_ms: Option<u64>,
    /// Where it is to end.
    #[schema(example = 61_500)]
    end_ms: Option<u64>,
}

/// What is to be different. What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// What it is called; 1 to 200 characters.
    title: Option<String>,
    /// Who may ask for the word.
    asking: Option<AskingName>,
    /// Whether nobody comes to the stage whom no host calls.
    locked: Option<bool>,
}

/// What is done to somebody.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    /// Silence them: oneself, or somebody below.
    Mute,
    /// Speak again: oneself only.
    Unmute,
    /// Offer a seat; it is kept for a minute.
    Call,
    /// Take their hand down.
    Dismiss,
    /// To the audience; they may ask again.
    SendBack,
    /// Off the stage; they may not ask again.
    Remove,
    /// The same, and their pass is worth nothing any more.
    Block,
    /// Take back a removal or a block.
    Pardon,
    /// Let them host, too.
    MakeCoHost,
    /// Let them speak only.
    UnmakeCoHost,
    /// Let them be the host instead.
    HandOver,
}

impl Action {
    fn command(self, participant: ParticipantId) -> Command {
        match self {
            Self::Mute => Command::Mute { participant },
            Self::Unmute => Command::Unmute { participant },
            Self::Call => Command::Call { participant },
            Self::Dismiss => Command::Dismiss { participant },
            Self::SendBack => Command::SendBack { participant },
            Self::Remove => Command::Remove { participant },
            Self::Block => Command::Block { participant },
            Self::Pardon => Command::Pardon { participant },
            Self::MakeCoHost => Command::MakeCoHost { participant },
            Self::UnmakeCoHost => Command::UnmakeCoHost { participant },
            Self::HandOver => Command::HandOver { participant },
        }
    }
}

/// Start a space; it starts once
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/start", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn start(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, [Command::Start]).await
}

/// End a space for all
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/end", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn end(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, [Command::End]).await
}

/// Begin at another time
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/postpone", tag = "stage", params(("id" = String, Path)),
    request_body = Postponement, security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 409, body = Details),
        (status = 422, body = Details)))]
pub(super) async fn postpone(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<SpaceView>, Problem> {
    let Postponement { starts_at, reason: why } = json(&headers, read)?;
    let command = Command::Postpone { starts: moment(&starts_at)?, reason: reason(why)? };
    rule(&api, &id, &caller, [command]).await
}

/// It does not take place
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/cancel", tag = "stage", params(("id" = String, Path)),
    request_body = Cancellation, security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 409, body = Details),
        (status = 422, body = Details)))]
pub(super) async fn cancel(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<SpaceView>, Problem> {
    let Cancellation { reason: why } = json_if_any(&headers, read)?;
    rule(&api, &id, &caller, [Command::Cancel { reason: reason(why)? }]).await
}

/// Call it something else, say who may ask for the word, lock the stage
#[utoipa::path(patch, path = "/api/spaces/v1/spaces/{id}", tag = "stage", params(("id" = String, Path)),
    request_body = Change, security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 409, body = Details),
        (status = 422, body = Details)))]
pub(super) async fn change(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<SpaceView>, Problem> {
    let Change { title, asking, locked } = json(&headers, read)?;
    let title = title.map(|title| Title::parse(&title)).transpose()?;
    let commands = [
        title.map(|title| Command::Retitle { title }),
        asking.map(|asking| Command::LetAsk(asking.into())),
        locked.map(|locked| if locked { Command::Lock } else { Command::Unlock }),
    ];
    rule(&api, &id, &caller, commands.into_iter().flatten()).await
}

/// Let everybody hear the recording that waited for the host's word; with a stretch, that part of it: the rest is heard by nobody any more
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/post", tag = "stage", params(("id" = String, Path)),
    request_body = Posting, security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 409, body = Details),
        (status = 422, body = Details)))]
pub(super) async fn post(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<SpaceView>, Problem> {
    let Posting { start_ms, end_ms } = json_if_any(&headers, read)?;
    let (from, to) = (start_ms.map(Duration::from_millis), end_ms.map(Duration::from_millis));
    rule(&api, &id, &caller, [Command::Post { from, to }]).await
}

/// Delete the recording of a space that is over
#[utoipa::path(delete, path = "/api/spaces/v1/spaces/{id}/recording", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn delete_recording(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, [Command::DeleteRecording]).await
}

/// The stage as you see it: what you are, whether you are called; for who hosts, who asks and who is known
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/stage", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details)))]
pub(super) async fn show(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    let (id, holder) = api.stage_of(&id, &caller)?;
    Ok(Json(api.registry.stage_view(&id, &holder).ok_or(Kind::SpaceNotFound)?))
}

/// "I know that this is recorded": before your voice is taken
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/agreement", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn agree(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |name| Command::Agree { name }).await
}

/// Ask for the word
#[utoipa::path(put, path = "/api/spaces/v1/spaces/{id}/hand", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 503, body = Details)))]
pub(super) async fn raise_hand(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |name| Command::RaiseHand { name }).await
}

/// Ask no more
#[utoipa::path(delete, path = "/api/spaces/v1/spaces/{id}/hand", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn lower_hand(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |_| Command::LowerHand).await
}

/// Take the seat that was offered
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/seat", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn accept(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |_| Command::Accept).await
}

/// Leave the seat that was offered
#[utoipa::path(delete, path = "/api/spaces/v1/spaces/{id}/seat", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn decline(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |_| Command::Decline).await
}

/// Silence everybody below you
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/mute-all", tag = "stage", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn mute_all(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    ask(&api, &id, &caller, |_| Command::MuteAll).await
}

/// Do something to somebody
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/people/{participant}/{action}", tag = "stage",
    params(("id" = String, Path), ("participant" = String, Path), ("action" = Action, Path)),
    security(("pass" = [])),
    responses((status = 200, body = StageView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details), (status = 503, body = Details)))]
pub(super) async fn act(
    State(api): Shared,
    Path((id, participant, action)): Path<(String, String, String)>,
    caller: Caller,
) -> Result<Json<StageView>, Problem> {
    let action = serde_json::from_value::<Action>(action.into()).map_err(|_| Kind::NotFound)?;
    let participant = ParticipantId::parse(&participant).ok_or(Kind::ParticipantUnknown)?;
    ask(&api, &id, &caller, |_| action.command(participant)).await
}

/// Has a space do things in this order, and says how it stands then.
async fn rule(
    api: &Api,
    id: &str,
    caller: &Caller,
    commands: impl IntoIterator<Item = Command>,
) -> Result<Json<SpaceView>, Problem> {
    let (id, holder) = api.stage_of(id, caller)?;
    for command in commands {
        api.registry.command(id, holder.actor(), command).await.inspect_err(|why| {
            tracing::debug!(space = %id, "a command failed: {why}");
        })?;
    }
    let view = api.registry.view_for(&id, Some(&holder)).ok_or(Kind::SpaceNotFound)?;
    api.studio.told().await;
    Ok(Json(view))
}

/// Has a space do one thing on its stage, and says how that looks to the caller then.
async fn ask(
    api: &Api,
    id: &str,
    caller: &Caller,
    command: impl FnOnce(hiwar_space::Name) -> Command,
) -> Result<Json<StageView>, Problem> {
    let (id, holder) = api.stage_of(id, caller)?;
    let command = command(holder.name.clone());
    api.registry.command(id, holder.actor(), command).await.inspect_err(|why| {
        tracing::debug!(space = %id, "a command failed: {why}");
    })?;
    Ok(Json(api.registry.stage_view(&id, &holder).ok_or(Kind::SpaceNotFound)?))
}

/// What the audience is told; nothing if nothing is left of it.
fn reason(text: Option<String>) -> Result<Option<Reason>, Problem> {
    match text.as_deref().map(Reason::parse) {
        None | Some(Err(hiwar_space::Refusal::ReasonEmpty)) => Ok(None),
        Some(parsed) => Ok(Some(parsed?)),
    }
}
