//! How crowded it is, and what an operator orders of that: a level for everybody, one that is not exceeded, one for whoever comes anew, and the places of a conversation.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use bytes::Bytes;
use hiwar_admission::ladder::{Reason, Reasons};
use hiwar_engine::live_bus::{Run, WorkerFigures};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::caller::{Caller, json};
use super::problem::{Details, Kind, Problem};
use super::{Api, Shared};
use crate::door::{self, Passed};
use crate::ladder::{Around, Given, Rung, What, Which, can_be, moment, ms};
use crate::registry::{DoorView, LadderView, rfc3339};
use crate::studio::AtWorker;

/// As in the configuration: more than one server can send sound to.
const PLACES_MAX: u32 = 10_000_000;
/// A week. What is to stand for longer is given without an end, and says so.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// A name.
const BY_CHARS_MAX: usize = 64;
/// A sentence or two.
const WHY_CHARS_MAX: usize = 300;
/// Orders of the last day that are told at the most.
const ORDERS_MAX: usize = 200;

/// How crowded it is, and what was ordered.
#[derive(Serialize, ToSchema)]
#[schema(as = Ladders)]
pub(super) struct LaddersView {
    /// The whole server; absent until a worker has told how it is.
    server: Option<LadderView>,
    /// People who hear, of all conversations.
    listeners: u64,
    /// Connections that ever began to listen.
    joined: u64,
    /// Requests for sound that were refused because there was no room.
    turned_away: u64,
    /// All doors together, as if they were one; `null` where there are none.
    door: Option<DoorView>,
    /// Each worker; that of the stage port feels nothing.
    workers: Vec<WorkerView>,
    /// Everybody is at this level, whatever is felt; `null`: as it is felt.
    pin: Option<OrderView>,
    /// Whatever is felt, it goes no higher.
    cap: Option<OrderView>,
    /// The panic switch: whoever comes anew is treated as at this level. For whoever listens nothing changes.
    panic: Option<OrderView>,
    /// How many may listen to a conversation, by its id, where that is not what is configured.
    places: BTreeMap<String, OrderView>,
    /// What was ordered in the last 24 hours, the newest first.
    ordered: Vec<OrderedView>,
}

/// How a worker is.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkerLadder)]
struct WorkerView {
    /// Names it while it lives.
    worker: String,
    level: u8,
    reasons: Vec<&'static str>,
    /// What it felt in the last second.
    pressure: PressureView,
    /// Connections that hear from it now. People who hear HLS are at no worker.
    listening: u32,
    /// Connections that began to listen there, since it began.
    joined: u64,
    /// Requests for sound there that were refused because there was no room, since it began.
    turned_away: u64,
    /// What happened at its side of the doors since it began; `null` where there are none. Who waits is at no worker: a ticket is good at each.
    door: Option<WorkerDoorView>,
}

/// What happened at a worker's side of all doors, of all classes.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkerDoor)]
struct WorkerDoorView {
    /// Requests to listen or to wait: whoever waits asks more than once.
    asked: u64,
    /// Of these, without a ticket of that door: those who came, and had not been there.
    arrived: u64,
    /// People let in.
    entered: u64,
    /// Promises kept: people let in within 15 s, or a tenth of the wait, of the time that they had been told.
    kept: u64,
    /// People let in who had been told a time, later than that.
    late: u64,
    /// Requests that were told to come again, and promised nothing.
    away: u64,
}

impl From<Passed> for WorkerDoorView {
    fn from(passed: Passed) -> Self {
        let [entered, kept, late] = [passed.entered, passed.kept, passed.late].map(|by_class| by_class.iter().sum());
        Self { asked: passed.asked, arrived: passed.arrived(), entered, kept, late, away: passed.away }
    }
}

/// What a worker feels: parts from 0 to 1, and more if it is more than there is.
#[derive(Serialize, ToSchema)]
#[schema(as = Pressure)]
struct PressureView {
    /// Of a second, in which its thread ran.
    busy: f64,
    /// Milliseconds that a chunk waited for the last of its listeners.
    behind_ms: u32,
    /// Of what it may send.
    line: f64,
    /// Of the handshakes that may be under way.
    handshakes: f64,
    /// Of the memory.
    memory: f64,
    /// Of the connections that there is room for.
    files: f64,
}

