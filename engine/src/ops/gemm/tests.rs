use super::element::Bf16;
use super::kernel::{self, Ahead, Tile};
use super::left::pack;
use super::*;
use crate::ops::simd::Isa;

pub(crate) fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn chain(a: &[f32], b: &[f32], k: usize, start: f32) -> f32 {
    (0..k).fold(start, |sum, i| a[i].mul_add(b[i], sum))
}

/// What `T` stores of `values`.
fn stored<T: Element>(values: &[f32]) -> Vec<f32> {
    values
        .iter()
        .map(|value| T::widen(&[T::narrow(*value); PANEL])[0])
        .collect()
}

fn outputs_are_sequential_chains<T: Element>() {
    for (m, k, n) in [
        (1, 7, 5),
        (2, 300, 16),
        (13, 64, 33),
        (64, 577, 50),
        (7, 1, 49),
        (251, 520, 40),
    ] {
        let (x, w) = (noise(m * k, 1), noise(n * k, 2));
        let packed = Panels::<T>::from_weights(&[&w[..k * (n / 2)], &w[k * (n / 2)..]], k);
        let w = stored::<T>(&w);
        let mut c = noise(m * n, 3);
        let start = c.clone();
        gemm(Par::Pool, m, View::rows(&x, k), &packed, &mut c, true);
        for (i, got) in c.iter().enumerate() {
            let want = chain(&x[i / n * k..][..k], &w[i % n * k..][..k], k, start[i]);
            assert_eq!(got.to_bits(), want.to_bits(), "{m}x{k}x{n} element {i}");
        }
    }
}

#[test]
fn every_output_is_one_sequential_chain() {
    outputs_are_sequential_chains::<f32>();
    outputs_are_sequential_chains::<Bf16>();
}

fn instruction_sets_agree<T: Element>() {
    let (m, k, n) = (64, 300, 96);
    let (x, w) = (noise(m * k, 4), noise(n * k, 5));
    let b = Panels::<T>::from_weights(&[&w], k);
    let mut want = vec![0.0; m * n];
    gemm(Par::Serial, m, View::rows(&x, k), &b, &mut want, false);
    let mut sets = vec![(Isa::Portable, 4)];
    #[cfg(target_arch = "x86_64")]
    if isa() >= Isa::Avx2 {
        sets.push((Isa::Avx2, 6));
    }
    for (set, rows) in sets {
        let mut c = vec![0.0_f32; m * n];
        for first in (0..m).step_by(rows) {
            let height = rows.min(m - first);
            let mut a = vec![0.0; height * k];
            pack(View::rows(&x, k), &(first..first + height), 0..k, &mut a);
            for panel in 0..n / PANEL {
                let tile = Tile {
                    a: &a,
                    b: [b.panel(panel); 2],
                    c: c[first * n + panel * PANEL..].as_mut_ptr(),
                    c_stride: n,
                    resume: false,
                    ahead: Ahead {
                        at: [std::ptr::null(); 2],
                        step: 0,
                    },
                };
                // SAFETY: the tile lies within the operands and the machine has the set.
                unsafe { kernel::run(set, height, 1, tile) };
            }
        }
        assert!(c.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()), "{set:?}");
    }
}

#[test]
fn all_instruction_sets_give_the_same_bits() {
    instruction_sets_agree::<f32>();
    instruction_sets_agree::<Bf16>();
}

#[test]
fn bf16_rounds_to_nearest_even() {
    let table = [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
        (-1.0 - 1.1 / 256.0, -1.0 - 2.0 / 256.0),
        (0.0, 0.0),
        (f32::INFINITY, f32::INFINITY),
    ];
    for (value, want) in table {
        assert_eq!(stored::<Bf16>(&[value]), [want], "{value}");
    }
    assert!(stored::<Bf16>(&[f32::NAN])[0].is_nan());
}

#[test]
fn transposed_operands_match_plain_sums() {
    // dW = dYᵀ · X and dX = dY · W.
    let (tokens, out, input) = (70, 37, 21);
    let (dy, x, w) = (noise(tokens * out, 6), noise(tokens * input, 7), noise(out * input, 8));
    let mut panels = Panels::default();
    panels.refill(Par::Serial, &noise(9 * 40, 1), 40);
    panels.refill(Par::Pool, &x, input);
    assert_eq!(panels, Panels::from_rows(&[&x], input));
    let mut dw = vec![0.0; out * input];
    gemm(Par::Pool, out, View::columns(&dy, out, 0), &panels, &mut dw, false);
    for o in 0..out {
        for i in 0..input {
            let want = (0..tokens).fold(0.0, |s, t| dy[t * out + o].mul_add(x[t * input + i], s));
            assert_eq!(dw[o * input + i].to_bits(), f32::to_bits(want));
        }
    }
    let packed = Panels::from_rows(&[&w[..10 * input], &w[10 * input..]], input);
    let mut dx = vec![0.0; tokens * input];
    gemm(Par::Pool, tokens, View::rows(&dy, out), &packed, &mut dx, false);
    for t in 0..tokens {
        for i in 0..input {
            let want = (0..out).fold(0.0, |s, o| dy[t * out + o].mul_add(w[o * input + i], s));
            assert_eq!(dx[t * input + i].to_bits(), f32::to_bits(want));
        }
    }
}

#[test]
fn a_split_sum_is_caught() {
    // What the tests above guard against: the same product with k split in two differs in bits.
    let k = 512;
    let (a, b) = (noise(k * 64, 9), noise(k, 10));
    let differs = a.chunks(k).any(|a| {
        let split = chain(a, &b, k / 2, 0.0) + chain(&a[k / 2..], &b[k / 2..], k / 2, 0.0);
        split.to_bits() != chain(a, &b, k, 0.0).to_bits()
    });
    assert!(differs);
}

#[test]
fn columns_are_read_back() {
    let w = noise(37 * 5, 11);
    let packed = Panels::<f32>::from_weights(&[&w], 5);
    let mut row = [0.0; 5];
    packed.column_into(36, &mut row);
    assert_eq!(row, w[36 * 5..]);
}
