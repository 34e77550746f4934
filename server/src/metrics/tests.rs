use super::*;
use svs_trainer::run::RunState;

#[test]
fn the_exposition_has_every_name_with_its_value() {
    let metrics = Metrics::new("tiny");
    metrics.count_response("/v1/models", 200);
    metrics.count_trajectories(3);
    let engine = EngineStats {
        running: 2,
        kv_blocks_used: 1,
        kv_blocks_total: 4,
        version: 7,
        integrity_failures: 1,
        ..Default::default()
    };
    let mut status = TrainStatus {
        state: RunState::Running,
        step: 5,
        stalled: Some(svs_trainer::run::Stalled::default()),
        ..TrainStatus::default()
    };
    status.metrics.insert("solve/accuracy".into(), 0.5);
    status.metrics.insert("solve_accuracy".into(), 0.75);
    let text = metrics.render(&engine, Some(&status));
    let labels = "{engine=\"0\",model_name=\"tiny\"}";
    for line in [
        format!("vllm:num_requests_running{labels} 2"),
        format!("vllm:kv_cache_usage_perc{labels} 0.25"),
        format!("vllm:prompt_tokens_total{labels} 0"),
        format!("vllm:time_to_first_token_seconds_count{labels} 0"),
        format!("vllm:inter_token_latency_seconds_count{labels} 0"),
        format!("vllm:e2e_request_latency_seconds_count{labels} 0"),
        format!("svs_weight_version{labels} 7"),
        format!("svs_integrity_checks_total{labels} 0"),
        format!("svs_integrity_failures_total{labels} 1"),
        format!("svs_trajectories_logged_total{labels} 3"),
        format!("trainer_step{labels} 5"),
        format!("trainer_stalled{labels} 1"),
        format!("trainer_solve_accuracy{labels} 0.5"),
    ] {
        assert!(text.lines().any(|have| have == line), "no line {line:?} in\n{text}");
    }
    assert!(
        text.contains("trainer_state{engine=\"0\",model_name=\"tiny\",state=\"running\"} 1"),
        "{text}"
    );
    assert!(text.contains("handler=\"/v1/models\""), "{text}");
}
