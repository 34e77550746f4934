//! The clipped policy loss, its optional KL and entropy terms, and their derivatives per token.

use serde::{Deserialize, Serialize};
use svs_engine::train::TokenGrad;

use super::group_loss::{RowSlope, real_by_row};
use super::token::{LOG_RATIO_CLAMP, token_loss};
use super::{Denominator, LossMode, ObjectiveConfig};

/// The k3 estimate of one token's KL is clamped to this.
const KL_CLAMP: f64 = 10.0;

/// The advantages of a trajectory's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Advantage {
    /// Of every token but the last.
    pub every: f64,
    /// Of the last scored token.
    pub last: f64,
}

impl From<f64> for Advantage {
    /// The same of all tokens.
    fn from(all: f64) -> Self {
        Self { every: all, last: all }
    }
}

impl Advantage {
    /// Whether no token has a derivative of it.
    pub(crate) fn is_zero(self) -> bool {
        self.every == 0.0 && self.last == 0.0
    }

    /// Whether REAL takes the trajectory for a right one.
    pub(crate) fn is_right(self) -> bool {
        self.every > 0.0
    }

    /// Of token `t` of `tokens`.
    fn of(self, t: usize, tokens: usize) -> f64 {
        if t + 1 == tokens { self.last } else { self.every }
    }
}

/// One trajectory's scored tokens. All slices have the same length.
#[derive(Debug, Clone, Copy)]
pub struct LossRow<'a> {
    /// Number of its group in the mini-batch.
    pub group: usize,
    /// Logprobs under the parameters being moved, nats.
    pub logprobs: &'a [f32],
    /// Logprobs under the policy that ratios are taken to, nats: the behaviour policy or the start of the update.
    pub old_logprobs: &'a [f32],
    /// Logprobs under the KL reference, nats; needed if `kl_loss_coef` is not 0.
    pub reference: Option<&'a [f32]>,
    /// Entropies under the parameters being moved, nats. They only enter the value: the derivative does not need them.
    pub entropies: Option<&'a [f32]>,
    /// What each token's policy loss is multiplied by; a token with 0 is left out of everything.
    pub factors: Option<&'a [f64]>,
    /// Advantages of the tokens.
    pub advantage: Advantage,
    /// Weight of the trajectory in the loss.
    pub weight: f64,
}

impl LossRow<'_> {
    /// The factor of token `t`.
    fn factor(&self, t: usize) -> f64 {
        self.factors.map_or(1.0, |factors| factors[t])
    }

    /// Log ratio of token `t`.
    fn log_ratio(&self, t: usize) -> f64 {
        f64::from(self.logprobs[t]) - f64::from(self.old_logprobs[t])
    }

    /// Mean log ratio of the tokens that are not left out.
    pub(super) fn mean_log_ratio(&self) -> f64 {
        let counted = (0..self.logprobs.len()).filter(|t| self.factor(*t) != 0.0);
        counted.map(|t| self.log_ratio(t)).sum::<f64>() / (self.counted() as f64).max(1.0)
    }

    /// Tokens that are not left out.
    pub(super) fn counted(&self) -> usize {
        (0..self.logprobs.len()).filter(|t| self.factor(*t) != 0.0).count()
    }
}

/// Sums over tokens, so that parts of a mini-batch add up to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LossSums {
    /// Tokens.
    pub tokens: f64,
    /// Weighted policy loss.
    pub policy: f64,
    /// Weighted k3 KL to the reference.
    pub kl: f64,
    /// Weighted entropy, nats.
    pub entropy: f64,
    /// Tokens whose ratio was clipped.
    pub clipped: f64,
    /// Tokens held by the dual clip.
    pub clipped_lower: f64,
    /// Old minus current logprob, nats.
    pub ppo_kl: f64,
    /// Ratios.
    pub ratio: f64,
    /// Largest ratio.
    pub ratio_max: f64,
}

/// Value and derivatives of the loss over some rows of a mini-batch.
#[derive(Debug, Clone, PartialEq)]
pub struct LossOutput {
    /// Per row and token: dL/dlogp and dL/dH.
    pub grads: Vec<Vec<TokenGrad>>,
    /// These rows' part of the mini-batch's loss.
    pub loss: f64,
    /// Sums for the metrics.
    pub sums: LossSums,
}

