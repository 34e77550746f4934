//! Teacher-forced scoring and the explicit backward, over the same forward kernels that serve.
//!
//! The loss is not known here: the caller hands in dL/dlogp and dL/dH per scored token (see the trainer's objective).
#![allow(unsafe_code)]

mod head;
mod layer;
mod pack;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod tests;
mod weights;

pub use pack::shared_tokens;
pub use weights::TrainWeights;

use crate::config::ModelConfig;
use crate::error::EngineError;
use crate::model::{Activations, Aligned, LayerRows, Run, SequenceRows, cut_runs, layer_forward};
use crate::ops::attention::{Kv, KvShape};
use crate::ops::elementwise::{add_assign, embed, embed_backward};
use crate::ops::for_each;
use crate::ops::par::Par;
use crate::ops::rope::RopeTable;
use crate::params::Params;
use crate::weights::WeightSet;
use layer::{Buffers, LayerGrads, Tree, layer_backward};
use pack::Packed;

/// A whole token sequence and which of its tokens are scored. Where several begin alike, as the rollouts of a group do, what
/// they share is computed once per micro-batch: put them one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSequence {
    /// Prompt and response tokens.
    pub tokens: Vec<u32>,
    /// Ascending positions `t >= 1`; token `t` is scored given tokens `..t`.
    pub scored: Vec<u32>,
    /// Logits are divided by it before the softmax; must be > 0.
    pub temperature: f32,
}

impl TrainSequence {
    /// Leading tokens that have rows: from what follows the last scored token's predecessor nothing is read.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.scored.last().map_or(self.tokens.len(), |last| *last as usize)
    }
}

/// Scores of one token under the current weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenScore {
    /// log p(token), nats, after temperature.
    pub logprob: f32,
    /// Entropy of the distribution, nats, after temperature.
    pub entropy: f32,
}

/// Derivatives of the loss at one scored token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TokenGrad {
    /// dL/dlogp.
    pub dlogprob: f32,
    /// dL/dH.
    pub dentropy: f32,
}

/// Activations kept for the backward up to so many bytes; beyond, each layer is computed again from its input. Of a model with
/// 135 M parameters that is 1164 rows: a group of 8 responses of 128 tokens with its prompt.
const KEPT_BYTES: usize = 768 << 20;

/// Rows of a micro-batch whose activations are all kept; more rows cost a second forward.
#[must_use]
pub fn kept_rows(config: &ModelConfig) -> usize {
    KEPT_BYTES / activation_bytes(config)
}

/// Most bytes of activations that a micro-batch of so many rows keeps for its backward.
#[must_use]
pub fn most_kept_bytes(config: &ModelConfig, rows: usize) -> usize {
    KEPT_BYTES.min(activation_bytes(config).saturating_mul(rows))
}

/// Bytes that the activations of all layers take for a row.
fn activation_bytes(config: &ModelConfig) -> usize {
    let shape = config.attention_shape();
    let raw = if config.qk_norm { shape.qkv() } else { 0 };
    let row = 2 * config.hidden_size + shape.qkv() + raw + shape.q() + 2 * config.intermediate_size;
    row * config.layers * size_of::<f32>()
}

/// Memory that micro-batches hand on: without it each would be given fresh pages for all its activations, and their zeroing
/// takes as long as a tenth of the products. Grows to the largest micro-batch.
#[derive(Debug, Default)]
pub struct Scratch {
    spare: Vec<Activations>,
    buffers: Buffers,
}

impl Drop for Scratch {
    /// Gives the memory back piece by piece: at once it takes tens of milliseconds, and a team could lend no core meanwhile.
    fn drop(&mut self) {
        for_each(std::mem::take(&mut self.spare), drop);
    }
}

/// Scores every scored token of every sequence. Result: per sequence, one entry per `scored` position.
/// Bit-identical to the logprobs recorded at sampling under the same version (no penalties, no truncation).
///
/// # Errors
/// [`EngineError::InvalidParameter`] for an empty sequence, a position out of range or a temperature <= 0;
/// [`EngineError::NonFiniteLogits`].
pub fn score(weights: &WeightSet, sequences: &[TrainSequence]) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    let packed = Packed::new(sequences, weights.config.vocab_size)?;
    let mut pass = Pass::new(weights, &packed);
    let hidden = pass.forward(Keep::Nothing, &mut Vec::new()).0;
    let selected = head::select(&hidden, weights.config.hidden_size, &packed.targets);
    let scores = head::score(Par::Pool, weights, &selected, &packed.targets)?;
    Ok(by_sequence(sequences, scores))
}

