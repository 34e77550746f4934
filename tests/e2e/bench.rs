//! `svs bench rollouts` on the embedded policy: its line of JSON has what comparisons read, and the figures fit together.

use std::sync::Arc;

use serde_json::Value;
use svs::assets::embedded_policy;
use svs::bench::{Load, measure, render};
use svs_engine::load::load;
use svs_engine::{Precision, WeightSet};

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
