//! What a step trains on: own rollouts through the stages ([`super::sampling`]), or groups of clients.

use std::collections::BTreeMap;

use super::TrainError;
use super::clients::{self, Waited};
use super::runner::Runner;
use super::tally::Tally;
use crate::svs::band::Score;
use crate::trajectory::Group;

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
    /// Waits for client groups.
    pub(super) fn client_batch(&self) -> Result<Waited<Batch>, TrainError> {
        self.control.phase("wait");
        let config = &self.memory.config;
        let found = clients::collect(
            &self.around.log,
            (config, &self.sampling.reward),
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
                ("trajectories/rejected/ungraded", batch.ungraded),
                ("trajectories/expired", batch.expired),
                ("trajectories/unreadable", batch.unreadable),
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
