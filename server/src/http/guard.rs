//! Checks and marks around every route: keys, foreign origins, weight version header, request counts, panics.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use svs_trainer::TrainerHandle;

use super::access::Access;
use crate::adapters::Adapter;
use crate::app::App;
use crate::error::ApiError;
use crate::otlp;
use crate::secret::Secret;
use crate::sessions::{self, KEY_PREFIX, unknown_key};

/// Header with the weight version that the server answers under when it sends the head of a response.
pub const WEIGHT_VERSION_HEADER: &str = "x-svs-weight-version";

/// Lets a request pass if no key is set or it carries one of them.
pub async fn check_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let keys = [&app.config.api_key, &app.config.admin_api_key];
    if app.config.api_key.is_none() || keys.into_iter().any(|key| carries(request.headers(), key.as_ref())) {
        return next.run(request).await;
    }
    unauthenticated("a valid API key is needed: `Authorization: Bearer KEY`").into_response()
}

/// Lets a request that changes weights, training or memory pass if it carries the admin key; where none is set, as
/// [`check_key`].
pub async fn check_admin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(key) = &app.config.admin_api_key else {
        return check_key(State(app), request, next).await;
    };
    if carries(request.headers(), Some(key)) {
        return next.run(request).await;
    }
    let message = "the admin key is needed: `Authorization: Bearer KEY`";
    if carries(request.headers(), app.config.api_key.as_ref()) {
        return ApiError::refused(StatusCode::FORBIDDEN, "admin_key_needed", message).into_response();
    }
    unauthenticated(message).into_response()
}

/// As [`check_key`] where something is read, else as [`check_admin`].
pub async fn check_stored(app: State<Arc<App>>, request: Request, next: Next) -> Response {
    match Access::Stored.of(request.method()) {
        Access::Key => check_key(app, request, next).await,
        _ => check_admin(app, request, next).await,
    }
}

/// As [`check_key`], and the key of a session opens it too: the request is then one of the session, for all that happens in
/// its task.
pub async fn check_key_or_session(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(key) = bearer(request.headers()).filter(|key| key.starts_with(KEY_PREFIX.as_bytes())) else {
        return check_key(State(app), request, next).await;
    };
    let Some(lease) = app.sessions.enter(key) else {
        return unknown_key().into_response();
    };
    let max_staleness = app.trainer.as_ref().and_then(TrainerHandle::client_staleness);
    let most = app.config.max_session_trajectories;
    match lease.session().admits(most, app.weight_version(), max_staleness) {
        Ok(()) => sessions::within(Some(lease), next.run(request)).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets a request that begins a session pass: by the admin key, or the API key, as configured.
pub async fn check_starter(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.config.sessions_need_admin_key {
        check_admin(State(app), request, next).await
    } else {
        check_key(State(app), request, next).await
    }
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError {
        kind: "authentication_error",
        ..ApiError::refused(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }
}

/// Whether a request carries the admin key; where none is set, nobody needs it.
#[must_use]
pub fn is_admin(app: &App, headers: &HeaderMap) -> bool {
    app.config.admin_api_key.is_none() || carries(headers, app.config.admin_api_key.as_ref())
}

fn carries(headers: &HeaderMap, key: Option<&Secret>) -> bool {
    bearer(headers).zip(key).is_some_and(|(given, key)| key.is(given))
}

/// The token that a request carries.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)?;
    match value.split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => Some(given.trim_ascii()),
        _ => None,
    }
}

/// Refuses what a web page of another origin asks for, which a browser would send with the user's reach, reading as well as
/// changing: there are GETs that act, and no page of another origin may read an answer anyway. And, on a server that only
/// this machine can reach, requests to a name that is not this machine's: a page can make its own name point here.
pub async fn check_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match foreign(&app.config.host, request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

/// Why a request to a server on `listening` is foreign, if it is.
fn foreign(listening: &str, headers: &HeaderMap) -> Option<ApiError> {
    let refuse = |code, message| Some(ApiError::refused(StatusCode::FORBIDDEN, code, message));
    // A name that is no text is no name of this machine; of several, each must be one.
    let text = |value: &'_ HeaderValue| value.to_str().unwrap_or("?").to_owned();
    let hosts: Vec<String> = headers.get_all(header::HOST).iter().map(text).collect();
    if is_loopback(listening) && hosts.iter().any(|host| !is_loopback(host)) {
        let message = "this server listens on loopback only and does not answer to other host names";
        return refuse("foreign_host", message);
    }
    let origin = headers.get(header::ORIGIN).map(text);
    let own = match (&origin, hosts.first()) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, rest)| rest == host),
        (Some(_), None) => false,
    };
    if own {
        return None;
    }
    refuse("foreign_origin", "requests from pages of another origin are refused")
}

/// Whether a host, with or without a port, is this machine by name or address.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().to_canonical().is_loopback();
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = match host.split_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        Some(_) => return false,
        None => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    plain && (name == "localhost" || name.ends_with(".localhost"))
}

/// Says that an adapter answers, where one does.
#[must_use]
pub fn answered_by(adapter: Option<&Adapter>, mut response: Response) -> Response {
    if let Some(adapter) = adapter {
        let version = HeaderValue::from(adapter.weights.version);
        response.headers_mut().insert(WEIGHT_VERSION_HEADER, version);
    }
    response
}

/// Adds the weight version to every response that has none, counts it by route and status, and traces the request.
pub async fn mark(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map(MatchedPath::as_str);
    let span = app.tracer.request(request.method(), route, request.headers());
    let mut response = otlp::within(span.clone(), next.run(request)).await;
    span.answered(response.status());
    let status = response.status().as_u16();
    app.metrics.count_response(route.unwrap_or("unmatched"), status);
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
            "[::ffff:127.0.0.1]:80",
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
            "[::1]evil.com",
            "localhost:80.evil.com",
            "127.0.0.1:@evil.com",
            "evil.com/.localhost",
            "evil.com:80:.localhost",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
