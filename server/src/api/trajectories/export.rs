//! `GET /v1/trajectories/export`: the log as JSON lines or Parquet, sent as it is read.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use svs_engine::text::Tokenizer;
use svs_openapi::ErrorResponse;
use svs_openapi::trajectories::{ExportQuery, TrajectoryQuery};
use svs_trainer::export::Export;
use svs_trainer::log::{Filter, LogReader};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{filter, view};
use crate::app::App;
use crate::error::ApiError;
use crate::http::query::read_query;

/// Bytes of a chunk of the body.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait for the connection.
const BUFFERED_CHUNKS: usize = 4;
/// Most rows, and most bytes, of a page of the log.
const PAGE: (usize, usize) = (256, 4 << 20);

type Chunk = Result<Bytes, io::Error>;

#[derive(Clone, Copy)]
enum Format {
    Jsonl,
    Parquet,
}

/// Every trajectory that the parameters let through, oldest first, as the log has them when the export begins.
///
/// # Errors
/// 400 naming the parameter, 429 `overloaded` while `server.max_exports` others run. What goes wrong later cuts the body.
#[utoipa::path(get, path = "/v1/trajectories/export", tag = "training", params(ExportQuery), responses(
    (status = 200, description = "The trajectories: with `format=jsonl` a line for each, as `GET /v1/trajectories/{id}` has it without `origin`; with `parquet` the columns of docs/trajectories.md.", content((String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    (status = 429, description = "Too many exports at once.", body = ErrorResponse),
))]
pub async fn export(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    let query: ExportQuery = read_query(&uri)?;
    let (format, kind, name) = match query.format.as_deref() {
        None | Some("jsonl") => (Format::Jsonl, "application/x-ndjson", "trajectories.jsonl"),
        Some("parquet") => (
            Format::Parquet,
            "application/vnd.apache.parquet",
            "trajectories.parquet",
        ),
        Some(other) => {
            return Err(ApiError::value(
                "format",
                format!("`{other}` is neither `jsonl` nor `parquet`"),
            ));
        }
    };
    let filter = filter(listing(query))?;
    let (reader, permit) = app.browse.export().await?;
    let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
    let outlet = Outlet {
        sender,
        buffer: Vec::with_capacity(CHUNK_BYTES),
        patience: Duration::from_secs(app.config.write_timeout_seconds),
        runtime: Handle::current(),
    };
    let tokenizer = app.engine.tokenizer().clone();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        send(&reader, filter, tokenizer, format, outlet);
    });
    let named = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, &named)];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

fn send(log: &LogReader, filter: Filter, tokenizer: Tokenizer, format: Format, mut outlet: Outlet) {
    let outcome = match format {
        Format::Jsonl => lines(log, &filter, &tokenizer, &mut outlet),
        Format::Parquet => {
            let export = Export {
                filter,
                tokenizer: Some(tokenizer),
                force: false,
            };
            export.stream(log, &mut outlet).map(drop).map_err(io::Error::other)
        }
    };
    if let Err(error) = outcome.and_then(|()| outlet.flush()) {
        tracing::warn!(%error, "an export ended early");
        // Cuts the body, so that nobody takes it for the whole.
        let _ = outlet.hand_over(Err(error));
    }
}

fn lines(log: &LogReader, filter: &Filter, tokenizer: &Tokenizer, outlet: &mut Outlet) -> io::Result<()> {
    let mut after = 0;
    loop {
        let (page, last) = log.page(filter, after, PAGE.0, PAGE.1).map_err(io::Error::other)?;
        let Some(last) = last else { return Ok(()) };
        after = last;
        for row in &page.rows {
            serde_json::to_writer(&mut *outlet, &view::whole(tokenizer, row))?;
            outlet.write_all(b"\n")?;
        }
    }
}

/// Hands what is written to the connection, chunk by chunk, and waits for it.
struct Outlet {
    sender: mpsc::Sender<Chunk>,
    buffer: Vec<u8>,
    patience: Duration,
    runtime: Handle,
}

impl Outlet {
    fn hand_over(&self, chunk: Chunk) -> io::Result<()> {
        let sent = self.runtime.block_on(self.sender.send_timeout(chunk, self.patience));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client left or does not read"))
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.hand_over(Ok(full.into()))
    }
}

/// The same filter as a listing's.
fn listing(query: ExportQuery) -> TrajectoryQuery {
    TrajectoryQuery {
        limit: None,
        after: None,
        order: None,
        session: query.session,
        group: query.group,
        run: query.run,
        kind: query.kind,
        min_weight_version: query.min_weight_version,
        max_weight_version: query.max_weight_version,
        min_reward: query.min_reward,
        max_reward: query.max_reward,
        created_after: query.created_after,
        created_before: query.created_before,
    }
}
