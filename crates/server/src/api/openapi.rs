//! The API described for programs (OpenAPI 3.1), from the handlers themselves.

use axum::response::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::problem::Details;
use super::{delivery, draws, events, hold, ladder, oembed, rehearsals, spaces, stage, whip, withdrawals};

#[derive(OpenApi)]
#[openapi(
    info(title = "Hiwar", description = "Live audio spaces: make, host, take part; speak by WHIP. Refusals are problem details (RFC 9457)."),
    paths(
        spaces::config, spaces::list, spaces::show, spaces::create, spaces::invite, spaces::invitations, spaces::review, oembed::embedding,
        stage::start, stage::end, stage::postpone, stage::cancel, stage::change, stage::post, stage::delete_recording, stage::show, stage::agree, stage::raise_hand,
        stage::lower_hand, stage::accept, stage::decline, stage::mute_all, stage::act, hold::give, hold::take, rehearsals::prove, delivery::show, delivery::change, ladder::show, ladder::change, ladder::limit, status, withdrawals::begin, withdrawals::show, draws::list, draws::record, events::follow, react, whip::look, whip::publish, whip::look_at_session, whip::patch, whip::hang_up
    ),
    modifiers(&Pass)
)]
struct Description;

/// React to what is heard: five at once, and then one a second. Whoever may hear it may, with their pass to listen if it is by invitation (`pass` in the query will do). The answer is a worker's,
/// which asks nobody; how many there were in a second is told in the sound and in `events`
#[utoipa::path(post, path = "/react/{id}/{kind}", tag = "listening",
    params(("id" = String, Path), ("kind" = String, Path, description = "One of `heart`, `applause`, `laugh`, `wow`, `agree`")),
    security((), ("pass" = [])),
    responses((status = 204), (status = 401, body = Details), (status = 404, body = Details),
        (status = 410, description = "It has ended", body = Details),
        (status = 429, description = "Too often; Retry-After says how long to wait", body = Details),
        (status = 503, description = "So many listen that the sound comes first", body = Details)))]
#[expect(dead_code, reason = "workers answer it: here it is described")]
fn react() {}

/// How crowded it is: of the server and of its public conversations, and what changed in the last 24 hours. Workers answer it, also while the house is away, and say how old it is. `/status` is
/// the same for people
#[utoipa::path(get, path = "/api/spaces/v1/status", tag = "listening",
    responses((status = 200, body = crate::ladder::StatusView), (status = 503, body = Details)))]
#[expect(dead_code, reason = "workers answer it: here it is described")]
fn status() {}

/// Names the bearer pass.
struct Pass;

impl Modify for Pass {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("pass", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The whole description.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
