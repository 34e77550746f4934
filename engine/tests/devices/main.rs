//! Device tests: the decoder's checks on every CUDA device of the machine. Without one they say so and count as not run.
//!
//! The binary is all that a GPU machine needs: `cargo xtask gpu-check` builds it and runs it with `--bench`.
#![allow(clippy::print_stdout)] // a test harness of its own talks on stdout
#![allow(clippy::unwrap_used)] // a test may fail where it stands

#[path = "../decoder/agreement.rs"]
#[allow(dead_code, reason = "the bars are tested on the CPU")]
mod agreement;
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
#[path = "../decoder/trained.rs"]
mod trained;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use place::Place;
use svs_engine::CudaMode::{self, Exact, Fast};
use svs_engine::model::Executor;
use svs_engine::{Device, DeviceError, Precision, Storage, WeightSet};

/// A check: the mode that it is of, its name and what it runs.
type Check = (CudaMode, &'static str, fn(Place));

const CHECKS: [Check; 12] = [
    (Exact, "logits_equal_transformers", golden::logits_equal_transformers),
    (
        Exact,
        "logits_are_the_bits_of_the_cpu",
        parity::logits_are_the_bits_of_the_cpu,
    ),
    (
        Exact,
        "a_row_in_a_batch_equals_the_row_alone",
        parity::a_row_in_a_batch_equals_the_row_alone,
    ),
    (Exact, "no_schedule_changes_a_bit", parity::no_schedule_changes_a_bit),
    (
        Exact,
        "a_kernel_that_sums_in_another_order_is_caught",
        parity::a_kernel_that_sums_in_another_order_is_caught,
    ),
    (
        Exact,
        "training_scores_are_the_bits_of_sampling",
        parity::training_scores_are_the_bits_of_sampling,
    ),
    (
        Exact,
        "a_copied_block_and_a_shared_prefix_change_nothing",
        parity::a_copied_block_and_a_shared_prefix_change_nothing,
    ),
    (
        Exact,
        "completions_are_those_of_the_cpu",
        sampled::completions_are_those_of_the_cpu,
    ),
    (
        Fast,
        "f32_logits_are_near_the_cpus",
        agreement::f32_logits_are_near_the_cpus,
    ),
    (
        Fast,
        "logits_agree_with_the_cpus",
        agreement::logits_agree_with_the_cpus,
    ),
    (
        Fast,
        "a_copied_block_and_a_shared_prefix_agree",
        agreement::a_copied_block_and_a_shared_prefix_agree,
    ),
    (
        Fast,
        "completions_agree_with_the_trainer",
        agreement::completions_agree_with_the_trainer,
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

/// Why `place` cannot be used, if what it needs is not built in or not on this machine; what fails otherwise is for the
/// checks to find.
fn missing(place: Place) -> Option<String> {
    let model = trained::policy();
    let (config, params) = trained::widened(&model.config, &model.params);
    let weights = WeightSet::pack_as(Storage::from(Precision::F32), &config, &params, 1, "probe");
    match Executor::new(place.device, place.mode, &weights, 1) {
        Err(error @ (DeviceError::NotBuilt { .. } | DeviceError::Absent { .. })) => Some(error.to_string()),
        _ => None,
    }
}

/// How many checks ended how.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    not_run: usize,
}

impl Tally {
    /// Runs the checks of a mode on a device.
    fn run(&mut self, place: Place, checks: &[Check]) {
        let checks = checks.iter().filter(|(mode, ..)| *mode == place.mode);
        let missing = missing(place);
        for (mode, name, check) in checks {
            let mode = mode.name();
            if let Some(reason) = &missing {
                println!("device test {mode:<5} {name:<52} not run: {reason}");
                self.not_run += 1;
                continue;
            }
            let began = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| check(place)));
            let seconds = began.elapsed().as_secs_f64();
            let (count, word) = if ended.is_ok() {
                (&mut self.passed, "ok")
            } else {
                (&mut self.failed, "FAILED")
            };
            *count += 1;
            println!("device test {mode:<5} {name:<52} {word:<6} {seconds:>8.2} s");
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let wanted = |(_, name, _): &Check| {
        let mut filters = arguments
            .iter()
            .filter(|argument| !argument.starts_with('-'))
            .peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
    };
    let checks: Vec<Check> = CHECKS.into_iter().filter(wanted).collect();
    let devices = match devices() {
        Ok(devices) => devices,
        Err(reason) => {
            for (mode, name, _) in &checks {
                println!("device test {:<5} {name} ... not run: {reason}", mode.name());
            }
            println!("device tests: 0 passed, 0 failed, {} not run", checks.len());
            return ExitCode::SUCCESS;
        }
    };
    let mut tally = Tally::default();
    for (device, description) in &devices {
        println!("{device}: {description}");
        for mode in [Exact, Fast] {
            let place = Place { device: *device, mode };
            tally.run(place, &checks);
        }
    }
    let Tally {
        passed,
        failed,
        not_run,
    } = tally;
    println!("device tests: {passed} passed, {failed} failed, {not_run} not run");
    if failed > 0 {
        return ExitCode::FAILURE;
    }
    if arguments.iter().any(|argument| argument == "--bench") {
        for (device, _) in &devices {
            let modes = [Exact, Fast].map(|mode| Place { device: *device, mode });
            bench::run(*device, modes.into_iter().filter(|place| missing(*place).is_none()));
        }
    }
    ExitCode::SUCCESS
}
