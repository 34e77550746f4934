//! `[server.otlp]`: how spans are sent, and where to.

use std::collections::BTreeMap;

use axum::http::uri::Uri;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Path of traces where the endpoint names none.
const TRACES_PATH: &str = "/v1/traces";

/// How spans are sent; where to is `server.otlp_traces_endpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// `service.name` of the spans.
    pub service_name: String,
    /// Headers of each export, such as a collector's key.
    pub headers: BTreeMap<String, Secret>,
    /// Spans that may wait to be sent; further ones are dropped and counted.
    pub max_queued_spans: usize,
    /// Spans of one export.
    pub max_batch_spans: usize,
    /// Time for which a span waits for others to be sent with.
    pub batch_delay_ms: u64,
    /// Time that one export may take, from name to last byte.
    pub timeout_seconds: u64,
    /// Times that an export is tried where trying again may help.
    pub max_attempts: u32,
    /// Time in which what is queued must be sent when the server stops.
    pub flush_seconds: u64,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            service_name: "svs".into(),
            headers: BTreeMap::new(),
            max_queued_spans: 2048,
            max_batch_spans: 512,
            batch_delay_ms: 5000,
            timeout_seconds: 10,
            max_attempts: 5,
            flush_seconds: 5,
        }
    }
}

impl OtlpConfig {
    /// Every bound by its dotted name; each must be at least 1.
    #[must_use]
    pub fn bounds(&self) -> [(&'static str, u64); 6] {
        [
            ("server.otlp.max_queued_spans", self.max_queued_spans as u64),
            ("server.otlp.max_batch_spans", self.max_batch_spans as u64),
            ("server.otlp.batch_delay_ms", self.batch_delay_ms),
            ("server.otlp.timeout_seconds", self.timeout_seconds),
            ("server.otlp.max_attempts", u64::from(self.max_attempts)),
            ("server.otlp.flush_seconds", self.flush_seconds),
        ]
    }

    /// What is wrong with the headers, if anything; says no value.
    #[must_use]
    pub fn bad_header(&self) -> Option<String> {
        let bad = |(name, value): &(&String, &Secret)| {
            HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(value.reveal()).is_err()
        };
        let (name, _) = self.headers.iter().find(bad)?;
        Some(format!("`{name}` is no header, or its value cannot be one"))
    }
}

/// The address that traces are posted to.
///
/// # Errors
/// What is wrong with it.
pub fn endpoint(given: &str) -> Result<String, String> {
    let wanted = "must be the http:// or https:// address of an OTLP receiver, such as http://localhost:4318/v1/traces";
    let uri: Uri = given.parse().map_err(|_| wanted.to_owned())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{wanted}; OTLP over gRPC is not spoken"));
    };
    if authority.as_str().contains('@') {
        return Err("must have no user and password; give the collector's key in server.otlp.headers".into());
    }
    let bare = uri.path() == "/" && uri.query().is_none() && !given.ends_with('/');
    Ok(if bare {
        format!("{given}{TRACES_PATH}")
    } else {
        given.to_owned()
    })
}

/// Headers as OTEL_EXPORTER_OTLP_TRACES_HEADERS lists them: `name=value,name=value`, values in percent encoding.
///
/// # Errors
/// What is wrong with the list; says no value.
pub fn header_list(given: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut headers = BTreeMap::new();
    for (at, entry) in given.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let parts = entry
            .split_once('=')
            .map(|(name, value)| (name.trim(), decoded(value.trim())));
        let Some((name, Some(value))) = parts else {
            return Err(format!(
                "entry {} is not name=value, with `%` only before two hexadecimal digits",
                at + 1
            ));
        };
        headers.insert(name.to_ascii_lowercase(), Secret::from(value));
    }
    Ok(headers)
}

/// Text without its percent encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(16 * digit()? + digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}
