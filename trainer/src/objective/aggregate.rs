//! From losses of tokens to the loss of a mini-batch.

use serde::{Deserialize, Serialize};

use super::{LossAggMode, LossRow, ObjectiveConfig};

/// Size of a whole mini-batch. Parts of it are divided by this, so that they add up to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Denominator {
    /// Scored tokens.
    pub tokens: f64,
    /// Trajectories.
    pub rows: f64,
    /// Groups.
    pub groups: f64,
}

impl Denominator {
    /// The size of `rows`.
    #[must_use]
    pub fn of(rows: &[LossRow<'_>]) -> Self {
        let mut groups: Vec<usize> = rows.iter().map(|row| row.group).collect();
        groups.sort_unstable();
        groups.dedup();
        Self::of_lengths(rows.iter().map(LossRow::counted), groups.len())
    }

    /// The size of trajectories with so many scored tokens in so many groups.
    pub fn of_lengths(lengths: impl Iterator<Item = usize>, groups: usize) -> Self {
        let none = Self {
            tokens: 0.0,
            rows: 0.0,
            groups: groups as f64,
        };
        lengths.fold(none, |sum, length| Self {
            tokens: sum.tokens + length as f64,
            rows: sum.rows + 1.0,
            ..sum
        })
    }

    /// What a token of a trajectory of `length` tokens counts.
    ///
    /// # Source
    /// Token mean: DAPO, arXiv 2503.14476, eq. 8. Mean of means: GRPO, arXiv 2402.03300, eq. 3. Sum over a constant: Dr. GRPO,
    /// arXiv 2503.20783, section 3.2.
    pub(super) fn share(&self, length: usize, config: &ObjectiveConfig) -> f64 {
        let rows = self.rows.max(1.0);
        match config.loss_agg_mode {
            LossAggMode::TokenMean => 1.0 / self.tokens.max(1.0),
            LossAggMode::SeqMeanTokenSum => 1.0 / rows,
            LossAggMode::SeqMeanTokenMean => 1.0 / (rows * (length as f64).max(1.0)),
            LossAggMode::SeqMeanTokenSumNorm => 1.0 / (rows * config.loss_scale_factor),
        }
    }
}
