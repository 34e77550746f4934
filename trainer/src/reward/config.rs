//! `[reward]`: what grades rollouts whose problem or request brings no grader of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use svs_verifier::MathOptions;
use svs_verifier::sandbox::{Sandbox, SandboxConfig};
use svs_verifier::spec::GraderSpec;

use super::remote::{self, EndpointConfigs};

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
    /// Most steps in a row of which no response could be graded, since the start or the resume of the run; one more stops it.
    pub max_ungraded_steps: u64,
    /// The endpoints that graders may ask, by name.
    pub endpoints: EndpointConfigs,
    /// Whether graders may run programs, and within which limits.
    pub code: SandboxConfig,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            pass_threshold: 1.0,
            max_steps: MathOptions::default().max_steps,
            grader: None,
            max_ungraded_steps: 2,
            endpoints: EndpointConfigs::new(),
            code: SandboxConfig::default(),
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
        if self.max_ungraded_steps > 1_000 {
            return Err(("reward.max_ungraded_steps", "must be at most 1000".into()));
        }
        remote::check(&self.endpoints).map_err(|reason| ("reward.endpoints", reason))?;
        self.code.validate()?;
        let Some(grader) = &self.grader else { return Ok(()) };
        let sandbox = Arc::new(Sandbox::new(&self.code));
        let made = grader.check().and_then(|()| grader.fits(&sandbox));
        made.map_err(|error| ("reward.grader", error.to_string()))?;
        self.declares(grader).map_err(|reason| ("reward.grader", reason))
    }

    /// Whether every endpoint that a grader asks is declared.
    ///
    /// # Errors
    /// The first that is not.
    pub fn declares(&self, grader: &GraderSpec) -> Result<(), String> {
        let missing = grader
            .endpoints()
            .into_iter()
            .find(|name| !self.endpoints.contains_key(*name));
        missing.map_or(Ok(()), |name| {
            Err(format!("endpoint `{name}` is not declared in `reward.endpoints`"))
        })
    }
}
