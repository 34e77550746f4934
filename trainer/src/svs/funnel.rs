//! Counts of an iteration: how much of what went in came out of each stage, and why the rest did not.

use std::collections::BTreeMap;

use super::RejectReason;
use super::band::Score;
use crate::surprisal::Surprisal;
use crate::trajectory::Group;

/// Counts of one kind of experience.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stage {
    /// Groups sampled.
    pub groups: usize,
    /// Trajectories sampled.
    pub rows: usize,
    /// Correct (for synthesis: rewarded) and graded trajectories.
    pub score: Score,
    /// Of every sampled token.
    pub(crate) surprisal: Surprisal,
    /// Groups that pass the training filter.
    pub kept_groups: usize,
    /// Trajectories in them.
    pub kept_rows: usize,
}

impl Stage {
    /// Counts what was sampled.
    #[must_use]
    pub fn sampled(groups: &[Group]) -> Self {
        let mut stage = Self {
            groups: groups.len(),
            ..Self::default()
        };
        for group in groups {
            let score = Score::of(group);
            stage.rows += group.members.len();
            stage.score.correct += score.correct;
            stage.score.graded += score.graded;
            for member in &group.members {
                stage.surprisal.add(&member.logprobs);
            }
        }
        stage
    }

    /// Counts what the filter kept.
    pub fn kept(&mut self, groups: &[Group]) {
        self.kept_groups = groups.len();
        self.kept_rows = groups.iter().map(|group| group.members.len()).sum();
    }
}

/// Counts of a whole iteration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Funnel {
    /// Solving original problems.
    pub solve: Stage,
    /// Writing problems.
    pub synthesize: Stage,
    /// Solving synthetic problems.
    pub solve_synthetic: Stage,
    /// Under-performing problems used as seeds.
    pub seed_prompts: usize,
    /// Under-performing problems left out by the cap.
    pub seed_prompts_capped: usize,
    /// Correct solutions used as contexts.
    pub contexts: usize,
    /// Contexts left out: the same text came before.
    pub contexts_repeated: usize,
    /// Contexts left out by the cap.
    pub contexts_capped: usize,
    /// Contexts whose synthesis prompt is too long.
    pub contexts_too_long: usize,
    /// Outputs with a marked, non-empty problem.
    pub extracted: usize,
    /// Synthesis outputs by reason of rejection.
    pub rejected: BTreeMap<RejectReason, usize>,
    /// Synthetic problems solved.
    pub problems: usize,
    /// Rows left out of the update by its cap.
    pub rows_capped: usize,
    /// Waves of problems that were solved.
    pub gen_batches: usize,
    /// Problems of the last wave that were not needed and come again later.
    pub given_back: usize,
    /// Problems tried again with their hint.
    pub hinted_groups: usize,
}

impl Funnel {
    /// Metrics by name; every reason is present, also at zero.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let mut put = |name: String, value: f64| metrics.insert(format!("svs/{name}"), value);
        let counts = [
            ("under_performing_prompts", self.seed_prompts),
            ("under_performing_prompts_capped", self.seed_prompts_capped),
            ("contexts", self.contexts),
            ("contexts_rejected/repeated", self.contexts_repeated),
            ("contexts_rejected/capped", self.contexts_capped),
            ("contexts_rejected/too_long", self.contexts_too_long),
            ("synthesized", self.synthesize.rows),
            ("extracted", self.extracted),
            ("valid", self.problems),
            ("rewarded", self.synthesize.score.correct as usize),
            ("rows_capped", self.rows_capped),
            ("gen_batches", self.gen_batches),
            ("problems_given_back", self.given_back),
            ("hinted_groups", self.hinted_groups),
        ];
        for (name, value) in counts {
            put(name.into(), value as f64);
        }
        for reason in RejectReason::ALL {
            put(
                format!("rejected/{}", reason.name()),
                self.rejected.get(&reason).copied().unwrap_or(0) as f64,
            );
        }
        let stages = [
            ("solve", self.solve),
            ("synthesize", self.synthesize),
            ("solve_synthetic", self.solve_synthetic),
        ];
        for (name, stage) in stages {
            put(format!("{name}/groups"), stage.groups as f64);
            put(format!("{name}/rows"), stage.rows as f64);
            put(format!("{name}/acc_mean"), stage.score.accuracy());
            put(format!("{name}/kept_groups"), stage.kept_groups as f64);
            put(format!("{name}/kept_rows"), stage.kept_rows as f64);
            if let Some(entropy) = stage.surprisal.mean() {
                put(format!("{name}/entropy"), entropy);
            }
        }
        put("valid_rate".into(), ratio(self.problems, self.synthesize.rows));
        put("extracted_rate".into(), ratio(self.extracted, self.synthesize.rows));
        put(
            "rewarded_rate".into(),
            ratio(self.synthesize.score.correct as usize, self.problems),
        );
        metrics
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
