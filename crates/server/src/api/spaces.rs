//! Spaces: list, show, make, give passes. What happens in one is in [`super::stage`].

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hiwar_admission::{Grant, Person, Scope};
use hiwar_delivery::tail::REVIEW;
use hiwar_segment_log::LogId;
use hiwar_space::{
    Actor, Asking, Audience, Beginning, Command, Name, ParticipantId, Posting, Role, Schedule, Title, Warrant,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::caller::{Caller, json};
use super::keys::{LINK_LIFE, REVIEW_LIFE, SPEAK_LIFE};
use super::notice::Notice;
use super::problem::{Details, Kind, Problem};
use super::speech::Language;
use super::{Api, Shared};
use crate::disk::Room;
use crate::registry::{Holder, NewSpace, ReplayView, SpaceView, Terms};
use crate::studio::{Clips, Keep};

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
    /// Whether what is heard of each speaker is kept beside the recording, so that one of them can withdraw from it later; it is not unless told so. Nothing
    /// without a recording.
    #[serde(default)]
    tracks: TracksName,
    /// Whether whoever hears the recording may make clips of it; they may unless told otherwise.
    #[serde(default)]
    clips: ClipsName,
    /// Whether the host hears the recording before others do, and posts it, or a part of it, or deletes it; unless told so it is posted at once.
    #[serde(default)]
    posting: PostingName,
    /// What to call the host; "Host" in the caller's language unless told.
    host_name: Option<String>,
    /// When it is to begin (RFC 3339). Without, its doors are open from the first, and it begins by hand.
    #[schema(example = "2026-12-01T20:00:00+03:00")]
    starts_at: Option<String>,
    /// So many minutes before, listeners may come: 0 to 1440; 10 unless told.
    doors_minutes: Option<u16>,
    /// What happens when it is time.
    #[serde(default)]
    begins: BeginsName,
    /// Who may ask for the word.
    #[serde(default)]
    asking: AskingName,
}

/// What happens when it is time.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
enum BeginsName {
    /// It begins at its second if a host is on the stage, else when one comes.
    #[default]
    ByItself,
    /// It begins when a host says so.
    ByHand,
}

/// Who may ask for the word.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum AskingName {
    /// Whoever hears it.
    #[default]
    Everybody,
    /// Nobody.
    Nobody,
}

impl From<AskingName> for Asking {
    fn from(name: AskingName) -> Self {
        match name {
            AskingName::Everybody => Self::Everybody,
            AskingName::Nobody => Self::Nobody,
        }
    }
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

/// Whether clips may be made.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum ClipsName {
    /// By whoever hears it.
    #[default]
    On,
    /// By nobody.
    Off,
}

/// When the recording is posted.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum PostingName {
    /// As soon as its replay is made.
    #[default]
    AtOnce,
    /// When the host has heard it.
    AfterReview,
}

/// Whether speakers' tracks are kept.
#[derive(Deserialize, ToSchema, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum TracksName {
    /// One for each speaker.
    On,
    /// None.
    #[default]
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

/// Links to send to people.
#[derive(Serialize, ToSchema)]
pub(super) struct LinksAnswer {
    /// Link for speakers; whoever opens it gives a name and gets a pass.
    speaker_link: String,
    /// Link for listeners.
    listen_link: String,
}

/// Somebody who is to speak, or to ask for the word.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PassRequest {
    /// What the pass is for.
    role: RoleName,
    /// What to call them; up to 64 bytes.
    name: String,
    /// "I know that this is recorded": of a speaker in a recorded conversation, if they have been asked already.
    #[serde(default)]
    agreed: bool,
}

/// What a pass is for.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    /// To speak.
    Speaker,
    /// To ask for the word.
    Listener,
}

