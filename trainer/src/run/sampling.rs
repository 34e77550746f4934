//! Sampling a step's batch: everything that it takes, and nothing that an update changes, so that both may go on at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use svs_engine::WeightSet;
use svs_engine::weights::WeightStore;

use super::batch::{Batch, Note};
use super::config::Recipe;
use super::control::Control;
use super::fates::Fates;
use super::rollouts::EngineRollouts;
use super::runner::Surroundings;
use super::tally::Tally;
use super::{TrainConfig, TrainError, epochs};
use crate::problems::Problem;
use crate::reward::Reward;
use crate::seeds::derive;
use crate::svs::band::has_contrast;
use crate::svs::{Iteration, Plan, Prompts, iterate};
use crate::trajectory::Kind;

/// Attempts at a step whose group ids are taken by other content.
const MOST_VARIANTS: u32 = 16;

/// What samples the batches of a run.
#[derive(Debug)]
pub(super) struct Sampling {
    pub(super) around: Arc<Surroundings>,
    pub(super) control: Arc<Control>,
    pub(super) config: TrainConfig,
    pub(super) run_id: String,
    /// Grades rollouts.
    pub(super) reward: Reward,
    pub(super) prompts: Prompts,
    pub(super) problems: Vec<Problem>,
    /// Problems left out because their prompt is too long.
    pub(super) too_long: usize,
    /// Longest prompt and response, tokens.
    pub(super) limits: (usize, u32),
}

/// Which batch, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Step it is for.
    pub(super) step: u64,
    /// Problems drawn before it.
    pub(super) drawn: u64,
    /// Weights to sample with; `None` follows the policy.
    pub(super) version: Option<u64>,
    /// Set to give it up.
    pub(super) abandoned: Arc<AtomicBool>,
    /// The status is that of an update beside which it runs.
    pub(super) beside: Arc<AtomicBool>,
}

impl Sampling {
    /// Rolls out a step's problems and runs the stages on them.
    pub(super) fn batch(&self, wanted: &Wanted) -> Result<Batch, TrainError> {
        let (iteration, tally) = self.iterate(wanted)?;
        let mut metrics = iteration.funnel.metrics();
        let epoch = epochs::epoch(self.problems.len(), wanted.drawn);
        metrics.insert("training/epoch".into(), epoch as f64);
        metrics.insert("problems/too_long".into(), self.too_long as f64);
        let fates = Fates::of(&iteration.scores);
        fates.put(&mut metrics);
        let contrasts = iteration.groups.iter().filter(|group| has_contrast(group)).count();
        metrics.insert("training/groups_with_contrast".into(), contrasts as f64);
        if contrasts == 0 {
            let svs = self.config.recipe == Recipe::Svs;
            let why = fates.why_nothing(&iteration.funnel, svs);
            tracing::warn!(step = wanted.step, "no group has a contrast to learn from: {why}");
        }
        Ok(Batch {
            groups: iteration.groups,
            tally,
            metrics,
            note: Note::Own {
                scores: iteration.scores,
            },
        })
    }

    /// The stages, tried again under other ids if the log holds different rollouts under these.
    fn iterate(&self, wanted: &Wanted) -> Result<(Iteration, Tally), TrainError> {
        let (config, step) = (&self.config, wanted.step);
        let progress = |kind, done: usize, all: usize| {
            if !wanted.beside.load(Ordering::Relaxed) {
                self.show(kind, done, all);
            }
        };
        for variant in 0..=MOST_VARIANTS {
            let suffix = if variant == 0 {
                String::new()
            } else {
                format!("v{variant}")
            };
            let mut rollouts = EngineRollouts {
                engine: &self.around.engine,
                log: &self.around.log,
                config: &config.rollout,
                reward: &self.reward,
                limits: self.limits,
                version: wanted.version,
                abandoned: &wanted.abandoned,
                hidden: &config.algorithm.hidden_shaping,
                prefix: format!("{}/{step}{suffix}", self.run_id),
                seed_name: format!("{}/{step}", config.seed),
                progress: &progress,
                tally: Tally::default(),
                conflict: false,
            };
            let mut drawn = wanted.drawn;
            let mut draw = |count: usize| -> Vec<Problem> {
                let positions = epochs::positions(self.problems.len(), drawn, count, config.seed);
                drawn += count as u64;
                positions.into_iter().map(|at| self.problems[at].clone()).collect()
            };
            match iterate(&mut draw, self.plan(step), &mut rollouts) {
                Ok(iteration) => return Ok((iteration, rollouts.tally)),
                Err(error) if rollouts.conflict && variant < MOST_VARIANTS => {
                    tracing::warn!(step, %error, "an earlier attempt went another way; sampling under new ids");
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last variant returns")
    }

    fn plan(&self, step: u64) -> Plan<'_> {
        let config = &self.config;
        Plan {
            prompts: &self.prompts,
            svs: (config.recipe == Recipe::Svs).then_some(&config.svs),
            batch: config.problems.train_batch_size,
            max_batches: config.algorithm.max_num_gen_batches,
            filter: config.group_filter(),
            n: config.rollout.n,
            n_hinted: config.rollout.n_hinted,
            max_rows: config.svs.max_rows_per_update,
            seed: derive(&["choices", &config.seed.to_string(), &step.to_string()]),
        }
    }

    fn show(&self, kind: Kind, done: usize, all: usize) {
        self.control.update(|status| {
            status.phase = if kind == Kind::Synthesize {
                "synthesize".into()
            } else {
                "rollout".into()
            };
            (status.phase_done, status.phase_total) = (done as u64, all as u64);
        });
    }
}

/// A batch that is sampled while an update goes on, with the weights from before it. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Ahead {
    thread: Option<JoinHandle<Result<Batch, TrainError>>>,
    abandoned: Arc<AtomicBool>,
    beside: Arc<AtomicBool>,
    store: WeightStore,
    version: u64,
}

impl Ahead {
    /// Begins to sample the batch of `step` with `weights`, which stay until it is done.
    pub(super) fn begin(
        sampling: &Arc<Sampling>,
        weights: Arc<WeightSet>,
        step: u64,
        drawn: u64,
    ) -> Result<Self, TrainError> {
        let (store, version) = (sampling.around.engine.weights().clone(), weights.version);
        store.pin(weights)?;
        let wanted = Wanted {
            step,
            drawn,
            version: Some(version),
            abandoned: Arc::default(),
            beside: Arc::new(AtomicBool::new(true)),
        };
        let (abandoned, beside) = (Arc::clone(&wanted.abandoned), Arc::clone(&wanted.beside));
        let sampling = Arc::clone(sampling);
        let thread = std::thread::Builder::new()
            .name("sampling".into())
            .spawn(move || sampling.batch(&wanted));
        let thread = thread.map_err(|error| {
            store.unpin(version);
            TrainError::Run(format!("cannot start the thread that samples: {error}"))
        })?;
        Ok(Self {
            thread: Some(thread),
            abandoned,
            beside,
            store,
            version,
        })
    }

    /// Waits for the batch, whose progress is the status from now on.
    pub(super) fn batch(mut self) -> Result<Batch, TrainError> {
        self.beside.store(false, Ordering::Relaxed);
        let thread = self.thread.take().expect("taken once");
        thread
            .join()
            .unwrap_or_else(|_| Err(TrainError::Run("the thread that samples panicked; see the log".into())))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What became of a batch that nobody wants does not matter.
            let _ = thread.join();
        }
        self.store.unpin(self.version);
    }
}