/// The loss of `rows` as part of a mini-batch of the size `whole`, and its derivatives.
///
/// Σ over rows and tokens of share·weight·(L + kl_loss_coef·k3 − entropy_coef·H), with L of `loss_mode` and the share of a
/// token by `loss_agg_mode`. Because shares are those of the whole mini-batch, the parts of any split add up to its loss; a
/// split must keep groups whole under [`LossMode::Real`].
///
/// # Source
/// The losses: see their modes. k3: <http://joschu.net/blog/kl-approx.html>.
///
/// # Panics
/// If the slices of a row differ in length, or `kl_loss_coef` is not 0 and a row has no reference.
#[must_use]
pub fn policy_loss(rows: &[LossRow<'_>], config: &ObjectiveConfig, whole: Denominator) -> LossOutput {
    let mut output = LossOutput {
        grads: Vec::with_capacity(rows.len()),
        loss: 0.0,
        sums: LossSums::default(),
    };
    let by_group = match config.loss_mode {
        LossMode::Real => real_by_row(rows, config.real_tau),
        _ => Vec::new(),
    };
    for (at, row) in rows.iter().enumerate() {
        let mut sums = LossSums::default();
        let share = whole.share(row.counted(), config);
        // The mean over groups of what depends on the mean over tokens, in the units of what `share` multiplies.
        let of_group = by_group.get(at).map(|of_row: &RowSlope| {
            let per_token = 1.0 / (whole.groups.max(1.0) * (row.counted() as f64).max(1.0) * share);
            RowSlope {
                value: of_row.value * per_token,
                slope: of_row.slope * per_token,
            }
        });
        output.grads.push(row_loss(row, of_group, config, share, &mut sums));
        output.loss += share * (sums.policy + config.kl_loss_coef * sums.kl - config.entropy_coef * sums.entropy);
        output.sums.add(&sums);
    }
    output
}

/// Derivatives of a row whose tokens count `share` each; `sums` are without the share.
/// `of_group` is what each token adds to that.
fn row_loss(
    row: &LossRow<'_>,
    of_group: Option<RowSlope>,
    config: &ObjectiveConfig,
    share: f64,
    sums: &mut LossSums,
) -> Vec<TokenGrad> {
    assert_eq!(row.logprobs.len(), row.old_logprobs.len(), "one old logprob per token");
    let scale = row.weight * share;
    let (of_group, mean_log_ratio) = (of_group.unwrap_or_default(), row.mean_log_ratio());
    let tokens = row.logprobs.len();
    (0..tokens)
        .map(|t| {
            let factor = row.factor(t);
            if factor == 0.0 {
                return TokenGrad::default();
            }
            let (logp, log_ratio) = (f64::from(row.logprobs[t]), row.log_ratio(t));
            let policy = token_loss(logp, log_ratio, mean_log_ratio, row.advantage.of(t, tokens), config);
            sums.tokens += 1.0;
            sums.policy += row.weight * factor * (policy.value + of_group.value);
            sums.clipped += f64::from(u8::from(policy.clipped));
            sums.clipped_lower += f64::from(u8::from(policy.clipped_lower));
            sums.ppo_kl -= log_ratio.clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP);
            sums.ratio += policy.ratio;
            sums.ratio_max = sums.ratio_max.max(policy.ratio);
            let mut dlogprob = factor * (policy.derivative + of_group.slope);
            if config.kl_loss_coef != 0.0 {
                let reference = row.reference.expect("a reference is required with kl_loss_coef")[t];
                let (kl, derivative) = k3(f64::from(reference) - logp);
                sums.kl += row.weight * kl;
                dlogprob += config.kl_loss_coef * derivative;
            }
            if let Some(entropies) = row.entropies {
                sums.entropy += row.weight * f64::from(entropies[t]);
            }
            TokenGrad {
                dlogprob: (scale * dlogprob) as f32,
                dentropy: (-scale * config.entropy_coef) as f32,
            }
        })
        .collect()
}

/// The k3 estimate exp(d) − d − 1 of one token's KL from d = reference − logp, and its derivative by logp.
fn k3(difference: f64) -> (f64, f64) {
    let d = difference.clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP);
    let kl = d.exp() - d - 1.0;
    let derivative = if d == difference && kl <= KL_CLAMP {
        1.0 - d.exp()
    } else {
        0.0
    };
    (kl.min(KL_CLAMP), derivative)
}

impl LossSums {
    /// Adds another part of the mini-batch.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.policy += other.policy;
        self.kl += other.kl;
        self.entropy += other.entropy;
        self.clipped += other.clipped;
        self.clipped_lower += other.clipped_lower;
        self.ppo_kl += other.ppo_kl;
        self.ratio += other.ratio;
        self.ratio_max = self.ratio_max.max(other.ratio_max);
    }

    /// Means per token, under the names that verl's users know.
    #[must_use]
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mean = |sum: f64| sum / self.tokens.max(1.0);
        vec![
            ("actor/pg_loss", mean(self.policy)),
            ("actor/kl_loss", mean(self.kl)),
            ("actor/pg_clipfrac", mean(self.clipped)),
            ("actor/pg_clipfrac_lower", mean(self.clipped_lower)),
            ("actor/ppo_kl", mean(self.ppo_kl)),
            ("actor/ratio_mean", mean(self.ratio)),
            ("actor/ratio_max", self.ratio_max),
        ]
    }
}