/// A pass that names somebody.
#[derive(Serialize, ToSchema)]
pub(super) struct PassAnswer {
    /// Bearer token for the API and for WHIP, good for a day.
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
    let holder = caller.holder(&api.keys, &id).ok();
    Ok(Json(api.registry.view_for(&id, holder.as_ref()).ok_or(Kind::SpaceNotFound)?))
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
    let now = SystemTime::now();
    let schedule = match &request.starts_at {
        Some(text) => Some(Schedule {
            doors_before: doors(request.doors_minutes)?,
            beginning: match request.begins {
                BeginsName::ByItself => Beginning::ByItself,
                BeginsName::ByHand => Beginning::ByHand,
            },
            ..Schedule::new(now, moment(text)?)?
        }),
        None => None,
    };
    let host = new_participant();
    let new = NewSpace {
        title: Title::parse(&request.title)?,
        language: request.language.as_deref().map(hiwar_space::Language::parse).transpose()?,
        audience,
        terms: Terms {
            keep: match (request.recording, request.tracks) {
                (RecordingName::On, TracksName::Off) => Keep::All,
                (RecordingName::On, TracksName::On) => Keep::AllAndTracks,
                (RecordingName::Off, _) => Keep::LIVE,
            },
            clips: match request.clips {
                ClipsName::On => Clips::Allowed,
                ClipsName::Off => Clips::Refused,
            },
        },
        posting: match request.posting {
            PostingName::AtOnce => Posting::AtOnce,
            PostingName::AfterReview => Posting::AfterReview,
        },
        schedule,
        asking: request.asking.into(),
        host: Some((host.clone(), host_name.clone())),
    };
    let space = api.registry.create(new).await?;
    let location = format!("/api/spaces/v1/spaces/{}", space.id);
    let answer = links(&api, space, audience, &host, &host_name, caller.language).ok_or(Kind::Unavailable)?;
    api.studio.told().await;
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).map_err(|_| Kind::Unavailable)?);
    Ok(response)
}

/// Get a pass: to speak, by a host's or an inviting pass; to ask for the word, by whoever may hear it
#[utoipa::path(post, path = "/api/spaces/v1/spaces/{id}/passes", tag = "spaces", params(("id" = String, Path)),
    request_body = PassRequest, security((), ("pass" = [])),
    responses((status = 201, body = PassAnswer), (status = 400, body = Details), (status = 401, body = Details),
        (status = 403, body = Details), (status = 404, body = Details), (status = 409, body = Details),
        (status = 422, body = Details)))]
pub(super) async fn invite(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<PassAnswer>), Problem> {
    let id = match api.space(&id)? {
        // Who is refused is told that, before what is wrong with the rest.
        (id, Audience::Invited) => {
            api.invited(&id, &caller)?;
            id
        }
        (id, Audience::Public | Audience::Unlisted) => id,
    };
    let request: PassRequest = json(&headers, read)?;
    match request.role {
        RoleName::Speaker => invites(&api, &id, &caller)?,
        RoleName::Listener => {
            // Whoever was sent away may still listen, but would ask for the word again as somebody else.
            if let Ok(holder) = caller.holder(&api.keys, &id) {
                api.registry.require_welcome(&id, &holder)?;
            }
        }
    }
    let name = Name::parse(&request.name)?;
    let participant = new_participant();
    if let (RoleName::Speaker, true) = (&request.role, request.agreed) {
        let actor = Actor::Person { id: participant.clone(), warrant: Warrant::Speak };
        api.registry.command(id, actor, Command::Agree { name: name.clone() }).await?;
    }
    let grant = match request.role {
        RoleName::Speaker => Grant::Speak,
        RoleName::Listener => Grant::Ask,
    };
    let (scope, person) =
        Scope::parse(id.as_str()).zip(Person::new(participant.as_str(), name.as_str())).ok_or(Kind::Malformed)?;
    let pass = api.keys.stage_pass(SystemTime::now() + SPEAK_LIFE, grant(scope, person));
    Ok((StatusCode::CREATED, Json(PassAnswer { pass, participant: participant.as_str().to_owned() })))
}

/// Where to send people
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/links", tag = "spaces", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = LinksAnswer), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details)))]
pub(super) async fn invitations(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<LinksAnswer>, Problem> {
    let (id, audience) = api.space(&id)?;
    let holder = caller.holder(&api.keys, &id)?;
    require_co_host(&api, &id, &holder)?;
    let scope = Scope::parse(id.as_str()).ok_or(Kind::Unavailable)?;
    Ok(Json(LinksAnswer::new(&api, &scope, audience)))
}

/// Where a recording is that waits for the host's word, by addresses that carry a pass for it: for those who host
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/review", tag = "spaces", params(("id" = String, Path)),
    security(("pass" = [])),
    responses((status = 200, body = ReplayView), (status = 401, body = Details), (status = 403, body = Details),
        (status = 404, body = Details), (status = 409, body = Details)))]
