//! Bands, filters and caps of an SvS iteration.

use serde::{Deserialize, Serialize};

/// `[svs]`: everything about synthesis. Bands are shares of a group, inclusive at both ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SvsConfig {
    /// Least accuracy of a problem that seeds synthesis.
    pub under_performing_acc_lower: f64,
    /// Greatest accuracy of a problem that seeds synthesis.
    pub under_performing_acc_upper: f64,
    /// Least accuracy on a synthetic problem that earns its writer a reward.
    pub positive_synthesis_acc_lower: f64,
    /// Greatest accuracy on a synthetic problem that earns its writer a reward.
    pub positive_synthesis_acc_upper: f64,
    /// Synthesis outputs per context; `None` takes `rollout.n`.
    pub n_synthesis: Option<u32>,
    /// Solutions per synthetic problem; `None` takes `rollout.n`.
    pub n_solve: Option<u32>,
    /// Problems that may seed synthesis in one iteration.
    pub max_seed_prompts: usize,
    /// Correct solutions of one problem used as contexts.
    pub max_contexts_per_prompt: usize,
    /// Synthetic problems solved in one iteration.
    pub max_synthetic_problems: usize,
    /// Rows (trajectories) of one update, all kinds together; cut at whole groups.
    pub max_rows_per_update: usize,
    /// Share of the kept synthesis groups that is trained on, in (0, 1].
    pub synthesis_training_ratio: f64,
    /// Drop synthesis groups in which every output was rewarded: their advantage is zero.
    pub drop_all_rewarded: bool,
    /// Use a repeated solution text of a problem as a context only once.
    pub distinct_contexts: bool,
    /// Refuse problems that contain the reference answer in boxed form.
    pub reject_leaks: bool,
    /// Refuse problems whose normalised text equals the seed question's.
    pub reject_copies: bool,
    /// Refuse problems whose normalised text came earlier in the iteration.
    pub reject_duplicates: bool,
}

impl Default for SvsConfig {
    fn default() -> Self {
        Self {
            under_performing_acc_lower: 0.125,
            under_performing_acc_upper: 0.5,
            positive_synthesis_acc_lower: 0.125,
            positive_synthesis_acc_upper: 0.625,
            n_synthesis: None,
            n_solve: None,
            max_seed_prompts: 64,
            max_contexts_per_prompt: 4,
            max_synthetic_problems: 512,
            max_rows_per_update: 8192,
            synthesis_training_ratio: 1.0,
            drop_all_rewarded: true,
            distinct_contexts: true,
            reject_leaks: true,
            reject_copies: true,
            reject_duplicates: true,
        }
    }
}

impl SvsConfig {
    /// The dotted names of the fields that are out of range, and what is allowed.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let bands = [
            (
                "svs.under_performing_acc_lower",
                self.under_performing_acc_lower,
                self.under_performing_acc_upper,
            ),
            (
                "svs.positive_synthesis_acc_lower",
                self.positive_synthesis_acc_lower,
                self.positive_synthesis_acc_upper,
            ),
        ];
        for (field, lower, upper) in bands {
            if !(0.0..=1.0).contains(&lower) || !(0.0..=1.0).contains(&upper) || lower > upper {
                faults.push((field, format!("{lower}..={upper} is not a band inside 0..=1")));
            }
        }
        let counts = [
            ("svs.max_seed_prompts", self.max_seed_prompts, 1),
            ("svs.max_contexts_per_prompt", self.max_contexts_per_prompt, 1),
            ("svs.max_synthetic_problems", self.max_synthetic_problems, 1),
            ("svs.max_rows_per_update", self.max_rows_per_update, 2),
        ];
        for (field, value, least) in counts {
            if value < least {
                faults.push((field, format!("{value} is too small; the least is {least}")));
            }
        }
        for (field, value) in [("svs.n_synthesis", self.n_synthesis), ("svs.n_solve", self.n_solve)] {
            if value.is_some_and(|n| n < 2) {
                faults.push((field, "a group needs at least 2 samples".into()));
            }
        }
        if !(self.synthesis_training_ratio > 0.0 && self.synthesis_training_ratio <= 1.0) {
            faults.push(("svs.synthesis_training_ratio", "must lie in (0, 1]".into()));
        }
        faults
    }
}
