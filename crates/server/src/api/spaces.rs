//! Spaces: list, make, start, end, delete a recording, invite.

use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hiwar_admission::{Grant, Person, Scope};
use hiwar_space::{Actor, Audience, Command, Name, ParticipantId, Title};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Caller, json};
use super::keys::{LINK_LIFE, SPEAK_LIFE};
use super::notice::Notice;
use super::problem::{Details, Kind, Problem};
use super::speech::Language;
use super::{Api, Shared};
use crate::disk::Room;
use crate::registry::{NewSpace, SpaceView};
use crate::studio::Keep;

/// Where things are.
#[derive(Serialize, ToSchema)]
pub(super) struct Config {
    /// Origin of the stage port: hosts and speakers call the API and WHIP there, across origins.
    stage_origin: String,
    /// Origin of the public side.
    public_origin: String,
    /// For whoever shows a pass to make or to host conversations; else empty.
    notices: Vec<Notice>,
}

/// A list of spaces.
#[derive(Serialize, ToSchema)]
pub(super) struct Listing {
    /// Live ones first, then the newest.
    spaces: Vec<SpaceView>,
}

/// A space to be made.
#[derive(Deserialize, ToSchema)]
// A misspelt field must not make an invited conversation public.
#[serde(deny_unknown_fields)]
pub(super) struct NewSpaceRequest {
    /// 1 to 200 characters.
    title: String,
    /// Who may hear it.
    audience: AudienceName,
    /// BCP 47 tag of what will mostly be spoken.
    language: Option<String>,
    /// Whether it is recorded; it is unless told otherwise.
    #[serde(default)]
    recording: RecordingName,
    /// What to call the host; "Host" in the caller's language unless told.
    host_name: Option<String>,
}

/// Who may find and hear a space.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum AudienceName {
    /// Everybody; it is listed.
    Public,
    /// Everybody with the link.
    Unlisted,
    /// Whoever has a pass.
    Invited,
}

/// Whether a space is recorded.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum RecordingName {
    /// From the start to the end.
    #[default]
    On,
    /// Not at all.
    Off,
}

/// A space that was made, and the links to it. Each link carries a pass: keep the first one to yourself.
#[derive(Serialize, ToSchema)]
pub(super) struct NewSpaceAnswer {
    /// The space.
    space: SpaceView,
    /// Pass to host it.
    host_pass: String,
    /// Link for the host.
    host_link: String,
    /// Link for speakers; whoever opens it gives a name and gets a pass.
    speaker_link: String,
    /// Link for listeners.
    listen_link: String,
    /// What a host should know about this server now.
    notices: Vec<Notice>,
}

/// Somebody who is to speak.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PassRequest {
    /// What the pass is for.
    #[serde(rename = "role")]
    #[allow(dead_code, reason = "there is one role so far; it is checked by being read")]
    role: RoleName,
    /// What to call them; up to 64 bytes.
    name: String,
}

/// What a pass is for.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    /// To speak.
    Speaker,
}

/// A pass to speak.
#[derive(Serialize, ToSchema)]
pub(super) struct PassAnswer {
    /// Bearer token for WHIP, good for a day.
    pass: String,
    /// Who its holder is in the space.
    participant: String,
}

/// Where the stage is
#[utoipa::path(get, path = "/api/spaces/v1/config", tag = "spaces", security((), ("pass" = [])),
    responses((status = 200, body = Config)))]
pub(super) async fn config(State(api): Shared, caller: Caller) -> Json<Config> {
    let settings = &api.settings;
    Json(Config {
        stage_origin: settings.stage_origin.clone(),
        public_origin: settings.public_origin.clone(),
        notices: api.notices_for(&caller),
    })
}

/// Public spaces, live ones first
#[utoipa::path(get, path = "/api/spaces/v1/spaces", tag = "spaces", responses((status = 200, body = Listing)))]
pub(super) async fn list(State(api): Shared) -> Json<Listing> {
    Json(Listing { spaces: api.registry.listed() })
}

/// One space; an invited one with any pass for it
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}", tag = "spaces", params(("id" = String, Path)),
    security((), ("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 404, body = Details)))]
pub(super) async fn show(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    let id = api.seen_space(&id, &caller)?;
    Ok(Json(api.registry.view(&id).ok_or(Kind::SpaceNotFound)?))
}

/// Make a space
#[utoipa::path(post, path = "/api/spaces/v1/spaces", tag = "spaces", request_body = NewSpaceRequest,
    security(("pass" = [])),
    responses((status = 201, body = NewSpaceAnswer), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 422, body = Details), (status = 503, body = Details),
        (status = 507, body = Details)))]
