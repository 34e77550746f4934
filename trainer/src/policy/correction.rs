//! Rows that other weights or other sampling made: importance weights, masks, and the policy that ratios are taken to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// |log ratio| is clamped to this before the exponential.
const LOG_RATIO_CLAMP: f64 = 20.0;

/// What a ratio is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// Nothing is done.
    #[default]
    None,
    /// Each token's own.
    Token,
    /// The product over the sequence.
    Sequence,
    /// The geometric mean over the sequence; for masks only.
    Geometric,
}

/// `[algorithm.rollout_correction]`, verl's names. It concerns rows that were not sampled, untruncated, from the very weights
/// that the update starts from; on a CPU the ratio of the others is exactly 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutCorrection {
    /// The loss's ratio is to the weights that the update starts from (decoupled PPO) instead of to the behaviour policy.
    pub decoupled: bool,
    /// Weight the loss by start / behaviour, at most `rollout_is_threshold` (truncated importance sampling); with `decoupled`.
    pub rollout_is: RatioLevel,
    /// Largest importance weight.
    pub rollout_is_threshold: f64,
    /// Leave out what has a ratio start / behaviour outside of the thresholds: tokens (IcePop) or whole rows.
    pub rollout_rs: RatioLevel,
    /// Largest ratio that stays.
    pub rollout_rs_threshold: f64,
    /// Smallest ratio that stays; `None` takes 1 over the largest.
    pub rollout_rs_threshold_lower: Option<f64>,
}

impl Default for RolloutCorrection {
    fn default() -> Self {
        Self {
            decoupled: false,
            rollout_is: RatioLevel::None,
            rollout_is_threshold: 2.0,
            rollout_rs: RatioLevel::None,
            rollout_rs_threshold: 2.0,
            rollout_rs_threshold_lower: None,
        }
    }
}

impl RolloutCorrection {
    /// The dotted names of the keys that are out of range or do not go together, and what is allowed.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let (high, low) = (self.rollout_rs_threshold, self.lower());
        let weighted = matches!(self.rollout_is, RatioLevel::Token | RatioLevel::Sequence);
        let checks = [
            (
                self.rollout_is == RatioLevel::Geometric,
                "rollout_correction.rollout_is",
                "must be none, token or sequence",
            ),
            (
                weighted && !self.decoupled,
                "rollout_correction.rollout_is",
                "needs `decoupled = true`: without it the ratio of the loss has this weight already",
            ),
            (
                !(self.rollout_is_threshold > 0.0 && self.rollout_is_threshold <= 1e6),
                "rollout_correction.rollout_is_threshold",
                "must be above 0 and at most 1e6",
            ),
            (
                !(low >= 0.0 && low < high && high <= 1e6),
                "rollout_correction.rollout_rs_threshold",
                "must be above `rollout_rs_threshold_lower`, which must be at least 0, and at most 1e6",
            ),
        ];
        let wrong = checks.into_iter().filter(|(wrong, ..)| *wrong);
        wrong.map(|(_, key, reason)| (key, reason.to_owned())).collect()
    }

    /// Nothing to do.
    pub(super) fn is_off(&self) -> bool {
        !self.decoupled && self.rollout_rs == RatioLevel::None
    }

    fn lower(&self) -> f64 {
        self.rollout_rs_threshold_lower
            .unwrap_or(1.0 / self.rollout_rs_threshold)
    }

    /// What each token's loss is multiplied by, 0 where it is left out, from its logprobs under the weights at the start and
    /// under the behaviour policy; `None` if nothing of the row stays.
    ///
    /// # Source
    /// Truncated importance sampling: Yao et al. 2025, <https://fengyao.notion.site/off-policy-rl>; masks: IcePop, Ling team 2025,
    /// arXiv 2510.18855, and verl's rollout correction; decoupled PPO: Hilton et al., arXiv 2110.00641.
    pub(super) fn factors(&self, start: &[f32], behaviour: &[f32], tally: &mut Tally) -> Option<Vec<f64>> {
        let log_ratios: Vec<f64> = start
            .iter()
            .zip(behaviour)
            .map(|(start, behaviour)| f64::from(*start) - f64::from(*behaviour))
            .collect();
        let total: f64 = log_ratios.iter().sum();
        let mean = total / (log_ratios.len() as f64).max(1.0);
        let ratio = |level, token: f64| {
            let log_ratio = match level {
                RatioLevel::None => 0.0,
                RatioLevel::Token => token,
                RatioLevel::Sequence => total,
                RatioLevel::Geometric => mean,
            };
            log_ratio.clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP).exp()
        };
        let (low, high) = (self.lower(), self.rollout_rs_threshold);
        let factor = |token: &f64| {
            let kept = self.rollout_rs == RatioLevel::None || (low..=high).contains(&ratio(self.rollout_rs, *token));
            match self.rollout_is {
                _ if !kept => 0.0,
                RatioLevel::None => 1.0,
                level => ratio(level, *token).min(self.rollout_is_threshold),
            }
        };
        let factors: Vec<f64> = log_ratios.iter().map(factor).collect();
        tally.add(&factors, mean);
        factors.iter().any(|factor| *factor > 0.0).then_some(factors)
    }
}

