//! Measures that count the runs of n words two texts share.

use std::collections::HashMap;

use super::harmonic;

/// Longest runs that BLEU and GLEU count.
pub(crate) const LONGEST: usize = 4;

/// How many runs of n words each text has, and how many they share, each run as often as the rarer side has it.
#[derive(Debug, Clone, Copy)]
struct Runs {
    reference: u64,
    input: u64,
    shared: u64,
}

impl Runs {
    fn count(reference: &[u32], input: &[u32], n: usize) -> Self {
        let mut left: HashMap<&[u32], u64> = HashMap::new();
        for run in reference.windows(n) {
            *left.entry(run).or_default() += 1;
        }
        let mut shared = 0;
        for run in input.windows(n) {
            if let Some(left) = left.get_mut(run).filter(|left| **left > 0) {
                *left -= 1;
                shared += 1;
            }
        }
        let runs = |tokens: &[u32]| (tokens.len() + 1).saturating_sub(n) as u64;
        Self {
            reference: runs(reference),
            input: runs(input),
            shared,
        }
    }
}

/// BLEU of one sentence without smoothing, as `nltk.translate.bleu_score.sentence_bleu` computes it: an order without a
/// shared run counts as the smallest positive number, not as 0.
pub(crate) fn bleu(reference: &[u32], input: &[u32]) -> f64 {
    let mut logarithms = 0.0;
    for n in 1..=LONGEST {
        let runs = Runs::count(reference, input, n);
        if n == 1 && runs.shared == 0 {
            return 0.0;
        }
        let precision = match runs.shared {
            0 => f64::MIN_POSITIVE,
            shared => shared as f64 / runs.input as f64,
        };
        logarithms += precision.ln() / LONGEST as f64;
    }
    let brevity = if input.len() > reference.len() {
        1.0
    } else {
        (1.0 - reference.len() as f64 / input.len() as f64).exp()
    };
    brevity * logarithms.exp()
}

/// Google's BLEU: the shared runs of up to four words over those of the text that has more.
pub(crate) fn gleu(reference: &[u32], input: &[u32]) -> f64 {
    let runs = (1..=LONGEST).map(|n| Runs::count(reference, input, n));
    let (shared, ours, theirs) = runs.fold((0, 0, 0), |(shared, ours, theirs), runs| {
        (shared + runs.shared, ours + runs.reference, theirs + runs.input)
    });
    shared as f64 / ours.max(theirs).max(1) as f64
}

/// ROUGE-n: the harmonic mean of precision and recall of runs of n words.
pub(crate) fn rouge_n(reference: &[u32], input: &[u32], n: usize) -> f64 {
    let runs = Runs::count(reference, input, n);
    harmonic(runs.shared, runs.input, runs.reference)
}
