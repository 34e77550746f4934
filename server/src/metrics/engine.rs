//! The engine's numbers: vLLM's names behind the prefix that the server has, and our own for what vLLM does not tell.

use svs_engine::kv::BLOCK_TOKENS;
use svs_engine::runtime::EngineStats;

use super::sheet::Sheet;

/// Puts the engine's numbers on the sheet.
pub(super) fn put(sheet: &mut Sheet<'_>, prefix: &str, stats: &EngineStats) {
    under_vllms_names(sheet, prefix, stats);
    let paused = f64::from(u8::from(stats.paused));
    sheet.gauge(
        "svs_weight_version",
        "Weight version that answers.",
        stats.version as f64,
    );
    sheet.gauge("svs_paused", "1 while generation is paused, or pausing.", paused);
    for (name, help, value) in [
        ("svs_publishes_total", "Weight publishes.", stats.publishes),
        (
            "svs_integrity_checks_total",
            "Integrity checks of the idle engine.",
            stats.integrity_checks,
        ),
        (
            "svs_integrity_failures_total",
            "Integrity checks that found an inconsistency.",
            stats.integrity_failures,
        ),
        ("svs_engine_steps_total", "Engine steps.", stats.steps),
    ] {
        sheet.counter(name, help, value);
    }
    for (part, seconds) in [
        ("all", stats.step_seconds),
        ("decoder", stats.decoder_seconds),
        ("sampler", stats.sampler_seconds),
    ] {
        let help = "Time spent in engine steps, seconds; `decoder` and `sampler` are parts of `all`.";
        sheet.counter_of("svs_engine_step_seconds_total", help, &[("part", part)], seconds);
    }
    sheet.histogram(
        "svs_swap_pause_seconds",
        "Time for which no engine step ran because new weights took over, seconds.",
        &stats.swap_pauses,
    );
    let (name, help) = (
        "svs_tokens_by_weight_version_total",
        "Tokens sampled, for clients and rollouts, by the weight version that they were drawn under; `older` are those of versions before the newest sixteen.",
    );
    for (version, tokens) in &stats.tokens_by_version {
        sheet.counter_of(name, help, &[("weight_version", &version.to_string())], *tokens as f64);
    }
    sheet.counter_of(name, help, &[("weight_version", "older")], stats.tokens_of_older as f64);
}

fn under_vllms_names(sheet: &mut Sheet<'_>, prefix: &str, stats: &EngineStats) {
    let name = |rest: &str| format!("{prefix}{rest}");
    let used = stats.kv_blocks_used as f64 / stats.kv_blocks_total.max(1) as f64;
    for (rest, help, value) in [
        ("num_requests_running", "Sequences running.", stats.running as f64),
        ("num_requests_waiting", "Sequences waiting.", stats.waiting as f64),
        ("kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1.", used),
    ] {
        sheet.gauge(&name(rest), help, value);
    }
    let (size, blocks) = (BLOCK_TOKENS.to_string(), stats.kv_blocks_total.to_string());
    let labels = [("block_size", size.as_str()), ("num_gpu_blocks", blocks.as_str())];
    let help = "1; tokens of a KV block and number of blocks as labels (vLLM's names, also where the blocks are not on a GPU).";
    sheet.gauge_of(&name("cache_config_info"), help, &labels, 1.0);
    for (rest, help, value) in [
        (
            "prompt_tokens_total",
            "Prompt tokens computed or reused.",
            stats.prompt_tokens,
        ),
        (
            "prompt_tokens_cached_total",
            "Prompt tokens reused from the prefix cache.",
            stats.prefix_hits,
        ),
        ("generation_tokens_total", "Tokens sampled.", stats.generation_tokens),
        (
            "prefix_cache_queries_total",
            "Prompt tokens looked up for reuse.",
            stats.prefix_queries,
        ),
        (
            "prefix_cache_hits_total",
            "Prompt tokens found for reuse.",
            stats.prefix_hits,
        ),
        (
            "num_preemptions_total",
            "Sequences preempted, to be recomputed later.",
            stats.preemptions,
        ),
    ] {
        sheet.counter(&name(rest), help, value);
    }
    sheet.histogram(
        &name("iteration_tokens_total"),
        "Tokens of an engine step: those of prompts computed and those decoded.",
        &stats.step_rows,
    );
}
