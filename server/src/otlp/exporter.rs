//! The thread that sends spans: one export at a time, each bounded in time and tries. What the collector says is read to a
//! bound and never repeated; that it fails is said once for each way of failing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use ureq::http::{Uri, header};
use uuid::Uuid;

use super::config::OtlpConfig;
use super::encode;
use super::queue::Queue;
use super::span::Span;
use crate::metrics::Dropped;

/// Pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, whatever the collector asks for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Most bytes of a collector's head and body that are read.
const MAX_REPLY_BYTES: u64 = 64 << 10;
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Idle connections are not used again after this: collectors close them.
const KEPT: Duration = Duration::from_secs(15);

/// Sends what is in the queue.
pub(super) struct Exporter {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
    service_name: String,
    max_attempts: u32,
    queue: Arc<Queue>,
    told: Vec<Dropped>,
}

/// How an export went.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// The collector took all but so many.
    Taken { rejected: usize },
    /// Another try may be better, after the pause that it asks for.
    Again(String, Option<Duration>),
    /// It would not.
    Refused(String),
}

impl Exporter {
    pub(super) fn new(url: &str, config: &OtlpConfig, queue: Arc<Queue>) -> Self {
        let mut agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(config.timeout_seconds)))
            .http_status_as_error(false)
            // A redirect would lead to an address that nobody configured.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEAD_BYTES)
            .max_idle_connections(1)
            .max_idle_age(KEPT)
            .user_agent(concat!("svs/", env!("CARGO_PKG_VERSION")));
        if is_local(url) {
            agent = agent.proxy(None);
        }
        let headers = config.headers.iter();
        Self {
            agent: agent.build().into(),
            url: url.to_owned(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect(),
            service_name: config.service_name.clone(),
            max_attempts: config.max_attempts,
            queue,
            told: Vec::new(),
        }
    }

    /// Sends until the queue is closed and empty.
    pub(super) fn run(mut self) {
        // Also if something here should panic: whoever closes the queue waits for this.
        struct Done(Arc<Queue>);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        let _done = Done(Arc::clone(&self.queue));
        while let Some(batch) = self.queue.batch() {
            self.deliver(&batch);
        }
    }

    /// Sends a batch, again where that may help, or counts it as dropped.
    fn deliver(&mut self, batch: &[Span]) {
        let body = encode::export(&self.service_name, batch).to_string();
        for attempt in 1..=self.max_attempts {
            let (why, pause) = match self.send(&body) {
                Sent::Taken { rejected } => {
                    let rejected = rejected.min(batch.len());
                    self.queue.counts.sent(batch.len() - rejected);
                    if rejected > 0 {
                        self.drop_all(Dropped::Refused, rejected, "it took a part of an export");
                    }
                    return;
                }
                Sent::Refused(why) => return self.drop_all(Dropped::Refused, batch.len(), &why),
                Sent::Again(why, pause) => (why, pause),
            };
            let pause = pause.unwrap_or_else(|| backoff(attempt)).min(MAX_PAUSE);
            let closed = self.queue.pause(if attempt < self.max_attempts {
                pause
            } else {
                Duration::ZERO
            });
            if closed {
                // Nobody waits long for a collector that does not answer.
                self.queue.give_up();
            }
            if closed || attempt == self.max_attempts {
                return self.drop_all(Dropped::NotSent, batch.len(), &why);
            }
        }
    }

    fn drop_all(&mut self, reason: Dropped, count: usize, why: &str) {
        self.queue.counts.dropped(reason, count);
        if !self.told.contains(&reason) {
            self.told.push(reason);
            tracing::warn!(
                url = self.url,
                "the collector does not take spans: {why}; from now on this is only counted, in \
                 svs_otlp_spans_dropped_total"
            );
        }
    }

    fn send(&self, body: &str) -> Sent {
        let mut request = self
            .agent
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => return Sent::Again(error.to_string().chars().take(200).collect(), None),
        };
        let status = response.status();
        if status.is_success() {
            let reply = response.body_mut().with_config().limit(MAX_REPLY_BYTES).read_to_vec();
            let rejected = reply.map_or(0, |reply| rejected(&reply));
            return Sent::Taken { rejected };
        }
        let said = format!("it answers {}", status.as_u16());
        if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            return Sent::Refused(said);
        }
        let after = response.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        Sent::Again(said, after.map(Duration::from_secs))
    }
}

/// Spans that a reply says were rejected: `partialSuccess.rejectedSpans`, a number or its text.
fn rejected(reply: &[u8]) -> usize {
    let reply: Json = serde_json::from_slice(reply).unwrap_or_default();
    let count = &reply["partialSuccess"]["rejectedSpans"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    count.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// The pause after a failed try: between a half and the whole of what doubles each time.
fn backoff(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(8)).min(MAX_PAUSE);
    let random = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
    whole.mul_f64(0.5 + 0.5 * random)
}

/// Whether an address is this machine's, which no proxy reaches.
fn is_local(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_how_many_were_rejected_or_none() {
        for (reply, expected) in [
            (r#"{"partialSuccess": {"rejectedSpans": "3"}}"#, 3),
            (r#"{"partialSuccess": {"rejectedSpans": 4, "errorMessage": "x"}}"#, 4),
            (r#"{"partialSuccess": {}}"#, 0),
            (r#"{"partialSuccess": {"rejectedSpans": -1}}"#, 0),
            ("{}", 0),
            ("<html>", 0),
            ("", 0),
        ] {
            assert_eq!(rejected(reply.as_bytes()), expected, "{reply}");
        }
    }

    #[test]
    fn pauses_grow_within_their_bound() {
        for attempt in [1, 2, 3, 5, 6, 40, u32::MAX] {
            let whole = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(8)).min(MAX_PAUSE);
            let pause = backoff(attempt);
            assert!(whole / 2 <= pause && pause <= whole, "{attempt}: {pause:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_any_spelling() {
        for (url, local) in [
            ("http://localhost:4318/v1/traces", true),
            ("http://127.0.0.1/x", true),
            ("http://[::1]:4318/", true),
            ("https://collector.example/v1/traces", false),
            ("http://127.0.0.1.example/", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }
}
