//! One update: whole groups to mini-batches to optimizer steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svs_engine::train::{TokenScore, TrainSequence, TrainWeights};
use svs_engine::{EngineError, Params, WeightSet};

use super::batching::{accumulate_all, logprobs_all};
use super::correction::Tally;
use super::parity::Parity;
use super::rows::{Row, rows_of};
use super::{
    GRADIENT_NORM, Policy, PolicyError, SkippedRow, SkippedStep, UpdateBatch, UpdateConfig, UpdateReport, judged, warn,
};
use crate::crash;
use crate::objective::{Denominator, LossMode, LossRow, LossSums, policy_loss};
use crate::seeds::{SplitMix, derive};

/// A mini-batch on its way to a step.
struct MiniBatch<'r> {
    /// The rows that the loss has a derivative by.
    rows: &'r [&'r Row],
    /// Size of the mini-batch, the other rows included.
    whole: Denominator,
    /// Logprobs under the weights being moved, once they are known.
    current: Option<Vec<Vec<f32>>>,
    /// Logprobs under the KL reference, if there is one, once they are known.
    reference: Option<Vec<Vec<f32>>>,
}

impl<'r> MiniBatch<'r> {
    fn new(rows: &'r [&'r Row], whole: Denominator) -> Self {
        Self {
            rows,
            whole,
            current: None,
            reference: None,
        }
    }

    /// The record of its rows.
    fn skipped(&self) -> Vec<SkippedRow> {
        let (current, reference) = (self.current.as_ref(), self.reference.as_ref());
        let each = self.rows.iter().enumerate();
        each.map(|(at, row)| row.skipped(current.map(|rows| &rows[at]), reference.map(|rows| &rows[at])))
            .collect()
    }
}

/// The size of a mini-batch of `rows`.
fn size(rows: &[&Row]) -> Denominator {
    let groups: BTreeSet<usize> = rows.iter().map(|row| row.group).collect();
    Denominator::of_lengths(rows.iter().map(|row| row.counted()), groups.len())
}

/// What an update has done so far.
pub(super) struct Update<'a> {
    policy: &'a mut Policy,
    config: &'a UpdateConfig,
    reference: Option<Arc<WeightSet>>,
    grads: Params,
    report: UpdateReport,
    sums: LossSums,
    parity: Parity,
    entropy: f64,
    grad_norm: f64,
    lr: f64,
    /// Hears how many backward passes over rows are done, of how many, and of every forward pass besides.
    progress: &'a dyn Fn(usize, usize),
    passes: usize,
    all_passes: usize,
}

impl<'a> Update<'a> {
    pub(super) fn new(
        policy: &'a mut Policy,
        batch: &UpdateBatch,
        config: &'a UpdateConfig,
        progress: &'a dyn Fn(usize, usize),
    ) -> Self {
        let grads = Params::zeros(Arc::clone(&policy.params().layout));
        Self {
            config,
            reference: batch.reference.clone(),
            grads,
            report: UpdateReport::default(),
            sums: LossSums::default(),
            parity: Parity::default(),
            entropy: 0.0,
            grad_norm: 0.0,
            lr: 0.0,
            progress,
            passes: 0,
            all_passes: 0,
            policy,
        }
    }

