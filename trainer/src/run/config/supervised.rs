//! What the recipe `sft` has no use for is refused by name.

use super::faults::Faults;
use super::{Mode, ProblemSource, Recipe, TrainConfig};
use crate::problems::FileOptions;

impl TrainConfig {
    pub(super) fn check_supervised(&self, faults: &mut Faults) {
        if self.recipe != Recipe::Sft {
            return;
        }
        let (problems, algorithm) = (&self.problems, &self.algorithm);
        let unused = [
            (
                problems.source != ProblemSource::Files,
                "problems.source",
                "must be \"files\": the recipe `sft` learns the answers that files have",
            ),
            (
                problems.columns != FileOptions::default(),
                "problems.columns",
                "the recipe `sft` reads `messages`, or `prompt` and `completion`",
            ),
            (
                problems.held_out_fraction > 0.0,
                "problems.held_out_fraction",
                "the recipe `sft` holds nothing out; give `eval.files`",
            ),
            (
                self.eval.test_freq > 0 && self.eval.files.is_empty(),
                "eval.files",
                "the recipe `sft` evaluates the loss on files only; `eval.test_freq` needs one",
            ),
            (
                self.mode == Mode::Async,
                "mode",
                "the recipe `sft` samples nothing that could go on beside an update",
            ),
            (
                self.max_generated_tokens.is_some(),
                "max_generated_tokens",
                "the recipe `sft` generates nothing",
            ),
            (
                self.reward.grader.is_some(),
                "reward.grader",
                "the recipe `sft` grades nothing",
            ),
            (
                algorithm.kl_loss_coef != 0.0,
                "algorithm.kl_loss_coef",
                "the recipe `sft` has no KL term",
            ),
            (
                algorithm.entropy_coeff != 0.0,
                "algorithm.entropy_coeff",
                "the recipe `sft` has no entropy term",
            ),
            (
                algorithm.hidden_shaping.enabled,
                "algorithm.hidden_shaping.enabled",
                "the recipe `sft` has no advantages to shape",
            ),
        ];
        for (_, field, reason) in unused.into_iter().filter(|(is_set, ..)| *is_set) {
            faults.add(field, reason);
        }
    }
}
