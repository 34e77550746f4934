//! Routes, and what surrounds them.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::error::ApiError;

pub mod access;
pub mod bodies;
pub mod body;
pub mod form;
pub mod guard;
pub mod listen;
pub mod paging;
pub mod query;
pub mod routes;

/// All routes over shared state.
pub fn router(app: Arc<App>) -> Router {
    let mut all = Router::new();
    for access in access::Access::ALL {
        let rows = routes::routes().filter(|row| row.0 == access);
        let routes = rows.fold(Router::new(), |routes, (_, path, methods)| routes.route(path, methods));
        all = all.merge(access.guard(routes, &app));
    }
    all.fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(guard::on_panic))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::mark))
        .with_state(app)
}

async fn no_route(uri: axum::http::Uri) -> ApiError {
    let message = format!("there is no route {}; /openapi.json lists them", uri.path());
    ApiError::refused(StatusCode::NOT_FOUND, "route_not_found", message)
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not answer to {method}", uri.path());
    ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
