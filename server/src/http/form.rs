//! Multipart forms: fields in any order, each once, bounded in size and time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::{Instant, timeout_at};
use tokio_stream::Stream;

use super::body::{check_encoding, declared_length};
use crate::config::HttpConfig;
use crate::error::ApiError;

/// What a form takes beside its file, bytes.
const OVERHEAD_BYTES: u64 = 64 << 10;
/// Longest value of a field that is no file.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Most bytes of a form in memory: those that no field has had, so what stands between fields too. More than one read of a
/// connection brings, so that a field is never taken for that.
const MAX_UNREAD_BYTES: u64 = 1 << 20;

/// A form as it arrives.
pub struct Form {
    parts: Multipart<'static>,
    /// Bytes that fields have had.
    taken: Arc<AtomicU64>,
    idle: Duration,
    deadline: Instant,
    most: u64,
}

/// A field of a form.
pub struct Part {
    /// Its name.
    pub name: String,
    /// The name of the file, where it is one.
    pub filename: Option<String>,
    field: Field<'static>,
}

impl Form {
    /// The form that `request` sends, with a file of at most `most` bytes, in at most `whole` altogether.
    ///
    /// # Errors
    /// 415 `unsupported_media_type`, 413 `request_too_large`.
    pub fn open(config: &HttpConfig, request: Request, most: u64, whole: Duration) -> Result<Self, ApiError> {
        check_encoding(request.headers())?;
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| {
            let message = "send a form: `Content-Type: multipart/form-data` with its boundary";
            ApiError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        })?;
        let longest = most.saturating_add(OVERHEAD_BYTES);
        if declared_length(request.headers()).is_some_and(|length| length > longest) {
            return Err(too_large(most));
        }
        let limit = Constraints::new().size_limit(SizeLimit::new().whole_stream(longest));
        let taken = Arc::<AtomicU64>::default();
        let body = Metered {
            body: request.into_body().into_data_stream(),
            given: 0,
            taken: Arc::clone(&taken),
            looks: false,
        };
        Ok(Self {
            parts: Multipart::with_constraints(body, boundary, limit),
            taken,
            idle: Duration::from_secs(config.body_timeout_seconds),
            deadline: Instant::now() + whole,
            most,
        })
    }

    /// The next field; `None` after the last.
    ///
    /// # Errors
    /// 400 `invalid_form` or `incomplete_body`, 408 `body_timeout`, 413 `request_too_large`.
    pub async fn next(&mut self) -> Result<Option<Part>, ApiError> {
        let until = self.until();
        let next = timeout_at(until, self.parts.next_field()).await;
        let field = next.map_err(|_| late())?.map_err(|error| self.refusal(&error))?;
        let Some(field) = field else { return Ok(None) };
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(ApiError::invalid("", "invalid_form", "a field of the form has no name"));
        };
        let filename = field.file_name().map(str::to_owned);
        Ok(Some(Part { name, filename, field }))
    }

    /// The next bytes of a field; `None` after the last.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn chunk(&self, part: &mut Part) -> Result<Option<Bytes>, ApiError> {
        let next = timeout_at(self.until(), part.field.chunk()).await;
        let chunk = next.map_err(|_| late())?.map_err(|error| self.refusal(&error))?;
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(chunk)
    }

    /// The value of a short field.
    ///
    /// # Errors
    /// As [`Self::next`]; 400 `invalid_value` for one that is long or no text.
    pub async fn text(&self, mut part: Part) -> Result<String, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut part).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_TEXT_BYTES {
                return Err(ApiError::value(
                    &part.name,
                    format!("is longer than {MAX_TEXT_BYTES} bytes"),
                ));
            }
        }
        String::from_utf8(bytes).map_err(|_| ApiError::value(&part.name, "is not UTF-8"))
    }

    fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + self.idle)
    }

    fn refusal(&self, error: &multer::Error) -> ApiError {
        use multer::Error as E;
        match error {
            E::StreamSizeExceeded { .. } | E::FieldSizeExceeded { .. } => too_large(self.most),
            E::StreamReadFailed(error) if error.is::<Unread>() => {
                ApiError::invalid("", "invalid_form", format!("the form cannot be read: {error}"))
            }
            E::IncompleteFieldData { .. } | E::IncompleteHeaders | E::IncompleteStream | E::StreamReadFailed(_) => {
                ApiError::invalid("", "incomplete_body", format!("the form ends early: {error}"))
            }
            _ => ApiError::invalid("", "invalid_form", format!("the form cannot be read: {error}")),
        }
    }
}

/// What stands before or between the fields of a form is endless.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_UNREAD_BYTES} bytes of it belong to no field")]
struct Unread;

/// A body that a parser, which keeps what it cannot use yet, has no more than [`MAX_UNREAD_BYTES`] of.
struct Metered {
    body: BodyDataStream,
    given: u64,
    taken: Arc<AtomicU64>,
    /// The parser, which reads as long as there is something, is to look at what it has first.
    looks: bool,
}

impl Stream for Metered {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.looks) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.looks = true;
            self.given += bytes.len() as u64;
            if self.given.saturating_sub(self.taken.load(Ordering::Relaxed)) > MAX_UNREAD_BYTES {
                return Poll::Ready(Some(Err(Box::new(Unread))));
            }
        }
        next.map(|next| next.map(|read| read.map_err(Into::into)))
    }
}

fn too_large(most: u64) -> ApiError {
    let message = format!("the file is larger than {most} bytes (server.files.max_file_bytes)");
    ApiError::refused(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}

fn late() -> ApiError {
    let message = "the form did not arrive in time (server.body_timeout_seconds, server.files.upload_timeout_seconds)";
    ApiError::refused(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
}
