//! Prometheus metrics: vLLM's names for serving, `trainer_*` for training, `svs_*` for what neither has.
//!
//! Histograms and counts of the HTTP edge live here; numbers of engine and trainer are copied at each scrape (`engine`,
//! `trainer`).

mod describe;
mod engine;
mod sheet;
mod spans;
mod stopwatch;
mod trainer;
mod updates;

use std::time::Instant;

use prometheus::{Encoder, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};
use svs_engine::FinishReason;
use svs_engine::runtime::EngineStats;
use svs_trainer::run::{Totals, TrainStatus};

use crate::lower::Plan;
use sheet::Sheet;
pub use spans::{Dropped, SpanCounts};
pub use stopwatch::Stopwatch;
use stopwatch::Watched;
pub(crate) use trainer::state_name;
pub use updates::Operation;
use updates::Operations;

/// Metrics of the HTTP edge.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    model_name: String,
    prefix: String,
    watched: Watched,
    operations: Operations,
    responses: IntCounterVec,
    trajectories: IntCounter,
    /// Spans on their way to a collector.
    pub spans: SpanCounts,
}

/// Makes metrics with the labels of the server and registers them.
struct Maker<'a> {
    registry: &'a Registry,
    model_name: &'a str,
    prefix: &'a str,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help)
            .const_label("model_name", self.model_name)
            .const_label("engine", "0")
    }

    /// Options of a histogram that vLLM has too.
    fn histogram(&self, rest: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::from(self.opts(&format!("{}{rest}", self.prefix), help)).buckets(buckets.to_vec())
    }

    /// Registers `metric`; names here are fixed, valid and distinct, which a test of the exposition shows, and the prefix
    /// was checked with the configuration.
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("names and labels of metrics are valid");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("names of metrics are distinct");
        metric
    }
}

impl Metrics {
    /// Metrics labelled with the name of the model; `prefix` goes before vLLM's names.
    #[must_use]
    pub fn new(model_name: &str, prefix: &str) -> Self {
        let registry = Registry::new();
        let maker = Maker {
            registry: &registry,
            model_name,
            prefix,
        };
        let responses = maker.opts("http_requests_total", "HTTP responses by route and status.");
        let trajectories = maker.opts(
            "svs_trajectories_logged_total",
            "Client trajectories committed to the log.",
        );
        Self {
            watched: Watched::new(&maker),
            operations: Operations::new(&maker),
            spans: SpanCounts::new(&maker),
            responses: maker.register(IntCounterVec::new(responses, &["handler", "status"])),
            trajectories: maker.register(IntCounter::with_opts(trajectories)),
            model_name: model_name.to_string(),
            prefix: prefix.to_string(),
            registry,
        }
    }

    /// The exposition text with numbers of engine and trainer as given.
    #[must_use]
    pub fn render(&self, engine: &EngineStats, trainer: Option<(&TrainStatus, &Totals)>) -> String {
        let mut sheet = Sheet::new(&self.model_name);
        engine::put(&mut sheet, &self.prefix, engine);
        if let Some((status, totals)) = trainer {
            trainer::put(&mut sheet, status, totals);
        }
        let mut families = sheet.families();
        families.extend(self.registry.gather());
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&families, &mut text)
            .expect("writing to memory does not fail");
        String::from_utf8(text).expect("the exposition format is UTF-8")
    }

    /// Counts a response.
    pub fn count_response(&self, route: &str, status: u16) {
        self.responses.with_label_values(&[route, &status.to_string()]).inc();
    }

    /// Counts trajectories committed.
    pub fn count_trajectories(&self, count: usize) {
        self.trajectories.inc_by(count as u64);
    }

    /// Times a request of `total` choices that was about to be submitted at `started`.
    #[must_use]
    pub fn stopwatch(&self, plan: &Plan, total: usize, started: Instant) -> Stopwatch {
        Stopwatch::start(&self.watched, plan, total, started)
    }

    /// Times a step of an update of weights from outside until it is dropped.
    #[must_use]
    pub fn operation(&self, name: &str) -> Operation {
        self.operations.begin(name)
    }
}

/// Wire name of a finish reason.
#[must_use]
pub fn finish_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Abort => "abort",
    }
}

#[cfg(test)]
mod tests;
