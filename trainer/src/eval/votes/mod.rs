//! What the samples of a problem say together: how often they give each answer, what a majority of k of them would
//! choose, and how much they disagree. Numbers in, numbers out.

use svs_verifier::{Answers, MathOptions, Verdict};

/// Whose answers count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// What the grader accepts: one answer, however it is written.
    Right,
    /// A class of equal other answers.
    Other(usize),
}

/// The answers of a problem's samples, told apart as they come.
#[derive(Debug)]
pub(super) struct Ballot {
    answers: Answers,
    /// A response in which no answer is found is its own answer: what a grader other than mathematics looks at.
    whole: bool,
    seen: Vec<Answer>,
}

impl Ballot {
    /// Nobody has voted. With `whole`, a response without a recognisable answer counts as one.
    pub(super) fn new(options: &MathOptions, whole: bool) -> Self {
        Self {
            answers: Answers::new(options),
            whole,
            seen: Vec::new(),
        }
    }

    /// Which answer, counted in the order in which they first came, a graded response gives, and whether it is the
    /// right one; `None` if it gives none.
    pub(super) fn vote(&mut self, response: &str, verdict: Verdict) -> Option<(usize, bool)> {
        let other = |answers: &mut Answers| match answers.class_of(response) {
            None if self.whole => Some(answers.class_of_answer(response)),
            found => found,
        };
        let answer = match verdict {
            Verdict::Correct => Answer::Right,
            _ => Answer::Other(other(&mut self.answers)?),
        };
        let found = self.seen.iter().position(|seen| *seen == answer);
        let at = found.unwrap_or_else(|| {
            self.seen.push(answer);
            self.seen.len() - 1
        });
        Some((at, answer == Answer::Right))
    }
}

/// The probability that among `k` of the samples, drawn without replacement, the answer `right` has the most votes.
/// `counts` are samples by answer in the order in which the answers first came, `silent` samples without an answer: they
/// may be drawn but have no vote. Of answers with equally many votes the earliest in `counts` is chosen. `None` if `k` is
/// 0 or exceeds the samples.
///
/// Exact: independent draws, each sample with probability k/n, have every subset of k alike given that they are k; so the
/// votes of the answers are independent binomials, multiplied as polynomials and divided by the probability of k.
#[must_use]
pub fn maj_at_k(counts: &[u32], silent: u32, right: Option<usize>, k: u32) -> Option<f64> {
    let n = counts.iter().sum::<u32>() + silent;
    if k == 0 || k > n {
        return None;
    }
    let Some(right) = right.filter(|&right| counts.get(right).is_some_and(|count| *count > 0)) else {
        return Some(0.0);
    };
    if k == n {
        return Some(f64::from(u8::from(first_of_most(counts) == Some(right))));
    }
    let draws = Draws::new(n, k);
    let own = draws.of(counts[right]);
    let wins = (1..=k.min(counts[right])).map(|votes| {
        let rest = (k - votes) as usize;
        let mut others = cut(draws.of(silent), rest);
        for (at, count) in counts.iter().enumerate().filter(|(at, _)| *at != right) {
            let most = if at < right { votes - 1 } else { votes };
            others = product(&others, &cut(draws.of(*count), most as usize), rest);
        }
        own[votes as usize] * others.get(rest).copied().unwrap_or(0.0)
    });
    Some((wins.sum::<f64>() / draws.of(n)[k as usize]).min(1.0))
}

/// The first of the largest.
fn first_of_most(counts: &[u32]) -> Option<usize> {
    let most = counts.iter().max()?;
    counts.iter().position(|count| count == most)
}

/// Binomial distributions at the rate k/n.
struct Draws {
    /// ln i! by i.
    ln_factorial: Vec<f64>,
    rate: f64,
}

impl Draws {
    fn new(n: u32, k: u32) -> Self {
        let ln_factorial = (0..=n).scan(0.0, |sum, i| {
            *sum += f64::from(i.max(1)).ln();
            Some(*sum)
        });
        Self {
            ln_factorial: ln_factorial.collect(),
            rate: f64::from(k) / f64::from(n),
        }
    }

    /// The probability of drawing t of `count` samples, by t.
    fn of(&self, count: u32) -> Vec<f64> {
        let ln = |i: u32| self.ln_factorial[i as usize];
        let probability = |t: u32| {
            let ways = ln(count) - ln(t) - ln(count - t);
            (ways + f64::from(t) * self.rate.ln() + f64::from(count - t) * (1.0 - self.rate).ln()).exp()
        };
        (0..=count).map(probability).collect()
    }
}

/// The first terms, up to the power `most`.
fn cut(mut terms: Vec<f64>, most: usize) -> Vec<f64> {
    terms.truncate(most + 1);
    terms
}

/// The product of two polynomials, up to the power `most`.
fn product(a: &[f64], b: &[f64], most: usize) -> Vec<f64> {
    let mut terms = vec![0.0; (a.len() + b.len() - 1).min(most + 1)];
    for (i, x) in a.iter().enumerate() {
        for (term, y) in terms.iter_mut().skip(i).zip(b) {
            *term += x * y;
        }
    }
    terms
}

/// Entropy of the distribution of answers, nats; `None` without answers. The plug-in estimate: at most the logarithm of
/// the number of samples.
///
/// # Source
/// Shannon, A Mathematical Theory of Communication, 1948: −Σ p ln p.
#[must_use]
pub fn entropy(counts: &[u32]) -> Option<f64> {
    let all = f64::from(counts.iter().sum::<u32>());
    let shares = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all);
    (all > 0.0).then(|| shares.map(|share| -share * share.ln()).sum::<f64>().max(0.0))
}

#[cfg(test)]
mod tests;
