//! `cargo xtask trl --gradients`: loss and gradient of one batch by svs and by TRL, from the same weights.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use safetensors::SafeTensors;
use serde::Deserialize;
use svs_engine::load::{LoadedModel, ModelSource, load};
use svs_engine::train::{TrainSequence, TrainWeights, score};
use svs_engine::{Params, WeightSet};
use svs_trainer::objective::{Denominator, LossOutput, LossRow, ObjectiveConfig, policy_loss};
use svs_trainer::policy::accumulate_all;

use crate::repo;

/// Least cosine of the two gradients, of all tensors together and of each.
const LEAST_COSINE: f64 = 0.9999;
/// Largest difference of the two losses.
const MOST_LOSS: f64 = 1e-4;
/// Tokens of one forward and backward.
const BUDGET: usize = 4096;

/// What benches/trl/gradient.py writes beside the gradient.
#[derive(Debug, Deserialize)]
struct Batch {
    loss: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    group: usize,
    prompt: Vec<u32>,
    response: Vec<u32>,
    advantage: f64,
    /// TRL's logprobs of the response under the weights, nats.
    logprobs: Vec<f32>,
    /// Those that ratios are taken to, nats.
    old: Vec<f32>,
}

impl Row {
    fn sequence(&self) -> TrainSequence {
        let (first, end) = (self.prompt.len(), self.prompt.len() + self.response.len());
        TrainSequence {
            tokens: [&self.prompt[..], &self.response].concat(),
            scored: (first..end).map(|at| at as u32).collect(),
            temperature: 1.0,
        }
    }
}

/// Two gradients of the same tensors.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    product: f64,
    ours: f64,
    theirs: f64,
    difference: f64,
}

impl Pair {
    fn add(&mut self, ours: f32, theirs: f32) {
        let (ours, theirs) = (f64::from(ours), f64::from(theirs));
        self.product += ours * theirs;
        self.ours += ours * ours;
        self.theirs += theirs * theirs;
        self.difference += (ours - theirs) * (ours - theirs);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            product: self.product + other.product,
            ours: self.ours + other.ours,
            theirs: self.theirs + other.theirs,
            difference: self.difference + other.difference,
        }
    }

    fn cosine(self) -> f64 {
        self.product / (self.ours * self.theirs).sqrt()
    }

    /// |ours − theirs| / |theirs|.
    fn relative(self) -> f64 {
        (self.difference / self.theirs).sqrt()
    }
}

/// Runs both sides and compares.
///
/// # Errors
/// A side that cannot be run; losses or gradients that differ, after the figures.
pub(super) fn run(python: &Path, gguf: &Path, folder: &Path) -> anyhow::Result<()> {
    let script = repo::root().join("benches/trl/gradient.py");
    let mut theirs = Command::new(python);
    theirs.arg(&script).arg("--gguf").arg(gguf).arg("--folder").arg(folder);
    let ended = theirs.output().context("cannot start Python")?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let batch: Batch = serde_json::from_slice(&std::fs::read(folder.join("batch.json"))?)?;
    let bytes = std::fs::read(folder.join("gradient.safetensors"))?;
    let model = load(&ModelSource::Folder(folder.to_path_buf()))?;
    let (loss, logprobs, grads) = ours(&model, &batch)?;
    let pairs = compare(&grads, &SafeTensors::deserialize(&bytes)?)?;
    let whole = pairs.iter().fold(Pair::default(), |sum, (_, pair)| sum.plus(*pair));
    // One that is no number is the worst.
    let order = |cosine: f64| if cosine.is_nan() { f64::NEG_INFINITY } else { cosine };
    let worst = pairs
        .iter()
        .min_by(|a, b| order(a.1.cosine()).total_cmp(&order(b.1.cosine())));
    let (name, worst) = worst.context("there are no gradients")?;
    let differ = |row: &Row, own: &[f32]| {
        let pairs = row.logprobs.iter().zip(own);
        pairs
            .map(|(theirs, ours)| f64::from((theirs - ours).abs()))
            .fold(0.0, f64::max)
    };
    let logprob = batch
        .rows
        .iter()
        .zip(&logprobs)
        .map(|(row, own)| differ(row, own))
        .fold(0.0, f64::max);
    println!(
        "{} rows of {} groups, {} clipped tokens: loss {:.7} (TRL {:.7}), logprobs differ by at most {logprob:.1e} nats",
        batch.rows.len(),
        batch.rows.iter().map(|row| row.group).collect::<BTreeSet<_>>().len(),
        loss.sums.clipped,
        loss.loss,
        batch.loss
    );
    println!(
        "gradients of {} tensors: cosine {:.9} (at least {LEAST_COSINE}), |difference| / |TRL's| {:.1e}; worst tensor {name}: {:.9}",
        pairs.len(),
        whole.cosine(),
        whole.relative(),
        worst.cosine()
    );
    ensure!(
        whole.cosine() >= LEAST_COSINE && worst.cosine() >= LEAST_COSINE && (loss.loss - batch.loss).abs() <= MOST_LOSS,
        "loss or gradient is not TRL's"
    );
    Ok(())
}

/// Our loss, logprobs of each row's response, and gradient.
fn ours(model: &LoadedModel, batch: &Batch) -> anyhow::Result<(LossOutput, Vec<Vec<f32>>, Params)> {
    let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
    let sequences: Vec<TrainSequence> = batch.rows.iter().map(Row::sequence).collect();
    let scores = score(&weights, &sequences)?;
    let logprobs: Vec<Vec<f32>> = scores
        .iter()
        .map(|row| row.iter().map(|token| token.logprob).collect())
        .collect();
    let rows = batch.rows.iter().zip(&logprobs).map(|(row, logprobs)| LossRow {
        group: row.group,
        logprobs,
        old_logprobs: &row.old,
        reference: None,
        entropies: None,
        factors: None,
        advantage: row.advantage.into(),
        weight: 1.0,
    });
    let rows: Vec<LossRow<'_>> = rows.collect();
    let config = ObjectiveConfig {
        clip_ratio_low: 0.2,
        clip_ratio_high: 0.28,
        // TRL has no dual clip.
        clip_ratio_c: 1e6,
        ..ObjectiveConfig::default()
    };
    let groups: BTreeSet<usize> = batch.rows.iter().map(|row| row.group).collect();
    let whole = Denominator::of_lengths(logprobs.iter().map(Vec::len), groups.len());
    let loss = policy_loss(&rows, &config, whole);
    let mut grads = Params::zeros(Arc::clone(&model.params.layout));
    let weights = TrainWeights::new(weights, &model.params);
    accumulate_all(&weights, &sequences, &loss.grads, BUDGET, &mut grads, |_| ())?;
    Ok((loss, logprobs, grads))
}

/// Both gradients of every tensor.
fn compare(ours: &Params, theirs: &SafeTensors<'_>) -> anyhow::Result<Vec<(String, Pair)>> {
    let of = |name: &str| {
        let ours = ours.get(name).with_context(|| format!("svs has no {name}"))?;
        let theirs = theirs.tensor(name)?;
        ensure!(theirs.data().len() == size_of_val(ours), "{name} has another size");
        let mut pair = Pair::default();
        for (ours, theirs) in ours.iter().zip(theirs.data().as_chunks::<4>().0) {
            pair.add(*ours, f32::from_le_bytes(*theirs));
        }
        Ok((name.to_owned(), pair))
    };
    ensure!(
        theirs.names().len() == ours.layout.entries.len(),
        "TRL has {} tensors, svs {}",
        theirs.names().len(),
        ours.layout.entries.len()
    );
    theirs.names().into_iter().map(of).collect()
}
