//! A space's state as server-sent events, for the stage. Listeners are told by the sound itself.
//!
//! Each event is the whole space, so that nobody needs to put pieces together; while a client is slow, states in between
//! are left out.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt};
use hiwar_space::Audience;

use super::Shared;
use super::caller::Caller;
use super::problem::{Details, Problem};
use crate::registry::Watcher;

/// A comment this often tells proxies and dead connections apart.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// At most so often a state is sent: a debate changes its speaker several times a second, eyes do not.
const BETWEEN: Duration = Duration::from_millis(100);

/// Follow a space: an event `space` with the whole space at once and at every change; for whoever has a pass that names somebody, an event `stage` beside it
#[utoipa::path(get, path = "/api/spaces/v1/spaces/{id}/events", tag = "spaces", params(("id" = String, Path)),
    security((), ("pass" = [])),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 401, body = Details),
        (status = 404, body = Details), (status = 503, body = Details)))]
pub(super) async fn follow(
    State(api): Shared,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = api.seen_space(&id, &caller)?;
    let invited = api.registry.audience(&id) == Some(Audience::Invited);
    let holder = caller.holder(&api.keys, &id).ok();
    let seen = holder.as_ref().and_then(|holder| api.registry.stage_view(&id, holder)).map(|stage| stage.you);
    let watcher = if seen.as_ref().is_some_and(|you| you.person.role != "listener" || you.answer_within_s.is_some()) {
        Watcher::OnStage
    } else if seen.is_some_and(|you| you.place.is_some()) {
        Watcher::Asking
    } else if caller.is_invited(&api.keys, &id).is_ok() {
        Watcher::Invited
    } else {
        Watcher::Stranger
    };
    let mut changes = api.registry.watch(&id, watcher)?;
    changes.mark_changed();
    let states = unfold((api, changes, holder, false), move |(api, mut changes, holder, told)| async move {
        changes.changed().await.ok()?;
        if told {
            tokio::time::sleep(BETWEEN).await;
        }
        changes.mark_unchanged();
        // Whoever was blocked is out.
        if invited && holder.as_ref().is_some_and(|holder| api.registry.require_not_blocked(&id, holder).is_err()) {
            return None;
        }
        let view = api.registry.view_for(&id, holder.as_ref())?;
        let mut events = vec![Ok(Event::default().event("space").json_data(&view).ok()?)];
        if let Some(holder) = &holder {
            let stage = api.registry.stage_view(&id, holder)?;
            events.push(Ok(Event::default().event("stage").json_data(&stage).ok()?));
        }
        Some((iter(events), (api, changes, holder, true)))
    });
    Ok(Sse::new(states.flatten()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
