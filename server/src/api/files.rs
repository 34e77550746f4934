//! `/v1/files`: what jobs are trained on, uploaded, listed, read back and deleted.

use std::io::Read;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use svs_openapi::ErrorResponse;
use svs_openapi::files::{FileDeleted, FileList, FileObject, FileQuery, FileUpload};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::error::ApiError;
use crate::files::{FileError, PURPOSE, Stored, Upload};
use crate::http::form::{Form, Part};
use crate::http::paging::{Bound, oldest_first, page};
use crate::http::query::read_query;

const PAGE: Bound = Bound {
    default: 10_000,
    most: 10_000,
};
/// Longest name of a file that is kept, bytes.
const MAX_NAME_BYTES: usize = 255;
/// Bytes that are read of a file at a time, and such pieces that may wait for the connection.
const CHUNK_BYTES: usize = 64 << 10;
const BUFFERED_CHUNKS: usize = 4;

fn wire(file: &Stored) -> FileObject {
    FileObject {
        id: file.id.clone(),
        object: "file".into(),
        bytes: file.bytes,
        created_at: file.created_us / 1_000_000,
        filename: file.filename.clone(),
        purpose: PURPOSE.into(),
        status: "processed".into(),
        expires_at: None,
        status_details: None,
    }
}

/// Works on the disk, away from the threads that answer requests.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "working on a file failed");
        let message = "the server failed while working on the file; its log has the cause";
        ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    })
}

/// Takes a file of JSON lines; each line is checked, and the file is there completely or not at all.
///
/// # Errors
/// 400 naming the field of the form, or the line and its field; 409 `files_full`, 413 `request_too_large`, 429 `overloaded`.
#[utoipa::path(
    post, path = "/v1/files", tag = "training",
    request_body(content = FileUpload, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file.", body = FileObject),
        (status = 400, description = "A field of the form or a line of the file is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 409, description = "As many files or bytes are held as may be.", body = ErrorResponse),
        (status = 413, description = "The file is too large.", body = ErrorResponse),
        (status = 415, description = "The body is no form.", body = ErrorResponse),
        (status = 429, description = "Too many uploads at once.", body = ErrorResponse),
        (status = 503, description = "This server keeps no files.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Json<FileObject>, ApiError> {
    let bounds = *app.files.config();
    let whole = Duration::from_secs(bounds.upload_timeout_seconds);
    let mut form = Form::open(&app.config, request, bounds.max_file_bytes, whole)?;
    let (mut purpose, mut arrived) = (None, None);
    while let Some(part) = form.next().await? {
        match part.name.as_str() {
            "purpose" if purpose.is_none() => purpose = Some(check_purpose(&form.text(part).await?)?),
            "file" if arrived.is_none() => arrived = Some(receive(&app, &form, part).await?),
            "purpose" | "file" => return Err(ApiError::value(&part.name, "is given twice")),
            name if name.starts_with("expires_after") => {
                let message = format!("`{name}` is not supported by this server: files stay until they are deleted");
                return Err(ApiError::invalid(name, "unsupported_parameter", message));
            }
            name => {
                let message = format!("`{name}` is not a parameter of this route");
                return Err(ApiError::invalid(name, "unknown_parameter", message));
            }
        }
    }
    let missing = |field: &str| ApiError::invalid(field, "missing_parameter", format!("`{field}` is required"));
    let () = purpose.ok_or_else(|| missing("purpose"))?;
    let (upload, name) = arrived.ok_or_else(|| missing("file"))?;
    let file = on_disk(move || upload.finish(name)).await??;
    tracing::info!(id = file.id, bytes = file.bytes, "a file was uploaded");
    Ok(Json(wire(&file)))
}

fn check_purpose(purpose: &str) -> Result<(), ApiError> {
    if purpose == PURPOSE {
        return Ok(());
    }
    let message = format!("`{purpose}` is not supported; this server keeps files for `{PURPOSE}` only");
    Err(ApiError::value("purpose", message))
}

/// Writes the file of a form aside as it arrives. If the client leaves, it goes with this future.
async fn receive(app: &App, form: &Form, mut part: Part) -> Result<(Upload, String), ApiError> {
    let Some(name) = part.filename.as_deref().map(shown_name) else {
        return Err(ApiError::value("file", "must be a file, with a `filename`"));
    };
    let files = Arc::clone(&app.files);
    let mut upload = on_disk(move || files.begin()).await??;
    while let Some(chunk) = form.chunk(&mut part).await? {
        let write = move || upload.write(&chunk).map(|()| upload);
        upload = on_disk(write).await??;
    }
    Ok((upload, name))
}

/// The name of a file for people to read, without folders; it names nothing on the disk.
fn shown_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last.chars().filter(|c| !c.is_control()).collect();
    while name.len() > MAX_NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "file.jsonl".into() } else { name }
}

