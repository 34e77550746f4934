//! `svs bench` on the embedded policy: its line of JSON has what comparisons read, and the figures fit together.

use std::sync::Arc;

use serde_json::Value;
use svs::assets::embedded_policy;
use svs::bench::{Load, TrainLoad, TrainReport, measure, measure_train, render};
use svs_engine::load::load;
use svs_engine::{Precision, Storage, WeightSet};

const FIELDS: [&str; 9] = [
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
    "ttft_ms",
    "itl_ms_p50",
    "itl_ms_p99",
    "rss_peak_bytes",
    "fma_peak_fraction",
    "machine_flops",
    "machine_read_bytes_per_second",
];

#[test]
fn a_bench_reports_what_it_ran() {
    let model = load(&embedded_policy().unwrap()).unwrap();
    for (group, precision) in [(1, Precision::F32), (3, Precision::Bf16)] {
        let weights = WeightSet::pack_as(precision, &model.config, &model.params, 0, "base");
        let load = Load {
            batch: 6,
            group,
            prompt_tokens: 20,
            max_tokens: 9,
            repeat: 1,
            max_num_batched_tokens: None,
            threads: Some(2),
            seed: 1,
        };
        let report = measure(&model, &Arc::new(weights), &load).unwrap();
        let json: Value = serde_json::to_value(&report).unwrap();
        for field in FIELDS {
            assert!(
                json[field].as_f64().is_some_and(|figure| figure > 0.0),
                "{field}: {json}"
            );
        }
        assert_eq!(
            (&json["weights"], &json["kv"]),
            (&precision.name().into(), &"f32".into())
        );
        assert!(json["itl_ms_p50"].as_f64() <= json["itl_ms_p99"].as_f64(), "{json}");
        // 6 sequences of 9 tokens, of which the first belongs to the prefill; more of them if this thread was late to see it.
        let table = render(&report);
        let decode = table.lines().find(|line| line.starts_with("decode")).unwrap();
        let decoded: usize = decode.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((1..=48).contains(&decoded), "{table}");
        let prefill = table.lines().find(|line| line.starts_with("prefill")).unwrap();
        assert_eq!(
            prefill.split_whitespace().nth(1),
            Some((120 / group).to_string().as_str()),
            "{table}"
        );
    }
}

#[test]
fn a_training_step_is_reported_with_the_least_that_it_must_do() {
    let model = load(&embedded_policy().unwrap()).unwrap();
    let parameters = model.params.layout.len as f64;
    let load = TrainLoad {
        problems: 2,
        samples: 3,
        prompt_tokens: 20,
        response_tokens: 9,
        repeat: 1,
        threads: Some(2),
        micro_batch_tokens: 64,
        seed: 1,
    };
    let run = measure_train(model, Storage::default(), &load).unwrap();
    let json = serde_json::to_value(TrainReport::new(&load, Storage::default(), &run)).unwrap();
    let phase = |name: &str| {
        let phases = json["phases"].as_array().unwrap();
        let found = phases.iter().find(|phase| phase["name"] == name).unwrap();
        ["seconds", "operations", "bytes"].map(|figure| found[figure].as_f64().unwrap())
    };
    let ([_, rolled, read], [_, trained, moved]) = (phase("rollout"), phase("forward_backward"));
    // A micro-batch of 64 tokens holds a group with its prompt once, as sampling does.
    assert_eq!(trained, 3.0 * rolled, "{json}");
    // A group's prompt has rows once, the last token of a response none, and what responses begin with in common is shared.
    assert!(
        json["rows"]
            .as_u64()
            .is_some_and(|rows| (2 * (20 + 8)..=2 * (20 + 3 * 8)).contains(&(rows as usize))),
        "{json}"
    );
    // The weights once a token of a response; at least one micro-batch reads them twice and reads and writes gradients.
    assert!(
        read >= 9.0 * 4.0 * 0.5 * parameters && moved >= 3.5 * 4.0 * parameters,
        "{json}"
    );
    let [_, _, all] = phase("update");
    assert_eq!(all - moved, 32.0 * parameters);
    assert!(
        json["fma_peak_fraction"]
            .as_f64()
            .is_some_and(|share| share > 0.0 && share < 1.0),
        "{json}"
    );
    assert!(json["machine_read_bytes_per_second"].as_f64() > Some(0.0) && json["rss_peak_bytes"].as_u64() > Some(0));
}
