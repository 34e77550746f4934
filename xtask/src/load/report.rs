//! The table of a load and its verdict.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::health::Probes;
use super::tally::Tally;
use super::{Options, Seen, acts, malformed};
use crate::measure::{quantile, slope};
use crate::server::Server;

/// Share of the run that counts as warm-up.
const WARM_UP: f64 = 0.3;
/// Growth after the warm-up, bytes a minute.
const MOST_SLOPE: f64 = 2e6;
/// What the server may hold beyond what it held after the start: KV cache, bodies and buffers of all connections.
const MOST_BYTES: f64 = 512e6;
const MOST_HEALTH_MS: f64 = 50.0;
/// Time for the server to notice that the last client has gone.
const SETTLE: Duration = Duration::from_secs(30);
/// Numbers of `/metrics` that are 0 when nobody is there.
const ZERO_AT_REST: [&str; 4] = [
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "svs_integrity_failures_total",
];

/// What the server still holds once all clients have gone; empty if nothing.
pub(super) fn left_over(server: &Server) -> anyhow::Result<String> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let text = crate::http::get(server.url(), "/metrics")?.text;
        let mut held = Vec::new();
        for name in ZERO_AT_REST {
            let line = text.lines().find(|line| line.starts_with(name));
            let line = line.with_context(|| format!("no metric {name}"))?;
            if line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()) != Some(0.0) {
                held.push(line.to_owned());
            }
        }
        if held.is_empty() || Instant::now() > deadline {
            return Ok(held.join(", "));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is shown, its figure, and whether it is as it should be.
type Row = (&'static str, String, bool);

/// Prints the table and fails if a check does; a `long` run is also held to its percentile and its slope.
pub(super) fn conclude(options: &Options, tally: &Tally, seen: &Seen, long: bool) -> anyhow::Result<String> {
    let (errors, examples) = tally.errors();
    let health = &seen.health;
    let rows = [
        clients(options, tally, errors),
        probes(health, long),
        server(seen, long),
    ]
    .concat();
    for (what, value, holds) in &rows {
        println!("{} {what:<44} {value}", if *holds { "ok    " } else { "FAILED" });
    }
    for example in examples.iter().chain(&health.failures).take(20) {
        println!("error: {example}");
    }
    let failed: Vec<&str> = rows.iter().filter(|row| !row.2).map(|row| row.0).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(format!(
        "{} streams at once for {} s, {} whole answers, none lost; p99 of /health {:.1} ms; at most {:.0} MB",
        options.streams,
        options.seconds,
        tally.of(acts::STREAMED) + tally.of(acts::WHOLE) + tally.of(acts::SLOW),
        quantile(&health.sorted_ms, 0.99),
        peak(&seen.memory) / 1e6,
    ))
}

/// What came of the requests. Each kind must have come up.
fn clients(options: &Options, tally: &Tally, errors: u64) -> Vec<Row> {
    let kinds = [
        acts::STREAMED,
        acts::WHOLE,
        acts::SLOW,
        acts::LEFT,
        acts::REFUSED,
        acts::MALFORMED,
    ];
    let kinds = kinds.into_iter().chain(malformed::KINDS.map(|kind| kind.name));
    let mut rows: Vec<Row> = kinds
        .map(|kind| (kind, tally.of(kind).to_string(), tally.of(kind) > 0))
        .collect();
    let (open, wanted) = (tally.most_open(), options.streams);
    let speed = tally.tokens() as f64 / options.seconds as f64;
    rows.extend([
        (
            "not answered, or not as they should be",
            errors.to_string(),
            errors == 0,
        ),
        (
            "most streams open at once",
            format!("{open} (at least {wanted})"),
            open as u64 >= wanted,
        ),
        ("tokens/s in whole answers", format!("{speed:.0}"), speed > 0.0),
    ]);
    rows
}

fn probes(health: &Probes, long: bool) -> Vec<Row> {
    let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| quantile(&health.sorted_ms, share));
    let (answered, failed) = (health.sorted_ms.len(), health.failures.len());
    let times = format!("{median:.1}, {p99:.1}, {longest:.1} ms (p99 below {MOST_HEALTH_MS} in a long run)");
    vec![
        (
            "/health: answered, failed",
            format!("{answered}, {failed}"),
            answered > 0 && failed == 0,
        ),
        ("/health: p50, p99, longest", times, !long || p99 < MOST_HEALTH_MS),
    ]
}

fn server(seen: &Seen, long: bool) -> Vec<Row> {
    let memory = &seen.memory;
    let bytes = |at: Option<&(f64, f64)>| at.map_or(f64::NAN, |sample| sample.1);
    let (first, last, most) = (bytes(memory.first()), bytes(memory.last()), peak(memory));
    let growth = slope(&memory[(memory.len() as f64 * WARM_UP) as usize..]) * 60.0;
    let megabytes = [first, most, last]
        .map(|bytes| format!("{:.0}", bytes / 1e6))
        .join(", ");
    let grown = format!("{:.2} MB/min (below {} in a long run)", growth / 1e6, MOST_SLOPE / 1e6);
    vec![
        (
            "memory at first, at most, at last",
            format!("{megabytes} MB"),
            most - first < MOST_BYTES,
        ),
        ("growth after warm-up", grown, !long || growth < MOST_SLOPE),
        (
            "held when all had gone",
            seen.left_over.clone(),
            seen.left_over.is_empty(),
        ),
        ("stopped when asked", seen.stopped_clean.to_string(), seen.stopped_clean),
    ]
}

fn peak(memory: &[(f64, f64)]) -> f64 {
    memory.iter().map(|sample| sample.1).fold(0.0, f64::max)
}
