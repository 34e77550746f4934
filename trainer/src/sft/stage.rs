//! The training itself: a plan of batches, then one optimizer step each.

use std::ops::Range;
use std::sync::Arc;

use svs_engine::train::{TokenGrad, TrainSequence, TrainWeights};
use svs_engine::{Params, WeightSet};

use super::{Example, Progress, SftConfig, SftReport, SftStep};
use crate::optim::{AdamW, OptimConfig};
use crate::policy::{GRADIENT_NORM, Policy, PolicyError, accumulate_all, by_tokens, judged, logprobs_all, warn};
use crate::seeds::{SplitMix, derive};

/// Trains `policy` on `examples`; `progress` is called after each step. The same input gives the same parameters bit for
/// bit. The optimizer state starts at zero and is dropped afterwards; the policy's version grows by one if it moved.
///
/// # Errors
/// [`PolicyError::Config`], [`PolicyError::Batch`], [`PolicyError::Engine`]; [`PolicyError::Skipped`] after more than
/// `max_skipped_steps`.
pub fn train(
    policy: &mut Policy,
    examples: impl IntoIterator<Item = Example>,
    config: &SftConfig,
    mut progress: impl FnMut(&SftStep) -> Progress,
) -> Result<SftReport, PolicyError> {
    config.validate()?;
    let mut report = SftReport::default();
    let examples = usable(policy, examples, config, &mut report)?;
    let plan = plan(&examples, config);
    let optim = schedule(config, plan.len() as u64)?;
    let mut optimizer = AdamW::new(policy.params().values.len());
    let mut grads = Params::zeros(Arc::clone(&policy.params().layout));
    let result = run(
        policy,
        &examples,
        &plan,
        (config, &optim),
        (&mut optimizer, &mut grads),
        |step, examples| {
            report.examples += examples;
            report.target_tokens += step.target_tokens;
            report.first_loss = if step.step == 1 { step.loss } else { report.first_loss };
            report.last_loss = step.loss;
            progress(step)
        },
    );
    if optimizer.steps > 0 {
        policy.moved();
    }
    result?;
    Ok(SftReport {
        steps: optimizer.steps,
        skipped_steps: optimizer.skipped,
        ..report
    })
}

fn run(
    policy: &mut Policy,
    examples: &[Example],
    plan: &[Vec<usize>],
    (config, optim): (&SftConfig, &OptimConfig),
    (optimizer, grads): (&mut AdamW, &mut Params),
    mut done: impl FnMut(&SftStep, u64) -> Progress,
) -> Result<(), PolicyError> {
    for (i, batch) in plan.iter().enumerate() {
        let batch: Vec<&Example> = batch.iter().map(|index| &examples[*index]).collect();
        let target_tokens = targets(&batch);
        grads.clear();
        let weights = TrainWeights::new(policy.pack("sft"), policy.params());
        let (loss, cause) = judged(gradients(&weights, &batch, config.micro_batch_tokens, grads, |_| ()))?;
        drop(weights);
        let applied = match cause {
            None => policy.step_with(optimizer, grads, optim),
            Some(_) => optimizer.skip(optim),
        };
        if !applied.applied {
            let cause = cause.as_deref().unwrap_or(GRADIENT_NORM);
            warn(cause, loss, applied.grad_norm);
            bounded(optimizer.skipped, config.max_skipped_steps, cause)?;
        }
        let step = SftStep {
            step: i as u64 + 1,
            steps: plan.len() as u64,
            loss,
            grad_norm: applied.grad_norm,
            lr: applied.lr,
            target_tokens: target_tokens as u64,
        };
        if done(&step, batch.len() as u64) == Progress::Stop {
            break;
        }
    }
    Ok(())
}

/// No more than `most` of the steps are skipped.
fn bounded(skipped: u64, most: u64, cause: &str) -> Result<(), PolicyError> {
    if skipped <= most {
        return Ok(());
    }
    Err(PolicyError::Skipped(format!(
        "{skipped} optimizer steps were skipped because something was not finite (the last: {cause}), more than \
         max_skipped_steps = {most}; try a lower learning rate"
    )))
}

/// Target tokens of `batch`.
fn targets(batch: &[&Example]) -> usize {
    batch.iter().map(|example| example.target.len()).sum()
}

