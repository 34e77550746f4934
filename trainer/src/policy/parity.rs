//! The first-step identities: on the first on-policy mini-batch the trainer must see what the sampler saw, or, where that
//! was only near, how near.

use std::collections::BTreeMap;

use super::PolicyError;

/// Differences between recorded and rescored logprobs over the on-policy rows of an update.
#[derive(Debug, Clone, Default)]
pub(super) struct Parity {
    rows: f64,
    /// Of these, rows that need not be equal.
    approximate: f64,
    tokens: f64,
    /// Sums over rows of the mean difference and of its absolute value, nats.
    log_ppl_diff: f64,
    log_ppl_abs_diff: f64,
    /// Sum over tokens of recorded minus rescored, nats.
    kl: f64,
    /// Largest absolute difference of one token, nats, and of its probability.
    worst: f64,
    worst_probability: f64,
}

impl Parity {
    /// Compares one row.
    ///
    /// # Errors
    /// [`PolicyError::Identity`] if a token differs by more than `tolerance` nats.
    pub(super) fn compare(
        &mut self,
        what: &str,
        recorded: &[f32],
        rescored: impl Iterator<Item = f32>,
        tolerance: f64,
    ) -> Result<(), PolicyError> {
        let mut sum = 0.0;
        for (token, (recorded, rescored)) in recorded.iter().zip(rescored).enumerate() {
            let difference = f64::from(*recorded) - f64::from(rescored);
            sum += difference;
            if difference.abs() > tolerance || difference.is_nan() {
                return Err(PolicyError::Identity(format!(
                    "scored token {token} of a row sampled from these very weights has logprob {recorded} recorded and \
                     {rescored} {what}; they may differ by at most {tolerance}"
                )));
            }
            self.worst = self.worst.max(difference.abs());
            let probability = (f64::from(*recorded).exp() - f64::from(rescored).exp()).abs();
            self.worst_probability = self.worst_probability.max(probability);
        }
        let mean = sum / recorded.len().max(1) as f64;
        self.rows += 1.0;
        self.tokens += recorded.len() as f64;
        self.kl += sum;
        self.log_ppl_diff += mean;
        self.log_ppl_abs_diff += mean.abs();
        Ok(())
    }

    /// Measures one row that was sampled in the CUDA mode `fast`, which is held to no tolerance here.
    ///
    /// # Errors
    /// [`PolicyError::Identity`] if a difference is not a number.
    pub(super) fn measure(&mut self, recorded: &[f32], rescored: impl Iterator<Item = f32>) -> Result<(), PolicyError> {
        self.approximate += 1.0;
        self.compare("by the trainer", recorded, rescored, f64::INFINITY)
    }

    /// Adds the metrics, under the names that verl's users know; counts alone if no row was on-policy.
    pub(super) fn metrics(&self, metrics: &mut BTreeMap<String, f64>) {
        metrics.insert("rollout_corr/exact_rows".into(), self.rows - self.approximate);
        metrics.insert("rollout_corr/approximate_rows".into(), self.approximate);
        if self.rows == 0.0 {
            return;
        }
        for (name, value) in [
            ("rollout_corr/kl", self.kl / self.tokens.max(1.0)),
            ("rollout_corr/log_ppl_diff", self.log_ppl_diff / self.rows),
            ("rollout_corr/log_ppl_abs_diff", self.log_ppl_abs_diff / self.rows),
            ("rollout_corr/logprob_abs_diff_max", self.worst),
            ("training/rollout_probs_diff_max", self.worst_probability),
        ] {
            metrics.insert(name.into(), value);
        }
    }
}
