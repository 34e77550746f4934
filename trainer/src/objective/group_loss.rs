//! Losses over the whole group: REAL.

use std::collections::BTreeMap;

use super::LossRow;
use super::token::LOG_RATIO_CLAMP;

/// Loss of one group from the scores s of its trajectories and its derivative by each:
/// log(1 + Σ over right ones of exp(−s/τ)) + log(1 + Σ over wrong ones of exp(s/τ)). A group of right ones only, or of wrong
/// ones only, has none.
///
/// # Source
/// REAL, arXiv 2602.05630: classification of right and wrong, the 1 standing for an anchor at logit 0.
fn real(scores: &[(f64, bool)], tau: f64) -> (f64, Vec<f64>) {
    let right = scores.iter().filter(|(_, right)| *right).count();
    if right == 0 || right == scores.len() {
        return (0.0, vec![0.0; scores.len()]);
    }
    let weight = |(score, right): &(f64, bool)| (if *right { -score / tau } else { score / tau }).exp();
    let sum = |of: bool| 1.0 + scores.iter().filter(|(_, right)| *right == of).map(weight).sum::<f64>();
    let (sum_right, sum_wrong) = (sum(true), sum(false));
    let slope = |row: &(f64, bool)| match row.1 {
        true => -weight(row) / (tau * sum_right),
        false => weight(row) / (tau * sum_wrong),
    };
    (sum_right.ln() + sum_wrong.ln(), scores.iter().map(slope).collect())
}

/// A row's part of its group's loss, and the derivative of that loss by the mean log ratio of the row's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RowSlope {
    pub(super) value: f64,
    pub(super) slope: f64,
}

/// REAL's loss by row; rows with the same `group` are one group and must all be here. A trajectory is right if its
/// advantage is positive; its score is the mean log ratio of its tokens.
pub(super) fn real_by_row(rows: &[LossRow<'_>], tau: f64) -> Vec<RowSlope> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        groups.entry(row.group).or_default().push(at);
    }
    let mut slopes = vec![RowSlope::default(); rows.len()];
    for members in groups.values() {
        let score = |at: &usize| {
            let mean = rows[*at].mean_log_ratio();
            (
                mean.clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP),
                rows[*at].advantage.is_right(),
            )
        };
        let scores: Vec<(f64, bool)> = members.iter().map(score).collect();
        let (value, each) = real(&scores, tau);
        for (at, slope) in members.iter().zip(each) {
            slopes[*at] = RowSlope {
                value: value / members.len() as f64,
                slope,
            };
        }
    }
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_group_by_hand() {
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
        let (loss, slopes) = real(&[(0.1, true), (-0.2, true), (0.3, false), (0.0, false)], 0.5);
        close(loss, 2.537_921);
        for (found, wanted) in slopes.into_iter().zip([-0.494_618, -0.901_253, 0.953_460, 0.523_270]) {
            close(found, wanted);
        }
        // On policy every score is 0: 2 ln 3, and every slope is 2/3 in size.
        let (loss, slopes) = real(&[(0.0, true), (0.0, true), (0.0, false), (0.0, false)], 0.5);
        close(loss, 2.197_225);
        assert!(slopes.iter().all(|slope| (slope.abs() - 2.0 / 3.0).abs() < 1e-12));
        assert_eq!(real(&[(0.3, true), (0.1, true)], 0.5), (0.0, vec![0.0, 0.0]));
    }
}
