//! bf16 weights against f32 weights of the same model, teacher-forced: what rounding costs.

use std::fs;

use anyhow::{Context, ensure};
use svs_engine::load::LoadedModel;
use svs_engine::ops::logsumexp;
use svs_engine::{Precision, WeightSet};

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

/// Compares both on [`TEXTS`]; says what held.
///
/// # Errors
/// The figure that is out of bounds.
pub(super) fn compare(model: &LoadedModel) -> anyhow::Result<String> {
    let pack = |precision| WeightSet::pack_as(precision, &model.config, &model.params, 1, precision.name());
    let (exact, rounded) = (pack(Precision::F32), pack(Precision::Bf16));
    let vocab = model.config.vocab_size;
    let (mut positions, mut agreed, mut difference) = (0usize, 0usize, 0.0);
    let mut tokens = Vec::new();
    for name in TEXTS {
        let text = fs::read_to_string(repo::root().join(name)).with_context(|| name.to_owned())?;
        tokens.extend(model.tokenizer.encode(&text, false)?);
    }
    for text in tokens.chunks(WINDOW) {
        let logits = [&exact, &rounded].map(|weights| Sequence::new(&model.config, weights, text.len()).push(text));
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
        "bf16 weights agree with f32 on {:.2} % of {positions} most likely tokens, mean |Δlogprob| {mean:.4} nats",
        100.0 * agreement
    );
    ensure!(agreement >= LEAST_AGREEMENT && mean <= LARGEST_DIFFERENCE, "{figures}");
    Ok(figures)
}
