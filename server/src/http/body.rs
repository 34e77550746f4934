//! Request bodies: bounded in size and time, JSON only, errors that name the field.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::HttpConfig;
use crate::error::ApiError;

pub mod no_ops;

/// Largest body of a route that controls something.
const MAX_CONTROL_BYTES: usize = 256 << 10;
/// Most values in a body: a parsed one takes up to a hundred bytes, however few it had as text.
pub const MAX_VALUES: usize = 2 << 20;

/// Reads the JSON body of a control route; an empty one is `null`. Bodies that may be long are for
/// [`crate::lower::lowered`].
///
/// # Errors
/// 413 `request_too_large`, 408 `body_timeout`, 415 `unsupported_media_type`, 400 `invalid_json`.
pub async fn read_json(config: &HttpConfig, request: Request) -> Result<Value, ApiError> {
    parse(&read_bytes(config, request, MAX_CONTROL_BYTES).await?)
}

/// Reads the body of a route that takes none: nothing, or an object without keys.
///
/// # Errors
/// 400 `unknown_parameter` naming the first key; those of [`read_json`].
pub async fn read_nothing(config: &HttpConfig, request: Request) -> Result<(), ApiError> {
    match read_json(config, request).await? {
        Value::Null => Ok(()),
        Value::Object(keys) => match keys.keys().next() {
            None => Ok(()),
            Some(key) => {
                let message = format!("`{key}` cannot be given in the body: this route takes none");
                Err(ApiError::invalid(key, "unknown_parameter", message))
            }
        },
        _ => Err(ApiError::invalid("", "invalid_type", "the body must be empty")),
    }
}

/// Reads a body that says it is JSON, at most `server.max_body_bytes` and `most` of it.
///
/// # Errors
/// 413 `request_too_large`, 408 `body_timeout`, 415 `unsupported_media_type`.
pub async fn read_bytes(config: &HttpConfig, request: Request, most: usize) -> Result<Bytes, ApiError> {
    let (head, body) = request.into_parts();
    check_encoding(&head.headers)?;
    let limit = config.max_body_bytes.min(most);
    let too_large = || {
        let bound = if limit < most { " (server.max_body_bytes)" } else { "" };
        let message = format!("the body is larger than {limit} bytes{bound}");
        ApiError::refused(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    };
    if declared_length(&head.headers).is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let wait = Duration::from_secs(config.body_timeout_seconds);
    let bytes = match tokio::time::timeout(wait, to_bytes(body, limit)).await {
        Err(_) => {
            let message = format!("the body did not arrive within {} s", config.body_timeout_seconds);
            return Err(ApiError::refused(StatusCode::REQUEST_TIMEOUT, "body_timeout", message));
        }
        Ok(Err(error)) if is_length_limit(&error) => return Err(too_large()),
        Ok(Err(error)) => return Err(ApiError::invalid("", "incomplete_body", format!("body: {error}"))),
        Ok(Ok(bytes)) => bytes,
    };
    // Browsers send other types across origins without asking; JSON they must ask for.
    if !bytes.trim_ascii().is_empty() && !is_json(&head.headers) {
        let message = "send the body with `Content-Type: application/json`";
        return Err(ApiError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        ));
    }
    Ok(bytes)
}

/// Parses a body; an empty one is `null`.
///
/// # Errors
/// 413 `request_too_large` for more than [`MAX_VALUES`] values, 400 `invalid_json`.
pub fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    if more_values_than(bytes, MAX_VALUES) {
        let message = format!("the body has more than {MAX_VALUES} values");
        return Err(ApiError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            message,
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::invalid("", "invalid_json", format!("the body is not valid JSON: {error}")))
}

/// Counts what opens or follows a value outside of strings, so that a bound on memory holds before any is taken.
fn more_values_than(bytes: &[u8], most: usize) -> bool {
    if bytes.len() <= most {
        return false;
    }
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count > most
}