pub(super) async fn create(
    State(api): Shared,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    caller.pass(&api.keys)?.creates()?;
    let request: NewSpaceRequest = json(&headers, read)?;
    // What is on the air needs what is left.
    if api.disk.found().0 == Room::Scarce {
        return Err(Kind::DiskFull.into());
    }
    let host_name = match &request.host_name {
        Some(name) => Name::parse(name)?,
        None => Name::parse(&caller.language.say("host", &[]))?,
    };
    let audience = match request.audience {
        AudienceName::Public => Audience::Public,
        AudienceName::Unlisted => Audience::Unlisted,
        AudienceName::Invited => Audience::Invited,
    };
    let new = NewSpace {
        title: Title::parse(&request.title)?,
        language: request.language.as_deref().map(hiwar_space::Language::parse).transpose()?,
        audience,
        keep: match request.recording {
            RecordingName::On => Keep::All,
            RecordingName::Off => Keep::LIVE,
        },
    };
    let space = api.registry.create(new).await?;
    let location = format!("/api/spaces/v1/spaces/{}", space.id);
    let answer = links(&api, space, audience, &host_name, caller.language).ok_or(Kind::Unavailable)?;
    api.studio.told().await;
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).map_err(|_| Kind::Unavailable)?);
    Ok(response)
}

/// Start a space; it starts once
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/start", tag = "spaces", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn start(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, Command::Start).await
}

/// End a space for all
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/end", tag = "spaces", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn end(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, Command::End).await
}

/// Delete the recording of a space that is over
#[utoipa::path(delete, path = "/api/spaces/v1/spaces/{id}/recording", tag = "spaces", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = SpaceView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn delete_recording(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<SpaceView>, Problem> {
    rule(&api, &id, &caller, Command::DeleteRecording).await
}

/// Get a pass to speak, by a host's or an inviting pass
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/passes", tag = "spaces", params(("id" = String, Path)),
    request_body = PassRequest, security(("pass" = [])),
    responses((status = 201, body = PassAnswer), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 422, body = Details)))]
pub(super) async fn invite(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<PassAnswer>), Problem> {
    let (id, _) = api.space(&id)?;
    caller.pass(&api.keys)?.invites(id.as_str())?;
    let request: PassRequest = json(&headers, read)?;
    let name = Name::parse(&request.name)?;
    let participant = new_participant();
    let grant = Scope::parse(id.as_str())
        .zip(Person::new(participant.as_str(), name.as_str()))
        .map(|(scope, person)| Grant::Speak(scope, person))
        .ok_or(Kind::Malformed)?;
    let pass = api.keys.stage_pass(SystemTime::now() + SPEAK_LIFE, grant);
    Ok((StatusCode::CREATED, Json(PassAnswer { pass, participant: participant.as_str().to_owned() })))
}

async fn rule(api: &Api, id: &str, caller: &Caller, command: Command) -> Result<Json<SpaceView>, Problem> {
    let id = api.hosted_space(id, caller)?;
    api.registry.command(id, Actor::Host, command).await.inspect_err(|why| {
        tracing::debug!(space = %id, "a host's command failed: {why}");
    })?;
    let view = api.registry.view(&id).ok_or(Kind::SpaceNotFound)?;
    api.studio.told().await;
    Ok(Json(view))
}

/// Signs the passes of a new space and puts them into links. `None` only if ids and names broke the limits of passes.
fn links(api: &Api, space: SpaceView, audience: Audience, host: &Name, language: Language) -> Option<NewSpaceAnswer> {
    let origin = &api.settings.public_origin;
    let (id, expires) = (space.id.clone(), SystemTime::now() + LINK_LIFE);
    let scope = Scope::parse(&id)?;
    let person = Person::new(new_participant().as_str(), host.as_str())?;
    let host_pass = api.keys.stage_pass(expires, Grant::Host(scope.clone(), person));
    let invitation = api.keys.stage_pass(expires, Grant::Invite(scope.clone()));
    let listen_link = match audience {
        Audience::Invited => format!("{origin}/s/{id}?pass={}", api.keys.listen_pass(expires, scope)),
        Audience::Public | Audience::Unlisted => format!("{origin}/s/{id}"),
    };
    Some(NewSpaceAnswer {
        // Behind the #, so that no server and no Referer sees these passes.
        host_link: format!("{origin}/#/s/{id}/stage?token={host_pass}"),
        speaker_link: format!("{origin}/#/s/{id}/stage?token={invitation}"),
        listen_link,
        host_pass,
        space,
        notices: api.notices(language),
    })
}

fn new_participant() -> ParticipantId {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    ParticipantId::from_random(bytes)
}
