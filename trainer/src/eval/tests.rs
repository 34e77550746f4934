use std::sync::Arc;

use svs_engine::{EngineConfig, InFlight, WeightSet};

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
        source: ["even", "odd"][at % 2].into(),
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
    assert_eq!(report.overall.pass_at.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 6]);
    assert!(report.scores.iter().all(|score| score.greedy.is_some()));
    assert_eq!(report.sources.len(), 2);
    assert_eq!(
        report.sources.values().map(|figures| figures.problems).sum::<usize>(),
        12
    );
    assert!(report.scores.iter().all(|score| score.samples == 6 && score.tokens > 0));
    let names: Vec<String> = report.rows().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["pass@1", "greedy", "pass@2", "pass@4", "pass@6"]);
    let json = serde_json::to_string(&report).expect("serialises");
    assert_eq!(serde_json::from_str::<EvalReport>(&json).expect("reads"), report);
}

#[test]
fn settings_out_of_range_are_named() {
    let (engine, prompts) = (engine(), Prompts::default());
    type Change = fn(&mut EvalConfig);
    let cases: [(Change, &str); 9] = [
        (|config| config.samples = 0, "samples"),
        (|config| config.k = vec![1, 8, 32], "k"),
        (|config| config.k = vec![0], "k"),
        (|config| config.k = vec![1; 65], "k"),
        (|config| config.temperature = 0.0, "temperature"),
        (|config| config.top_p = 1.5, "top_p"),
        (|config| config.max_tokens = 0, "max_tokens"),
        (|config| config.in_flight = 0, "in_flight"),
        (|config| config.resamples = 1, "resamples"),
    ];
    for (change, name) in cases {
        let mut config = settings();
        change(&mut config);
        let error = evaluate(&engine, &problems(), &prompts, &config, |_, _| {}).expect_err("refused");
        assert!(
            matches!(error, EvalError::Setting { field, .. } if field == name),
            "{name}: {error}"
        );
    }
    let error = evaluate(&engine, &[], &prompts, &settings(), |_, _| {}).expect_err("refused");
    assert_eq!(error.to_string(), "problems: there are none");
    let unheld = EvalConfig {
        weights: Some("7".into()),
        ..settings()
    };
    assert!(evaluate(&engine, &problems(), &prompts, &unheld, |_, _| {}).is_err());
}

#[test]
fn a_publish_meanwhile_changes_no_figure() {
    let prompts = Prompts {
        solve: "{question}".into(),
        synthesize: "{response}".into(),
        ..Prompts::default()
    };
    let config = |weights: Option<&str>| EvalConfig {
        weights: weights.map(str::to_owned),
        // Most requests are queued only after the publish.
        in_flight: 3,
        ..settings()
    };
    let undisturbed = evaluate(&engine(), &problems(), &prompts, &config(None), |_, _| {}).expect("a report");
    let model = tiny_model(2);
    for weights in [Some("0"), None] {
        let engine = engine();
        let mut published = false;
        let publish = |_: usize, _: usize| {
            if !std::mem::replace(&mut published, true) {
                let later = Arc::new(WeightSet::pack(&model.config, &model.params, 1, "later"));
                engine.publish(later, InFlight::Keep).expect("publishes");
            }
        };
        let report = evaluate(&engine, &problems(), &prompts, &config(weights), publish).expect("a report");
        assert_eq!(engine.stats().version, 1);
        assert_eq!(report, undisturbed, "{weights:?}");
        let after = evaluate(&engine, &problems(), &prompts, &config(None), |_, _| {}).expect("a report");
        assert_eq!(after.version, 1);
        assert_ne!(after.tokens, undisturbed.tokens);
    }
}

