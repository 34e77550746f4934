//! Device tests: the decoder's checks on every CUDA device of the machine. Without one they say so and count as not run.
//!
//! The binary is all that a GPU machine needs: `cargo xtask gpu-check` builds it and runs it with `--bench`.
#![allow(clippy::print_stdout)] // a test harness of its own talks on stdout
#![allow(clippy::unwrap_used)] // a test may fail where it stands

mod bench;
#[path = "../decoder/fixture.rs"]
#[allow(dead_code, reason = "training is on the CPU")]
mod fixture;
#[path = "../decoder/golden.rs"]
#[allow(dead_code, reason = "training is on the CPU")]
mod golden;
#[path = "../decoder/parity.rs"]
mod parity;
#[path = "../decoder/place.rs"]
mod place;
#[path = "../decoder/sampled.rs"]
mod sampled;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use place::Place;
use svs_engine::{CudaMode, Device};

/// A check and its name.
type Check = (&'static str, fn(Place));

const CHECKS: [Check; 8] = [
    ("logits_equal_transformers", golden::logits_equal_transformers),
    ("logits_are_the_bits_of_the_cpu", parity::logits_are_the_bits_of_the_cpu),
    (
        "a_row_in_a_batch_equals_the_row_alone",
        parity::a_row_in_a_batch_equals_the_row_alone,
    ),
    ("no_schedule_changes_a_bit", parity::no_schedule_changes_a_bit),
    (
        "a_kernel_that_sums_in_another_order_is_caught",
        parity::a_kernel_that_sums_in_another_order_is_caught,
    ),
    (
        "training_scores_are_the_bits_of_sampling",
        parity::training_scores_are_the_bits_of_sampling,
    ),
    (
        "a_copied_block_and_a_shared_prefix_change_nothing",
        parity::a_copied_block_and_a_shared_prefix_change_nothing,
    ),
    (
        "completions_are_those_of_the_cpu",
        sampled::completions_are_those_of_the_cpu,
    ),
];

/// The devices, or why there are none.
fn devices() -> Result<Vec<(Device, String)>, String> {
    #[cfg(feature = "cuda")]
    {
        let found = svs_engine::cuda::devices().map_err(|error| error.to_string())?;
        let describe = |device: svs_engine::cuda::CudaDevice| {
            let (major, minor) = device.compute_capability;
            let gib = device.memory_bytes as f64 / f64::from(1 << 30);
            let text = format!("{}, compute capability {major}.{minor}, {gib:.1} GiB", device.name);
            (Device::Cuda(device.ordinal), text)
        };
        if found.is_empty() {
            return Err("no CUDA device: the driver lists none".into());
        }
        Ok(found.into_iter().map(describe).collect())
    }
    #[cfg(not(feature = "cuda"))]
    Err("no CUDA device: built without the feature `cuda`".into())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        let mut filters = arguments
            .iter()
            .filter(|argument| !argument.starts_with('-'))
            .peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
    };
    let checks: Vec<Check> = CHECKS.into_iter().filter(|(name, _)| wanted(name)).collect();
    let devices = match devices() {
        Ok(devices) => devices,
        Err(reason) => {
            for (name, _) in &checks {
                println!("device test {name} ... not run: {reason}");
            }
            println!("device tests: 0 passed, 0 failed, {} not run", checks.len());
            return ExitCode::SUCCESS;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for (device, description) in &devices {
        println!("{device}: {description}");
        let place = Place {
            device: *device,
            mode: CudaMode::Exact,
        };
        for (name, check) in &checks {
            let began = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| check(place)));
            let seconds = began.elapsed().as_secs_f64();
            let (count, word) = if ended.is_ok() {
                (&mut passed, "ok")
            } else {
                (&mut failed, "FAILED")
            };
            *count += 1;
            println!("device test {name:<52} {word:<6} {seconds:>8.2} s");
        }
    }
    println!("device tests: {passed} passed, {failed} failed, 0 not run");
    if failed > 0 {
        return ExitCode::FAILURE;
    }
    if arguments.iter().any(|argument| argument == "--bench") {
        devices.iter().for_each(|(device, _)| bench::run(*device));
    }
    ExitCode::SUCCESS
}