/// Something that was ordered.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
struct OrderView {
    /// The level, or the places.
    value: u32,
    /// RFC 3339, UTC.
    at: String,
    /// When it is over by itself; `null`: it stands until it is lifted.
    until: Option<String>,
    /// Who ordered it, as they say.
    by: String,
    /// Why, as they say.
    why: String,
}

/// Something that was ordered, or lifted.
#[derive(Serialize, ToSchema)]
#[schema(as = Ordered)]
struct OrderedView {
    /// RFC 3339, UTC.
    at: String,
    /// `pin`, `cap`, `panic` or `places`.
    order: String,
    /// Of which conversation, if it is `places`.
    space: Option<String>,
    /// What; `null`: it was lifted, or its time was over.
    value: Option<u32>,
    by: String,
    why: String,
}

impl<T: Into<u32>> From<Given<T>> for OrderView {
    fn from(Given { what, at_ms, until_ms, by, why }: Given<T>) -> Self {
        let time = |ms| rfc3339(moment(ms));
        Self { value: what.into(), at: time(at_ms), until: until_ms.map(time), by, why }
    }
}

/// What is to be ordered. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// 0 to 5; `null`: lifted.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, example = 2)]
    pin: Option<Option<u32>>,
    /// 0 to 5; `null`: lifted.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, example = 3)]
    cap: Option<Option<u32>>,
    /// 4 or 5; `null`: lifted.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, example = 5)]
    panic: Option<Option<u32>>,
    /// For so long, at most a week; absent: until it is lifted.
    #[schema(example = 30)]
    minutes: Option<u32>,
    /// Who you are, at most 64 characters.
    #[serde(default)]
    by: String,
    /// Why, at most 300 characters.
    #[serde(default)]
    why: String,
}

/// How many may listen to a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Places {
    /// 0 to 10,000,000; `null`: as configured. Whoever is inside stays.
    #[serde(deserialize_with = "known")]
    #[schema(value_type = Option<u32>, example = 500)]
    places: Option<u32>,
    /// For so long, at most a week; absent: until it is lifted.
    #[schema(example = 30)]
    minutes: Option<u32>,
    /// Who you are, at most 64 characters.
    #[serde(default)]
    by: String,
    /// Why, at most 300 characters.
    #[serde(default)]
    why: String,
}

/// Who orders, why, and for how long.
struct Signed {
    minutes: Option<u32>,
    by: String,
    why: String,
}

impl Signed {
    fn new(minutes: Option<u32>, by: String, why: String) -> Result<Self, Problem> {
        let is_plain = |text: &str, most| text.chars().count() <= most && !text.chars().any(char::is_control);
        let is_bounded = minutes.is_none_or(|minutes| (1..=MINUTES_MAX).contains(&minutes));
        let is_right = is_bounded && is_plain(&by, BY_CHARS_MAX) && is_plain(&why, WHY_CHARS_MAX);
        if is_right { Ok(Self { minutes, by, why }) } else { Err(Kind::OrderUnknown.into()) }
    }

    fn given(&self, what: u32, now: SystemTime) -> Given<u32> {
        let until = self.minutes.map(|minutes| now + Duration::from_secs(60 * u64::from(minutes)));
        let (by, why) = (self.by.clone(), self.why.clone());
        Given { what, at_ms: ms(now), until_ms: until.map(ms), by, why }
    }
}

/// `null` is something else than nothing.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Nothing is no `null`.
fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Option::deserialize(from)
}

/// How crowded it is, and what was ordered
#[utoipa::path(get, path = "/api/spaces/v1/ladder", tag = "operation", security(("pass" = [])),
    responses((status = 200, body = LaddersView), (status = 401, body = Details), (status = 403, body = Details)))]
pub(super) async fn show(State(api): Shared, caller: Caller) -> Result<Json<LaddersView>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    Ok(Json(view(&api)))
}

/// Order levels: `pin` for everybody, `cap` that pressure does not exceed, `panic` for whoever comes anew
///
/// It stands at once, also after a restart, until its minutes are over or it is lifted. Nobody who listens is dropped.
#[utoipa::path(put, path = "/api/spaces/v1/ladder", tag = "operation", request_body = Change, security(("pass" = [])),
    responses((status = 200, body = LaddersView), (status = 401, body = Details), (status = 403, body = Details), (status = 422, body = Details)))]
