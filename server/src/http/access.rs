//! What opens a route. The router guards by it, and the OpenAPI document tells it.

use std::sync::Arc;

use axum::http::Method;
use axum::{Router, middleware};

use super::guard;
use crate::app::App;

/// What opens a route. None but [`Access::Open`] answers pages of other origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is asked for.
    Open,
    /// The API key, or the admin key.
    Key,
    /// As [`Access::Key`], or the key of a session.
    KeyOrSession,
    /// What begins a session: the admin key, or the API key, as configured.
    Starter,
    /// The key of a session; the handlers check it.
    Session,
    /// Reading as [`Access::Key`], all else as [`Access::Admin`].
    Stored,
    /// The admin key: weights, training or memory change.
    Admin,
}

impl Access {
    pub(super) const ALL: [Self; 7] = [
        Self::Open,
        Self::Key,
        Self::KeyOrSession,
        Self::Starter,
        Self::Session,
        Self::Stored,
        Self::Admin,
    ];

    /// What opens a route for `method`; never [`Access::Stored`].
    #[must_use]
    pub fn of(self, method: &Method) -> Self {
        match self {
            Self::Stored if matches!(*method, Method::GET | Method::HEAD) => Self::Key,
            Self::Stored => Self::Admin,
            other => other,
        }
    }

    /// Puts the checks around `routes`.
    pub(super) fn guard(self, routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
        macro_rules! checked {
            ($check:path) => {
                routes.route_layer(middleware::from_fn_with_state(Arc::clone(app), $check))
            };
        }
        let keyed = match self {
            Self::Open => return routes,
            Self::Key => checked!(guard::check_key),
            Self::KeyOrSession => checked!(guard::check_key_or_session),
            Self::Starter => checked!(guard::check_starter),
            Self::Session => routes,
            Self::Stored => checked!(guard::check_stored),
            Self::Admin => checked!(guard::check_admin),
        };
        keyed.route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_origin))
    }
}