/// What was done to the rows of an update.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: f64,
    tokens: f64,
    kept: f64,
    weight: f64,
    weight_max: f64,
    log_ratio: f64,
}

impl Tally {
    fn add(&mut self, factors: &[f64], mean_log_ratio: f64) {
        self.rows += 1.0;
        self.tokens += factors.len() as f64;
        self.kept += factors.iter().filter(|factor| **factor > 0.0).count() as f64;
        self.weight += factors.iter().sum::<f64>();
        self.weight_max = factors.iter().copied().fold(self.weight_max, f64::max);
        self.log_ratio += mean_log_ratio;
    }

    /// Adds the metrics under the names that verl's users know; nothing if no row was corrected.
    pub(super) fn metrics(&self, metrics: &mut BTreeMap<String, f64>) {
        if self.rows == 0.0 {
            return;
        }
        let tokens = self.tokens.max(1.0);
        for (name, value) in [
            ("corrected_rows", self.rows),
            ("rollout_is_mean", self.weight / self.kept.max(1.0)),
            ("rollout_is_max", self.weight_max),
            ("rollout_rs_masked_fraction", 1.0 - self.kept / tokens),
            ("off_policy_log_ratio", self.log_ratio / self.rows),
        ] {
            metrics.insert(format!("rollout_corr/{name}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ratios 2, 1/2 and 4: of the sequence 4, of its geometric mean 4^(1/3).
    const START: [f32; 3] = [0.0, 0.0, 0.0];

    #[test]
    fn factors_by_hand() {
        let behaviour = [0.5f32.ln(), 2f32.ln(), 0.25f32.ln()];
        let base = RolloutCorrection {
            decoupled: true,
            ..RolloutCorrection::default()
        };
        let is = |rollout_is, rollout_is_threshold| RolloutCorrection {
            rollout_is,
            rollout_is_threshold,
            ..base
        };
        let rs = |rollout_rs, high, low| RolloutCorrection {
            rollout_rs,
            rollout_rs_threshold: high,
            rollout_rs_threshold_lower: low,
            ..base
        };
        let both = RolloutCorrection {
            rollout_is: RatioLevel::Token,
            ..rs(RatioLevel::Token, 3.0, None)
        };
        for (correction, wanted) in [
            (base, Some([1.0, 1.0, 1.0])),
            (is(RatioLevel::None, 0.5), Some([1.0, 1.0, 1.0])),
            (is(RatioLevel::Token, 3.0), Some([2.0, 0.5, 3.0])),
            (is(RatioLevel::Sequence, 3.0), Some([3.0, 3.0, 3.0])),
            (is(RatioLevel::Sequence, 9.0), Some([4.0, 4.0, 4.0])),
            (rs(RatioLevel::Token, 3.0, None), Some([1.0, 1.0, 0.0])),
            (rs(RatioLevel::Token, 3.0, Some(0.6)), Some([1.0, 0.0, 0.0])),
            (rs(RatioLevel::Sequence, 3.0, None), None),
            (rs(RatioLevel::Geometric, 1.6, None), Some([1.0, 1.0, 1.0])),
            (rs(RatioLevel::Geometric, 1.5, None), None),
            (both, Some([2.0, 0.5, 0.0])),
        ] {
            assert_eq!(correction.faults(), [], "{correction:?}");
            let found = correction.factors(&START, &behaviour, &mut Tally::default());
            let close = match (&found, wanted) {
                (Some(found), Some(wanted)) => found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| (found - wanted).abs() < 1e-6),
                (None, None) => true,
                _ => false,
            };
            assert!(close, "{correction:?}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_key() {
        let base = RolloutCorrection::default();
        for (correction, key) in [
            (
                RolloutCorrection {
                    rollout_is: RatioLevel::Token,
                    ..base
                },
                "rollout_is",
            ),
            (
                RolloutCorrection {
                    rollout_is: RatioLevel::Geometric,
                    decoupled: true,
                    ..base
                },
                "rollout_is",
            ),
            (
                RolloutCorrection {
                    rollout_is_threshold: f64::NAN,
                    ..base
                },
                "rollout_is_threshold",
            ),
            (
                RolloutCorrection {
                    rollout_rs_threshold_lower: Some(3.0),
                    ..base
                },
                "rollout_rs_threshold",
            ),
        ] {
            let (found, _) = &correction.faults()[0];
            assert_eq!(*found, format!("rollout_correction.{key}"));
        }
    }
}
