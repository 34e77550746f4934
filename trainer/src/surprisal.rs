//! Entropy of a sampling distribution, estimated from what was sampled: no logits of other tokens are needed.

/// Running sum of -logprob over sampled tokens. Its mean is an unbiased estimate of what the entropy is on average over
/// the places sampled from; at temperature 1 and without filters, the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Surprisal {
    nats: f64,
    tokens: u64,
}

impl Surprisal {
    /// Adds the behaviour logprobs of a response.
    pub(crate) fn add(&mut self, logprobs: &[f32]) {
        self.nats -= logprobs.iter().map(|logprob| f64::from(*logprob)).sum::<f64>();
        self.tokens += logprobs.len() as u64;
    }

    /// Nats per token; `None` before the first token.
    pub(crate) fn mean(self) -> Option<f64> {
        (self.tokens > 0).then(|| self.nats / self.tokens as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_over_tokens_not_over_responses() {
        let mut surprisal = Surprisal::default();
        assert_eq!(surprisal.mean(), None);
        surprisal.add(&[-0.5, -1.5, -1.0]);
        surprisal.add(&[]);
        surprisal.add(&[-3.0]);
        assert_eq!(surprisal.mean(), Some(1.5));
    }

    #[test]
    fn it_finds_the_entropy_of_a_known_distribution() {
        // Half, a quarter, two eighths: 1.75 bits. Drawn here exactly as often as expected.
        let draws: Vec<f32> = [(0.5_f32, 4), (0.25, 2), (0.125, 1), (0.125, 1)]
            .into_iter()
            .flat_map(|(share, count)| std::iter::repeat_n(share.ln(), count))
            .collect();
        let mut surprisal = Surprisal::default();
        surprisal.add(&draws);
        let found = surprisal.mean().expect("tokens");
        assert!((found - 1.75 * std::f64::consts::LN_2).abs() < 1e-7, "{found}");
    }
}
