//! The API described for programs (OpenAPI 3.1), from the handlers themselves.

use axum::response::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{delivery, events, rehearsals, spaces, stage, whip, withdrawals};

#[derive(OpenApi)]
#[openapi(
    info(title = "Hiwar", description = "Live audio spaces: make, host, take part; speak by WHIP. Refusals are problem details (RFC 9457)."),
    paths(
        spaces::config, spaces::list, spaces::show, spaces::create, spaces::invite, spaces::invitations,
        stage::start, stage::end, stage::postpone, stage::cancel, stage::change, stage::delete_recording, stage::show, stage::agree, stage::raise_hand,
        stage::lower_hand, stage::accept, stage::decline, stage::mute_all, stage::act, rehearsals::prove, delivery::show, delivery::change, withdrawals::begin, withdrawals::show, events::follow, whip::look, whip::publish, whip::look_at_session, whip::patch, whip::hang_up
    ),
    modifiers(&Pass)
)]
struct Description;

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
