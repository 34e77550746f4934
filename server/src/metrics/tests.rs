use super::*;
use svs_trainer::run::{RunState, Stalled};

fn engine() -> EngineStats {
    EngineStats {
        running: 2,
        kv_blocks_used: 1,
        kv_blocks_total: 4,
        version: 7,
        integrity_failures: 1,
        tokens_by_version: [(6, 10), (7, 3)].into(),
        tokens_of_older: 5,
        ..Default::default()
    }
}

#[test]
fn the_exposition_has_every_name_with_its_value() {
    let metrics = Metrics::new("tiny", "vllm:");
    metrics.count_response("/v1/models", 200);
    metrics.count_trajectories(3);
    drop(metrics.operation("start"));
    let mut status = TrainStatus {
        state: RunState::Running,
        step: 5,
        stalled: Some(Stalled::default()),
        ..TrainStatus::default()
    };
    status.metrics.insert("solve/accuracy".into(), 0.5);
    status.metrics.insert("solve_accuracy".into(), 0.75);
    status.metrics.insert("actor/pg_loss".into(), -0.25);
    let mut totals = Totals::default();
    totals.staleness.add(1.0);
    totals.staleness.add(500.0);
    totals.counts.insert("verifier/solve_synthetic/correct".into(), 6.0);
    totals.counts.insert("svs/rejected/leak".into(), 2.0);
    totals.counts.insert("svs/valid".into(), 9.0);
    let text = metrics.render(&engine(), Some((&status, &totals)));
    let labels = "{engine=\"0\",model_name=\"tiny\"}";
    let with = |more: &str| format!("{{engine=\"0\",model_name=\"tiny\",{more}}}");
    for line in [
        format!("vllm:num_requests_running{labels} 2"),
        format!("vllm:kv_cache_usage_perc{labels} 0.25"),
        format!("vllm:prompt_tokens_total{labels} 0"),
        format!("vllm:time_to_first_token_seconds_count{labels} 0"),
        format!("vllm:request_queue_time_seconds_count{labels} 0"),
        format!(
            "vllm:cache_config_info{} 1",
            with("block_size=\"16\",num_gpu_blocks=\"4\"")
        ),
        format!("svs_weight_version{labels} 7"),
        format!("svs_tokens_by_weight_version_total{} 3", with("weight_version=\"7\"")),
        format!(
            "svs_tokens_by_weight_version_total{} 5",
            with("weight_version=\"older\"")
        ),
        format!("svs_integrity_failures_total{labels} 1"),
        format!("svs_trajectories_logged_total{labels} 3"),
        format!("trainer_step{labels} 5"),
        format!("trainer_stalled{labels} 1"),
        format!("trainer_solve_accuracy{labels} 0.5"),
        format!("trainer_loss{labels} -0.25"),
        format!("trainer_actor_pg_loss{labels} -0.25"),
        format!("trainer_state{} 1", with("state=\"running\"")),
        format!("trainer_state{} 0", with("state=\"idle\"")),
        format!("trainer_staleness_versions_bucket{} 0", with("le=\"0\"")),
        format!("trainer_staleness_versions_bucket{} 1", with("le=\"1\"")),
        format!("trainer_staleness_versions_bucket{} 2", with("le=\"+Inf\"")),
        format!("trainer_staleness_versions_sum{labels} 501"),
        format!(
            "trainer_verdicts_total{} 6",
            with("kind=\"solve_synthetic\",verdict=\"correct\"")
        ),
        format!("trainer_svs_rejected_total{} 2", with("reason=\"leak\"")),
        format!("trainer_svs_funnel_total{} 9", with("stage=\"valid\"")),
    ] {
        assert!(text.lines().any(|have| have == line), "no line {line:?} in\n{text}");
    }
    assert!(text.contains("handler=\"/v1/models\""), "{text}");
    let count = "vllm:rl_weight_update_operation_duration_seconds_count";
    assert!(
        text.lines()
            .any(|line| line.starts_with(count) && line.contains("operation=\"start\"") && line.ends_with(" 1")),
        "{text}"
    );
}

#[test]
fn the_prefix_is_that_of_the_configuration_and_touches_vllms_names_alone() {
    for prefix in ["vllm:", "llm_", ""] {
        let text = Metrics::new("tiny", prefix).render(&engine(), None);
        for name in [
            "num_requests_running",
            "time_to_first_token_seconds",
            "request_success_total",
        ] {
            let help = format!("# HELP {prefix}{name} ");
            assert_eq!(text.matches(&help).count(), 1, "{help}\n{text}");
        }
        assert!(text.contains("# HELP svs_paused "), "{text}");
    }
}
