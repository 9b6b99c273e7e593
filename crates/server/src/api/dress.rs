//! The outermost layer: what every answer has, whatever it is about.
//!
//! Cross-origin rules (the app calls the stage port from the public origin), problems in the caller's language, and
//! headers that keep answers out of caches and passes out of `Referer`.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::{ACCEPT_POST, Problem};
use super::speech::Language;
use super::whip;

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, If-Match");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// What WHIP clients in browsers must be able to read (RFC 9725 §4.2), and what our app wants to.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("Location, ETag, Link, Accept-Post, Retry-After, WWW-Authenticate");
/// How long a browser may remember the answer to a preflight: a day, which is more than browsers do.
const PREFLIGHT_LIFE_S: HeaderValue = HeaderValue::from_static("86400");

/// Answers preflights and dresses everything else.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let whip = request.uri().path().starts_with("/whip/");
    let open = whip || request.uri().path().starts_with("/api/") || request.uri().path() == "/oembed";
    // A preflight carries no pass (RFC 9725 §4.5), and neither needs one.
    let options = open && request.method() == Method::OPTIONS;
    let mut response = if options { preflight(whip) } else { next.run(request).await };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.write(language, response);
    }
    let headers = response.headers_mut();
    if open {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn preflight(whip: bool) -> Response {
    let mut response = if whip { StatusCode::OK } else { StatusCode::NO_CONTENT }.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_LIFE_S);
    headers.insert(ALLOW, ALLOWED_METHODS);
    if whip {
        // RFC 9725 §4.1: tells a client that this is a WHIP endpoint.
        headers.insert(ACCEPT_POST, HeaderValue::from_static(whip::SDP));
    }
    response
}
