//! bf16 weights and KV against f32 of the same model, teacher-forced: what rounding costs.

use std::fs;

use anyhow::{Context, ensure};
use svs_engine::load::LoadedModel;
use svs_engine::ops::logsumexp;
use svs_engine::{Precision, Storage, WeightSet};

use super::forward::{Sequence, argmax};
use crate::repo;

/// Least share of positions at which both find the same token most likely.
const LEAST_AGREEMENT: f64 = 0.98;
/// Largest mean difference of the next token's logprob, nats.
const LARGEST_DIFFERENCE: f64 = 0.02;

/// Prose of the repository: a text that models know by heart and one that they cannot know.
const TEXTS: [&str; 2] = ["LICENSE-APACHE", "docs/decisions/0001-own-engine.md"];
/// Tokens that are scored together.
const WINDOW: usize = 256;

/// Compares every other storage with f32 on [`TEXTS`]; says what held, a line each.
///
/// # Errors
/// The figure that is out of bounds.
pub(super) fn compare(model: &LoadedModel) -> anyhow::Result<String> {
    let mut tokens = Vec::new();
    for name in TEXTS {
        let text = fs::read_to_string(repo::root().join(name)).with_context(|| name.to_owned())?;
        tokens.extend(model.tokenizer.encode(&text, false)?);
    }
    let exact = WeightSet::pack(&model.config, &model.params, 1, "f32");
    let (f32, bf16) = (Precision::F32, Precision::Bf16);
    let others = [(bf16, f32), (f32, bf16), (bf16, bf16)];
    let lines = others.map(|(weights, kv)| against(model, &exact, Storage { weights, kv }, &tokens));
    Ok(lines.into_iter().collect::<anyhow::Result<Vec<_>>>()?.join("\n"))
}

/// Compares one storage with f32, teacher-forced.
fn against(model: &LoadedModel, exact: &WeightSet, storage: Storage, tokens: &[u32]) -> anyhow::Result<String> {
    let rounded = WeightSet::pack_as(storage, &model.config, &model.params, 1, "rounded");
    let vocab = model.config.vocab_size;
    let (mut positions, mut agreed, mut difference) = (0usize, 0usize, 0.0);
    for text in tokens.chunks(WINDOW) {
        let logits = [exact, &rounded].map(|weights| Sequence::new(&model.config, weights, text.len()).push(text));
        let rows = logits[0].chunks_exact(vocab).zip(logits[1].chunks_exact(vocab));
        for ((a, b), next) in rows.zip(&text[1..]) {
            let logprob = |row: &[f32]| f64::from(row[*next as usize] - logsumexp(row));
            positions += 1;
            agreed += usize::from(argmax(a) == argmax(b));
            difference += (logprob(a) - logprob(b)).abs();
        }
    }
    ensure!(positions >= 500, "only {positions} positions to compare");
    let (agreement, mean) = (agreed as f64 / positions as f64, difference / positions as f64);
    let figures = format!(
        "weights {}, KV {}: agrees with f32 on {:.2} % of {positions} most likely tokens, mean |Δlogprob| {mean:.4} nats",
        storage.weights.name(),
        storage.kv.name(),
        100.0 * agreement
    );
    ensure!(agreement >= LEAST_AGREEMENT && mean <= LARGEST_DIFFERENCE, "{figures}");
    Ok(figures)
}