#[test]
fn figures_by_hand() {
    let score = |source: &str, answers: &[u32], right: Option<usize>, graded, tokens, cut| ProblemScore {
        id: source.into(),
        source: source.into(),
        samples: 4,
        correct: right.map_or(0, |at| answers[at]),
        graded,
        answers: answers.to_vec(),
        right,
        tokens,
        cut,
        greedy: None,
    };
    let scores = vec![
        score("a", &[2, 2], Some(1), 4, 40, 0),
        score("a", &[3], Some(0), 4, 80, 1),
        score("b", &[1, 1], None, 2, 120, 4),
    ];
    let config = EvalConfig {
        samples: 4,
        k: vec![4, 1, 2],
        ..settings()
    };
    let report = EvalReport::new(&config, 5, scores, BTreeMap::new(), 240);
    let mean = |figures: &Figures, name: &str| figures.metrics(4)[name];
    let (all, a, b) = (&report.overall, &report.sources["a"], &report.sources["b"]);
    let ln2 = std::f64::consts::LN_2;
    // maj@2: 1/6 of the pairs of {w, w, r, r} go to the later answer; of {r, r, r, -} every pair holds an r.
    let expected = [
        (a, "acc/mean@4", (0.5 + 0.75) / 2.0),
        (b, "acc/mean@4", 0.0),
        (a, "acc/maj@1/mean", (0.5 + 0.75) / 2.0),
        (a, "acc/maj@2/mean", (1.0 / 6.0 + 1.0) / 2.0),
        (a, "acc/maj@4/mean", 0.5),
        (a, "acc/best@2/mean", (5.0 / 6.0 + 1.0) / 2.0),
        (a, "answer_entropy", ln2 / 2.0),
        (b, "answer_entropy", ln2),
        (a, "answered", (1.0 + 0.75) / 2.0),
        (all, "response_length/mean", 20.0),
        (all, "response_length/clip_ratio", (0.0 + 0.25 + 1.0) / 3.0),
    ];
    for (figures, name, value) in expected {
        assert!(
            (mean(figures, name) - value).abs() < 1e-12,
            "{name}: {} != {value}",
            mean(figures, name)
        );
    }
    // Only two samples of `b` could be graded: its k end there.
    assert_eq!(b.pass_at.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(all.pass_at.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    let metrics = report.metrics();
    assert_eq!(metrics["val-core/a/acc/maj@4/mean"], 0.5);
    assert_eq!(
        metrics["val-core/held_out/pass@1"],
        report.pass(1).expect("measured").mean
    );
    assert!(metrics.contains_key("val-core/b/response_length/mean"));
}

#[test]
fn samples_that_could_not_be_graded_are_told() {
    let report = |verdicts: &[(&str, u64)]| {
        let verdicts = verdicts.iter().map(|(name, count)| ((*name).to_owned(), *count));
        EvalReport::new(&EvalConfig::default(), 0, Vec::new(), verdicts.collect(), 0)
    };
    let cases = [
        (vec![("infrastructure", 6)], 6, true),
        (vec![("infrastructure", 6), ("wrong", 1)], 6, false),
        (vec![("correct", 7)], 0, false),
    ];
    for (verdicts, ungraded, empty) in cases {
        let report = report(&verdicts);
        assert_eq!(
            (report.ungraded(), report.is_empty()),
            (ungraded, empty),
            "{verdicts:?}"
        );
        assert_eq!(report.to_string().contains("not graded"), ungraded > 0, "{report}");
    }
}

#[test]
fn the_table_reads_like_one() {
    let estimate = |mean: f64| Estimate {
        mean,
        lower: mean - 0.05,
        upper: mean + 0.05,
        problems: 200,
    };
    let figures = |mean: f64, problems: usize| Figures {
        problems,
        pass_at: BTreeMap::from([(1, estimate(mean)), (8, estimate(0.75))]),
        avg_at: BTreeMap::from([(1, estimate(mean)), (8, estimate(mean))]),
        maj_at: BTreeMap::from([(8, estimate(0.5))]),
        answer_entropy: Some(estimate(1.25)),
        response_length: Some(estimate(31.0)),
        ..Figures::default()
    };
    let report = EvalReport {
        version: 4,
        samples: 8,
        temperature: 1.0,
        seed: 3,
        overall: Figures {
            greedy: Some(estimate(0.5)),
            ..figures(0.4, 200)
        },
        sources: BTreeMap::from([
            ("svamp".to_owned(), figures(0.3, 120)),
            ("tiny".to_owned(), figures(0.2, 80)),
        ]),
        verdicts: BTreeMap::from([("correct".to_owned(), 640), ("wrong".to_owned(), 960)]),
        tokens: 1,
        entropy: Some(0.3126),
        scores: Vec::new(),
    };
    let expected = "200 problems, 8 samples each at temperature 1, seed 3\n\
        pass@1            40.00 %   [35.00, 45.00]\n\
        greedy            50.00 %   [45.00, 55.00]\n\
        pass@8            75.00 %   [70.00, 80.00]\n\
        avg@8             40.00 %   [35.00, 45.00]\n\
        maj@8             50.00 %   [45.00, 55.00]\n\
        answer entropy    1.250 nats   [1.200, 1.300]\n\
        response length    31.0 tokens   [30.9, 31.1]\n\
        entropy            0.313 nats per token\n\
        \n\
        svamp: 120 problems\n  \
        pass@1            30.00 %   [25.00, 35.00]\n  \
        pass@8            75.00 %   [70.00, 80.00]\n  \
        avg@8             30.00 %   [25.00, 35.00]\n  \
        maj@8             50.00 %   [45.00, 55.00]\n  \
        answer entropy    1.250 nats   [1.200, 1.300]\n  \
        response length    31.0 tokens   [30.9, 31.1]\n\
        \n\
        tiny: 80 problems\n  \
        pass@1            20.00 %   [15.00, 25.00]\n  \
        pass@8            75.00 %   [70.00, 80.00]\n  \
        avg@8             20.00 %   [15.00, 25.00]\n  \
        maj@8             50.00 %   [45.00, 55.00]\n  \
        answer entropy    1.250 nats   [1.200, 1.300]\n  \
        response length    31.0 tokens   [30.9, 31.1]\n\
        \n\
        verdicts: correct 640, wrong 960";
    assert_eq!(report.to_string(), expected);
}
