//! What a step trains on: own rollouts through the stages, or groups of clients.

use std::collections::BTreeMap;

use super::clients;
use super::config::Recipe;
use super::rollouts::EngineRollouts;
use super::runner::Runner;
use super::tally::Tally;
use super::{TrainError, epochs};
use crate::problems::Problem;
use crate::seeds::derive;
use crate::svs::band::Score;
use crate::svs::{Iteration, Plan, iterate};
use crate::trajectory::{Group, Kind};

/// Attempts at a step whose group ids are taken by other content.
const MOST_VARIANTS: u32 = 16;

/// What a step is about to train on.
pub(super) struct Batch {
    pub(super) groups: Vec<Group>,
    pub(super) tally: Tally,
    pub(super) metrics: BTreeMap<String, f64>,
    pub(super) note: Note,
}

/// What the memory will hold of a batch once it is trained on.
pub(super) enum Note {
    Own { scores: Vec<(String, Score)> },
    Clients { cursor: i64 },
}

impl Runner {
    /// Rolls out this step's problems and runs the stages on them.
    pub(super) fn own_batch(&self, step: u64) -> Result<Batch, TrainError> {
        let (iteration, tally) = self.iterate(step)?;
        let mut metrics = iteration.funnel.metrics();
        metrics.insert(
            "training/epoch".into(),
            epochs::epoch(self.problems.len(), self.memory.drawn) as f64,
        );
        metrics.insert("problems/too_long".into(), self.too_long as f64);
        if iteration.groups.is_empty() {
            tracing::warn!(step, "no group has a contrast to learn from; the step updates nothing");
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
    fn iterate(&self, step: u64) -> Result<(Iteration, Tally), TrainError> {
        let config = &self.memory.config;
        let plan = Plan {
            prompts: &self.prompts,
            svs: (config.recipe == Recipe::Svs).then_some(&config.svs),
            batch: config.problems.train_batch_size,
            max_batches: config.algorithm.max_num_gen_batches,
            filter: config.group_filter(),
            n: config.rollout.n,
            n_hinted: config.rollout.n_hinted,
            max_rows: config.svs.max_rows_per_update,
            seed: derive(&["choices", &config.seed.to_string(), &step.to_string()]),
        };
        let progress = |kind, done: usize, all: usize| {
            self.control.update(|status| {
                status.phase = if kind == Kind::Synthesize {
                    "synthesize".into()
                } else {
                    "rollout".into()
                };
                (status.phase_done, status.phase_total) = (done as u64, all as u64);
            });
        };
        let mut variant = 0;
        loop {
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
                hidden: &config.algorithm.hidden_shaping,
                prefix: format!("{}/{step}{suffix}", self.run_id),
                seed_name: format!("{}/{step}", config.seed),
                progress: &progress,
                tally: Tally::default(),
                conflict: false,
            };
            let mut drawn = self.memory.drawn;
            let mut draw = |count: usize| -> Vec<Problem> {
                let positions = epochs::positions(self.problems.len(), drawn, count, config.seed);
                drawn += count as u64;
                positions.into_iter().map(|at| self.problems[at].clone()).collect()
            };
            match iterate(&mut draw, plan, &mut rollouts) {
                Ok(iteration) => return Ok((iteration, rollouts.tally)),
                Err(error) if rollouts.conflict && variant < MOST_VARIANTS => {
                    tracing::warn!(step, %error, "an earlier attempt sampled differently; sampling under new ids");
                    variant += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for client groups.
    pub(super) fn client_batch(&self) -> Result<Option<Batch>, TrainError> {
        self.control.phase("wait");
        let config = &self.memory.config;
        let found = clients::collect(
            &self.around.log,
            (config, &self.reward),
            &self.control,
            self.memory.cursor,
        )?;
        Ok(found.map(|batch| {
            let counts = [
                ("trajectories/groups", batch.groups.len()),
                ("trajectories/rejected/no_reference", batch.without_reference),
                ("trajectories/rejected/bad_grader", batch.with_bad_grader),
                ("trajectories/rejected/partial_reward", batch.between),
                ("trajectories/rejected/adapter", batch.of_adapters),
                ("trajectories/rejected/no_contrast", batch.without_contrast),
                ("trajectories/expired", batch.expired),
            ];
            let metrics = counts
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count as f64))
                .collect();
            let note = Note::Clients { cursor: batch.cursor };
            Batch {
                groups: batch.groups,
                tally: batch.tally,
                metrics,
                note,
            }
        }))
    }
}