/// Forward and backward of one micro-batch: adds d/dθ Σ (dlogprob·logp + dentropy·H) to `grads` and returns the scores.
/// `coefficients` has the shape of the scored positions. Deterministic at any thread count. On an error `grads` may be
/// partly written.
///
/// # Errors
/// As [`score`].
pub fn accumulate(
    weights: &TrainWeights<'_>,
    sequences: &[TrainSequence],
    coefficients: &[Vec<TokenGrad>],
    grads: &mut Params,
    scratch: &mut Scratch,
) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    accumulate_within(weights, sequences, coefficients, grads, scratch, KEPT_BYTES)
}

fn accumulate_within(
    weights: &TrainWeights<'_>,
    sequences: &[TrainSequence],
    coefficients: &[Vec<TokenGrad>],
    grads: &mut Params,
    scratch: &mut Scratch,
    kept_bytes: usize,
) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    let set = &*weights.set;
    let config = &set.config;
    let packed = Packed::new(sequences, config.vocab_size)?;
    let shapes_agree = coefficients.len() == sequences.len()
        && coefficients
            .iter()
            .zip(sequences)
            .all(|(row, sequence)| row.len() == sequence.scored.len());
    if !shapes_agree {
        let reason = "must have one entry per scored position".into();
        return Err(EngineError::InvalidParameter {
            field: "coefficients",
            reason,
        });
    }
    let mut pass = Pass::new(set, &packed);
    let keep = if packed.tokens.len() * activation_bytes(config) <= kept_bytes {
        Keep::All
    } else {
        Keep::Inputs
    };
    let (hidden, mut acts) = pass.forward(keep, &mut scratch.spare);
    let width = config.hidden_size;
    let selected = head::select(&hidden, width, &packed.targets);
    let mut d_selected = vec![0.0; selected.len()];
    let coefficients = coefficients.concat();
    let scores = {
        let embedding = if config.tie_word_embeddings {
            "model.embed_tokens.weight"
        } else {
            "lm_head.weight"
        };
        let [head, norm] = two(grads, embedding, "model.norm.weight");
        let grads = head::HeadGrads { head, norm };
        let (targets, head) = (&packed.targets, weights.head(Par::Pool));
        head::backward(
            Par::Pool,
            set,
            head,
            &selected,
            targets,
            &coefficients,
            grads,
            &mut d_selected,
        )?
    };
    let mut d = vec![0.0; hidden.len()];
    for (target, row) in packed.targets.iter().zip(d_selected.chunks_exact(width)) {
        add_assign(Par::Serial, &mut d[target.row * width..][..width], row);
    }
    pass.backward(weights, &mut acts, keep, &mut d, grads, scratch);
    let embedding = grads
        .get_mut("model.embed_tokens.weight")
        .expect("every layout has an embedding");
    embed_backward(&packed.tokens, &d, width, embedding);
    Ok(by_sequence(sequences, scores))
}

/// What a forward keeps of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Inputs,
    All,
}

/// One micro-batch on its way through the layers.
struct Pass<'a> {
    weights: &'a WeightSet,
    packed: &'a Packed,
    sequences: Vec<SequenceRows<'a>>,
    /// First row of each sequence's trunk.
    trunks: Vec<usize>,
    runs: Vec<Run>,
    rope: RopeTable,
    shape: KvShape,
    /// Two layers of keys and values, f32.
    cache: Aligned<f32>,
}

impl<'a> Pass<'a> {
    fn new(weights: &'a WeightSet, packed: &'a Packed) -> Self {
        let rows = packed.spans.iter().zip(&packed.tables);
        let sequences: Vec<_> = rows
            .map(|(span, table)| SequenceRows {
                rows: span.first..span.first + span.len - span.shared,
                start: span.shared,
                block_table: table,
            })
            .collect();
        let trunks = packed.spans.iter().map(|span| span.trunk).collect();
        let mut runs = Vec::new();
        cut_runs(&sequences, &mut runs);
        let mut rope = RopeTable::default();
        rope.grow(
            &weights.frequencies,
            packed.spans.iter().map(|span| span.len).max().unwrap_or(0),
        );
        let shape = KvShape::of(&weights.config, 2);
        let cache = Aligned::zeroed(packed.blocks() * shape.block_elements::<f32>());
        Self {
            weights,
            packed,
            sequences,
            trunks,
            runs,
            rope,
            shape,
            cache,
        }
    }