/// Lists files, newest first.
///
/// # Errors
/// 400 naming the parameter.
#[utoipa::path(get, path = "/v1/files", tag = "training", params(FileQuery), responses(
    (status = 200, description = "A page of files.", body = FileList),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    (status = 503, description = "This server keeps no files.", body = ErrorResponse),
))]
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<FileList>, ApiError> {
    let query: FileQuery = read_query(&uri)?;
    let mut files = app.files.list()?;
    if !oldest_first(query.order.as_deref())? {
        files.reverse();
    }
    files.retain(|_| query.purpose.as_deref().is_none_or(|purpose| purpose == PURPOSE));
    let (page, has_more) = page(files, |file| &file.id, (query.after.as_deref(), query.limit), PAGE)?;
    let data: Vec<FileObject> = page.iter().map(|file| wire(file)).collect();
    Ok(Json(FileList {
        object: "list".into(),
        first_id: data.first().map(|file| file.id.clone()),
        last_id: data.last().map(|file| file.id.clone()),
        data,
        has_more,
    }))
}

fn given(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.map(|Path(id)| id)
        .map_err(|error| ApiError::value("id", error.body_text()))
}

/// Describes a file.
///
/// # Errors
/// 404 `file_not_found`.
#[utoipa::path(
    get, path = "/v1/files/{id}", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/files.")),
    responses(
        (status = 200, description = "The file.", body = FileObject),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such file.", body = ErrorResponse),
        (status = 503, description = "This server keeps no files.", body = ErrorResponse),
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<FileObject>, ApiError> {
    Ok(Json(wire(&*app.files.get(&given(id)?)?)))
}

/// The content of a file as it was uploaded.
///
/// # Errors
/// 404 `file_not_found`, 500 `file_failed`.
#[utoipa::path(
    get, path = "/v1/files/{id}/content", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/files.")),
    responses(
        (status = 200, description = "JSON lines.", body = String, content_type = "application/octet-stream"),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such file.", body = ErrorResponse),
        (status = 503, description = "This server keeps no files.", body = ErrorResponse),
    )
)]
pub async fn content(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let id = given(id)?;
    let path = app.files.content(&id)?;
    let bytes = app.files.get(&id)?.bytes;
    let file = on_disk(move || std::fs::File::open(FsPath::new(&path))).await?;
    let mut file = file.map_err(|error| FileError::Disk(error.to_string()))?;
    let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
    let patience = Duration::from_secs(app.config.write_timeout_seconds);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match file.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => {
                    chunk.truncate(length);
                    Ok(Bytes::from(chunk))
                }
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            // A client that has left, or does not read, ends it.
            if runtime.block_on(sender.send_timeout(read, patience)).is_err() || failed {
                return;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Deletes a file. Jobs that were made with it go on: they have their own copy.
///
/// # Errors
/// 404 `file_not_found`, 500 `file_failed`.
#[utoipa::path(
    delete, path = "/v1/files/{id}", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/files.")),
    responses(
        (status = 200, description = "It is gone.", body = FileDeleted),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such file.", body = ErrorResponse),
        (status = 503, description = "This server keeps no files.", body = ErrorResponse),
    )
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<FileDeleted>, ApiError> {
    let (id, files) = (given(id)?, Arc::clone(&app.files));
    let file = on_disk(move || files.delete(&id)).await??;
    Ok(Json(FileDeleted {
        id: file.id.clone(),
        object: "file".into(),
        deleted: true,
    }))
}
