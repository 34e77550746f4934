//! `[reward]`: what grades rollouts whose problem or request brings no grader of its own.

use serde::{Deserialize, Serialize};
use svs_verifier::MathOptions;
use svs_verifier::spec::GraderSpec;

/// `[reward]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// A reward of at least this counts as correct, in (0, 1].
    pub pass_threshold: f64,
    /// Steps that grading one response may take.
    pub max_steps: u64,
    /// The grader; `None` is mathematics against the reference answer.
    pub grader: Option<GraderSpec>,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            pass_threshold: 1.0,
            max_steps: MathOptions::default().max_steps,
            grader: None,
        }
    }
}

impl RewardConfig {
    /// Checks ranges and that the grader can be built.
    ///
    /// # Errors
    /// The dotted name of the first offending key, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if !(self.pass_threshold > 0.0 && self.pass_threshold <= 1.0) {
            return Err(("reward.pass_threshold", "must be above 0 and at most 1".into()));
        }
        if !(1_000..=100_000_000).contains(&self.max_steps) {
            return Err(("reward.max_steps", "must lie in 1000..=100000000".into()));
        }
        match self.grader.as_ref().map(GraderSpec::build) {
            Some(Err(error)) => Err(("reward.grader", error.to_string())),
            _ => Ok(()),
        }
    }
}
