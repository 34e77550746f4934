//! The one client that changes the server while the others ask: swaps, short pauses, adapters that come and go, and moments
//! of quiet.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use svs_engine::InFlight;

use super::watch::metric;
use super::weights::{ADAPTER, crossing_into, folder_of};
use super::{Adapter, Shared};
use crate::http;

/// Every so many swaps, and at which of them.
const PAUSES: (u64, u64) = (7, 3);
const ADAPTERS: (u64, u64) = (10, 1);
const QUIET: (u64, u64) = (30, 20);
/// Length of a pause.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest time until an engine without requests has checked itself; it does so every ten seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// Rows of the report.
pub(super) const PAUSED: &str = "pauses (keep)";
pub(super) const LOADED: &str = "adapters loaded";
pub(super) const QUIETED: &str = "moments of quiet, each with an integrity check";

/// Acts once a period until the run has ended.
pub(super) fn run(url: &str, period: Duration, shared: &Shared) {
    let began = Instant::now();
    for tick in 1.. {
        let due = began + period.saturating_mul(tick);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let is_time = |(every, at)| u64::from(tick) % every == at;
        let act = |what: anyhow::Result<()>| _ = what.map_err(|error| shared.outcomes.count_error(&error));
        act(swap(url, shared).context("a swap"));
        if is_time(PAUSES) {
            act(pause(url, shared).context("a pause"));
        }
        if is_time(ADAPTERS) {
            act(change_adapter(url, shared).context("an adapter"));
        }
        if is_time(QUIET) {
            act(quiet(url, shared).context("a moment of quiet"));
        }
    }
}

fn swap(url: &str, shared: &Shared) -> anyhow::Result<()> {
    let version = shared.published.load(Ordering::SeqCst) + 1;
    let in_flight = match crossing_into(version) {
        InFlight::Keep => "keep",
        _ => "recompute",
    };
    let body = json!({"model_path": folder_of(version), "in_flight": in_flight});
    let answer = http::post(url, "/update_weights_from_disk", &body)?.ok()?;
    ensure!(answer["version"] == version, "{answer} instead of version {version}");
    shared.published.store(version, Ordering::SeqCst);
    Ok(())
}

fn pause(url: &str, shared: &Shared) -> anyhow::Result<()> {
    let status = |path| http::post_nothing(url, path)?.ok();
    let paused = status("/pause?mode=keep")?;
    ensure!(paused["status"] == "paused", "{paused}");
    std::thread::sleep(PAUSE);
    let resumed = status("/resume")?;
    ensure!(resumed["status"] == "resumed", "{resumed}");
    shared.outcomes.count(PAUSED);
    Ok(())
}

/// Loads the adapter under another name; the one before the last goes, which nobody asks for any more.
fn change_adapter(url: &str, shared: &Shared) -> anyhow::Result<()> {
    let mut names = shared.outcomes.of(LOADED);
    if names > 1 {
        let body = json!({"lora_name": name(names - 2)});
        http::post(url, "/v1/unload_lora_adapter", &body)?.ok()?;
    }
    let body = json!({"lora_name": name(names), "lora_path": ADAPTER});
    let loaded: Value = http::post(url, "/v1/load_lora_adapter", &body)?.ok()?;
    let version = loaded["weight_version"].as_u64().context("no version")?;
    shared.outcomes.count(LOADED);
    names += 1;
    shared.set_adapter(Adapter {
        name: name(names - 1),
        version,
    });
    Ok(())
}

fn name(number: u64) -> String {
    format!("lora-{number}")
}

/// Nobody asks until the engine has checked itself.
fn quiet(url: &str, shared: &Shared) -> anyhow::Result<()> {
    let checks = || metric(&http::get(url, "/metrics")?.text, "svs_integrity_checks_total");
    shared.gate.close();
    let closed = Instant::now();
    let checked = checks().and_then(|before| {
        while checks()? <= before {
            ensure!(
                closed.elapsed() < PATIENCE,
                "no integrity check in {PATIENCE:?} without requests"
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    });
    shared.gate.open();
    shared.outcomes.count(QUIETED);
    checked
}
