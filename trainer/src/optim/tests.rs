//! AdamW against PyTorch, bits at any thread count, skipping, schedules.

use std::sync::Arc;

use serde::Deserialize;
use svs_engine::Params;
use svs_engine::ops::Team;
use svs_engine::params::{ParamEntry, ParamLayout};

use super::*;

#[derive(Deserialize)]
struct Golden {
    config: OptimConfig,
    start: [Vec<f32>; 2],
    steps: Vec<GoldenStep>,
}

#[derive(Deserialize)]
struct GoldenStep {
    grads: [Vec<f32>; 2],
    norm: f64,
    params: [Vec<f32>; 2],
}

fn layout(matrix: [usize; 2], vector: usize) -> Arc<ParamLayout> {
    let split = matrix[0] * matrix[1];
    let entries = vec![
        ParamEntry {
            name: "matrix".into(),
            shape: matrix.to_vec(),
            offset: 0,
        },
        ParamEntry {
            name: "vector".into(),
            shape: vec![vector],
            offset: split,
        },
    ];
    Arc::new(ParamLayout {
        entries,
        len: split + vector,
    })
}

#[test]
fn six_steps_equal_torch() {
    let golden: Golden =
        serde_json::from_str(include_str!("../../../tests/data/golden/adamw.json")).expect("the fixture parses");
    let layout = layout([3, 4], 5);
    let arena = |parts: &[Vec<f32>; 2]| Params {
        layout: Arc::clone(&layout),
        values: parts.concat(),
    };
    let mut params = arena(&golden.start);
    let mut optimizer = AdamW::new(17);
    for (i, step) in golden.steps.iter().enumerate() {
        let report = optimizer.step(&mut params, &arena(&step.grads), &golden.config);
        assert!(
            (report.grad_norm - step.norm).abs() < 1e-5 * step.norm,
            "step {i}: norm {}",
            report.grad_norm
        );
        for (found, wanted) in params.values.iter().zip(step.params.concat()) {
            assert!(
                (found - wanted).abs() <= 1e-6 * wanted.abs() + 3e-7,
                "step {i}: {found} is not {wanted}"
            );
        }
    }
    assert_eq!((optimizer.steps, optimizer.skipped), (6, 0));
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let layout = layout([700, 301], 1001);
    let run = |threads| {
        let team = Team::new(Some(threads)).expect("threads");
        team.install(|| {
            let wave = |f: f32| (0..layout.len).map(|i| (i as f32 * f).sin()).collect();
            let mut params = Params {
                layout: Arc::clone(&layout),
                values: wave(0.37),
            };
            let grads = Params {
                layout: Arc::clone(&layout),
                values: wave(0.91),
            };
            let mut optimizer = AdamW::new(layout.len);
            let norms = [(); 3].map(|()| {
                optimizer
                    .step(&mut params, &grads, &OptimConfig::default())
                    .grad_norm
                    .to_bits()
            });
            (norms, params.values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let layout = layout([2, 2], 1);
    let mut params = Params {
        layout: Arc::clone(&layout),
        values: vec![1.0; 5],
    };
    let mut optimizer = AdamW::new(5);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut grads = Params::zeros(Arc::clone(&layout));
        grads.values[3] = bad;
        assert!(!optimizer.step(&mut params, &grads, &OptimConfig::default()).applied);
    }
    assert_eq!(params.values, [1.0; 5]);
    let mut fresh = AdamW::new(5);
    fresh.skipped = 2;
    assert_eq!(optimizer, fresh);
}

#[test]
fn only_matrices_decay() {
    let layout = layout([2, 2], 1);
    let mut params = Params {
        layout: Arc::clone(&layout),
        values: vec![1.0; 5],
    };
    let config = OptimConfig {
        lr: 0.5,
        weight_decay: 0.1,
        ..OptimConfig::default()
    };
    let _ = AdamW::new(5).step(&mut params, &Params::zeros(layout), &config);
    assert_eq!(params.values, [0.95, 0.95, 0.95, 0.95, 1.0]);
}

#[test]
fn schedules() {
    let config = |warmup_steps, decay, min_lr_ratio| OptimConfig {
        lr: 1.0,
        warmup_steps,
        decay,
        total_steps: 10,
        min_lr_ratio,
        ..OptimConfig::default()
    };
    for (config, done, wanted) in [
        (config(0, Decay::Constant, 0.0), 0, 1.0),
        (config(4, Decay::Constant, 0.0), 0, 0.25),
        (config(4, Decay::Constant, 0.0), 3, 1.0),
        (config(4, Decay::Constant, 0.0), 1000, 1.0),
        (config(0, Decay::Linear, 0.0), 0, 1.0),
        (config(0, Decay::Linear, 0.0), 5, 0.5),
        (config(0, Decay::Linear, 0.0), 9, 0.1),
        (config(0, Decay::Linear, 0.2), 10, 0.2),
        (config(0, Decay::Linear, 0.2), 99, 0.2),
        (config(2, Decay::Linear, 0.0), 6, 0.5),
        (config(0, Decay::Cosine, 0.0), 0, 1.0),
        (config(0, Decay::Cosine, 0.0), 5, 0.5),
        (config(0, Decay::Cosine, 0.5), 10, 0.5),
        (config(2, Decay::Cosine, 0.0), 4, 0.5 + 0.25 * 2f64.sqrt()),
    ] {
        let found = learning_rate(&config, done);
        assert!(
            (found - wanted).abs() < 1e-12,
            "{config:?} after {done}: {found} is not {wanted}"
        );
    }
}

#[test]
fn config_ranges_are_checked_by_name() {
    assert_eq!(OptimConfig::default().validate(), Ok(()));
    for (config, field) in [
        (
            OptimConfig {
                lr: -1.0,
                ..OptimConfig::default()
            },
            "optim.lr",
        ),
        (
            OptimConfig {
                lr: f64::NAN,
                ..OptimConfig::default()
            },
            "optim.lr",
        ),
        (
            OptimConfig {
                beta1: 1.0,
                ..OptimConfig::default()
            },
            "optim.beta1",
        ),
        (
            OptimConfig {
                beta2: 1.0,
                ..OptimConfig::default()
            },
            "optim.beta2",
        ),
        (
            OptimConfig {
                eps: 0.0,
                ..OptimConfig::default()
            },
            "optim.eps",
        ),
        (
            OptimConfig {
                weight_decay: -0.1,
                ..OptimConfig::default()
            },
            "optim.weight_decay",
        ),
        (
            OptimConfig {
                grad_clip: 0.0,
                ..OptimConfig::default()
            },
            "optim.grad_clip",
        ),
        (
            OptimConfig {
                min_lr_ratio: 2.0,
                ..OptimConfig::default()
            },
            "optim.min_lr_ratio",
        ),
        (
            OptimConfig {
                decay: Decay::Linear,
                ..OptimConfig::default()
            },
            "optim.total_steps",
        ),
    ] {
        assert_eq!(config.validate().expect_err(field).0, field);
    }
}
