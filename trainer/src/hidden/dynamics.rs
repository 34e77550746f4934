//! Effective rank of a response's hidden states, and how it grows along the response.

use serde::{Deserialize, Serialize};

use super::eigen::eigenvalues;

/// Added where a logarithm or a quotient could meet 0.
const EPSILON: f64 = 1e-8;
/// Eigenvalues below this share of the largest are rounding.
const NOISE: f64 = 1e-12;

/// What a response's hidden states did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Dynamics {
    /// Effective rank over all tokens.
    pub rank: f64,
    /// Mean growth of the rank of prefixes over the mean of the shorter ones.
    pub velocity: f64,
    /// Mean change of that growth.
    pub acceleration: f64,
}

/// Dynamics of `states`, `[tokens, hidden]` f32 row by row; prefixes every `stride` tokens of the last `window`.
///
/// # Source
/// VERL (repository hf618/VERL): ER, ERV, ERA.
pub(super) fn dynamics(states: &[f32], hidden: usize, stride: usize, window: usize) -> Dynamics {
    let tokens = states.len() / hidden.max(1);
    let recent = &states[tokens.saturating_sub(window) * hidden..];
    let recent_tokens = tokens.min(window);
    let lengths = (1..).map(|j| j * stride).take_while(|at| *at < recent_tokens);
    let ranks: Vec<f64> = lengths
        .map(|at| effective_rank(&recent[..(at + 1) * hidden], hidden))
        .collect();
    let mut growths = Vec::with_capacity(ranks.len());
    let mut before = 0.0;
    for (count, rank) in ranks.iter().enumerate() {
        if count > 0 {
            growths.push(rank - before / count as f64);
        }
        before += rank;
    }
    let changes: Vec<f64> = growths.windows(2).map(|pair| pair[1] - pair[0]).collect();
    Dynamics {
        rank: effective_rank(states, hidden),
        velocity: mean(&growths),
        acceleration: mean(&changes),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// exp of the entropy of the singular values' shares, of `states` centred over tokens; 0 for fewer than two tokens.
///
/// # Source
/// Roy and Vetterli, The effective rank, 2007.
fn effective_rank(states: &[f32], hidden: usize) -> f64 {
    let tokens = states.len() / hidden.max(1);
    if tokens < 2 {
        return 0.0;
    }
    let mut centred: Vec<f64> = states.iter().map(|value| f64::from(*value)).collect();
    for column in 0..hidden {
        let mean = (0..tokens).map(|token| centred[token * hidden + column]).sum::<f64>() / tokens as f64;
        (0..tokens).for_each(|token| centred[token * hidden + column] -= mean);
    }
    // Of the two products with the same eigenvalues other than 0, the smaller one.
    if hidden < tokens {
        centred = (0..hidden * tokens)
            .map(|at| centred[(at % tokens) * hidden + at / tokens])
            .collect();
    }
    let n = tokens.min(hidden);
    let width = centred.len() / n;
    let row = |i: usize| &centred[i * width..][..width];
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = row(i).iter().zip(row(j)).map(|(x, y)| x * y).sum();
            (gram[i * n + j], gram[j * n + i]) = (dot, dot);
        }
    }
    let squares = eigenvalues(&mut gram, n);
    let least = NOISE * squares.iter().copied().fold(0.0, f64::max);
    let singular: Vec<f64> = squares
        .iter()
        .filter(|value| **value > least)
        .map(|value| value.sqrt())
        .collect();
    let sum = singular.iter().sum::<f64>() + EPSILON;
    let entropy: f64 = singular
        .iter()
        .map(|value| value / sum)
        .map(|p| -p * (p + EPSILON).ln())
        .sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 2e-5, "{found} is not {wanted}");
    }

    #[test]
    fn the_golden_response() {
        let states: Vec<f32> = (0..12)
            .flat_map(|t| {
                (0..5).map(move |j| {
                    let (t, j) = (f64::from(t), f64::from(j));
                    ((0.7 * (t + 1.0) * (j + 1.0)).sin() + 0.1 * t * j.cos()) as f32
                })
            })
            .collect();
        let found = dynamics(&states, 5, 2, 512);
        close(found.rank, 4.757_760);
        close(found.velocity, 1.323_706);
        close(found.acceleration, -0.155_336);
        for (length, wanted) in [
            (3, 1.990_287),
            (5, 3.658_365),
            (7, 3.950_330),
            (9, 4.498_331),
            (11, 4.726_399),
        ] {
            close(effective_rank(&states[..length * 5], 5), wanted);
        }
        // The window holds the last tokens only, the rank is over all.
        let windowed = dynamics(&states, 5, 2, 6);
        assert_eq!(windowed.rank, found.rank);
        assert_eq!(windowed.velocity, dynamics(&states[30..], 5, 2, 512).velocity);
    }

    #[test]
    fn short_and_flat_responses_have_none() {
        for states in [vec![], vec![1.0; 4], vec![1.0; 16]] {
            let found = dynamics(&states, 4, 1, 512);
            // Equal states leave no singular value: the entropy of nothing is 0.
            let rank = if states.len() == 16 { 1.0 } else { 0.0 };
            assert_eq!((found.rank, found.velocity, found.acceleration), (rank, 0.0, 0.0));
        }
    }
}
