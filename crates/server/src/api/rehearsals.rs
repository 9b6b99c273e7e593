//! Rehearsals: whoever holds a grant asks here whether this server issued it, before any listener joins.
//!
//! Anybody may ask, and about any claims. `admission/src/pass/rehearsal.rs` says why a proof of claims that were never
//! granted is worth nothing: it convinces nobody but the holder of a token with the MAC, and does not lead to one. For
//! the same reason there is nothing to hide in a refusal. Claims have no signature that could be wrong; what is
//! refused follows from what the asker wrote himself, from this server's clock, and from its own origins, which every
//! page shows. That a grant was *not* issued here is never said, because it is not known here: the asker sees that from
//! the proof.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hiwar_admission::{Nonce, Origin, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::json;
use super::problem::{Details, Kind, Problem};
use super::{Settings, Shared};

/// What is to be proven.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofRequest {
    /// A grant to rehearse without its MAC, in base64url.
    claims: String,
    /// 32 random bytes, in base64url.
    nonce: String,
}

/// The proof, and what the claims say.
#[derive(Serialize, ToSchema)]
pub(super) struct ProofAnswer {
    /// 32 bytes in base64url: what the holder of the grant computes too, if it was issued here.
    proof: String,
    /// How many listeners the claims allow.
    listeners_max: u32,
    /// Until when, in seconds since 1970 UTC.
    expires: u64,
}

/// Prove that a grant to rehearse was issued here
#[utoipa::path(post, path = "/api/spaces/v1/rehearsals", tag = "rehearsals", request_body = ProofRequest,
    responses((status = 200, body = ProofAnswer), (status = 400, body = Details), (status = 403, body = Details)))]
pub(super) async fn prove(
    State(api): Shared,
    headers: HeaderMap,
    read: Result<Bytes, BytesRejection>,
) -> Result<Json<ProofAnswer>, Problem> {
    let request: ProofRequest = json(&headers, read)?;
    let nonce = URL_SAFE_NO_PAD.decode(&request.nonce).ok().and_then(|bytes| Nonce::try_from(bytes).ok());
    let nonce = nonce.ok_or(Kind::Malformed)?;
    let (says, proof) = api.keys.prove(SystemTime::now(), &request.claims, &nonce).map_err(refused)?;
    if !api.settings.is_own(&says.origin) {
        return Err(Problem::refused(Kind::RehearsalRefused, "elsewhere"));
    }
    Ok(Json(ProofAnswer {
        proof: URL_SAFE_NO_PAD.encode(proof),
        listeners_max: says.listeners_max,
        expires: says.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }))
}

/// Claims are no pass of whoever asks, so what is wrong with them is no matter of 401.
fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Expired => Problem::refused(Kind::RehearsalRefused, "expired"),
        _ => Kind::Malformed.into(),
    }
}

impl Settings {
    /// Whether this server's listeners are there. Servers that were made from one image have one key; each vouches for
    /// its own addresses alone.
    fn is_own(&self, origin: &Origin) -> bool {
        let own = [Some(&self.public_origin), self.hls_base.as_ref()];
        own.into_iter().flatten().any(|own| Origin::parse(own).as_ref() == Some(origin))
    }
}
