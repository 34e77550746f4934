//! `GET /v1/fine_tuning/jobs/{id}/events`: a page, or a stream that goes on until the job ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use svs_openapi::ErrorResponse;
use svs_openapi::fine_tuning::{EventList, EventQuery, JobEvent};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::{given, on_disk};
use crate::app::App;
use crate::error::ApiError;
use crate::http::query::read_query;
use crate::jobs::JobError;
use crate::jobs::events::{self as log, Place};
use crate::stream::event;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;
/// Events read for a stream at a time, and those that may wait for the connection.
const BATCH: usize = 64;
/// Silence after which a comment line shows that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells what happened to a job: a page, newest first; with `stream=true` server-sent events, oldest first, until it ends.
///
/// # Errors
/// 400 naming the parameter, 404 `job_not_found`, 429 `overloaded` while `server.jobs.max_event_streams` others are open.
#[utoipa::path(
    get, path = "/v1/fine_tuning/jobs/{id}/events", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs."), EventQuery),
    responses(
        (status = 200, description = "A page of events, or a stream of them.", body = EventList),
        (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 429, description = "Too many streams at once.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn events(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query: EventQuery = read_query(&uri)?;
    let id = given(id)?;
    let (_, count) = app.jobs.events(&id)?;
    let after = query
        .after
        .as_deref()
        .map(|after| number(&id, after, count))
        .transpose()?;
    if query.stream == Some(true) {
        if query.limit.is_some() {
            return Err(ApiError::value("limit", "a stream has none"));
        }
        return stream(&app, id, after.unwrap_or(0));
    }
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("{limit} is out of range; allowed is 1 to {MAX_LIMIT}");
        return Err(ApiError::value("limit", message));
    }
    // Newest first: a page ends where the one before it began.
    let end = after.map_or(count, |after| after.saturating_sub(1));
    let start = end.saturating_sub(limit as u64);
    let (mut data, _) = read(&app, &id, Place::behind(start), (end - start) as usize).await?;
    data.reverse();
    let list = EventList {
        object: "list".into(),
        data,
        has_more: start > 0,
    };
    Ok(Json(list).into_response())
}

/// The number of the event called `after`.
fn number(id: &str, after: &str, count: u64) -> Result<u64, ApiError> {
    let prefix = format!("ftevent-{}-", id.trim_start_matches("ftjob-"));
    let number = after.strip_prefix(&prefix).and_then(|number| number.parse().ok());
    number
        .filter(|number| (1..=count).contains(number))
        .ok_or_else(|| ApiError::value("after", format!("the list has no `{after}`")))
}

/// The events after `place`, and the place behind them.
async fn read(app: &App, id: &str, mut place: Place, most: usize) -> Result<(Vec<JobEvent>, Place), ApiError> {
    let (folder, _) = app.jobs.events(id)?;
    on_disk(move || {
        let events = log::read(&folder, &mut place, most);
        let events = events.map_err(|error| JobError::Disk(error.to_string()))?;
        Ok((events, place))
    })
    .await
}

fn stream(app: &Arc<App>, id: String, seen: u64) -> Result<Response, ApiError> {
    let permit = Arc::clone(&app.event_streams).try_acquire_owned().map_err(|_| {
        let message = "as many streams of events as server.jobs.max_event_streams allows are open; try again later";
        ApiError::overloaded("overloaded", message)
    })?;
    let changes = app.jobs.changes()?;
    let (sender, receiver) = mpsc::channel(BATCH);
    // What outlives the server holds nothing of it.
    let weak = Arc::downgrade(app);
    tokio::spawn(async move {
        let _permit = permit;
        let leaving = sender.clone();
        let follow = async {
            let mut follower = Follower {
                id,
                place: Place::behind(seen),
                changes,
                sender,
            };
            while let Some(app) = weak.upgrade() {
                let over = follower.send(&app).await;
                drop(app);
                // An error: the jobs are gone with the server.
                if over || follower.changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = leaving.closed() => {}
            () = follow => {}
        }
    });
    let stream = tokio_stream::StreamExt::map(ReceiverStream::new(receiver), Ok::<Event, Infallible>);
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

/// Who follows a job.
struct Follower {
    id: String,
    /// Behind the events that were read.
    place: Place,
    changes: watch::Receiver<u64>,
    sender: mpsc::Sender<Event>,
}

impl Follower {
    /// Sends what is new. True when nothing follows: the job has ended, or nobody takes it.
    async fn send(&mut self, app: &App) -> bool {
        self.changes.mark_unchanged();
        let patience = Duration::from_secs(app.config.write_timeout_seconds);
        loop {
            // Before the events: those of a job that has ended are all there.
            let Ok(job) = app.jobs.get(&self.id) else { return true };
            let events = match read(app, &self.id, self.place, BATCH).await {
                Ok((events, place)) => {
                    self.place = place;
                    events
                }
                Err(error) => {
                    let _ = self.sender.send_timeout(event(&error.body()), patience).await;
                    return true;
                }
            };
            let count = events.len();
            for one in &events {
                if self.sender.send_timeout(event(one), patience).await.is_err() {
                    return true;
                }
            }
            if count == BATCH {
                continue;
            }
            if job.status.is_final() && count == 0 {
                let _ = self
                    .sender
                    .send_timeout(Event::default().data("[DONE]"), patience)
                    .await;
                return true;
            }
            if !job.status.is_final() {
                // A server that stops waits for no job; the client asks the next process for what follows.
                return app.jobs.closing();
            }
        }
    }
}
