//! What a run remembers across a restart: where it stands, what it trained on, how every problem fared at every visit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use svs_engine::Precision;

use super::{TrainConfig, TrainError};
use crate::hidden::Means;
use crate::svs::band::Score;
use crate::trajectory::Group;

/// Sections and keys that a resumed run may have otherwise.
pub(super) const MAY_CHANGE: [&str; 8] = [
    "steps",
    "max_generated_tokens",
    "train_share",
    "tensorboard",
    "watchdog_s",
    "publish_wait_s",
    "checkpoint",
    "eval",
];

/// Score of a problem when a step drew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Step.
    pub step: u64,
    /// Correct samples.
    pub correct: u32,
    /// Graded samples.
    pub graded: u32,
}

/// State of a run, part of every checkpoint. Its lists of what was consumed are the only truth about that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Steps done.
    pub step: u64,
    /// Tokens sampled for training by all steps.
    #[serde(default)]
    pub generated_tokens: u64,
    /// The configuration the run was started with.
    pub config: TrainConfig,
    /// Storage of the serving weights, which the run samples and computes gradients with.
    #[serde(default)]
    pub weights: Option<Precision>,
    /// Storage of keys and values.
    #[serde(default)]
    pub kv: Option<Precision>,
    /// Problems drawn.
    #[serde(default)]
    pub drawn: u64,
    /// Groups of own rollouts trained on, with their size; members are `<group>#0` and so on.
    pub consumed_groups: Vec<(String, u32)>,
    /// Ids of client trajectories trained on.
    pub consumed: Vec<String>,
    /// Closing number of the last client group looked at.
    pub cursor: i64,
    /// Optimizer steps skipped because logits, the loss or the gradient were not finite.
    #[serde(default)]
    pub skipped_steps: u64,
    /// Running means of what hidden states did.
    #[serde(default)]
    pub hidden: Option<Means>,
    /// Accuracy at every visit, by problem.
    pub visits: BTreeMap<String, Vec<Visit>>,
}

impl Memory {
    /// A run that has done nothing.
    #[must_use]
    pub fn new(config: TrainConfig) -> Self {
        let (consumed_groups, consumed, visits) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self {
            step: 0,
            generated_tokens: 0,
            config,
            weights: None,
            kv: None,
            drawn: 0,
            consumed_groups,
            consumed,
            cursor: 0,
            skipped_steps: 0,
            hidden: None,
            visits,
        }
    }

    /// Every trajectory trained on, by id.
    #[must_use]
    pub fn consumed_ids(&self) -> Vec<String> {
        let own = self
            .consumed_groups
            .iter()
            .flat_map(|(group, size)| (0..*size).map(move |at| member_id(group, at)));
        own.chain(self.consumed.iter().cloned()).collect()
    }

    /// Notes groups of own rollouts as trained on.
    pub fn consume_own(&mut self, groups: &[Group]) {
        for group in groups {
            // Members that had a hint were logged as a group of their own.
            for members in group.members.chunk_by(|one, next| one.group_id == next.group_id) {
                self.consumed_groups
                    .push((members[0].group_id.clone(), members.len() as u32));
            }
        }
    }

    /// Notes a visit of `problem` at `step`.
    pub fn visit(&mut self, problem: &str, step: u64, score: Score) {
        let visit = Visit {
            step,
            correct: score.correct,
            graded: score.graded,
        };
        self.visits.entry(problem.to_owned()).or_default().push(visit);
    }

    /// Notes the storage of serving weights and of keys and values, which a resumed run keeps: others sample other tokens.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming `weights` or `kv`.
    pub fn adopt_precision(&mut self, weights: Precision, kv: Precision) -> Result<(), TrainError> {
        for (field, kept, now) in [("weights", &mut self.weights, weights), ("kv", &mut self.kv, kv)] {
            let before = *kept.get_or_insert(now);
            if before != now {
                let reason = format!(
                    "the run was started with --{field} {}; a resumed run keeps it, and the engine has {}",
                    before.name(),
                    now.name()
                );
                let field = field.into();
                return Err(TrainError::Config { field, reason });
            }
        }
        Ok(())
    }

