//! `/metrics` of a real server that has served requests and trained: every family by name and type, with a HELP text that
//! says what it counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use svs_trainer::run::config::Recipe;

use super::harness::Server;
use crate::training::toy;

/// A scraped family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// Values by sample name and labels, as written.
    samples: BTreeMap<String, f64>,
}

/// Names without the prefix, and types.
const UNDER_VLLMS_NAMES: [(&str, &str); 27] = [
    ("num_requests_running", "gauge"),
    ("num_requests_waiting", "gauge"),
    ("kv_cache_usage_perc", "gauge"),
    ("cache_config_info", "gauge"),
    ("prompt_tokens_total", "counter"),
    ("prompt_tokens_cached_total", "counter"),
    ("generation_tokens_total", "counter"),
    ("prefix_cache_queries_total", "counter"),
    ("prefix_cache_hits_total", "counter"),
    ("num_preemptions_total", "counter"),
    ("request_success_total", "counter"),
    ("time_to_first_token_seconds", "histogram"),
    ("inter_token_latency_seconds", "histogram"),
    ("request_time_per_output_token_seconds", "histogram"),
    ("e2e_request_latency_seconds", "histogram"),
    ("request_queue_time_seconds", "histogram"),
    ("request_inference_time_seconds", "histogram"),
    ("request_prefill_time_seconds", "histogram"),
    ("request_decode_time_seconds", "histogram"),
    ("request_prompt_tokens", "histogram"),
    ("request_generation_tokens", "histogram"),
    ("request_max_num_generation_tokens", "histogram"),
    ("request_params_n", "histogram"),
    ("request_params_max_tokens", "histogram"),
    ("iteration_tokens_total", "histogram"),
    ("rl_weight_update_operation_duration_seconds", "histogram"),
    ("rl_weight_update_operations_in_flight", "gauge"),
];
const OURS: [(&str, &str); 34] = [
    ("http_requests_total", "counter"),
    ("svs_paused", "gauge"),
    ("svs_weight_version", "gauge"),
    ("svs_publishes_total", "counter"),
    ("svs_swap_pause_seconds", "histogram"),
    ("svs_tokens_by_weight_version_total", "counter"),
    ("svs_trajectories_logged_total", "counter"),
    ("svs_engine_steps_total", "counter"),
    ("svs_engine_step_seconds_total", "counter"),
    ("svs_integrity_checks_total", "counter"),
    ("svs_integrity_failures_total", "counter"),
    ("trainer_state", "gauge"),
    ("trainer_step", "gauge"),
    ("trainer_steps", "gauge"),
    ("trainer_stalled", "gauge"),
    ("trainer_steps_done_total", "counter"),
    ("trainer_last_step_timestamp_seconds", "gauge"),
    ("trainer_staleness_versions", "histogram"),
    ("trainer_publish_seconds", "histogram"),
    ("trainer_rows_total", "counter"),
    ("trainer_tokens_total", "counter"),
    ("trainer_optimizer_steps_total", "counter"),
    ("trainer_skipped_steps_total", "counter"),
    ("trainer_verdicts_total", "counter"),
    ("trainer_svs_funnel_total", "counter"),
    ("trainer_svs_rejected_total", "counter"),
    ("trainer_svs_contexts_rejected_total", "counter"),
    ("trainer_entropy", "gauge"),
    ("trainer_grad_norm", "gauge"),
    ("trainer_learning_rate", "gauge"),
    ("trainer_loss", "gauge"),
    ("trainer_mismatch_kl", "gauge"),
    ("trainer_reward_mean", "gauge"),
    ("trainer_throughput_tokens_per_sec", "gauge"),
];

/// Reads the exposition format and checks what holds of any of it.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.help.is_empty(), "{name} has two HELP lines");
            family.help = help.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let parts = ["_bucket", "_sum", "_count"];
            let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
            let family = of_histogram.filter(|base| families.contains_key(*base)).unwrap_or(name);
            let samples = &mut families
                .get_mut(family)
                .unwrap_or_else(|| panic!("{line}: no HELP before it"))
                .samples;
            assert!(
                samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(),
                "{line}: twice"
            );
        }
    }
    families
}

