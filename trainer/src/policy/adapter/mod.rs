//! A LoRA adapter as what is trained: the optimizer moves its factors, the model is the base with their product added.
//!
//! Forward and backward run on the merged matrices, as serving does, so sampling and training agree bit for bit. The
//! factors' gradients follow from the merged matrices' by the chain rule, so nothing in the backward knows of adapters.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use svs_engine::Params;
use svs_engine::load::lora::{LoraShape, Target, add_product};
use svs_engine::load::{LoadError, LoadedModel};
use svs_engine::ops::map;

use crate::optim::{AdamW, OptimConfig, StepReport};
use crate::seeds::{SplitMix, derive};

/// Sums that a dot product is spread over.
const LANES: usize = 16;

/// An adapter being trained.
#[derive(Debug)]
pub(super) struct Adapter {
    base: Arc<LoadedModel>,
    shape: LoraShape,
    targets: Vec<Target>,
    factors: Params,
    /// Computed once: the base does not change.
    base_sha256: OnceLock<String>,
}

impl Adapter {
    /// An adapter that changes nothing yet: A uniform in ±1/√in, as PEFT begins, from `seed`; B zero.
    ///
    /// # Errors
    /// [`LoadError`] naming the field of `shape` that does not fit the model.
    pub(super) fn new(base: Arc<LoadedModel>, shape: LoraShape, seed: u64) -> Result<Self, LoadError> {
        let (targets, layout) = shape.targets(&base.params.layout)?;
        let mut factors = Params::zeros(Arc::new(layout));
        for Target { a, .. } in &targets {
            let mut random = SplitMix::new(derive(&["lora", &seed.to_string(), &a.name]));
            let bound = 1.0 / (a.shape[1] as f32).sqrt();
            for value in &mut factors.values[a.offset..a.offset + a.len()] {
                let unit = (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
                *value = (2.0 * unit - 1.0) * bound;
            }
        }
        Ok(Self {
            base,
            shape,
            targets,
            factors,
            base_sha256: OnceLock::new(),
        })
    }

    /// What the optimizer moves, `[rank, in]` and `[out, rank]` per matrix.
    pub(super) fn factors(&self) -> &Params {
        &self.factors
    }

    /// Identifies the matrices that the adapter is added to.
    pub(super) fn base_sha256(&self) -> &str {
        self.base_sha256.get_or_init(|| {
            let mut hash = Sha256::new();
            for Target { entry, .. } in &self.targets {
                let values = &self.base.params.values[entry.offset..entry.offset + entry.len()];
                for chunk in values.chunks(1 << 14) {
                    let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
                    hash.update(&bytes);
                }
            }
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }

    /// Takes over `values` as factors and merges them into `model`.
    pub(super) fn restore(&mut self, values: Vec<f32>, model: &mut Params) {
        self.factors.values = values;
        self.merge(model);
    }

    /// One step of `optimizer`, `grads` being those of the merged matrices; `model` follows.
    pub(super) fn step(
        &mut self,
        optimizer: &mut AdamW,
        model: &mut Params,
        grads: &Params,
        config: &OptimConfig,
    ) -> StepReport {
        let grads = self.gradients(grads);
        let report = optimizer.step(&mut self.factors, &grads, config);
        if report.applied {
            self.merge(model);
        }
        report
    }

    /// Writes the adapter as a PEFT folder.
    ///
    /// # Errors
    /// [`LoadError::File`].
    pub(super) fn save(&self, folder: &Path) -> Result<(), LoadError> {
        self.shape.save(folder, &self.base.name, &self.factors)
    }

    /// The factors' gradients: with W = base + s·B·A, dA = s·Bᵀ·dW and dB = s·dW·Aᵀ.
    fn gradients(&self, grads: &Params) -> Params {
        let parts = map(self.targets.len(), |i| {
            let (target, entry) = (&self.targets[i], &self.targets[i].entry);
            let change = &grads.values[entry.offset..entry.offset + entry.len()];
            self.factor_gradients(target, change)
        });
        let mut found = Params::zeros(Arc::clone(&self.factors.layout));
        for (target, (a, b)) in self.targets.iter().zip(parts) {
            found.values[target.a.offset..target.a.offset + a.len()].copy_from_slice(&a);
            found.values[target.b.offset..target.b.offset + b.len()].copy_from_slice(&b);
        }
        found
    }

    /// dA and dB of one matrix, whose gradient is `change`, `[out, in]`.
    fn factor_gradients(&self, target: &Target, change: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (rank, width) = (target.a.shape[0], target.a.shape[1]);
        let (a, b) = self.factors_of(target);
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        let rows = change.chunks_exact(width);
        for ((row, b), db) in rows.zip(b.chunks_exact(rank)).zip(db.chunks_exact_mut(rank)) {
            let factors = a.chunks_exact(width).zip(da.chunks_exact_mut(width));
            for (((a, da), b), db) in factors.zip(b).zip(db) {
                let scaled = target.scale * b;
                da.iter_mut().zip(row).for_each(|(sum, change)| *sum += scaled * change);
                *db = target.scale * dot(row, a);
            }
        }
        (da, db)
    }

    fn factors_of(&self, target: &Target) -> (&[f32], &[f32]) {
        let part = |at: usize, len: usize| &self.factors.values[at..at + len];
        (
            part(target.a.offset, target.a.len()),
            part(target.b.offset, target.b.len()),
        )
    }

    /// Sets the changed matrices of `model` to base plus product.
    fn merge(&self, model: &mut Params) {
        for target in &self.targets {
            let range = target.entry.offset..target.entry.offset + target.entry.len();
            let matrix = &mut model.values[range.clone()];
            matrix.copy_from_slice(&self.base.params.values[range]);
            add_product(matrix, self.factors_of(target), target.a.shape[0], target.scale);
        }
    }
}

/// Σ x·y in a fixed order.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum()
}
