//! One endpoint: bounded requests, repeated where another attempt may be better.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use svs_verifier::inquiry::{Finding, NoFinding};

use super::cache::{Cache, key};
use super::config::EndpointConfig;

/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of a reply's head.
const MAX_HEAD: usize = 16 << 10;

/// An endpoint with its connections, its places and its cache.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: String,
    pub(super) config: EndpointConfig,
    key: Option<Secret>,
    agent: ureq::Agent,
    places: Places,
    cache: Cache,
}

/// A bearer token; never shown.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why an attempt gave nothing.
enum Failed {
    /// Another attempt may be better, after a pause that the endpoint asks for.
    Again(String, Option<Duration>),
    /// It would not.
    Finally(String),
}

impl Endpoint {
    /// # Errors
    /// The environment lacks its key.
    pub(super) fn new(name: &str, config: &EndpointConfig) -> Result<Self, String> {
        let key = config.key_env.as_ref().map(|variable| match std::env::var(variable) {
            // A key of other characters would make every request fail, with the key in the message.
            Ok(key) if !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic()) => Ok(Secret(key)),
            Ok(_) => Err(format!("the environment variable `{variable}` holds no key")),
            Err(_) => Err(format!("the environment variable `{variable}` of its key is not set")),
        });
        let mut agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs_f64(config.timeout_seconds)))
            .http_status_as_error(false)
            // A redirect would reach an address that nobody declared.
            .max_redirects(0)
            .max_response_header_size(MAX_HEAD)
            .max_idle_connections(config.max_in_flight)
            .max_idle_connections_per_host(config.max_in_flight)
            .user_agent(concat!("svs/", env!("CARGO_PKG_VERSION")));
        if config.is_local() {
            agent = agent.proxy(None);
        }
        Ok(Self {
            name: name.to_owned(),
            key: key.transpose()?,
            agent: agent.build().into(),
            places: Places::new(config.max_in_flight),
            cache: Cache::new(config.cache_entries),
            config: config.clone(),
        })
    }

    /// What `read` makes of the reply to `body`, of the cache or of an attempt. `reading` tells it from others that read the
    /// same reply differently.
    ///
    /// # Errors
    /// Why there is none, after the last attempt.
    pub(super) fn ask(
        &self,
        path: &str,
        body: &[u8],
        reading: &str,
        read: impl Fn(&[u8]) -> Result<Finding, NoFinding>,
    ) -> Result<Finding, String> {
        let key = key(path, body, reading);
        if let Some(finding) = self.cache.get(&key) {
            return Ok(finding);
        }
        let mut pause = Duration::from_secs_f64(self.config.backoff_seconds);
        for attempt in 0..=self.config.retries {
            let (why, wanted) = match self.attempt(path, body, &read) {
                Ok(finding) => {
                    self.cache.put(key, finding.clone());
                    return Ok(finding);
                }
                Err(Failed::Finally(why)) => return Err(self.fault(&why, attempt + 1)),
                Err(Failed::Again(why, wanted)) => (why, wanted),
            };
            if attempt == self.config.retries {
                return Err(self.fault(&why, attempt + 1));
            }
            sleep(wanted.unwrap_or(pause).min(MAX_PAUSE));
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Err(self.fault("no attempt was allowed", 0))
    }

    fn fault(&self, why: &str, attempts: u32) -> String {
        let why = match &self.key {
            Some(Secret(key)) => why.replace(key.as_str(), "…"),
            None => why.to_owned(),
        };
        let fault = format!("endpoint `{}`, attempt {attempts}: {why}", self.name);
        tracing::warn!("{fault}: the rollout has no reward");
        fault
    }

    fn attempt(
        &self,
        path: &str,
        body: &[u8],
        read: impl Fn(&[u8]) -> Result<Finding, NoFinding>,
    ) -> Result<Finding, Failed> {
        let reply = {
            let _place = self.places.take();
            self.send(path, body)?
        };
        read(&reply).map_err(|none| match none {
            NoFinding::Unreadable(why) => Failed::Again(why, None),
            NoFinding::Declined(why) => Failed::Finally(format!("declined: {why}")),
        })
    }

    fn send(&self, path: &str, body: &[u8]) -> Result<Vec<u8>, Failed> {
        let again = |error: ureq::Error| Failed::Again(error.to_string(), None);
        let url = format!("{}{path}", self.config.url.trim_end_matches('/'));
        let mut request = self.agent.post(url).header("content-type", "application/json");
        if let Some(Secret(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut reply = request.send(body).map_err(again)?;
        let status = reply.status().as_u16();
        match status {
            200..=299 => {}
            408 | 425 | 429 | 500..=599 => {
                let wanted = reply.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let seconds = wanted.and_then(|seconds| seconds.trim().parse::<u32>().ok());
                let wanted = seconds.map(|seconds| Duration::from_secs(seconds.into()));
                return Err(Failed::Again(format!("status {status}"), wanted));
            }
            300..=399 => return Err(Failed::Finally(format!("status {status}: redirects are not followed"))),
            _ => return Err(Failed::Finally(format!("status {status}"))),
        }
        let limit = self.config.max_reply_bytes as u64;
        let bytes = reply.body_mut().with_config().limit(limit).read_to_vec();
        bytes.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                Failed::Finally(format!("the reply is longer than `max_reply_bytes`, {limit}"))
            }
            other => again(other),
        })
    }
}

/// Places for requests under way.
#[derive(Debug)]
struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place that is taken, until it is dropped.
struct Place<'a>(&'a Places);

impl Places {
    fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for a free place. Those that hold one give it back within their timeout.
    fn take(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