/// The sum of the samples whose text has every one of `parts`.
fn value(family: &Family, parts: &[&str]) -> f64 {
    let fitting = family
        .samples
        .iter()
        .filter(|(sample, _)| parts.iter().all(|part| sample.contains(part)));
    fitting.map(|(_, value)| value).sum()
}

#[test]
fn a_server_that_trained_tells_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_model(toy::model(), |config| {
        config.train = toy::config(folder.path(), Recipe::Svs, 2);
        config.server.metrics_prefix = "llm:".into();
    });
    let asked =
        json!({"model": "toy", "prompt": "Say 3.", "n": 2, "max_tokens": 6, "temperature": 1.0, "ignore_eos": true});
    assert_eq!(server.post("/v1/completions", &asked).status, 200);
    let started = server.post("/v1/train/start", &json!({}));
    assert_eq!(started.status, 200, "{}", started.body);
    let deadline = Instant::now() + Duration::from_secs(300);
    let status = loop {
        let status = server.get("/v1/train/status").body;
        match status["state"].as_str() {
            Some("finished") => break status,
            Some("running") => assert!(Instant::now() < deadline, "{status}"),
            _ => panic!("{status}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let families = families(server.get("/metrics").body.as_str().unwrap());

    let vllms = UNDER_VLLMS_NAMES.map(|(name, kind)| (format!("llm:{name}"), kind));
    let ours = OURS.map(|(name, kind)| (name.to_owned(), kind));
    for (name, kind) in vllms.into_iter().chain(ours) {
        let family = families.get(&name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(family.kind, kind, "{name}");
        assert!(!family.samples.is_empty(), "{name} has no sample");
    }
    for (name, family) in &families {
        assert!(family.help.len() > 10, "{name}: {family:?}");
        assert!(
            !family.help.contains("see docs/svs.md"),
            "{name} needs a meaning in describe.rs"
        );
        assert_eq!(
            family.kind == "counter",
            name.ends_with("_total") && family.kind != "histogram",
            "{name}"
        );
        if family.kind == "histogram" {
            let total = value(family, &["_count{"]);
            assert_eq!(value(family, &["le=\"+Inf\""]), total, "{name}");
        }
    }

    let of = |name: &str| &families[name];
    let metrics = &status["metrics"];
    let last = |name: &str| metrics[name].as_f64().unwrap();
    assert!(
        of("trainer_critic_score_mean")
            .help
            .ends_with("verl: critic/score/mean")
    );
    assert_eq!(value(of("trainer_reward_mean"), &[]), last("critic/score/mean"));
    assert_eq!(value(of("trainer_step"), &[]), 2.0);
    assert_eq!(value(of("llm:request_success_total"), &[]), 2.0);
    assert_eq!(value(of("llm:request_queue_time_seconds"), &["_count"]), 2.0);
    assert_eq!(value(of("llm:request_prefill_time_seconds"), &["_count"]), 2.0);
    let sampled = value(of("llm:generation_tokens_total"), &[]);
    assert_eq!(value(of("svs_tokens_by_weight_version_total"), &[]), sampled);
    assert!(value(of("svs_tokens_by_weight_version_total"), &["weight_version=\"1\""]) > 0.0);
    let rows = value(of("trainer_rows_total"), &[]);
    assert!(rows >= last("training/rows"), "{rows}");
    assert!(value(of("trainer_staleness_versions"), &["_count"]) >= rows);
    let published = value(of("svs_publishes_total"), &[]);
    assert_eq!(value(of("trainer_publish_seconds"), &["_count"]), published);
    assert_eq!(value(of("svs_swap_pause_seconds"), &["_count"]), published);
    let solved = value(of("trainer_svs_funnel_total"), &["stage=\"solutions\""]);
    assert_eq!(value(of("trainer_verdicts_total"), &["kind=\"solve\""]), solved);
    assert!(solved >= 2.0 * last("svs/solve/rows"), "{solved}");
}

#[test]
fn a_prefix_that_no_name_may_have_is_refused() {
    for (prefix, fits) in [
        ("vllm:", true),
        ("", true),
        ("a_b", true),
        ("9", false),
        ("a-b", false),
        ("a b", false),
    ] {
        let config = svs::config::HttpConfig {
            metrics_prefix: prefix.into(),
            ..svs::config::HttpConfig::default()
        };
        assert_eq!(config.validate().is_ok(), fits, "{prefix:?}");
    }
}