pub(super) async fn change(
    State(api): Shared,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<LaddersView>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    let wanted: Change = json(&headers, read)?;
    let signed = Signed::new(wanted.minutes, wanted.by, wanted.why)?;
    let orders = [(Which::Pin, wanted.pin), (Which::Cap, wanted.cap), (Which::Panic, wanted.panic)];
    let orders: Vec<_> = orders.into_iter().filter_map(|(which, level)| Some((which, level?))).collect();
    if orders.iter().any(|(which, level)| level.is_some_and(|level| !can_be(which, level))) {
        return Err(Kind::OrderUnknown.into());
    }
    for (which, level) in orders {
        order(&api, which, level, &signed).await?;
    }
    Ok(Json(view(&api)))
}

/// Order how many may listen to a conversation, where there are doors
#[utoipa::path(put, path = "/api/spaces/v1/spaces/{id}/places", tag = "operation", params(("id" = String, Path)), request_body = Places,
    security(("pass" = [])),
    responses((status = 200, body = LaddersView), (status = 401, body = Details), (status = 403, body = Details), (status = 404, body = Details),
        (status = 409, description = "There are no doors here", body = Details), (status = 422, body = Details)))]
pub(super) async fn limit(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<LaddersView>, Problem> {
    caller.pass(&api.keys)?.operates()?;
    let wanted: Places = json(&headers, read)?;
    let signed = Signed::new(wanted.minutes, wanted.by, wanted.why)?;
    let (space, _) = api.space(&id)?;
    if !api.ladders.has_doors() {
        return Err(Kind::NoDoors.into());
    }
    if wanted.places.is_some_and(|places| places > PLACES_MAX) {
        return Err(Kind::OrderUnknown.into());
    }
    order(&api, Which::Places(space), wanted.places, &signed).await?;
    Ok(Json(view(&api)))
}

async fn order(api: &Api, which: Which, what: Option<u32>, signed: &Signed) -> Result<(), Problem> {
    let given = what.map(|what| signed.given(what, SystemTime::now()));
    let (ladders, by, why) = (api.ladders.clone(), signed.by.clone(), signed.why.clone());
    // It waits for the disk.
    let done = tokio::task::spawn_blocking(move || ladders.order(&which, given, &by, &why)).await;
    match done {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Kind::Unavailable.into()),
        Ok(Err(why)) => {
            tracing::warn!("the order stands, but a house that follows this one will not know of it: {why}");
            Ok(())
        }
        Err(_) => Err(Kind::Unavailable.into()),
    }
}

/// `/status`, as a page or as JSON. Workers answer it themselves as soon as they were told, so this is for the first second, and for whoever asks at the stage.
pub(super) async fn status(State(api): Shared, uri: Uri) -> Result<impl IntoResponse, Problem> {
    let around = Around { studio: api.studio.clone(), registry: api.registry.clone(), disk: api.disk.clone() };
    let document = api.ladders.status(&around, uri.path()).ok_or(Kind::NotFound)?;
    let policy = document.policy.unwrap_or_else(|| String::from("default-src 'none'"));
    Ok((
        [(CONTENT_TYPE, document.mime), (CACHE_CONTROL, document.cache), (CONTENT_SECURITY_POLICY, policy)],
        document.body,
    ))
}

