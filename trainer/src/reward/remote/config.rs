//! `[reward.endpoints]`: the only addresses that grading reaches.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use ureq::http::Uri;

/// Most endpoints of a run.
const MAX_ENDPOINTS: usize = 32;
/// Longest address, bytes.
const MAX_URL: usize = 2048;

/// An endpoint that graders name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct EndpointConfig {
    /// `http://` or `https://`. Of `external` all of it; of models what stands before `/chat/completions`, such as
    /// `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The environment variable that holds the bearer token, if it asks for one.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Time for one attempt, from the name's resolution to the reply's last byte.
    #[serde(default = "timeout")]
    pub timeout_seconds: f64,
    /// Attempts after the first.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Pause before the second attempt; each further one is twice as long, at most 30 s.
    #[serde(default = "backoff")]
    pub backoff_seconds: f64,
    /// Requests under way at once.
    #[serde(default = "in_flight")]
    pub max_in_flight: usize,
    /// Bytes of a request; a response that makes it longer earns 0.
    #[serde(default = "request_bytes")]
    pub max_request_bytes: usize,
    /// Bytes of a reply; a longer one is a fault.
    #[serde(default = "reply_bytes")]
    pub max_reply_bytes: usize,
    /// Replies that are kept, so that the same question is asked once; 0 keeps none.
    #[serde(default = "cache_entries")]
    pub cache_entries: usize,
    /// Whether graders of clients' requests may name it.
    #[serde(default)]
    pub for_requests: bool,
}

svs_verifier::objects_only! { EndpointConfig: "an endpoint" }

fn timeout() -> f64 {
    30.0
}

fn retries() -> u32 {
    2
}

fn backoff() -> f64 {
    0.5
}

fn in_flight() -> usize {
    8
}

fn request_bytes() -> usize {
    256 << 10
}

fn reply_bytes() -> usize {
    256 << 10
}

fn cache_entries() -> usize {
    4096
}

impl EndpointConfig {
    /// An endpoint at an address, with the defaults.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key_env: None,
            timeout_seconds: timeout(),
            retries: retries(),
            backoff_seconds: backoff(),
            max_in_flight: in_flight(),
            max_request_bytes: request_bytes(),
            max_reply_bytes: reply_bytes(),
            cache_entries: cache_entries(),
            for_requests: false,
        }
    }

    fn check(&self) -> Result<(), String> {
        self.check_url()?;
        let named = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match self {
            config if !config.key_env.as_ref().is_none_or(named) => {
                Err("`key_env` is the name of an environment variable, not the key".into())
            }
            config if !(0.01..=3600.0).contains(&config.timeout_seconds) => {
                Err("`timeout_seconds` must lie in 0.01..=3600".into())
            }
            config if config.retries > 10 => Err("`retries` must be at most 10".into()),
            config if !(0.0..=30.0).contains(&config.backoff_seconds) => {
                Err("`backoff_seconds` must lie in 0..=30".into())
            }
            config if !(1..=256).contains(&config.max_in_flight) => Err("`max_in_flight` must lie in 1..=256".into()),
            config if !(1..=64 << 20).contains(&config.max_request_bytes) => {
                Err("`max_request_bytes` must lie in 1..=67108864".into())
            }
            config if !(1..=64 << 20).contains(&config.max_reply_bytes) => {
                Err("`max_reply_bytes` must lie in 1..=67108864".into())
            }
            config if config.cache_entries > 1_000_000 => Err("`cache_entries` must be at most 1000000".into()),
            _ => Ok(()),
        }
    }

    fn check_url(&self) -> Result<(), String> {
        let uri: Option<Uri> = Some(&self.url)
            .filter(|url| url.len() <= MAX_URL)
            .and_then(|url| url.parse().ok());
        let uri = uri.ok_or("`url` is no address of at most 2048 bytes")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err("`url` begins with http:// or https:// and a host".into());
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("`url` may hold no user and no password; a bearer token goes by `key_env`".into());
        }
        Ok(())
    }

    /// Whether it is on this machine, so that no proxy stands between.
    pub(super) fn is_local(&self) -> bool {
        let uri: Option<Uri> = self.url.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
    }
}

/// Checks names and values.
///
/// # Errors
/// The first endpoint at fault, and what is wrong with it.
pub(in crate::reward) fn check(endpoints: &super::EndpointConfigs) -> Result<(), String> {
    if endpoints.len() > MAX_ENDPOINTS {
        return Err(format!("at most {MAX_ENDPOINTS} of them"));
    }
    for (name, endpoint) in endpoints {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err("a name has 1 to 64 letters, digits, `-` and `_`".into());
        }
        endpoint.check().map_err(|reason| format!("`{name}`: {reason}"))?;
    }
    Ok(())
}