    /// Whether the budget of generated tokens, if there is one, is used up.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.is_spent_with(0)
    }

    /// Whether it will be, with so many tokens more.
    pub(super) fn is_spent_with(&self, more: u64) -> bool {
        let budget = self.config.max_generated_tokens;
        budget.is_some_and(|budget| self.generated_tokens + more >= budget)
    }

    /// Takes over `config` for the rest of the run. Only its length, its checkpoints, its evaluation, how it is watched and
    /// which faults it bears may differ.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first section that differs.
    pub fn adopt(&mut self, config: TrainConfig) -> Result<(), TrainError> {
        let keyed = |config: &TrainConfig| serde_json::to_value(config).expect("plain values serialise");
        let mut before = self.config.clone();
        // A run that these bounds stopped goes on no other way.
        before.algorithm.max_skipped_steps = config.algorithm.max_skipped_steps;
        before.reward.max_ungraded_steps = config.reward.max_ungraded_steps;
        let (before, now) = (keyed(&before), keyed(&config));
        let sections = before.as_object().expect("a struct is an object").keys();
        for section in sections.filter(|section| !MAY_CHANGE.contains(&section.as_str())) {
            if before[section] != now[section] {
                let reason = format!("the run was started with {}; a resumed run keeps it", before[section]);
                return Err(TrainError::Config {
                    field: section.clone(),
                    reason,
                });
            }
        }
        self.take_over(config)
    }

    /// Takes over `config`, whatever it says, if it asks for no fewer steps than are done.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming `steps`.
    pub fn take_over(&mut self, config: TrainConfig) -> Result<(), TrainError> {
        if config.steps < self.step {
            return Err(TrainError::Config {
                field: "steps".into(),
                reason: format!(
                    "the run has done {} steps already; it cannot be asked for {}",
                    self.step, config.steps
                ),
            });
        }
        if self.drawn == 0 {
            // A checkpoint of before problems were counted: every step drew a batch.
            self.drawn = self.step * self.config.problems.train_batch_size as u64;
        }
        self.config = config;
        Ok(())
    }
}

/// Id of the `at`-th member of an own group.
#[must_use]
pub fn member_id(group: &str, at: u32) -> String {
    format!("{group}#{at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_keeps_the_precision_of_weights_and_kv() {
        let mut memory = Memory::new(TrainConfig::default());
        let (half, full) = (Precision::Bf16, Precision::F32);
        for (weights, kv, refused) in [
            (half, full, None),
            (half, full, None),
            (full, full, Some("weights")),
            (half, half, Some("kv")),
            (half, full, None),
        ] {
            match (memory.adopt_precision(weights, kv), refused) {
                (Ok(()), None) => {}
                (Err(TrainError::Config { field, reason }), Some(expected)) => {
                    assert_eq!(field, expected);
                    assert!(reason.contains("bf16") && reason.contains("f32"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_resumed_run_may_get_longer_but_not_different() {
        let mut memory = Memory::new(TrainConfig::default());
        let longer = TrainConfig {
            steps: 99,
            ..TrainConfig::default()
        };
        memory.adopt(longer.clone()).expect("longer");
        assert_eq!(memory.config.steps, 99);
        memory.generated_tokens = 500;
        for (budget, spent) in [(Some(500), true), (Some(501), false), (None, false)] {
            let budgeted = TrainConfig {
                max_generated_tokens: budget,
                ..longer.clone()
            };
            memory.adopt(budgeted).expect("another budget");
            assert_eq!(memory.is_spent(), spent, "{budget:?}");
        }
        let mut patient = longer.clone();
        (patient.algorithm.max_skipped_steps, patient.reward.max_ungraded_steps) = (99, 9);
        memory.adopt(patient).expect("what stopped it may be allowed more");
        let mut other = longer;
        other.optim.lr = 0.5;
        let error = memory.adopt(other).expect_err("another optimizer");
        assert!(matches!(error, TrainError::Config { field, .. } if field == "optim"));
    }

    #[test]
    fn it_survives_json_and_lists_every_member() {
        let mut memory = Memory::new(TrainConfig::default());
        memory.consume_own(&[crate::svs::testing::group("run/1/p", 2, 1)]);
        memory.consumed.push("client-1".into());
        memory.generated_tokens = 7;
        memory.visit("p", 1, Score { correct: 1, graded: 2 });
        let json = serde_json::to_value(&memory).expect("serialises");
        assert_eq!(serde_json::from_value::<Memory>(json.clone()).expect("reads"), memory);
        // Checkpoints from before there was the count have none.
        let mut older = json;
        older.as_object_mut().expect("an object").remove("generated_tokens");
        assert_eq!(
            serde_json::from_value::<Memory>(older).expect("reads").generated_tokens,
            0
        );
        assert_eq!(memory.consumed_ids(), ["run/1/p#0", "run/1/p#1", "client-1"]);
    }
}
