//! The decoder from outside: against transformers, and against itself under every batching. The checks take the device as
//! a parameter; here it is the CPU, in `tests/devices` the CUDA devices of the machine.
#![allow(clippy::unwrap_used)] // a test may fail where it stands

#[allow(dead_code, reason = "some checks are of devices only")]
mod agreement;
mod fixture;
mod golden;
mod parity;
mod place;
mod sampled;
mod trained;

use std::sync::Arc;

use place::Place;
use svs_engine::model::Executor;
use svs_engine::{CudaMode, Device, ModelConfig, Params, Precision, Storage, WeightSet};

#[test]
fn logits_equal_transformers() {
    golden::logits_equal_transformers(Place::CPU);
}

#[test]
fn pooled_states_equal_transformers() {
    golden::pooled_states_equal_transformers(Place::CPU);
}

#[test]
fn scores_and_gradients_equal_torch() {
    golden::scores_and_gradients_equal_torch();
}

#[test]
fn a_row_in_a_batch_equals_the_row_alone() {
    parity::a_row_in_a_batch_equals_the_row_alone(Place::CPU);
}

#[test]
fn no_schedule_changes_a_bit() {
    parity::no_schedule_changes_a_bit(Place::CPU);
}

#[test]
fn a_kernel_that_sums_in_another_order_is_caught() {
    parity::a_kernel_that_sums_in_another_order_is_caught(Place::CPU);
}

#[test]
fn training_scores_are_the_bits_of_sampling() {
    parity::training_scores_are_the_bits_of_sampling(Place::CPU);
}

#[test]
fn a_copied_block_and_a_shared_prefix_change_nothing() {
    parity::a_copied_block_and_a_shared_prefix_change_nothing(Place::CPU);
}

#[test]
fn logits_are_the_same_bits_in_another_order() {
    parity::logits_are_the_bits_of_the_cpu(Place::CPU);
}

#[test]
fn completions_are_repeatable() {
    sampled::completions_are_those_of_the_cpu(Place::CPU);
}

#[test]
fn completions_are_what_the_trainer_computes() {
    agreement::completions_agree_with_the_trainer(Place::CPU);
}

#[test]
fn a_copied_block_agrees() {
    agreement::a_copied_block_and_a_shared_prefix_agree(Place::CPU);
}

#[test]
fn wide_heads_make_the_same_policy() {
    let policy = trained::policy();
    let (config, params) = trained::widened(&policy.config, &policy.params);
    let sequences = [parity::tokens(&config, 0, 60)];
    let logits = |config: &ModelConfig, params: &Params| {
        let weights = Arc::new(WeightSet::pack(config, params, 1, "wide"));
        parity::run(Place::CPU, &weights, &sequences, &[60]).remove(0)
    };
    let (wide, narrow) = (logits(&config, &params), logits(&policy.config, &policy.params));
    let scale = narrow.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let worst = wide
        .iter()
        .zip(&narrow)
        .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(worst <= 1e-5 * scale, "{worst:e} of {scale}");
}

#[test]
fn the_bars_of_the_fast_mode_let_rounding_pass_and_no_defect() {
    type Change = fn(&mut ModelConfig, &mut Params);
    let texts = agreement::Texts::sample();
    let logits = |storage: Storage, change: Change| {
        let (mut config, mut params) = (texts.config.clone(), texts.params.clone());
        change(&mut config, &mut params);
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params, 1, "bars"));
        texts.logits(Place::CPU, &weights)
    };
    let [f32_kv, bf16_kv] = [Precision::F32, Precision::Bf16].map(|kv| Storage {
        weights: Precision::Bf16,
        kv,
    });
    let want = logits(bf16_kv, |_, _| {});
    assert!(texts.compare(&logits(f32_kv, |_, _| {}), &want).holds());
    let defects: [(&str, Change); 4] = [
        ("angles", |config, _| config.rope.theta *= 100.0),
        ("value heads", |config, params| {
            let values = params.get_mut("model.layers.1.self_attn.v_proj.weight").unwrap();
            let half = config.head_dim * config.hidden_size;
            let (first, second) = values.split_at_mut(half);
            first.swap_with_slice(&mut second[..half]);
        }),
        ("gate and up", |_, params| {
            let up = params.get("model.layers.2.mlp.up_proj.weight").unwrap().to_vec();
            let gate = params.get_mut("model.layers.2.mlp.gate_proj.weight").unwrap();
            gate.copy_from_slice(&up);
        }),
        ("scale", |_, params| {
            let norm = params.get_mut("model.layers.0.self_attn.q_norm.weight").unwrap();
            norm.iter_mut().for_each(|weight| *weight *= 3.0);
        }),
    ];
    for (name, change) in defects {
        let agreement = texts.compare(&logits(bf16_kv, change), &want);
        assert!(!agreement.holds(), "{name}: {agreement:?}");
    }
}

#[test]
fn a_device_that_is_not_there_is_refused_by_name() {
    let config = &fixture::Golden::read().models[0].config;
    let weights = WeightSet::pack(config, &fixture::params(config), 1, "refused");
    for mode in [CudaMode::Exact, CudaMode::Fast] {
        let error = Executor::new(Device::Cuda(4095), mode, &weights, 1)
            .unwrap_err()
            .to_string();
        let named = match mode {
            CudaMode::Exact if cfg!(feature = "cuda") => "no CUDA device 4095",
            CudaMode::Exact => "without CUDA: build it with `--features cuda`",
            CudaMode::Fast if cfg!(feature = "cuda-fast") => "does not take head_dim",
            CudaMode::Fast => "build it with `--features cuda-fast`",
        };
        assert!(error.contains(named), "{error}");
    }
}
