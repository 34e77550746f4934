//! What a bench tells: rates, and what they are of the machine's limits.

use std::fmt::Write;

use serde::Serialize;
use svs_engine::ops::MachineLimits;
use svs_engine::{ModelConfig, WeightSet};

use super::Load;
use super::phase::{Phase, Run, quantile};

/// A bench in figures; `svs bench … --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Storage of the weights.
    pub weights: &'static str,
    /// Storage of keys and values.
    pub kv: &'static str,
    /// Sequences at once.
    pub batch: usize,
    /// Samples per prompt.
    pub group: usize,
    /// Length of a prompt.
    pub prompt_tokens: usize,
    /// New tokens of each sequence.
    pub max_tokens: u32,
    /// Threads of the compute pool.
    pub threads: usize,
    /// Prompt tokens per second until every sequence has its first token.
    pub prefill_tokens_per_second: f64,
    /// Sampled tokens per second from then on.
    pub decode_tokens_per_second: f64,
    /// Median time to the first token.
    pub ttft_ms: f64,
    /// Median time between tokens of a sequence.
    pub itl_ms_p50: f64,
    /// Its 99th percentile.
    pub itl_ms_p99: f64,
    /// Most memory the process has held.
    pub rss_peak_bytes: u64,
    /// Arithmetic of the decode phase as a share of the machine's fused multiply-adds.
    pub fma_peak_fraction: f64,
    /// Weights and KV read in the decode phase as a share of what the machine reads.
    pub read_peak_fraction: f64,
    /// Share of the decode phase outside decoder and sampler.
    pub overhead_fraction: f64,
    /// Share of the decode phase in the sampler.
    pub sampler_fraction: f64,
    /// Arithmetic of the prefill as a share of the machine's fused multiply-adds.
    pub prefill_fma_peak_fraction: f64,
    /// Fused multiply-adds that the machine was measured to do, two operations each.
    pub machine_flops: f64,
    /// Bytes that the machine was measured to read.
    pub machine_read_bytes_per_second: f64,
    /// The phases: name, tokens, seconds, steps, operations, bytes.
    #[serde(skip)]
    phases: [(&'static str, Phase, Work); 2],
}

/// Least work of a phase: what any engine has to compute and read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Work {
    operations: f64,
    bytes: f64,
}

impl Work {
    /// Of `tokens` rows with `drawn` of them drawing, in `steps` steps, each row seeing `context` positions on average.
    fn new(config: &ModelConfig, weights: &WeightSet, tokens: usize, drawn: usize, steps: u64, context: f64) -> Self {
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let body = config.hidden_size * (2 * q + 2 * kv + 3 * config.intermediate_size);
        let attention = 2.0 * q as f64 * context;
        let layers = config.layers as f64 * (body as f64 + attention) * tokens as f64;
        let head = (config.hidden_size * config.vocab_size * drawn) as f64;
        let kv_bytes = (2 * config.layers * kv * weights.storage.kv.bytes()) as f64;
        Self {
            operations: 2.0 * (layers + head),
            bytes: steps as f64 * weights.bytes() as f64 + tokens as f64 * context * kv_bytes,
        }
    }
}

impl Report {
    pub(super) fn new(
        config: &ModelConfig,
        weights: &WeightSet,
        load: &Load,
        threads: usize,
        limits: MachineLimits,
        run: &Run,
    ) -> Self {
        let prompt = load.prompt_tokens as f64;
        let prefill = Work::new(
            config,
            weights,
            run.prefill.tokens,
            load.batch,
            run.prefill.steps,
            prompt / 2.0,
        );
        let context = prompt + f64::from(load.max_tokens) / 2.0;
        let decode = Work::new(
            config,
            weights,
            run.decode.tokens,
            run.decode.tokens,
            run.decode.steps,
            context,
        );
        Self {
            weights: weights.storage.weights.name(),
            kv: weights.storage.kv.name(),
            batch: load.batch,
            group: load.group,
            prompt_tokens: load.prompt_tokens,
            max_tokens: load.max_tokens,
            threads,
            prefill_tokens_per_second: run.prefill.tokens_per_second(),
            decode_tokens_per_second: run.decode.tokens_per_second(),
            ttft_ms: quantile(&run.ttft_ms, 0.5),
            itl_ms_p50: quantile(&run.itl_ms, 0.5),
            itl_ms_p99: quantile(&run.itl_ms, 0.99),
            rss_peak_bytes: peak_memory_bytes().unwrap_or(0),
            fma_peak_fraction: decode.operations / run.decode.seconds / limits.flops,
            read_peak_fraction: decode.bytes / run.decode.seconds / limits.read_bytes,
            overhead_fraction: run.decode.overhead(),
            sampler_fraction: run.decode.sampler_seconds / run.decode.seconds,
            prefill_fma_peak_fraction: prefill.operations / run.prefill.seconds / limits.flops,
            machine_flops: limits.flops,
            machine_read_bytes_per_second: limits.read_bytes,
            phases: [("prefill", run.prefill, prefill), ("decode", run.decode, decode)],
        }
    }
}

/// Tables for people.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} sequences ({} prompts of {} tokens), {} new tokens each; weights {}, KV {}, {} threads\n",
        report.batch,
        report.batch / report.group,
        report.prompt_tokens,
        report.max_tokens,
        report.weights,
        report.kv,
        report.threads
    );
    let _ = writeln!(
        out,
        "{:<8} {:>8} {:>8} {:>6} {:>9} {:>8} {:>7} {:>8} {:>6} {:>8} {:>8} {:>8}",
        "phase",
        "tokens",
        "seconds",
        "steps",
        "tokens/s",
        "GFLOP/s",
        "of FMA",
        "GB/s",
        "of rd",
        "decoder",
        "sampler",
        "rest"
    );
    let gig = 1e-9;
    for (name, phase, work) in &report.phases {
        let share = |seconds: f64| format!("{:.1} %", 100.0 * seconds / phase.seconds);
        let _ = writeln!(
            out,
            "{name:<8} {:>8} {:>8.3} {:>6} {:>9.1} {:>8.1} {:>7} {:>8.2} {:>6} {:>8} {:>8} {:>8}",
            phase.tokens,
            phase.seconds,
            phase.steps,
            phase.tokens_per_second(),
            work.operations / phase.seconds * gig,
            share(work.operations / report.machine_flops),
            work.bytes / phase.seconds * gig,
            share(work.bytes / report.machine_read_bytes_per_second),
            share(phase.decoder_seconds),
            share(phase.sampler_seconds),
            share(phase.overhead() * phase.seconds),
        );
    }
    let _ = writeln!(
        out,
        "\nfirst token {:.1} ms (median) · between tokens {:.1} ms (median), {:.1} ms (p99) · peak memory {:.0} MB",
        report.ttft_ms,
        report.itl_ms_p50,
        report.itl_ms_p99,
        report.rss_peak_bytes as f64 * 1e-6
    );
    let _ = writeln!(
        out,
        "this machine: {:.1} GFLOP/s of fused multiply-adds, {:.1} GB/s read",
        report.machine_flops * gig,
        report.machine_read_bytes_per_second * gig
    );
    out
}

/// Most memory this process has held, where the system tells.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}
