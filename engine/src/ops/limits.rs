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

/// Independent accumulators of 16 lanes: enough to hide the latency, few enough for the registers.
fn chains() -> usize {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 12,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 6,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => 4,
        Isa::Portable => 4,
    }
}

/// Runs the chains for `ROUNDS`.
fn multiply_add() -> f32 {
    let (x, y) = (black_box(0.999), black_box(1e-3));
    match isa() {
        // SAFETY: `isa` has found the features on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(x, y) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(x, y) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => portable(x, y),
        Isa::Portable => portable(x, y),
    }
}

/// One variable per chain, so that each is a register: loops over arrays are vectorised across the chains.
#[cfg(target_arch = "x86_64")]
macro_rules! spin {
    ($start:expr, $step:expr, $($chain:ident)*) => {{
        $(let mut $chain = $start;)*
        for _ in 0..ROUNDS {
            $($chain = $step($chain);)*
        }
        [$($chain),*]
    }};
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(x: f32, y: f32) -> f32 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let (x, y) = (_mm512_set1_ps(x), _mm512_set1_ps(y));
    let sums = spin!(x, |sum| _mm512_fmadd_ps(sum, x, y), a b c d e f g h i j k l);
    let mut total = 0.0;
    for sum in sums {
        total += _mm512_reduce_add_ps(sum);
    }
    total
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(x: f32, y: f32) -> f32 {
    use std::arch::x86_64::{_mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
    let (x, y) = (_mm256_set1_ps(x), _mm256_set1_ps(y));
    let sums = spin!(x, |sum| _mm256_fmadd_ps(sum, x, y), a b c d e f g h i j k l);
    let mut total = 0.0;
    for sum in sums {
        total += _mm256_cvtss_f32(sum);
    }
    total
}

/// Four chains as arrays, for whatever the compiler makes of them; with NEON 16 registers.
fn portable(x: f32, y: f32) -> f32 {
    let mut sums = [[x; LANES]; 4];
    for _ in 0..ROUNDS {
        for sum in sums.as_flattened_mut() {
            *sum = sum.mul_add(x, y);
        }
    }
    sums.as_flattened().iter().sum()
}

multiversion! {
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