fn view(api: &Api) -> LaddersView {
    let orders = api.ladders.orders();
    let is_order = |line: &crate::ladder::Line| matches!(line.what, What::Order { .. });
    let ordered = api.ladders.history(ORDERS_MAX, is_order).into_iter().filter_map(|line| match line.what {
        What::Order { order, value, by, why, .. } => {
            Some(OrderedView { at: rfc3339(moment(line.at_ms)), order, space: line.space, value, by, why })
        }
        What::Level { .. } => None,
    });
    let [audience, _] = api.studio.crowd_totals();
    let heard: BTreeMap<_, _> = api.studio.heard_by_worker().into_iter().collect();
    let doors = api.at_doors.as_deref();
    let passed = doors.map(|doors| doors.by_worker.lock().unwrap_or_else(PoisonError::into_inner).clone());
    let worker = |(run, figures): (Run, WorkerFigures)| {
        let at_door = passed.as_ref().map(|by_worker| by_worker.get(&run).copied().unwrap_or_default());
        worker(run, &figures, heard.get(&run).copied().unwrap_or_default(), at_door)
    };
    LaddersView {
        server: api.ladders.server().map(LadderView::of),
        listeners: api.registry.tally().listeners,
        joined: audience.joined,
        turned_away: audience.turned_away,
        door: doors.map(|doors| doors.together().into()),
        workers: api.studio.each_worker().into_iter().map(worker).collect(),
        pin: orders.pin.map(OrderView::from),
        cap: orders.cap.map(OrderView::from),
        panic: orders.panic.map(OrderView::from),
        places: orders.places.into_iter().map(|(space, given)| (space, given.into())).collect(),
        ordered: ordered.collect(),
    }
}

fn worker(run: Run, figures: &WorkerFigures, heard: AtWorker, at_door: Option<Passed>) -> WorkerView {
    let [busy, behind_ms, line, handshakes, memory, files] = figures.felt;
    let part = |thousandths: u32| f64::from(thousandths) / 1_000.0;
    WorkerView {
        worker: name(run),
        level: figures.level,
        reasons: Reasons::from_bits(figures.reasons).iter().map(Reason::name).collect(),
        pressure: PressureView {
            busy: part(busy),
            behind_ms,
            line: part(line),
            handshakes: part(handshakes),
            memory: part(memory),
            files: part(files),
        },
        listening: heard.streams,
        joined: heard.totals.joined,
        turned_away: heard.totals.turned_away,
        door: at_door.map(WorkerDoorView::from),
    }
}

/// A life of a worker, as a label: short, and another one for the next.
pub(super) fn name(run: Run) -> String {
    format!("{:08x}", run.0 >> 32)
}

/// Places behind all doors, and how many wait who have no time within half an hour, nor can expect one.
pub(super) fn door_sums(doors: &door::Figures) -> (u64, u64) {
    let each = doors.each.lock().unwrap_or_else(PoisonError::into_inner);
    each.values().fold((0, 0), |(places, without), door| (places + u64::from(door.places), without + door.without_time))
}

/// For Prometheus: the level of the server, of each worker with its reasons, and what each feels.
pub(super) fn write(text: &mut String, server: Option<Rung>, workers: &[(Run, WorkerFigures)]) {
    if let Some(server) = server {
        let (name, help) = ("hiwar_level", "How crowded it is, 0 to 5: the most of all workers and doors.");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}", server.level as u8);
    }
    if workers.is_empty() {
        return;
    }
    let mut head = |name: &str, help: &str| {
        let _ = writeln!(text, "# HELP hiwar_worker_{name} {help}\n# TYPE hiwar_worker_{name} gauge");
        let mut lines = String::new();
        for (run, figures) in workers {
            let worker = self::name(*run);
            match name {
                "level" => {
                    let _ = writeln!(lines, "hiwar_worker_level{{worker=\"{worker}\"}} {}", figures.level);
                }
                "level_reason" => {
                    let reasons = Reasons::from_bits(figures.reasons);
                    for reason in Reason::ALL {
                        let (name, is_so) = (reason.name(), u8::from(reasons.has(reason)));
                        let _ = writeln!(
                            lines,
                            "hiwar_worker_level_reason{{worker=\"{worker}\",reason=\"{name}\"}} {is_so}"
                        );
                    }
                }
                _ => {
                    let [busy, behind, line, handshakes, memory, files] = figures.felt.map(|f| f64::from(f) / 1_000.0);
                    let felt = [
                        ("busy", busy),
                        ("behind", behind),
                        ("line", line),
                        ("handshakes", handshakes),
                        ("memory", memory),
                        ("files", files),
                    ];
                    for (of, value) in felt {
                        let _ = writeln!(lines, "hiwar_worker_pressure{{worker=\"{worker}\",of=\"{of}\"}} {value}");
                    }
                }
            }
        }
        text.push_str(&lines);
    };
    head("level", "The level of the ladder that a worker is at, 0 to 5.");
    head("level_reason", "Whether that is why.");
    head("pressure", "What it felt in the last second: parts of what there is; of `behind`, seconds.");
}
