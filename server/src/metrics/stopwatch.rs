//! Requests of clients in time and tokens, in vLLM's histograms.

use std::time::Instant;

use prometheus::{Histogram, IntCounterVec};
use svs_engine::FinishReason;

use super::{Maker, finish_name};
use crate::lower::Plan;
use crate::otlp::Timing;

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
/// vLLM's bucket bounds of whole requests and their parts, seconds.
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

/// What is measured of requests.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    finished: IntCounterVec,
    first_token: Histogram,
    between_tokens: Histogram,
    per_token: Histogram,
    request: Histogram,
    queue: Histogram,
    inference: Histogram,
    prefill: Histogram,
    decode: Histogram,
    prompt_tokens: Histogram,
    generation_tokens: Histogram,
    max_generation_tokens: Histogram,
    choices: Histogram,
    max_tokens: Histogram,
}

impl Watched {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let histogram = |rest: &str, help: &str, buckets: &[f64]| {
            maker.register(Histogram::with_opts(maker.histogram(rest, help, buckets)))
        };
        let seconds = |rest: &str, help: &str| histogram(rest, &format!("{help}, seconds."), REQUEST_SECONDS);
        let tokens = |rest: &str, help: &str| histogram(rest, help, TOKENS);
        let first = "From submission to the first token, seconds.";
        let between = "Between two tokens of a choice, seconds.";
        let per = "Mean time between the tokens of a choice, seconds.";
        let name = format!("{}request_success_total", maker.prefix);
        let finished = maker.opts(&name, "Finished choices of clients by reason.");
        let finished = maker.register(IntCounterVec::new(finished, &["finished_reason"]));
        for reason in [FinishReason::Stop, FinishReason::Length, FinishReason::Abort] {
            finished.with_label_values(&[finish_name(reason)]);
        }
        Self {
            finished,
            first_token: histogram("time_to_first_token_seconds", first, FIRST_TOKEN_SECONDS),
            between_tokens: histogram("inter_token_latency_seconds", between, BETWEEN_TOKENS_SECONDS),
            per_token: histogram("request_time_per_output_token_seconds", per, BETWEEN_TOKENS_SECONDS),
            request: seconds("e2e_request_latency_seconds", "From submission to the end of a request"),
            queue: seconds("request_queue_time_seconds", "Wait of a choice for its first step"),
            inference: seconds(
                "request_inference_time_seconds",
                "From a choice's first step to its end",
            ),
            prefill: seconds(
                "request_prefill_time_seconds",
                "From a choice's first step to its first token",
            ),
            decode: seconds("request_decode_time_seconds", "From a choice's first token to its last"),
            prompt_tokens: tokens("request_prompt_tokens", "Prompt tokens of a request."),
            generation_tokens: tokens("request_generation_tokens", "Sampled tokens of a choice."),
            max_generation_tokens: tokens(
                "request_max_num_generation_tokens",
                "Sampled tokens of a request's longest choice.",
            ),
            choices: histogram("request_params_n", "Choices asked for.", CHOICES),
            max_tokens: tokens("request_params_max_tokens", "Most tokens that a choice may have."),
        }
    }
}

/// Times one request.
#[derive(Debug)]
pub struct Stopwatch {
    watched: Watched,
    started: Instant,
    choices: Vec<Timed>,
    any: bool,
    left: usize,
    longest: usize,
    /// The shortest wait of a choice for its first step.
    queued_s: Option<f64>,
}

/// The first and the last token of a choice.
#[derive(Debug, Clone, Copy, Default)]
struct Timed {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Stopwatch {
    /// Times a request of `total` choices that was about to be submitted at `started`.
    pub(super) fn start(watched: &Watched, plan: &Plan, total: usize, started: Instant) -> Self {
        for prompt in &plan.prompts {
            watched.prompt_tokens.observe(prompt.tokens.len() as f64);
            watched.max_tokens.observe(f64::from(prompt.max_tokens));
        }
        watched.choices.observe(f64::from(plan.n));
        Self {
            watched: watched.clone(),
            started,
            choices: vec![Timed::default(); total],
            any: false,
            left: total,
            longest: 0,
            queued_s: None,
        }
    }

    /// Choice `index` got a token, drawn at `at` by the engine: on a busy machine its event is read later.
    pub fn token(&mut self, index: usize, at: Instant) {
        if !std::mem::replace(&mut self.any, true) {
            self.watched.first_token.observe((at - self.started).as_secs_f64());
        }
        let timed = &mut self.choices[index];
        timed.first.get_or_insert(at);
        if let Some(last) = timed.last.replace(at) {
            self.watched.between_tokens.observe((at - last).as_secs_f64());
        }
    }

    /// Choice `index` ended after `tokens` tokens; it had waited `queued_s` for its first step, if that is known.
    pub fn finished(&mut self, index: usize, reason: FinishReason, tokens: usize, queued_s: Option<f64>) {
        self.watched.finished.with_label_values(&[finish_name(reason)]).inc();
        self.watched.generation_tokens.observe(tokens as f64);
        self.longest = self.longest.max(tokens);
        if let Some(queued_s) = queued_s {
            self.queued_s = Some(self.queued_s.map_or(queued_s, |least| least.min(queued_s)));
            self.parts(index, tokens, queued_s);
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.watched.request.observe(self.started.elapsed().as_secs_f64());
            self.watched.max_generation_tokens.observe(self.longest as f64);
        }
    }

    /// Where the time of a choice went.
    fn parts(&self, index: usize, tokens: usize, queued_s: f64) {
        let watched = &self.watched;
        watched.queue.observe(queued_s);
        let since_start = |at: Instant| (at - self.started).as_secs_f64();
        let Timed {
            first: Some(first),
            last: Some(last),
        } = self.choices[index]
        else {
            return;
        };
        let decode_s = (last - first).as_secs_f64();
        watched.inference.observe((since_start(last) - queued_s).max(0.0));
        watched.prefill.observe((since_start(first) - queued_s).max(0.0));
        watched.decode.observe(decode_s);
        if tokens > 1 {
            watched.per_token.observe(decode_s / (tokens - 1) as f64);
        }
    }

    /// Where the time of the request went so far.
    #[must_use]
    pub(crate) fn timing(&self) -> Timing {
        let since_start = |at: Instant| (at - self.started).as_secs_f64();
        let first_token = self
            .choices
            .iter()
            .filter_map(|timed| timed.first)
            .min()
            .map(since_start);
        let last_token = self
            .choices
            .iter()
            .filter_map(|timed| timed.last)
            .max()
            .map(since_start);
        let between = |from: Option<f64>, to: Option<f64>| Some((to? - from?).max(0.0));
        Timing {
            queue: self.queued_s,
            first_token,
            prefill: between(self.queued_s, first_token),
            decode: between(first_token, last_token),
            inference: between(self.queued_s, last_token),
            whole: self.started.elapsed().as_secs_f64(),
        }
    }
}
