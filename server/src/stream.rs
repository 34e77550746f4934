//! Server-sent events: a task drives the session and hands chunks to the connection, bounded in size and time.
//!
//! The client's leaving drops the receiver, the task ends and drops the session, which aborts the generations.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::error::ApiError;
use crate::record::record;
use crate::session::{Session, Update};

/// Chunks that may wait for the connection.
const BUFFERED_CHUNKS: usize = 32;
/// Silence after which a comment line shows that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How a route words its chunks.
pub trait Wording: Send + 'static {
    /// The request has begun to run. Chunks that go before those of any update.
    fn started(&mut self, _app: &App, _session: &Session) -> Vec<Event> {
        Vec::new()
    }
    /// Chunks that follow from `update`; the session has already taken it in.
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event>;
    /// The chunk with the token counts, where the route has one.
    fn totals(&self, session: &Session) -> Option<Event>;
    /// The answer of a finished session that does not stream.
    fn whole(&mut self, app: &App, session: &Session) -> Response;
    /// A refusal in the route's words for its fields.
    fn refusal(&self, error: ApiError) -> ApiError {
        error
    }
    /// The chunk of a failure, after which nothing follows.
    fn failed(&mut self, error: &ApiError) -> Event {
        event(&error.body())
    }
    /// What ends a stream.
    fn ended(&self) -> Option<Event> {
        Some(Event::default().data("[DONE]"))
    }
    /// The answer of a request that goes on without its client.
    fn behind(&self) -> Option<Response> {
        None
    }
}

/// A chunk as an event.
pub fn event(chunk: &impl Serialize) -> Event {
    let text = serde_json::to_string(chunk).expect("wire types have string keys and finite numbers");
    Event::default().data(text)
}

/// Answers with a stream that `wording` words.
pub fn respond(app: Arc<App>, session: Session, wording: impl Wording) -> Response {
    let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
    tokio::spawn(async move {
        let leaving = sender.clone();
        tokio::select! {
            () = leaving.closed() => tracing::debug!("the client left; its request is aborted"),
            () = drive(&app, session, wording, sender) => {}
        }
    });
    let stream = tokio_stream::StreamExt::map(ReceiverStream::new(receiver), Ok::<Event, Infallible>);
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// Runs the session to its end and sends what it says; ends early when the client no longer takes it.
async fn drive(app: &App, mut session: Session, mut wording: impl Wording, sender: mpsc::Sender<Event>) {
    let out = Outlet {
        sender,
        patience: Duration::from_secs(app.config.write_timeout_seconds),
    };
    for chunk in wording.started(app, &session) {
        if !out.send(chunk).await {
            return;
        }
    }
    loop {
        let update = match session.next().await {
            Ok(Some(update)) => update,
            Ok(None) => break,
            Err(error) => return out.fail(&wording.refusal(error), &mut wording).await,
        };
        if let Update::Finished { index, .. } = update
            && let Err(error) = record(app, &session, [index]).await
        {
            return out.fail(&error, &mut wording).await;
        }
        for chunk in wording.chunks(app, &session, &update) {
            if !out.send(chunk).await {
                return;
            }
        }
    }
    let totals = session.plan.outputs.usage.then(|| wording.totals(&session)).flatten();
    if let Some(totals) = totals
        && !out.send(totals).await
    {
        return;
    }
    if let Some(end) = wording.ended() {
        out.send(end).await;
    }
}

struct Outlet {
    sender: mpsc::Sender<Event>,
    patience: Duration,
}

impl Outlet {
    /// False when the client is gone or does not read.
    async fn send(&self, event: Event) -> bool {
        self.sender.send_timeout(event, self.patience).await.is_ok()
    }

    /// The status line is sent already, so the error travels as an event, and no `[DONE]` follows.
    async fn fail(&self, error: &ApiError, wording: &mut impl Wording) {
        tracing::warn!(message = %error.message, "a stream failed");
        self.send(wording.failed(error)).await;
    }
}