    /// Runs all mini-batches. Steps taken before an error stay and are reported by the policy's version.
    pub(super) fn run(mut self, batch: &UpdateBatch) -> Result<UpdateReport, PolicyError> {
        let result = self.mini_batches(batch);
        if self.report.steps > 0 {
            self.policy.moved();
        }
        result?;
        self.report.version = self.policy.version();
        let tokens = self.sums.tokens.max(1.0);
        let metrics = &mut self.report.metrics;
        metrics.extend(
            self.sums
                .metrics()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        metrics.insert("actor/entropy".into(), self.entropy / tokens);
        if self.report.steps > 0 {
            // Of the steps that were taken: a skipped one may have no norm.
            metrics.insert("actor/grad_norm".into(), self.grad_norm / self.report.steps as f64);
        }
        metrics.insert("actor/lr".into(), self.lr);
        self.parity.metrics(metrics);
        Ok(self.report)
    }

    fn mini_batches(&mut self, batch: &UpdateBatch) -> Result<(), PolicyError> {
        // Masks and advantages are those of the moment of sampling: they are fixed once, before anything moves.
        let version = self.policy.version();
        let mut groups = Vec::with_capacity(batch.groups.len());
        for (number, group) in batch.groups.iter().enumerate() {
            groups.push(rows_of((number, group), self.config, version, &mut self.report.masked)?);
        }
        if let (loss, Some(cause)) = judged(self.correct(&mut groups).map(|()| 0.0))? {
            // Nothing is weighed or masked yet: no step can be made of this batch.
            self.check_exact(&groups.iter().flatten().collect::<Vec<_>>())?;
            let inexact: Vec<&Row> = groups.iter().flatten().filter(|row| !row.exact).collect();
            self.apply(&MiniBatch::new(&inexact, size(&inexact)), loss, Some(cause));
            return Ok(());
        }
        groups.retain(|rows| !rows.is_empty());
        self.report.rows = groups.iter().map(Vec::len).sum::<usize>() as u64;
        self.report.tokens = groups.iter().flatten().map(Row::counted).sum::<usize>() as u64;
        summarize(groups.iter().flatten(), &mut self.report.metrics);
        self.all_passes = self.report.rows as usize * self.config.epochs;
        for epoch in 0..self.config.epochs {
            let mut order: Vec<&Vec<Row>> = groups.iter().collect();
            if let Some(seed) = self.config.shuffle_seed {
                SplitMix::new(derive(&["update", &seed.to_string(), &epoch.to_string()])).shuffle(&mut order);
            }
            for mini_batch in order.chunks(self.config.mini_batch_groups) {
                let rows: Vec<&Row> = mini_batch.iter().copied().flatten().collect();
                self.step(&rows)?;
                if self.report.skipped_steps > self.config.max_skipped_steps {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Weighs and masks rows that are not exactly on-policy, as the configuration asks.
    fn correct(&mut self, groups: &mut [Vec<Row>]) -> Result<(), PolicyError> {
        let correction = &self.config.correction;
        if correction.is_off() {
            return Ok(());
        }
        let inexact: Vec<&Row> = groups.iter().flatten().filter(|row| !row.exact).collect();
        let weights = self.policy.current();
        let mut starts = self.scored(&weights, &inexact)?.into_iter();
        let mut tally = Tally::default();
        for rows in groups {
            let before = rows.len();
            rows.retain_mut(|row| {
                if row.exact {
                    return true;
                }
                let start = starts.next().expect("one result per scored row");
                row.factors = correction.factors(&start, &row.behaviour, &mut tally);
                row.start = correction.decoupled.then_some(start);
                row.factors.is_some()
            });
            if rows.len() < before {
                *self.report.masked.entry("rollout_rs".into()).or_default() += (before - rows.len()) as u64;
            }
        }
        tally.metrics(&mut self.report.metrics);
        Ok(())
    }

    /// One optimizer step on one mini-batch.
    fn step(&mut self, rows: &[&Row]) -> Result<(), PolicyError> {
        let whole = size(rows);
        let objective = &self.config.objective;
        let regularized = objective.kl_loss_coef != 0.0 || objective.entropy_coef != 0.0;
        let all_rows = rows.len();
        // A row without a derivative counts in the divisor, but its forward and backward are saved.
        let contrasts = contrasting(rows);
        let rows: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| match objective.loss_mode {
                _ if regularized => true,
                LossMode::Real => contrasts.contains(&row.group),
                LossMode::Vanilla | LossMode::Gspo | LossMode::Cispo => !row.advantage.is_zero(),
            })
            .collect();
        let passes = self.passes + all_rows;
        self.passes += all_rows - rows.len();
        if rows.is_empty() {
            return Ok(());
        }
        let mut batch = MiniBatch::new(&rows, whole);
        let loss = self.gradients(&mut batch);
        self.passes = passes;
        if let Err(PolicyError::Engine(EngineError::NonFiniteLogits { .. })) = &loss {
            self.check_exact(&rows)?;
        }
        let (loss, cause) = judged(loss)?;
        self.apply(&batch, loss, cause);
        Ok(())
    }

    /// The loss of `batch` and its gradient; no gradient if the loss is not finite.
    fn gradients(&mut self, batch: &mut MiniBatch<'_>) -> Result<f64, PolicyError> {
        let rows = batch.rows;
        let moved = self.report.steps > 0;
        let weights = if moved {
            self.policy.pack("update")
        } else {
            self.policy.current()
        };
        let current: &Vec<Vec<f32>> = batch.current.insert(self.logprobs(rows, &weights, moved)?);
        batch.reference = self.reference_logprobs(rows, &weights, moved)?;
        let loss_rows: Vec<LossRow<'_>> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| LossRow {
                group: row.group,
                logprobs: &current[i],
                old_logprobs: row.start.as_ref().unwrap_or(&row.behaviour),
                reference: batch.reference.as_ref().map(|rows| rows[i].as_slice()),
                entropies: None,
                factors: row.factors.as_deref(),
                advantage: row.advantage,
                weight: row.weight,
            })
            .collect();
        let loss = policy_loss(&loss_rows, &self.config.objective, batch.whole);
        if !loss.loss.is_finite() {
            return Ok(loss.loss);
        }
        self.grads.clear();
        let train_weights = TrainWeights::new(weights, self.policy.params());
        let (progress, passes, all) = (self.progress, &mut self.passes, self.all_passes);
        let scores = accumulate_all(
            &train_weights,
            &sequences(rows),
            &loss.grads,
            self.config.micro_batch_tokens,
            &mut self.grads,
            |rows| {
                *passes += rows;
                progress(*passes, all);
            },
        )?;
        drop(train_weights);
        crash::point(crash::Point::Backward);
        self.check(rows, current, &scores, moved)?;
        self.sums.add(&loss.sums);
        self.entropy += scores
            .iter()
            .flatten()
            .map(|score| f64::from(score.entropy))
            .sum::<f64>();
        Ok(loss.loss)
    }

    /// Steps, or, if there is a cause not to, keeps what the step was to be made of.
    fn apply(&mut self, batch: &MiniBatch<'_>, loss: f64, cause: Option<String>) {
        let optim = &self.config.optim;
        let step = match cause {
            None => self.policy.step(&self.grads, optim),
            Some(_) => self.policy.skip(optim),
        };
        self.lr = step.lr;
        if step.applied {
            self.grad_norm += step.grad_norm;
            self.report.steps += 1;
            return;
        }
        let cause = cause.unwrap_or_else(|| GRADIENT_NORM.to_owned());
        warn(&cause, loss, step.grad_norm);
        self.report.skipped_steps += 1;
        self.report.skipped.push(SkippedStep {
            cause,
            grad_norm: step.grad_norm.to_string(),
            loss: loss.to_string(),
            version: self.policy.version(),
            steps_before: self.report.steps,
            whole: Some(batch.whole),
            objective: Some(self.config.objective.clone()),
            rows: batch.skipped(),
        });
    }

    /// Where logits were not finite before the first step: those of rows sampled from these very weights must be.
    fn check_exact(&self, rows: &[&Row]) -> Result<(), PolicyError> {
        let exact: Vec<&Row> = rows.iter().copied().filter(|row| row.exact).collect();
        if self.report.steps > 0 {
            return Ok(());
        }
        match self.scored(&self.policy.current(), &exact) {
            Err(PolicyError::Engine(error @ EngineError::NonFiniteLogits { .. })) => {
                Err(PolicyError::Identity(format!(
                    "a row sampled from these very weights has finite logprobs recorded, and the trainer finds {error}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Logprobs under the weights being moved: before the first step the sampler's own for exact rows and those of the start
    /// where they are known, else a forward.
    fn logprobs(&self, rows: &[&Row], weights: &WeightSet, moved: bool) -> Result<Vec<Vec<f32>>, PolicyError> {
        let known = |row: &Row| match (&row.start, row.exact) {
            _ if moved => None,
            (Some(start), _) => Some(start.clone()),
            (None, exact) => exact.then(|| row.behaviour.clone()),
        };
        let to_score: Vec<&Row> = rows.iter().copied().filter(|row| known(row).is_none()).collect();
        let mut scored = self.scored(weights, &to_score)?.into_iter();
        Ok(rows
            .iter()
            .map(|row| known(row).unwrap_or_else(|| scored.next().expect("one result per scored row")))
            .collect())
    }

    /// Logprobs of `rows` under `weights`, by a forward.
    fn scored(&self, weights: &WeightSet, rows: &[&Row]) -> Result<Vec<Vec<f32>>, PolicyError> {
        let done = |_| (self.progress)(self.passes, self.all_passes);
        let budget = self.config.micro_batch_tokens;
        Ok(logprobs_all(weights, &sequences(rows), budget, done)?)
    }

    fn reference_logprobs(
        &mut self,
        rows: &[&Row],
        weights: &WeightSet,
        moved: bool,
    ) -> Result<Option<Vec<Vec<f32>>>, PolicyError> {
        if self.config.objective.kl_loss_coef == 0.0 {
            return Ok(None);
        }
        let Some(reference) = &self.reference else {
            let reason = "objective.kl_loss_coef is not 0, but the batch has no reference weights".into();
            return Err(PolicyError::Batch(reason));
        };
        let logprobs = self.scored(reference, rows)?;
        if !moved && reference.version == weights.version {
            // The reference is the policy itself: its KL must be 0.
            for (row, logprobs) in rows.iter().zip(&logprobs).filter(|(row, _)| row.exact) {
                let tolerance = self.config.parity_tolerance;
                Parity::default().compare("by the reference", &row.behaviour, logprobs.iter().copied(), tolerance)?;
            }
        }
        Ok(Some(logprobs))
    }

    /// The backward's own forward must agree with the logprobs that the loss was computed from.
    fn check(
        &mut self,
        rows: &[&Row],
        current: &[Vec<f32>],
        scores: &[Vec<TokenScore>],
        moved: bool,
    ) -> Result<(), PolicyError> {
        let tolerance = self.config.parity_tolerance;
        for ((row, current), scores) in rows.iter().zip(current).zip(scores) {
            let rescored = scores.iter().map(|score| score.logprob);
            if row.approximate && !moved {
                self.parity.measure(&row.behaviour, rescored.clone())?;
            }
            if row.exact && !moved {
                self.parity.compare("by the trainer", current, rescored, tolerance)?;
            } else {
                Parity::default().compare("by the backward's forward", current, rescored, tolerance)?;
            }
        }
        Ok(())
    }
}

/// The groups with right and wrong rows: those whose whole REAL compares, a row with advantage 0 being a wrong one.
fn contrasting(rows: &[&Row]) -> BTreeSet<usize> {
    let of = |right: bool| -> BTreeSet<usize> {
        let rows = rows.iter().filter(|row| row.advantage.is_right() == right);
        rows.map(|row| row.group).collect()
    };
    &of(true) & &of(false)
}

fn sequences(rows: &[&Row]) -> Vec<TrainSequence> {
    rows.iter().map(|row| row.sequence.clone()).collect()
}

/// Mean, largest and smallest reward and advantage.
fn summarize<'r>(rows: impl Iterator<Item = &'r Row> + Clone, metrics: &mut BTreeMap<String, f64>) {
    let rewards: Vec<f64> = rows.clone().filter_map(|row| row.reward).collect();
    let advantages: Vec<f64> = rows.map(|row| row.advantage.every).collect();
    for (name, values) in [("critic/rewards", rewards), ("critic/advantages", advantages)] {
        if values.is_empty() {
            continue;
        }
        metrics.insert(format!("{name}/mean"), values.iter().sum::<f64>() / values.len() as f64);
        metrics.insert(
            format!("{name}/max"),
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        );
        metrics.insert(
            format!("{name}/min"),
            values.iter().copied().fold(f64::INFINITY, f64::min),
        );
    }
}
