//! Checks and marks around every route: API key, foreign origins, weight version header, request counts, panics.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::error::ApiError;

/// Header with the weight version that the server answers under when it sends the head of a response.
pub const WEIGHT_VERSION_HEADER: &str = "x-svs-weight-version";

/// Lets a request pass if no key is set or it carries the right one.
pub async fn check_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match &app.config.api_key {
        Some(key) if !carries(request.headers(), key) => {
            let message = "a valid API key is needed: `Authorization: Bearer KEY`";
            let refusal = ApiError::refused(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
            ApiError {
                kind: "authentication_error",
                ..refusal
            }
            .into_response()
        }
        _ => next.run(request).await,
    }
}

fn carries(headers: &HeaderMap, key: &str) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return false;
    };
    match value.split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            given.trim_ascii().ct_eq(key.as_bytes()).into()
        }
        _ => false,
    }
}

/// Refuses changes asked for by a web page of another origin, which a browser would send with the user's reach; and, on
/// a server that only this machine can reach, requests to a name that is not this machine's: a page can make its own
/// name point here.
pub async fn check_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request
        .headers()
        .get(header::ORIGIN)
        .and_then(|value| value.to_str().ok());
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    if is_loopback(&app.config.host) && host.is_some_and(|host| !is_loopback(host)) {
        let message = "this server listens on loopback only and does not answer to other host names";
        return ApiError::refused(StatusCode::FORBIDDEN, "foreign_host", message).into_response();
    }
    let own = origin.is_none_or(|origin| origin.split_once("://").map(|(_, rest)| rest) == host);
    if own || request.method() == Method::GET {
        return next.run(request).await;
    }
    let message = "requests from pages of another origin are refused";
    ApiError::refused(StatusCode::FORBIDDEN, "foreign_origin", message).into_response()
}

/// Whether a host, with or without a port, is this machine by name or address.
fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Adds the weight version to every response and counts it by route and status.
pub async fn mark(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched".to_string(), |path| path.as_str().into());
    let mut response = next.run(request).await;
    app.metrics.count_response(&route, response.status().as_u16());
    let version = HeaderValue::from(app.weight_version());
    response.headers_mut().entry(WEIGHT_VERSION_HEADER).or_insert(version);
    response
}

/// Turns a panic of a handler into an error object; the server goes on.
pub fn on_panic(payload: Box<dyn Any + Send>) -> Response {
    let cause = payload.downcast_ref::<String>().cloned();
    let cause = cause
        .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default();
    tracing::error!(%cause, "a request handler panicked");
    let message = "the server failed while handling the request; its log has the cause";
    ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_by_any_spelling_and_nothing_else() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:8000",
            "::1",
            "localhost.",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.com",
            "evil.com:8000",
            "127.0.0.1.evil.com",
            "localhost.evil.com",
            "0.0.0.0",
            "10.0.0.1:1",
            "",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