pub(super) async fn review(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<(HeaderMap, Json<ReplayView>), Problem> {
    let (id, holder) = api.stage_of(&id, &caller)?;
    require_co_host(&api, &id, &holder)?;
    let replay = api.registry.review(&id)?;
    let scope = id.beside(REVIEW).and_then(|log| Scope::parse(log.as_str())).ok_or(Kind::Unavailable)?;
    let pass = api.keys.listen_pass(SystemTime::now() + REVIEW_LIFE, scope);
    let with = |path: String| format!("{path}?pass={pass}");
    let ReplayView { mp4, ogg, hls, chapters, .. } = replay;
    let replay = ReplayView { mp4: with(mp4), ogg: with(ogg), hls: with(hls), chapters: with(chapters), ..replay };
    let fresh = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
    Ok((fresh, Json(replay)))
}

/// Whoever has the speakers' link, or hosts, lets people speak.
fn invites(api: &Api, id: &LogId, caller: &Caller) -> Result<(), Problem> {
    let pass = caller.pass(&api.keys)?;
    // Whoever came as host may be something else by now.
    if let Grant::Invite(_) = pass.grant {
        return Ok(pass.invites(id.as_str())?);
    }
    let holder = caller.holder(&api.keys, id)?;
    require_co_host(api, id, &holder)
}

fn require_co_host(api: &Api, id: &LogId, holder: &Holder) -> Result<(), Problem> {
    let role = api.registry.role(id, holder).ok_or(Kind::SpaceNotFound)?;
    if role >= Role::CoHost { Ok(()) } else { Err(Kind::NotCoHost.into()) }
}

/// A moment that somebody wrote.
pub(super) fn moment(text: &str) -> Result<SystemTime, Problem> {
    OffsetDateTime::parse(text, &Rfc3339).map(SystemTime::from).map_err(|_| Kind::TimeMalformed.into())
}

/// How long before the start listeners may come.
fn doors(minutes: Option<u16>) -> Result<Duration, Problem> {
    let Some(minutes) = minutes else { return Ok(Schedule::DOORS_BEFORE) };
    let before = Duration::from_secs(60 * u64::from(minutes));
    if before <= Schedule::DOORS_BEFORE_MAX { Ok(before) } else { Err(Kind::DoorsTooEarly.into()) }
}

/// Signs the passes of a new space and puts them into links. `None` only if ids and names broke the limits of passes.
fn links(
    api: &Api,
    space: SpaceView,
    audience: Audience,
    host: &ParticipantId,
    name: &Name,
    language: Language,
) -> Option<NewSpaceAnswer> {
    let origin = &api.settings.public_origin;
    let scope = Scope::parse(&space.id)?;
    let person = Person::new(host.as_str(), name.as_str())?;
    let LinksAnswer { speaker_link, listen_link } = LinksAnswer::new(api, &scope, audience);
    let host_pass = api.keys.stage_pass(SystemTime::now() + LINK_LIFE, Grant::Host(scope, person));
    Some(NewSpaceAnswer {
        host_link: stage_link(origin, &space.id, &host_pass),
        speaker_link,
        listen_link,
        host_pass,
        space,
        notices: api.notices(language),
    })
}

impl LinksAnswer {
    fn new(api: &Api, scope: &Scope, audience: Audience) -> Self {
        let (origin, id, expires) = (&api.settings.public_origin, scope.as_str(), SystemTime::now() + LINK_LIFE);
        let invitation = api.keys.stage_pass(expires, Grant::Invite(scope.clone()));
        Self {
            speaker_link: stage_link(origin, id, &invitation),
            listen_link: match audience {
                Audience::Invited => format!("{origin}/s/{id}?pass={}", api.keys.listen_pass(expires, scope.clone())),
                Audience::Public | Audience::Unlisted => format!("{origin}/s/{id}"),
            },
        }
    }
}

/// A link with a pass, behind the #, so that no server and no Referer sees it.
fn stage_link(origin: &str, id: &str, pass: &str) -> String {
    format!("{origin}/#/s/{id}/stage?token={pass}")
}

fn new_participant() -> ParticipantId {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    ParticipantId::from_random(bytes)
}
