//! The policy loss of one token and its derivative by the token's logprob.

use super::{LossMode, ObjectiveConfig};

/// |log ratio| is clamped to this before the exponential.
pub(super) const LOG_RATIO_CLAMP: f64 = 20.0;

/// What one token contributes.
pub(super) struct TokenLoss {
    pub(super) value: f64,
    /// By the token's logprob, the loss of the sequence being summed over its tokens.
    pub(super) derivative: f64,
    pub(super) ratio: f64,
    pub(super) clipped: bool,
    pub(super) clipped_lower: bool,
}

/// The loss of a token under `config.loss_mode`. `sequence_log_ratio` is the mean log ratio of the token's sequence.
///
/// - vanilla, with ρ = exp(log ratio): Lc = max(−Aρ, −A·clip(ρ)); where A < 0, L = min(Lc, −A·c).
/// - gspo, with s = exp(mean log ratio): max(−As, −A·clip(s)), the same for every token. s depends on each of n tokens
///   with s/n, and n tokens share it, so the derivative by each logprob is −As, as if s were the token's own ratio.
/// - real: nothing; its loss is not a token's.
/// - cispo: −sg(clip(ρ))·A·logp.
///
/// # Source
/// PPO, arXiv 1707.06347, eq. 7; dual clip, arXiv 1912.09729, eq. 5; GSPO, arXiv 2507.18071, eq. 5 and 7; CISPO, arXiv
/// 2506.13585, eq. 4.
pub(super) fn token_loss(
    logprob: f64,
    log_ratio: f64,
    sequence_log_ratio: f64,
    advantage: f64,
    config: &ObjectiveConfig,
) -> TokenLoss {
    let log_ratio = match config.loss_mode {
        LossMode::Gspo => sequence_log_ratio,
        LossMode::Vanilla | LossMode::Cispo | LossMode::Real => log_ratio,
    };
    let clamped = log_ratio.clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP);
    let ratio = clamped.exp();
    if config.loss_mode == LossMode::Real {
        return TokenLoss {
            value: 0.0,
            derivative: 0.0,
            ratio,
            clipped: false,
            clipped_lower: false,
        };
    }
    let within = ratio.clamp(1.0 - config.clip_ratio_low, 1.0 + config.clip_ratio_high);
    if config.loss_mode == LossMode::Cispo {
        let slope = -within * advantage;
        return TokenLoss {
            value: slope * logprob,
            derivative: slope,
            ratio,
            clipped: within != ratio,
            clipped_lower: false,
        };
    }
    let (unclipped, bounded) = (-advantage * ratio, -advantage * within);
    let clipped = bounded > unclipped;
    let value = unclipped.max(bounded);
    let ceiling = -advantage * config.clip_ratio_c;
    let clipped_lower = config.loss_mode == LossMode::Vanilla && advantage < 0.0 && value > ceiling;
    // Only the unclipped branch depends on the logprob, and only where the log ratio itself was not clamped.
    let moves = !clipped && !clipped_lower && clamped == log_ratio;
    TokenLoss {
        value: if clipped_lower { ceiling } else { value },
        derivative: if moves { unclipped } else { 0.0 },
        ratio,
        clipped,
        clipped_lower,
    }
}
