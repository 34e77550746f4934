//! Numbers of engine and trainer at one moment as metric families.

use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, GaugeVec, Registry};
use svs_engine::runtime::EngineStats;
use svs_trainer::run::{RunState, TrainStatus};

use super::{opts, register};

/// The families, sorted by name within engine and trainer.
pub(super) fn families(model_name: &str, engine: &EngineStats, trainer: Option<&TrainStatus>) -> Vec<MetricFamily> {
    let registry = Registry::new();
    let snapshot = Snapshot {
        registry: &registry,
        model_name,
    };
    snapshot.engine(engine);
    if let Some(status) = trainer {
        snapshot.trainer(status);
    }
    registry.gather()
}

struct Snapshot<'a> {
    registry: &'a Registry,
    model_name: &'a str,
}

impl Snapshot<'_> {
    fn gauge(&self, name: &str, help: &str, value: f64) {
        register(self.registry, Gauge::with_opts(opts(self.model_name, name, help))).set(value);
    }

    fn counter(&self, name: &str, help: &str, value: u64) {
        register(self.registry, Counter::with_opts(opts(self.model_name, name, help))).inc_by(value as f64);
    }

    fn engine(&self, stats: &EngineStats) {
        let usage = stats.kv_blocks_used as f64 / stats.kv_blocks_total.max(1) as f64;
        self.gauge("vllm:num_requests_running", "Sequences running.", stats.running as f64);
        self.gauge("vllm:num_requests_waiting", "Sequences waiting.", stats.waiting as f64);
        self.gauge("vllm:kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1.", usage);
        self.gauge(
            "svs_weight_version",
            "Weight version that answers.",
            stats.version as f64,
        );
        self.gauge(
            "svs_paused",
            "1 while generation is paused.",
            f64::from(u8::from(stats.paused)),
        );
        self.counter(
            "vllm:prompt_tokens_total",
            "Prompt tokens computed or reused.",
            stats.prompt_tokens,
        );
        self.counter(
            "vllm:generation_tokens_total",
            "Tokens sampled.",
            stats.generation_tokens,
        );
        self.counter(
            "vllm:prefix_cache_queries_total",
            "Prompt tokens looked up for reuse.",
            stats.prefix_queries,
        );
        self.counter(
            "vllm:prefix_cache_hits_total",
            "Prompt tokens found for reuse.",
            stats.prefix_hits,
        );
        self.counter("vllm:num_preemptions_total", "Preemptions.", stats.preemptions);
        self.counter("svs_publishes_total", "Weight publishes.", stats.publishes);
        self.counter(
            "svs_integrity_checks_total",
            "Integrity checks of the idle engine.",
            stats.integrity_checks,
        );
        self.counter(
            "svs_integrity_failures_total",
            "Integrity checks that found an inconsistency.",
            stats.integrity_failures,
        );
        self.counter("svs_engine_steps_total", "Engine steps.", stats.steps);
    }

    fn trainer(&self, status: &TrainStatus) {
        let opts = opts(
            self.model_name,
            "trainer_state",
            "1 for the state that the trainer is in.",
        );
        let states = register(self.registry, GaugeVec::new(opts, &["state"]));
        for state in [
            RunState::Idle,
            RunState::Running,
            RunState::Paused,
            RunState::Stopping,
            RunState::Finished,
            RunState::Failed,
        ] {
            states
                .with_label_values(&[state_name(state)])
                .set(f64::from(u8::from(state == status.state)));
        }
        self.gauge("trainer_step", "Steps done in this run.", status.step as f64);
        self.gauge("trainer_steps", "Steps planned in this run.", status.steps as f64);
        self.gauge(
            "trainer_stalled",
            "1 while the phase makes no progress; GET /v1/train/status tells what it waits for.",
            f64::from(u8::from(status.stalled.is_some())),
        );
        let mut seen = vec![
            "trainer_state".to_string(),
            "trainer_stalled".into(),
            "trainer_step".into(),
            "trainer_steps".into(),
        ];
        for (name, value) in &status.metrics {
            let name = format!("trainer_{}", sanitized(name));
            // Two names may meet after sanitizing; the first stands.
            if !seen.contains(&name) {
                self.gauge(&name, "Of the last training step; see docs/svs.md.", *value);
                seen.push(name);
            }
        }
    }
}

/// `name` with everything that a metric name may not hold replaced by `_`.
fn sanitized(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// Wire name of a run state.
pub(crate) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Idle => "idle",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Stopping => "stopping",
        RunState::Finished => "finished",
        RunState::Failed => "failed",
    }
}