/// Mean cross-entropy of the target tokens of `batch`, nats; its gradient is added to `grads`. `done` hears of examples that
/// are through.
pub(crate) fn gradients(
    weights: &TrainWeights<'_>,
    batch: &[&Example],
    micro_batch_tokens: usize,
    grads: &mut Params,
    done: impl FnMut(usize),
) -> Result<f64, PolicyError> {
    let target_tokens = targets(batch) as f64;
    let sequences: Vec<TrainSequence> = batch.iter().map(|example| sequence(example)).collect();
    // Over the whole step: each target token has dL/dlogp = −1/N whatever the micro-batches are.
    let grad = TokenGrad {
        dlogprob: (-1.0 / target_tokens) as f32,
        dentropy: 0.0,
    };
    let coefficients: Vec<Vec<TokenGrad>> = sequences.iter().map(|row| vec![grad; row.scored.len()]).collect();
    let scores = accumulate_all(weights, &sequences, &coefficients, micro_batch_tokens, grads, done)?;
    let sum: f64 = scores.iter().flatten().map(|score| f64::from(score.logprob)).sum();
    Ok(-sum / target_tokens)
}

/// As [`gradients`], without the gradient.
pub(crate) fn mean_loss(
    weights: &WeightSet,
    batch: &[&Example],
    micro_batch_tokens: usize,
    done: impl FnMut(usize),
) -> Result<f64, PolicyError> {
    let sequences: Vec<TrainSequence> = batch.iter().map(|example| sequence(example)).collect();
    let logprobs = logprobs_all(weights, &sequences, micro_batch_tokens, done)?;
    let sum: f64 = logprobs.iter().flatten().map(|logprob| f64::from(*logprob)).sum();
    Ok(-sum / targets(batch) as f64)
}

/// The examples that fit; the others are counted, contradictory ones refused.
fn usable(
    policy: &Policy,
    examples: impl IntoIterator<Item = Example>,
    config: &SftConfig,
    report: &mut SftReport,
) -> Result<Vec<Example>, PolicyError> {
    let shape = &policy.model().config;
    let longest = config.max_tokens.min(shape.max_position_embeddings);
    let mut kept = Vec::new();
    for (i, example) in examples.into_iter().enumerate() {
        let wrong = |reason: String| Err(PolicyError::Batch(format!("example {i} (from 0): {reason}")));
        if example.prompt.is_empty() || example.target.is_empty() {
            return wrong("prompt and target need at least one token each".into());
        }
        let outside = example
            .prompt
            .iter()
            .chain(&example.target)
            .find(|token| **token as usize >= shape.vocab_size);
        if let Some(token) = outside {
            return wrong(format!(
                "token id {token} is outside the model's vocabulary of {}",
                shape.vocab_size
            ));
        }
        if example.prompt.len() + example.target.len() > longest {
            report.too_long += 1;
        } else {
            kept.push(example);
        }
    }
    if kept.is_empty() {
        let reason = format!(
            "no example to train on ({} longer than {longest} tokens)",
            report.too_long
        );
        return Err(PolicyError::Batch(reason));
    }
    Ok(kept)
}

/// Indices of the examples of each step: every pass in an order of its own, cut by token budget.
fn plan(examples: &[Example], config: &SftConfig) -> Vec<Vec<usize>> {
    let most = config
        .max_steps
        .map_or(usize::MAX, |steps| usize::try_from(steps).unwrap_or(usize::MAX));
    let mut steps = Vec::new();
    for epoch in 0..config.epochs {
        if steps.len() >= most {
            break;
        }
        let mut order: Vec<usize> = (0..examples.len()).collect();
        SplitMix::new(derive(&["sft", &config.seed.to_string(), &epoch.to_string()])).shuffle(&mut order);
        let length = |index: &usize| examples[*index].prompt.len() + examples[*index].target.len();
        let lengths: Vec<usize> = order.iter().map(length).collect();
        let cut = |range: Range<usize>| order[range].to_vec();
        steps.extend(by_tokens(&lengths, config.batch_tokens).into_iter().map(cut));
    }
    steps.truncate(most);
    steps
}

fn schedule(config: &SftConfig, steps: u64) -> Result<OptimConfig, PolicyError> {
    let mut optim = config.optim.clone();
    if optim.total_steps == 0 {
        optim.total_steps = steps.max(optim.warmup_steps + 1);
    }
    optim
        .validate()
        .map_err(|(field, reason)| PolicyError::Config { field, reason })?;
    Ok(optim)
}

/// What the engine computes of `example`.
pub(crate) fn sequence(example: &Example) -> TrainSequence {
    let length = |tokens: &[u32]| u32::try_from(tokens.len()).expect("bounded by max_position_embeddings");
    let start = length(&example.prompt);
    TrainSequence {
        tokens: [example.prompt.as_slice(), &example.target].concat(),
        scored: (start..start + length(&example.target)).collect(),
        temperature: 1.0,
    }
}