    /// The residual stream after the last layer, and what was kept, in memory of `spare` as far as it goes.
    fn forward(&mut self, keep: Keep, spare: &mut Vec<Activations>) -> (Vec<f32>, Vec<Activations>) {
        let (weights, config) = (self.weights, &self.weights.config);
        let mut stream = vec![0.0; self.packed.tokens.len() * config.hidden_size];
        let (tokens, width) = (&self.packed.tokens, config.hidden_size);
        embed(Par::Pool, &weights.embedding, &weights.head, tokens, width, &mut stream);
        let kv = Kv::new(self.shape, self.cache.slice());
        let rows = LayerRows {
            config,
            sequences: &self.sequences,
            runs: &self.runs,
            positions: &self.packed.positions,
            rope: &self.rope,
            kv: self.weights.storage.kv,
            copied: &self.packed.copied,
        };
        let (mut kept, mut gated) = (Vec::new(), Vec::new());
        for layer in &weights.layers {
            let mut acts = spare.pop().unwrap_or_default();
            acts.keep = keep == Keep::All;
            let mut out = std::mem::replace(&mut acts.input, stream);
            // SAFETY: the cache is this pass's own.
            unsafe { layer_forward(Par::Pool, layer, rows, &kv, 0, &mut acts, &mut gated, &mut out) };
            stream = out;
            match keep {
                Keep::Nothing => spare.push(acts),
                Keep::Inputs => {
                    kept.push(Activations {
                        input: std::mem::take(&mut acts.input),
                        ..Activations::default()
                    });
                    spare.push(acts);
                }
                Keep::All => kept.push(acts),
            }
        }
        (stream, kept)
    }

    /// Turns `d`, the gradient of the last layer's output, into that of the embeddings.
    fn backward(
        &mut self,
        weights: &TrainWeights<'_>,
        kept: &mut Vec<Activations>,
        keep: Keep,
        d: &mut [f32],
        grads: &mut Params,
        Scratch { spare, buffers }: &mut Scratch,
    ) {
        let config = &self.weights.config;
        let kv = Kv::new(self.shape, self.cache.slice());
        let rows = LayerRows {
            config,
            sequences: &self.sequences,
            runs: &self.runs,
            positions: &self.packed.positions,
            rope: &self.rope,
            kv: self.weights.storage.kv,
            copied: &self.packed.copied,
        };
        while let Some(mut acts) = kept.pop() {
            let layer = kept.len();
            if keep == Keep::Inputs {
                let input = std::mem::take(&mut acts.input);
                acts = spare.pop().unwrap_or_default();
                acts.input = input;
                recompute(&self.weights.layers[layer], rows, &kv, &mut acts);
            }
            let grads = LayerGrads { grads, layer };
            let trunks = &self.trunks;
            let tree = Tree { rows, trunks };
            // SAFETY: the cache is this pass's own.
            unsafe { layer_backward(Par::Pool, weights, tree, &kv, &mut acts, buffers, d, grads) };
            spare.push(acts);
        }
    }
}

/// Computes a layer's activations again from its input.
fn recompute(layer: &crate::weights::LayerWeights, rows: LayerRows<'_>, kv: &Kv<'_>, acts: &mut Activations) {
    acts.keep = true;
    // SAFETY: the cache is the pass's own.
    unsafe { layer_forward(Par::Pool, layer, rows, kv, 0, acts, &mut Vec::new(), &mut Vec::new()) };
}

/// Two different tensors of `params`, mutably.
fn two<'a>(params: &'a mut Params, first: &str, second: &str) -> [&'a mut [f32]; 2] {
    let range = |name: &str| {
        let entry = params.layout.find(name).expect("every layout has it");
        entry.offset..entry.offset + entry.len()
    };
    let ranges = [range(first), range(second)];
    params.values.get_disjoint_mut(ranges).expect("tensors do not overlap")
}

fn by_sequence(sequences: &[TrainSequence], scores: Vec<TokenScore>) -> Vec<Vec<TokenScore>> {
    let mut scores = scores.into_iter();
    sequences
        .iter()
        .map(|sequence| scores.by_ref().take(sequence.scored.len()).collect())
        .collect()
}
