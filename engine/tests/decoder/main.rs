//! The decoder from outside: against transformers, and against itself under every batching. The checks take the device as
//! a parameter; here it is the CPU, in `tests/devices` the CUDA devices of the machine.
#![allow(clippy::unwrap_used)] // a test may fail where it stands

mod fixture;
mod golden;
mod parity;
mod place;
mod sampled;

use place::Place;
use svs_engine::model::Executor;
use svs_engine::{CudaMode, Device, WeightSet};

#[test]
fn logits_equal_transformers() {
    golden::logits_equal_transformers(Place::CPU);
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
fn a_device_that_is_not_there_is_refused_by_name() {
    let config = &fixture::Golden::read().models[0].config;
    let weights = WeightSet::pack(config, &fixture::params(config), 1, "refused");
    for mode in [CudaMode::Exact, CudaMode::Fast] {
        let error = Executor::new(Device::Cuda(4095), mode, &weights, 1)
            .unwrap_err()
            .to_string();
        let (unbuilt, absent) = ("build it with `--features cuda`", "no CUDA device 4095");
        let no_mode = mode == CudaMode::Fast && error.contains("the CUDA mode `fast` is not in this version");
        assert!(error.contains(unbuilt) || error.contains(absent) || no_mode, "{error}");
    }
}
