//! Optimizer steps that are not taken because something of them is not a finite number.

use serde::{Deserialize, Serialize};
use svs_engine::EngineError;

use super::PolicyError;
use crate::objective::{Advantage, Denominator, LossOutput, LossRow, ObjectiveConfig, policy_loss};

/// Cause of a step whose gradient has no finite norm.
pub(crate) const GRADIENT_NORM: &str = "gradient_norm";
/// Cause of a step whose loss is not finite.
const LOSS: &str = "loss";

/// An optimizer step that was not taken: all that it takes to compute its gradient again from the same parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SkippedStep {
    /// What was not finite: `gradient_norm`, `loss`, or `logits at position …`.
    #[serde(default)]
    pub cause: String,
    /// Norm of the gradient, as text: JSON has no name for what is not finite. `NaN` if it did not come to that.
    pub grad_norm: String,
    /// Value of the loss, likewise.
    pub loss: String,
    /// Version of the weights that the update began with.
    pub version: u64,
    /// Steps that the update had taken from them before this one.
    #[serde(default)]
    pub steps_before: u64,
    /// Size of the mini-batch that the loss is divided by: it counts rows, too, that have no derivative and are not here.
    /// `None` in supervised training, as is what follows.
    #[serde(default)]
    pub whole: Option<Denominator>,
    /// What the loss is.
    #[serde(default)]
    pub objective: Option<ObjectiveConfig>,
    /// The mini-batch.
    pub rows: Vec<SkippedRow>,
}

impl SkippedStep {
    /// Loss and derivatives once more, from the record alone; `None` for supervised steps and where logits were not finite.
    #[must_use]
    pub fn replay(&self) -> Option<LossOutput> {
        let rows: Option<Vec<LossRow<'_>>> = self.rows.iter().map(SkippedRow::loss_row).collect();
        Some(policy_loss(&rows?, self.objective.as_ref()?, self.whole?))
    }
}

/// A row of a step that was not taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SkippedRow {
    /// Id of the trajectory.
    pub id: String,
    /// Tokens, prompt first.
    pub tokens: Vec<u32>,
    /// Positions the loss reaches.
    pub scored: Vec<u32>,
    /// Temperature they were sampled at.
    pub temperature: f32,
    /// Behaviour logprobs at those positions, nats.
    pub behaviour: Vec<f32>,
    /// Advantage of every scored token but the last.
    pub advantage: f64,
    /// Advantage of the last scored token.
    #[serde(default)]
    pub last_advantage: f64,
    /// Weight in the loss.
    pub weight: f64,
    /// Number of its group in the batch.
    #[serde(default)]
    pub group: usize,
    /// Logprobs under the parameters being moved, nats; `None` if it did not come to that, and in supervised training.
    #[serde(default)]
    pub logprobs: Option<Vec<f32>>,
    /// Logprobs under the weights that the update began with, nats, where ratios are taken to those.
    #[serde(default)]
    pub start: Option<Vec<f32>>,
    /// Logprobs under the KL reference, nats, where the objective has one.
    #[serde(default)]
    pub reference: Option<Vec<f32>>,
    /// What each token's policy loss is multiplied by, where the row is weighed or masked.
    #[serde(default)]
    pub factors: Option<Vec<f64>>,
}

impl SkippedRow {
    /// The row as the loss sees it.
    fn loss_row(&self) -> Option<LossRow<'_>> {
        Some(LossRow {
            group: self.group,
            logprobs: self.logprobs.as_deref()?,
            old_logprobs: self.start.as_deref().unwrap_or(&self.behaviour),
            reference: self.reference.as_deref(),
            entropies: None,
            factors: self.factors.as_deref(),
            advantage: Advantage {
                every: self.advantage,
                last: self.last_advantage,
            },
            weight: self.weight,
        })
    }
}

/// The loss of a step and, if it cannot become one, the cause.
///
/// # Errors
/// `computed`'s, unless it is about logits that are not finite: then the loss is NaN.
pub(crate) fn judged(computed: Result<f64, PolicyError>) -> Result<(f64, Option<String>), PolicyError> {
    match computed {
        Ok(loss) => Ok((loss, (!loss.is_finite()).then(|| LOSS.to_owned()))),
        Err(PolicyError::Engine(EngineError::NonFiniteLogits { position, version })) => {
            let cause = format!("logits at position {position} of a micro-batch under weight version {version}");
            Ok((f64::NAN, Some(cause)))
        }
        Err(error) => Err(error),
    }
}

/// Says in the log that a step is not taken.
pub(crate) fn warn(cause: &str, loss: f64, grad_norm: f64) {
    tracing::warn!(cause, loss, grad_norm, "optimizer step skipped: not finite");
}
