#![allow(unsafe_code)]

use super::element::Words;
use super::kernel::{self, Ahead, Tile};
use super::*;
use crate::config::Precision;
use crate::ops::elementwise::swiglu;
use crate::ops::simd::{Isa, isa};

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
fn stored<T: Row>(values: &[f32]) -> Vec<f32> {
    let one = |value: &f32| T::store(&Wide([[*value; HALF]; 2])).load().0[1][0];
    values.iter().map(one).collect()
}

fn outputs_are_sequential_chains<T: Row>() {
    for (m, k, n) in [
        (1, 7, 5),
        (2, 300, 16),
        (13, 64, 33),
        (64, 577, 50),
        (7, 1, 49),
        (251, 520, 40),
        // More terms than one product takes.
        (9, MOST_TERMS + 4, 70),
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
    outputs_are_sequential_chains::<Wide>();
    outputs_are_sequential_chains::<Words>();
}

fn instruction_sets_agree<T: Row>() {
    let (m, k, n) = (64, 300, 96);
    let (x, w) = (noise(m * k, 4), noise(n * k, 5));
    let b = Panels::<T>::from_weights(&[&w], k);
    let mut want = vec![0.0; m * n];
    gemm(Par::Serial, m, View::rows(&x, k), &b, &mut want, false);
    let sets = [
        Isa::Portable,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon,
    ];
    let sets = sets.into_iter().filter(|set| isa() >= *set);
    // Chains in one go, and broken off and taken up again.
    let shapes = |set| (1..=kernel::height(set)).flat_map(move |height| [k, 137].map(|cut| (set, height, cut)));
    for (set, height, cut) in sets.flat_map(shapes) {
        for first in (0..m).step_by(height) {
            let rows = first..(first + height).min(m);
            let mut a = vec![0.0; rows.len() * k];
            View::rows(&x, k).pack(rows.clone(), &mut a);
            for panel in 0..n / PANEL {
                let mut sums = vec![Wide::default(); rows.len()];
                let mut widened = vec![Wide::default(); if first == 0 { k } else { 0 }];
                let mut left = &mut widened[..];
                for terms in [0..cut, cut..k].into_iter().filter(|terms| !terms.is_empty()) {
                    let kept = left.split_off_mut(..left.len().min(terms.len())).expect("as many");
                    let mut tile = Tile {
                        a: &a[terms.start * rows.len()..terms.end * rows.len()],
                        b: &b.panel(panel)[terms.clone()],
                        sums: &mut sums,
                        resume: terms.start > 0,
                        widened: kept,
                        ahead: Ahead {
                            at: std::ptr::null(),
                            step: 0,
                        },
                    };
                    // SAFETY: the machine has the set.
                    unsafe { kernel::run(set, &mut tile) };
                }
                for (row, sums) in rows.clone().zip(&sums) {
                    let want = &want[row * n + panel * PANEL..][..PANEL];
                    assert_eq!(sums.0.as_flattened(), want, "{set:?}, row {row}, panel {panel}");
                }
                for (wide, row) in widened.iter().zip(b.panel(panel)) {
                    assert!(*wide == row.load(), "{set:?} widens panel {panel} wrongly");
                }
            }
        }
    }
}

#[test]
fn fused_products_are_the_plain_ones_and_then_the_pass() {
    for (rows, k, inner) in [(1, 33, 5), (3, 576, 48), (70, 200, 17)] {
        let [x, gate, up] = [(rows * k, 1), (inner * k, 2), (inner * k, 3)].map(|(n, seed)| noise(n, seed));
        let norm = noise(k, 4);
        let eps = 1e-5;
        let mut normed = vec![0.0; x.len()];
        crate::ops::norm::rms_norm(Par::Serial, &x, &norm, eps, &mut normed);
        for precision in [Precision::F32, Precision::Bf16] {
            let plain = Matrix::pack(precision, &[&gate, &up], k);
            let mut want = vec![0.0; rows * 2 * inner];
            plain.project(Par::Serial, rows, &View::rows(&normed, k), &mut want);
            let source = Normed {
                x: &x,
                weight: &norm,
                eps,
            };
            let mut kept = vec![0.0; want.len()];
            let mut got = vec![0.0; rows * inner];
            let pair = Matrix::pack_pair(precision, [&gate, &up], k);
            pair.project_gated(Par::Pool, rows, &source, &mut got, Some(&mut kept));
            assert_eq!(kept, want, "{rows}x{k}x{inner}");
            let mut gated = vec![0.0; got.len()];
            swiglu(Par::Serial, &want, inner, &mut gated);
            assert_eq!(got, gated, "{rows}x{k}x{inner}");
            let residual = noise(want.len(), 5);
            let mut sum = vec![0.0; want.len()];
            plain.project_onto(Par::Pool, rows, &source, &residual, &mut sum);
            let expected: Vec<f32> = residual.iter().zip(&want).map(|(r, y)| r + y).collect();
            assert_eq!(sum, expected, "{rows}x{k}x{inner}");
        }
    }
}

#[test]
fn all_instruction_sets_give_the_same_bits() {
    instruction_sets_agree::<Wide>();
    instruction_sets_agree::<Words>();
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
        assert_eq!(stored::<Words>(&[value]), [want], "{value}");
    }
    assert!(stored::<Words>(&[f32::NAN])[0].is_nan());
}

fn stacked(parts: &[&[f32]], n: usize) -> Panels {
    let mut panels = Panels::default();
    panels.refill_parts(Par::Serial, parts, n, false);
    panels
}

#[test]
fn transposed_operands_match_plain_sums() {
    // dW = dYᵀ · X and dX = dY · W.
    for (tokens, out, input) in [(70, 37, 21), (MOST_TERMS + 5, 7, 40)] {
        let (dy, x, w) = (noise(tokens * out, 6), noise(tokens * input, 7), noise(out * input, 8));
        let mut panels = Panels::default();
        panels.refill(Par::Serial, &noise(9 * 40, 1), 40);
        panels.refill(Par::Pool, &x, input);
        assert_eq!(panels, stacked(&[&x], input));
        let mut dw = vec![f32::NAN; out * input];
        gemm(Par::Pool, out, View::columns(&dy, out, 0), &panels, &mut dw, false);
        for o in 0..out {
            for i in 0..input {
                let want = (0..tokens).fold(0.0, |s, t| dy[t * out + o].mul_add(x[t * input + i], s));
                assert_eq!(dw[o * input + i].to_bits(), f32::to_bits(want));
            }
        }
        let packed = stacked(&[&w[..5 * input], &w[5 * input..]], input);
        let mut dx = vec![f32::NAN; tokens * input];
        gemm(Par::Pool, tokens, View::rows(&dy, out), &packed, &mut dx, false);
        for t in 0..tokens {
            for i in 0..input {
                let want = (0..out).fold(0.0, |s, o| dy[t * out + o].mul_add(w[o * input + i], s));
                assert_eq!(dx[t * input + i].to_bits(), f32::to_bits(want));
            }
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
    let packed = Panels::<Wide>::from_weights(&[&w], 5);
    let mut row = [0.0; 5];
    packed.column_into(36, &mut row);
    assert_eq!(row, w[36 * 5..]);
}
