use std::sync::Arc;

use svs_engine::{EngineConfig, WeightSet};

use super::*;
use crate::policy::testing::tiny_model;

fn engine() -> EngineHandle {
    let model = tiny_model(1);
    let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
    let config = EngineConfig {
        kv_cache_bytes: 16 << 20,
        ..EngineConfig::default()
    };
    EngineHandle::start(weights, model.tokenizer.clone(), config).expect("an engine")
}

fn problems() -> Vec<Problem> {
    let problem = |at: usize| Problem {
        id: format!("p{at}"),
        question: format!("{at}"),
        answer: (at % 10).to_string(),
        source: "test".into(),
        ..Problem::default()
    };
    (0..12).map(problem).collect()
}

fn settings() -> EvalConfig {
    EvalConfig {
        samples: 6,
        max_tokens: 40,
        resamples: 200,
        ..EvalConfig::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_report_whatever_is_in_flight() {
    let (engine, prompts) = (
        engine(),
        Prompts {
            solve: "{question}".into(),
            ..Prompts::default()
        },
    );
    let run = |config: &EvalConfig| {
        let mut heard = Vec::new();
        let report = evaluate(&engine, &problems(), &prompts, config, |done, all| {
            heard.push((done, all))
        });
        assert_eq!(heard, (1..=24).map(|done| (done, 24)).collect::<Vec<_>>());
        report.expect("a report")
    };
    let report = run(&settings());
    assert_eq!(
        report,
        run(&EvalConfig {
            in_flight: 1,
            ..settings()
        })
    );
    assert_ne!(report.tokens, 0);
    // Few of the random answers are numbers, but where they end depends on every draw.
    assert_ne!(report.tokens, run(&EvalConfig { seed: 1, ..settings() }).tokens);
    assert_eq!(report.scores.iter().map(|score| score.graded).sum::<u32>(), 12 * 6);
    assert_eq!(report.verdicts.values().sum::<u64>(), 12 * 6);
    assert_eq!(report.pass_at.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 6]);
    assert!(report.scores.iter().all(|score| score.greedy.is_some()));
    let names: Vec<String> = report.rows().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["pass@1", "greedy", "pass@2", "pass@4", "pass@6"]);
    let json = serde_json::to_string(&report).expect("serialises");
    assert_eq!(serde_json::from_str::<EvalReport>(&json).expect("reads"), report);
}

#[test]
fn settings_out_of_range_are_named() {
    let (engine, prompts) = (engine(), Prompts::default());
    let cases = [
        (
            EvalConfig {
                samples: 0,
                ..settings()
            },
            "samples",
        ),
        (
            EvalConfig {
                temperature: 0.0,
                ..settings()
            },
            "temperature",
        ),
        (
            EvalConfig {
                top_p: 1.5,
                ..settings()
            },
            "top_p",
        ),
        (
            EvalConfig {
                max_tokens: 0,
                ..settings()
            },
            "max_tokens",
        ),
        (
            EvalConfig {
                in_flight: 0,
                ..settings()
            },
            "in_flight",
        ),
        (
            EvalConfig {
                resamples: 1,
                ..settings()
            },
            "resamples",
        ),
    ];
    for (config, name) in cases {
        let error = evaluate(&engine, &problems(), &prompts, &config, |_, _| {}).expect_err("refused");
        assert!(
            matches!(error, EvalError::Setting { field, .. } if field == name),
            "{name}: {error}"
        );
    }
    let error = evaluate(&engine, &[], &prompts, &settings(), |_, _| {}).expect_err("refused");
    assert_eq!(error.to_string(), "problems: there are none");
}

#[test]
fn the_table_reads_like_one() {
    let estimate = |mean: f64| Estimate {
        mean,
        lower: mean - 0.05,
        upper: mean + 0.05,
        problems: 200,
    };
    let report = EvalReport {
        problems: 200,
        samples: 8,
        temperature: 1.0,
        seed: 3,
        pass_at: BTreeMap::from([(1, estimate(0.4)), (8, estimate(0.75))]),
        greedy: Some(estimate(0.5)),
        verdicts: BTreeMap::from([("correct".to_owned(), 640), ("wrong".to_owned(), 960)]),
        tokens: 1,
        entropy: Some(0.3126),
        scores: Vec::new(),
    };
    let expected = "200 problems, 8 samples each at temperature 1, seed 3\n\
        pass@1    40.00 %   [35.00, 45.00]\n\
        greedy    50.00 %   [45.00, 55.00]\n\
        pass@8    75.00 %   [70.00, 80.00]\n\
        entropy   0.313 nats per token\n\
        verdicts: correct 640, wrong 960";
    assert_eq!(report.to_string(), expected);
}
