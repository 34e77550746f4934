//! Prometheus metrics: vLLM's names for serving, `trainer_*` for training, `svs_*` for what neither has.
//!
//! Histograms and counts of the HTTP edge live here; numbers of engine and trainer are copied from one snapshot at each
//! scrape (`snapshot`).

pub(crate) mod snapshot;

use std::time::Instant;

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};
use svs_engine::FinishReason;
use svs_engine::runtime::EngineStats;
use svs_trainer::run::TrainStatus;

use crate::lower::Plan;

/// vLLM's bucket bounds of the time to the first token, seconds.
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
/// Bucket bounds of the time between two tokens of a choice, seconds.
const BETWEEN_TOKENS_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0,
];
/// vLLM's bucket bounds of whole requests, seconds.
const REQUEST_SECONDS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
/// Bucket bounds of token counts.
const TOKENS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0,
];
/// Bucket bounds of `n`.
const CHOICES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Metrics of the HTTP edge.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    model_name: String,
    finished: IntCounterVec,
    responses: IntCounterVec,
    trajectories: IntCounter,
    first_token: Histogram,
    between_tokens: Histogram,
    request: Histogram,
    prompt_tokens: Histogram,
    generation_tokens: Histogram,
    choices: Histogram,
}

/// Registers `metric`; names here are fixed, valid and distinct, which a test of the exposition shows.
fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("names and labels of metrics are valid");
    registry
        .register(Box::new(metric.clone()))
        .expect("names of metrics are distinct");
    metric
}

fn opts(model_name: &str, name: &str, help: &str) -> Opts {
    Opts::new(name, help)
        .const_label("model_name", model_name)
        .const_label("engine", "0")
}

impl Metrics {
    /// Metrics labelled with the name of the model.
    #[must_use]
    pub fn new(model_name: &str) -> Self {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::from(opts(model_name, name, help)).buckets(buckets.to_vec());
            register(&registry, Histogram::with_opts(opts))
        };
        let first_token = histogram(
            "vllm:time_to_first_token_seconds",
            "From submission to the first token.",
            FIRST_TOKEN_SECONDS,
        );
        let between_tokens = histogram(
            "vllm:inter_token_latency_seconds",
            "Between two tokens of a choice.",
            BETWEEN_TOKENS_SECONDS,
        );
        let request = histogram(
            "vllm:e2e_request_latency_seconds",
            "From submission to the end of a request.",
            REQUEST_SECONDS,
        );
        let prompt_tokens = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", TOKENS);
        let generation_tokens = histogram("vllm:request_generation_tokens", "Sampled tokens of a choice.", TOKENS);
        let choices = histogram("vllm:request_params_n", "Choices asked for.", CHOICES);
        let finished = opts(model_name, "vllm:request_success_total", "Finished choices by reason.");
        let responses = opts(model_name, "http_requests_total", "HTTP responses by route and status.");
        let trajectories = opts(
            model_name,
            "svs_trajectories_logged_total",
            "Client trajectories committed to the log.",
        );
        Self {
            finished: register(&registry, IntCounterVec::new(finished, &["finished_reason"])),
            responses: register(&registry, IntCounterVec::new(responses, &["handler", "status"])),
            trajectories: register(&registry, IntCounter::with_opts(trajectories)),
            model_name: model_name.to_string(),
            first_token,
            between_tokens,
            request,
            prompt_tokens,
            generation_tokens,
            choices,
            registry,
        }
    }

    /// The exposition text with numbers of engine and trainer as given.
    #[must_use]
    pub fn render(&self, engine: &EngineStats, trainer: Option<&TrainStatus>) -> String {
        let mut families = snapshot::families(&self.model_name, engine, trainer);
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

    /// Starts to time a request of `total` choices.
    #[must_use]
    pub fn stopwatch(&self, plan: &Plan, total: usize) -> Stopwatch {
        for prompt in &plan.prompts {
            self.prompt_tokens.observe(prompt.tokens.len() as f64);
        }
        self.choices.observe(f64::from(plan.n));
        Stopwatch {
            metrics: self.clone(),
            started: Instant::now(),
            last: vec![None; total],
            any: false,
            left: total,
        }
    }
}

/// Times one request.
#[derive(Debug)]
pub struct Stopwatch {
    metrics: Metrics,
    started: Instant,
    last: Vec<Option<Instant>>,
    any: bool,
    left: usize,
}

impl Stopwatch {
    /// Choice `index` got a token.
    pub fn token(&mut self, index: usize) {
        let now = Instant::now();
        if !std::mem::replace(&mut self.any, true) {
            self.metrics.first_token.observe((now - self.started).as_secs_f64());
        }
        if let Some(last) = self.last[index].replace(now) {
            self.metrics.between_tokens.observe((now - last).as_secs_f64());
        }
    }

    /// A choice ended after `tokens` tokens.
    pub fn finished(&mut self, reason: FinishReason, tokens: usize) {
        self.metrics.finished.with_label_values(&[finish_name(reason)]).inc();
        self.metrics.generation_tokens.observe(tokens as f64);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.metrics.request.observe(self.started.elapsed().as_secs_f64());
        }
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