/// Refuses a body that is compressed: nothing here takes it apart.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get_all(header::CONTENT_ENCODING).iter();
    let other = given
        .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
        .find(|value| !value.is_empty() && !value.eq_ignore_ascii_case("identity"));
    let Some(other) = other else { return Ok(()) };
    let message = format!("`Content-Encoding: {other}` is not supported; send the body as it is, without that header");
    Err(ApiError::refused(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}

pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

/// Turns a body into `T`, naming the field of the first fault. Fields of the OpenAI API in `unsupported` are refused
/// as such; where they are null or an empty list they say nothing and are dropped.
///
/// # Errors
/// 400 with code `missing_body`, `unsupported_parameter`, `unknown_parameter`, `missing_parameter` or `invalid_type`.
pub fn decode<T: DeserializeOwned>(mut body: Value, unsupported: &[&str]) -> Result<T, ApiError> {
    let Some(object) = body.as_object_mut() else {
        let code = if body.is_null() { "missing_body" } else { "invalid_type" };
        return Err(ApiError::invalid("", code, "the body must be a JSON object"));
    };
    drop_empty(object, unsupported);
    if let Some(field) = unsupported.iter().find(|field| object.contains_key(**field)) {
        return Err(ApiError::invalid(
            field,
            "unsupported_parameter",
            format!("`{field}` is not supported by this server"),
        ));
    }
    serde_path_to_error::deserialize(body).map_err(|error| shape_error(&error))
}

/// Checks that what is at `paths` (`a`, `a[]`, `a[].b[]`) are objects, where there is anything. The types behind them would
/// also be read from arrays, as their fields in order; and an element that may be a text or an object is either.
///
/// # Errors
/// 400 `invalid_type` naming the first that is an array.
pub fn only_objects(body: &Value, paths: &[&str]) -> Result<(), ApiError> {
    paths.iter().try_for_each(|path| no_array(body, path, String::new()))
}

fn no_array(value: &Value, path: &str, at: String) -> Result<(), ApiError> {
    if path.is_empty() {
        return match value {
            Value::Array(_) => {
                let message = format!("`{at}` must be a JSON object");
                Err(ApiError::invalid(&at, "invalid_type", message))
            }
            _ => Ok(()),
        };
    }
    if let Some(rest) = path.strip_prefix("[]") {
        let mut elements = value.as_array().into_iter().flatten().enumerate();
        let rest = rest.trim_start_matches('.');
        return elements.try_for_each(|(index, element)| no_array(element, rest, format!("{at}[{index}]")));
    }
    let end = path.find(['[', '.']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    match value.get(name) {
        Some(value) => no_array(value, rest.trim_start_matches('.'), join(&at, name)),
        None => Ok(()),
    }
}

/// Removes `fields` that carry nothing: null or an empty list.
pub fn drop_empty(object: &mut serde_json::Map<String, Value>, fields: &[&str]) {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    object.retain(|key, value| !(fields.contains(&key.as_str()) && empty(value)));
}

/// Removes `fields` that are false: what they would ask for is not asked for.
pub fn drop_false(object: &mut serde_json::Map<String, Value>, fields: &[&str]) {
    object.retain(|key, value| !(fields.contains(&key.as_str()) && *value == Value::Bool(false)));
}

/// Refuses `fields` of the object at `path`, as [`decode`] does for a whole body.
///
/// # Errors
/// 400 `unsupported_parameter`.
pub fn refuse_within(path: &str, object: &serde_json::Map<String, Value>, fields: &[&str]) -> Result<(), ApiError> {
    let Some(field) = fields.iter().find(|field| object.contains_key(**field)) else {
        return Ok(());
    };
    let param = format!("{path}.{field}");
    let message = format!("`{param}` is not supported by this server");
    Err(ApiError::invalid(&param, "unsupported_parameter", message))
}

fn shape_error(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let message = error.inner().to_string();
    let path = match error.path().to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    let quoted = |prefix: &str| Some(message.strip_prefix(prefix)?.split('`').next()?.to_string());
    if let Some(field) = quoted("unknown field `") {
        let param = join(&path, &field);
        let message = format!("`{param}` is not a parameter of this route");
        return ApiError::invalid(&param, "unknown_parameter", message);
    }
    if let Some(field) = quoted("missing field `") {
        let param = join(&path, &field);
        return ApiError::invalid(&param, "missing_parameter", format!("`{param}` is required"));
    }
    let message = match message.split_once("expected struct ") {
        // Names of our types say nothing to a client.
        Some((found, _)) => format!("{found}expected an object"),
        None => message,
    };
    let message = if path.is_empty() {
        message
    } else {
        format!("`{path}`: {message}")
    };
    ApiError::invalid(&path, "invalid_type", message)
}

fn join(path: &str, field: &str) -> String {
    match path {
        "" => field.to_string(),
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_string(),
        path => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests;
