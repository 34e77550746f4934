//! Spans for OpenTelemetry: one per HTTP request, one per step of a training run with its phases, sent to a collector as
//! OTLP over HTTP (`server.otlp_traces_endpoint`; off without it).
//!
//! Nothing here waits for the collector: a span is put into a bounded queue or dropped and counted, and a thread of its own
//! sends what is there. No span has texts of prompts or answers, tokens, keys or query strings.

mod config;
mod encode;
mod exporter;
mod generation;
mod parent;
mod queue;
mod request;
mod span;
mod training;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use svs_trainer::run::TrainStatus;

pub use config::{OtlpConfig, endpoint, header_list};
pub(crate) use generation::Timing;
pub use request::{RequestSpan, current, within};

use crate::config::HttpConfig;
use crate::metrics::SpanCounts;
use exporter::Exporter;
use parent::Parent;
use queue::Queue;

/// Routes that are asked by machines every few seconds and do no work.
const UNTRACED: [&str; 6] = ["/health", "/ping", "/metrics", "/load", "/", "/page/{file}"];

/// Where spans go; nowhere if no collector is configured.
#[derive(Debug, Default)]
pub struct Tracer {
    on: Option<On>,
}

#[derive(Debug)]
struct On {
    queue: Arc<Queue>,
    /// Turns the trainer's status into spans.
    follower: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Tracer {
    /// Starts to send to the collector that `config` names, if it names one; `trainer` tells of training runs.
    #[must_use]
    pub fn start(config: &HttpConfig, counts: SpanCounts, trainer: impl FnOnce() -> Receiver<TrainStatus>) -> Self {
        let Some(url) = config
            .otlp_traces_endpoint
            .as_deref()
            .and_then(|url| endpoint(url).ok())
        else {
            return Self::default();
        };
        let queue = Arc::new(Queue::new(&config.otlp, counts));
        let exporter = Exporter::new(&url, &config.otlp, Arc::clone(&queue));
        let spawn =
            |name: &str, body: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.into()).spawn(body);
        if let Err(error) = spawn("otlp", Box::new(move || exporter.run())) {
            tracing::error!(%error, "cannot start the thread that sends spans; there are none");
            return Self::default();
        }
        queue.counts.show();
        let (of_training, trainer) = (Arc::clone(&queue), trainer());
        let follower = spawn(
            "otlp-training",
            Box::new(move || training::follow(&of_training, &trainer)),
        )
        .inspect_err(|error| tracing::error!(%error, "cannot start the thread that follows runs; they have no spans"));
        Self {
            on: Some(On {
                queue,
                follower: follower.ok().into(),
            }),
        }
    }

    /// The span of a request that has just come in; an empty one where nothing is traced, or the client's own trace is
    /// told not to be.
    #[must_use]
    pub fn request(&self, method: &Method, route: Option<&str>, headers: &HeaderMap) -> RequestSpan {
        let Some(on) = &self.on else {
            return RequestSpan::default();
        };
        if route.is_some_and(|route| UNTRACED.contains(&route)) {
            return RequestSpan::default();
        }
        match Parent::of(headers) {
            Some(parent) if !parent.sampled => RequestSpan::default(),
            parent => RequestSpan::begin(Arc::clone(&on.queue), parent, method, route),
        }
    }

    /// Sends what is queued and takes no more; what has not been sent after `within` is dropped and counted.
    pub fn close(&self, within: Duration) {
        let Some(on) = &self.on else {
            return;
        };
        on.queue.end_followers();
        let follower = on.follower.lock().map(|mut follower| follower.take());
        if let Ok(Some(follower)) = follower {
            // It waits for nothing but the next status, and looks up several times a second.
            let _ = follower.join();
        }
        on.queue.close(within);
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Some(on) = &self.on {
            on.queue.end_followers();
            on.queue.close(Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests;
