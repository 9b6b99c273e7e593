//! The house's HTTP API: spaces as JSON, speakers by WHIP, and how the house is.
//!
//! It is reached through the workers only, over a Unix socket. Callers are known by a bearer pass and never by a cookie, so
//! any origin may call it. Every refusal is a problem of [`problem`], in the caller's language. What it decides is done
//! by the [`Registry`]; here are only requests and answers.

mod caller;
mod crowd;
mod delivery;
mod draws;
mod dress;
mod event;
mod events;
mod health;
mod hold;
mod keys;
mod ladder;
mod notice;
mod oembed;
mod openapi;
mod problem;
mod rehearsals;
mod spaces;
mod speech;
mod stage;
mod whip;
mod withdrawals;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, delete, get, post, put};

pub use draws::Draws;
pub use event::{
    called_event, cancelled_event, ended_event, postponed_event, reactions_event, speaking_event, stage_event,
};
pub use keys::{Keys, LINK_LIFE};
pub use notice::notices;
pub use speech::{Language, Word};

use crate::certificates::Certificates;
use crate::disk;
use crate::door;
use crate::ladder::{self as crowding, Ladders};
use crate::listening::Wishes;
use crate::registry::Registry;
use crate::studio::Studio;
use problem::{Kind, Problem};

/// Largest request body. A browser's audio offer is 2 to 4 kB; 64 KiB is also what an SDP may have (`rtc::offer`).
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the API and the registry are told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origin of the public side as browsers see it; links begin with it.
    pub public_origin: String,
    /// Origin of the stage port as browsers see it.
    pub stage_origin: String,
    /// The page of a space, with markers to fill in.
    pub template: &'static str,
    /// The page's content security policy.
    pub policy: Option<String>,
    /// Origin of HLS where it is not the public side's; addresses of HLS begin with it.
    pub hls_base: Option<String>,
    /// Who asks this server for HLS.
    pub hls_asked_by: AskedBy,
}

/// Who asks for HLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// Those who play it.
    Players,
    /// Caches, and few of those who play it: `hls_base` is somebody else's.
    Caches,
}

/// What every handler may use.
pub struct Api {
    /// The spaces.
    pub registry: Registry,
    /// Their sound.
    pub studio: Studio,
    /// Checks and signs passes.
    pub keys: Keys,
    /// Where everything is.
    pub settings: Settings,
    /// How certificates stand.
    pub certificates: Certificates,
    /// How full the disk is.
    pub disk: disk::Watch,
    /// How often listeners are written to.
    pub listening: Wishes,
    /// How crowded it is, and what was ordered of that.
    pub ladders: Ladders,
    /// How the doors are, if there are any.
    pub at_doors: Option<Arc<door::Figures>>,
    /// What is public of their draws.
    pub draws: Draws,
}

type Shared = axum::extract::State<Arc<Api>>;

/// All routes of the house.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/spaces/v1/config", get(spaces::config))
        .route("/api/spaces/v1/spaces", get(spaces::list).post(spaces::create))
        .route("/api/spaces/v1/spaces/{id}", get(spaces::show).patch(stage::change))
        .route("/api/spaces/v1/spaces/{id}/start", post(stage::start))
        .route("/api/spaces/v1/spaces/{id}/end", post(stage::end))
        .route("/api/spaces/v1/spaces/{id}/postpone", post(stage::postpone))
        .route("/api/spaces/v1/spaces/{id}/cancel", post(stage::cancel))
        .route("/api/spaces/v1/spaces/{id}/review", get(spaces::review))
        .route("/api/spaces/v1/spaces/{id}/post", post(stage::post))
        .route("/api/spaces/v1/spaces/{id}/recording", delete(stage::delete_recording))
        .route("/api/spaces/v1/spaces/{id}/stage", get(stage::show))
        .route("/api/spaces/v1/spaces/{id}/agreement", post(stage::agree))
        .route("/api/spaces/v1/spaces/{id}/hand", put(stage::raise_hand).delete(stage::lower_hand))
        .route("/api/spaces/v1/spaces/{id}/seat", post(stage::accept).delete(stage::decline))
        .route("/api/spaces/v1/spaces/{id}/hold-music", put(hold::give).delete(hold::take))
        .route("/api/spaces/v1/spaces/{id}/mute-all", post(stage::mute_all))
        .route("/api/spaces/v1/spaces/{id}/people/{participant}/{action}", post(stage::act))
        .route("/api/spaces/v1/spaces/{id}/links", get(spaces::invitations))
        .route("/api/spaces/v1/spaces/{id}/draws", get(draws::list))
        .route("/api/spaces/v1/spaces/{id}/draws/{opening}", get(draws::record))
        .route("/api/spaces/v1/spaces/{id}/withdrawal", get(withdrawals::show).post(withdrawals::begin))
        .route("/api/spaces/v1/spaces/{id}/passes", post(spaces::invite))
        .route("/api/spaces/v1/spaces/{id}/events", get(events::follow))
        .route("/api/spaces/v1/rehearsals", post(rehearsals::prove))
        .route("/api/spaces/v1/delivery", get(delivery::show).put(delivery::change))
        .route("/api/spaces/v1/ladder", get(ladder::show).put(ladder::change))
        .route("/api/spaces/v1/spaces/{id}/places", put(ladder::limit))
        .route("/whip/{space}", get(whip::look).post(whip::publish))
        .route("/whip/{space}/{session}", get(whip::look_at_session).patch(whip::patch).delete(whip::hang_up))
        .route("/oembed", get(oembed::embedding))
        .route("/.well-known/acme-challenge/{token}", get(health::challenge))
        .route("/problems/{name}", get(health::problem))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route(crowding::PAGE, get(ladder::status))
        .route(crowding::TABLE, get(ladder::status))
        .fallback(any(async || Problem::from(Kind::NotFound)))
        .method_not_allowed_fallback(async || Problem::from(Kind::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(dress::dress))
        .with_state(Arc::new(api))
}

#[cfg(test)]
mod tests;
