//! Rotary position embedding, half-split pairs as in Hugging Face checkpoints.

use std::f32::consts::PI;

use super::norm::SERIAL_ELEMENTS;
use super::par::Par;
use super::simd::multiversion;
use crate::config::{Rope, RopeScaling};

/// Frequencies of the pairs, `[head_dim / 2]` f32.
///
/// # Source
/// RoFormer (arXiv 2104.09864); the piecewise scaling of Llama 3.1.
pub(crate) fn frequencies(rope: &Rope, head_dim: usize) -> Vec<f32> {
    let base = |i: usize| 1.0 / rope.theta.powf((2 * i) as f32 / head_dim as f32);
    let scale = |frequency: f32| match &rope.scaling {
        None => frequency,
        Some(RopeScaling::Linear { factor }) => frequency / factor,
        Some(RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        }) => {
            let original = *original_max_position_embeddings as f32;
            let wavelength = 2.0 * PI / frequency;
            if wavelength < original / high_freq_factor {
                frequency
            } else if wavelength > original / low_freq_factor {
                frequency / factor
            } else {
                let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    };
    (0..head_dim / 2).map(|i| scale(base(i))).collect()
}

/// Cosines and sines by position, grown on demand: `[positions, head_dim]`, cosines first.
#[derive(Debug, Clone, Default)]
pub(crate) struct RopeTable {
    half: usize,
    values: Vec<f32>,
}

impl RopeTable {
    /// Makes positions `..positions` available. A table belongs to one set of frequencies.
    pub(crate) fn grow(&mut self, frequencies: &[f32], positions: usize) {
        if self.half != frequencies.len() {
            *self = Self {
                half: frequencies.len(),
                values: Vec::new(),
            };
        }
        if self.half == 0 {
            return;
        }
        for position in self.values.len() / (2 * self.half)..positions {
            let angles = frequencies
                .iter()
                .map(|frequency| f64::from(position as f32 * frequency));
            self.values.extend(angles.clone().map(|angle| angle.cos() as f32));
            self.values.extend(angles.map(|angle| angle.sin() as f32));
        }
    }

    /// Cosines and sines of a position, `[head_dim / 2]` each.
    pub(crate) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        self.values[position * 2 * self.half..][..2 * self.half].split_at(self.half)
    }
}

multiversion! {
    /// Turns each head of a row; by the opposite angle if `sign` is -1.
    pub(crate) fn rotate(heads: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        let half = cos.len();
        for head in heads.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let (x, y, sin) = (*low, *high, sin * sign);
                *low = x.mul_add(*cos, -(y * sin));
                *high = y.mul_add(*cos, x * sin);
            }
        }
    }
}

/// Rotates the first `columns` columns (whole heads) of rows of `width` by their positions; `sign` is 1 forward and
/// -1 backward, the rotation being orthogonal.
pub(crate) fn rope(
    par: Par,
    x: &mut [f32],
    width: usize,
    columns: usize,
    positions: &[u32],
    table: &RopeTable,
    sign: f32,
) {
    par.rows(x, width, SERIAL_ELEMENTS, |first, rows| {
        for (row, position) in rows.chunks_exact_mut(width).zip(&positions[first..]) {
            let (cos, sin) = table.at(*position as usize);
            rotate(&mut row[..columns], cos, sin, sign);
        }
    });
}
