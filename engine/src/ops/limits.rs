//! What this machine can do at most: fused multiply-adds and bytes read per second, measured with the instructions that
//! the kernels use. Benchmarks state speeds as shares of these.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use super::simd::{Isa, isa, multiversion};

/// Limits of the machine with a number of threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineLimits {
    /// Floating-point operations per second of f32 fused multiply-adds (two each), all threads together.
    pub flops: f64,
    /// Bytes per second read from memory, all threads together.
    pub read_bytes: f64,
}

/// Rounds of one measurement: some 30 ms.
const ROUNDS: usize = 4 << 20;
/// Elements read by one measurement; well beyond the caches.
const ELEMENTS: usize = 64 << 20;
/// Measurements, the best of which counts.
const TRIES: usize = 5;
/// Lanes of an accumulator.
const LANES: usize = 16;

impl MachineLimits {
    /// Measures with so many threads. Takes about half a second and 256 MiB.
    #[must_use]
    pub fn measure(threads: usize) -> Self {
        let operations = threads * ROUNDS * chains() * LANES * 2;
        let flops = best(operations, || {
            on_threads(threads, |_| _ = black_box(multiply_add()));
        });
        let values = vec![1.0_f32; ELEMENTS];
        let parts: Vec<&[f32]> = values.chunks(ELEMENTS.div_ceil(threads)).collect();
        let read_bytes = best(size_of_val(values.as_slice()), || {
            on_threads(parts.len(), |part| _ = black_box(total(parts[part])));
        });
        Self { flops, read_bytes }
    }
}

/// Runs `piece(i)` for every `i < count`, each on a thread of its own.
fn on_threads(count: usize, piece: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for i in 0..count {
            let piece = &piece;
            scope.spawn(move || piece(i));
        }
    });
}

/// `amount` per second in the fastest of some runs.
fn best(amount: usize, run: impl Fn()) -> f64 {
    let seconds = (0..TRIES).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64()
    });
    amount as f64 / seconds.fold(f64::INFINITY, f64::min)
}

/// Independent accumulators: enough to hide the latency, few enough for the registers.
fn chains() -> usize {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 12,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 6,
        Isa::Portable => 4,
    }
}

fn multiply_add() -> f32 {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => chains_of_twelve(ROUNDS, black_box(0.999), black_box(1e-3)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => chains_of_six(ROUNDS, black_box(0.999), black_box(1e-3)),
        Isa::Portable => chains_of_four(ROUNDS, black_box(0.999), black_box(1e-3)),
    }
}

multiversion! {
    fn chains_of_twelve(rounds: usize, x: f32, y: f32) -> f32 {
        rounds_of::<12>(rounds, x, y)
    }

    fn chains_of_six(rounds: usize, x: f32, y: f32) -> f32 {
        rounds_of::<6>(rounds, x, y)
    }

    fn chains_of_four(rounds: usize, x: f32, y: f32) -> f32 {
        rounds_of::<4>(rounds, x, y)
    }

    fn total(values: &[f32]) -> f32 {
        let mut sums = [[0.0_f32; LANES]; 4];
        for four in values.as_chunks::<LANES>().0.as_chunks::<4>().0 {
            for (sums, values) in sums.iter_mut().zip(four) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
        sums.as_flattened().iter().sum()
    }
}

#[inline(always)]
fn rounds_of<const CHAINS: usize>(rounds: usize, x: f32, y: f32) -> f32 {
    let mut sums = [[0.0_f32; LANES]; CHAINS];
    for (at, sums) in sums.iter_mut().enumerate() {
        *sums = [at as f32; LANES];
    }
    for _ in 0..rounds {
        for sums in &mut sums {
            for sum in sums {
                *sum = sum.mul_add(x, y);
            }
        }
    }
    sums.as_flattened().iter().sum()
}
