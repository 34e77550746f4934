//! One training step, phase by phase: rollouts of groups from a running engine, grading, update, publish.
//!
//! The phases are those of a run, on random prompts, with rewards that alternate so that every row has a gradient; the
//! graders' verdicts are not used. Beside the update, forward and backward alone are measured on the same rows.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use svs_engine::load::LoadedModel;
use svs_engine::ops::MachineLimits;
use svs_engine::sampler::philox4x32_10;
use svs_engine::train::{TokenGrad, TrainSequence, TrainWeights, shared_tokens};
use svs_engine::{EngineConfig, EngineHandle, GenerateRequest, InFlight, ModelConfig, Params, SamplingParams, Storage};
use svs_trainer::policy::{Policy, UpdateBatch, UpdateConfig, UpdateGroup, accumulate_all, micro_batches};
use svs_trainer::trajectory::{Group, Kind, Trajectory};
use svs_verifier::{MathOptions, grade_math};

use super::train_work::{StepShape, Work};

/// What to run.
#[derive(Debug, Clone)]
pub struct TrainLoad {
    /// Problems of a step.
    pub problems: usize,
    /// Samples per problem.
    pub samples: usize,
    /// Length of a prompt.
    pub prompt_tokens: usize,
    /// Length of a response.
    pub response_tokens: u32,
    /// Steps, of which the median is reported; one more before warms up.
    pub repeat: usize,
    /// Threads of the engine's compute pool.
    pub threads: Option<usize>,
    /// Rows of one forward and backward.
    pub micro_batch_tokens: usize,
    /// Seed of prompts and samples.
    pub seed: u64,
}

/// Seconds of the phases of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSeconds {
    /// Sampling the groups.
    pub rollout: f64,
    /// Grading the responses.
    pub verify: f64,
    /// From groups to moved parameters.
    pub update: f64,
    /// Packing the new weights and swapping them in.
    pub publish: f64,
    /// Forward and backward alone, measured apart on the rows of the update.
    pub forward_backward: f64,
}

impl StepSeconds {
    /// The whole step.
    #[must_use]
    pub fn step(&self) -> f64 {
        self.rollout + self.verify + self.update + self.publish
    }
}

/// The median step and what it computes.
#[derive(Debug, Clone)]
pub struct TrainRun {
    /// Seconds of the phases.
    pub seconds: StepSeconds,
    /// Tokens that have rows of their own: shared prompts count once per micro-batch.
    pub rows: usize,
    /// Tokens of prompts and responses, each sequence by itself.
    pub tokens: usize,
    /// Response tokens.
    pub sampled: usize,
    /// The least that each phase must do.
    pub work: StepWork,
    /// Limits of the machine, measured before and after.
    pub limits: MachineLimits,
}

/// The least that the phases of a step must do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepWork {
    /// Sampling the groups.
    pub rollout: Work,
    /// From groups to moved parameters.
    pub update: Work,
    /// Forward and backward alone.
    pub forward_backward: Work,
    /// Packing the new weights.
    pub publish: Work,
}

/// Runs the steps.
///
/// # Errors
/// A load that the engine refuses, a failing engine or update.
pub fn measure_train(model: LoadedModel, storage: Storage, load: &TrainLoad) -> anyhow::Result<TrainRun> {
    let config = model.config.clone();
    let mut bench = Bench::start(model, storage, load)?;
    bench.step(u64::MAX)?;
    let threads = load
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let before = MachineLimits::measure(threads);
    let steps = (0..load.repeat as u64).map(|round| bench.step(round));
    let mut steps = steps.collect::<anyhow::Result<Vec<StepSeconds>>>()?;
    let after = MachineLimits::measure(threads);
    steps.sort_by(|a, b| a.step().total_cmp(&b.step()));
    let sequences = bench.sequences(&bench.rollouts(0)?);
    let rows = computed_rows(&config, &sequences, load.micro_batch_tokens);
    let sampled = load.problems * load.samples * load.response_tokens as usize;
    let shape = StepShape {
        config: &config,
        parameters: bench.policy.params().layout.len,
        served_bytes: bench.policy.weight_set("bench").bytes(),
        sampled_rows: &shared_rows(&sequences),
        updated_rows: &rows,
        micro_batches: micro_batches(&config, &sequences, load.micro_batch_tokens).len(),
        sampled,
        response_tokens: load.response_tokens as usize,
    };
    Ok(TrainRun {
        seconds: steps[(steps.len() - 1) / 2],
        rows: rows.iter().map(|(shared, len)| len - shared).sum(),
        tokens: rows.iter().map(|(_, len)| len).sum(),
        sampled,
        work: StepWork {
            rollout: shape.rollout(),
            update: shape.update(),
            forward_backward: shape.forward_backward(),
            publish: shape.publish(),
        },
        limits: MachineLimits {
            flops: before.flops.max(after.flops),
            read_bytes: before.read_bytes.max(after.read_bytes),
        },
    })
}

/// Of each sequence, the tokens whose rows another one of its micro-batch has, and all that have rows.
fn computed_rows(config: &ModelConfig, sequences: &[TrainSequence], budget: usize) -> Vec<(usize, usize)> {
    let batches = micro_batches(config, sequences, budget);
    batches
        .into_iter()
        .flat_map(|batch| shared_rows(&sequences[batch]))
        .collect()
}

/// Of each sequence, the tokens whose rows another one has, and all that have rows.
fn shared_rows(sequences: &[TrainSequence]) -> Vec<(usize, usize)> {
    let lengths = sequences.iter().map(TrainSequence::rows);
    shared_tokens(sequences).into_iter().zip(lengths).collect()
}

