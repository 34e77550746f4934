//! The span of an HTTP request. It ends when nobody who works on the request holds it any more: after the last token of a
//! stream, or when the client has left.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Method, StatusCode};

use super::parent::Parent;
use super::queue::Queue;
use super::span::{Kind, Span};

tokio::task_local! {
    /// The span of the request that the task handles.
    static CURRENT: RequestSpan;
}

/// Runs `request` as the one that `span` is of.
pub async fn within<F: Future>(span: RequestSpan, request: F) -> F::Output {
    CURRENT.scope(span, request).await
}

/// The span of the request that this task handles.
#[must_use]
pub fn current() -> RequestSpan {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// A share in the span of a request; empty if it is not traced.
#[derive(Debug, Clone, Default)]
pub struct RequestSpan {
    open: Option<Arc<Open>>,
}

#[derive(Debug)]
struct Open {
    queue: Arc<Queue>,
    /// Taken when it ends.
    span: Mutex<Option<Span>>,
}

impl RequestSpan {
    pub(super) fn begin(queue: Arc<Queue>, parent: Option<Parent>, method: &Method, route: Option<&str>) -> Self {
        let method = known(method);
        let name = match route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let mut span = Span::begin(name, Kind::Server);
        if let Some(parent) = parent {
            span = span.below(parent);
        }
        span.set("http.request.method", method);
        if let Some(route) = route {
            span.set("http.route", route);
        }
        let span = Mutex::new(Some(span));
        Self {
            open: Some(Arc::new(Open { queue, span })),
        }
    }

    /// Whether nothing is traced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_none()
    }

    /// Changes the span, if there is one.
    pub(super) fn change(&self, change: impl FnOnce(&mut Span)) {
        if let Some(open) = &self.open {
            let mut span = open.span.lock().unwrap_or_else(PoisonError::into_inner);
            span.as_mut().map(change);
        }
    }

    /// The head of the answer is sent.
    pub fn answered(&self, status: StatusCode) {
        self.change(|span| {
            span.set("http.response.status_code", u32::from(status.as_u16()));
            span.failed |= status.is_server_error();
        });
    }

    /// The request failed, also after the head of its answer was sent. Of the error only its code is told.
    pub fn failed(&self, code: &'static str) {
        self.change(|span| {
            span.set("error.type", code);
            span.failed = true;
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let span = self.span.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(span) = span {
            self.queue.push(span.ended());
        }
    }
}

/// The name of a method; there are as many as clients invent.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