struct Bench<'a> {
    load: &'a TrainLoad,
    engine: EngineHandle,
    policy: Policy,
}

impl<'a> Bench<'a> {
    fn start(model: LoadedModel, storage: Storage, load: &'a TrainLoad) -> anyhow::Result<Self> {
        let tokenizer = model.tokenizer.clone();
        let policy = Policy::new(model, 0).serving_in(storage);
        let length = load.prompt_tokens + load.response_tokens as usize;
        let sequences = load.problems * load.samples;
        let config = EngineConfig {
            max_num_seqs: sequences,
            max_num_batched_tokens: (load.problems * load.prompt_tokens).max(sequences),
            max_choices: load.samples,
            kv_blocks: Some(sequences * svs_engine::kv::blocks_for(length + 1) + 1),
            threads: load.threads,
            weights: storage.weights,
            kv: storage.kv,
            ..EngineConfig::default()
        };
        let engine =
            EngineHandle::start(policy.weight_set("bench"), tokenizer, config).context("cannot start the engine")?;
        Ok(Self { load, engine, policy })
    }

    fn step(&mut self, round: u64) -> anyhow::Result<StepSeconds> {
        let (rollout, groups) = timed(|| self.rollouts(round))?;
        let (verify, ()) = timed(|| {
            let options = MathOptions::default();
            let members = groups.iter().flat_map(|group| &group.members);
            members.for_each(|member| drop(grade_math(&member.text, "42", &options)));
            Ok(())
        })?;
        let sequences = self.sequences(&groups);
        let (forward_backward, ()) = timed(|| self.forward_backward(&sequences))?;
        let (update, _) = timed(|| {
            let batch = UpdateBatch {
                groups: groups.into_iter().map(alternating).collect(),
                reference: None,
            };
            let config = UpdateConfig {
                micro_batch_tokens: self.load.micro_batch_tokens,
                ..UpdateConfig::default()
            };
            Ok(self.policy.update(&batch, &config)?)
        })?;
        let (publish, _) = timed(|| Ok(self.engine.publish(self.policy.weight_set("bench"), InFlight::Keep)?))?;
        Ok(StepSeconds {
            rollout,
            verify,
            update,
            publish,
            forward_backward,
        })
    }

    /// A group for each problem.
    fn rollouts(&self, round: u64) -> anyhow::Result<Vec<Group>> {
        let requests: Vec<GenerateRequest> = (0..self.load.problems)
            .map(|problem| self.request(round, problem))
            .collect();
        let generations = requests.iter().map(|request| self.engine.submit(request.clone()));
        let generations = generations.collect::<Result<Vec<_>, _>>()?;
        let groups = requests
            .iter()
            .zip(generations)
            .enumerate()
            .map(|(problem, (request, generation))| {
                let seed = generation.seed();
                let choices = generation.collect_blocking()?.choices;
                let members = choices.iter().map(|choice| trajectory(problem, request, seed, choice));
                Ok(Group {
                    id: format!("p{problem}"),
                    members: members.collect(),
                })
            });
        groups.collect()
    }

    fn request(&self, round: u64, problem: usize) -> GenerateRequest {
        let vocabulary = self.engine.model().vocab_size as u32;
        let word = |at: usize| {
            philox4x32_10(
                [at as u32, problem as u32, round as u32, 1],
                [self.load.seed as u32, 0x0074],
            )[0]
        };
        GenerateRequest {
            prompt: (0..self.load.prompt_tokens).map(|at| word(at) % vocabulary).collect(),
            n: self.load.samples as u32,
            sampling: SamplingParams {
                seed: Some(self.load.seed.wrapping_add(problem as u64)),
                max_tokens: self.load.response_tokens,
                ignore_eos: true,
                ..SamplingParams::default()
            },
            ..GenerateRequest::default()
        }
    }

    fn sequences(&self, groups: &[Group]) -> Vec<TrainSequence> {
        let members = groups.iter().flat_map(|group| &group.members);
        let sequence = |member: &Trajectory| TrainSequence {
            tokens: member.tokens(),
            scored: member.scored(),
            temperature: member.sampling.temperature,
        };
        members.map(sequence).collect()
    }

    fn forward_backward(&self, sequences: &[TrainSequence]) -> anyhow::Result<()> {
        let mut grads = Params::zeros(Arc::clone(&self.policy.params().layout));
        let weights = TrainWeights::new(self.policy.weight_set("bench"), self.policy.params());
        let grad = TokenGrad {
            dlogprob: 1e-3,
            dentropy: 0.0,
        };
        let coefficients: Vec<_> = sequences
            .iter()
            .map(|sequence| vec![grad; sequence.scored.len()])
            .collect();
        let budget = self.load.micro_batch_tokens;
        accumulate_all(&weights, sequences, &coefficients, budget, &mut grads, |_| ())?;
        Ok(())
    }
}

/// Rewards 1 and 0 in turns.
fn alternating(group: Group) -> UpdateGroup {
    UpdateGroup {
        rewards: (0..group.members.len()).map(|at| Some((at % 2) as f64)).collect(),
        advantages: None,
        group,
    }
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let began = Instant::now();
    let result = work()?;
    Ok((began.elapsed().as_secs_f64(), result))
}

fn trajectory(
    problem: usize,
    request: &GenerateRequest,
    seed: u64,
    choice: &svs_engine::request::Choice,
) -> Trajectory {
    let sampling = SamplingParams {
        seed: Some(seed),
        ..request.sampling.clone()
    };
    Trajectory {
        id: format!("p{problem}-{}", choice.index),
        group_id: format!("p{problem}"),
        group_size: request.n,
        kind: Kind::Solve,
        ..Trajectory::of_choice(&request.prompt, choice, sampling, false)
    }
}
