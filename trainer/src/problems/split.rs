//! A held-out part that does not depend on the order of the problems and never shares a question with the rest.

use sha2::{Digest, Sha256};

use super::Problem;
use super::files::ProblemError;

/// Splits problems into training and held-out ones, both in their given order.
///
/// About `held_out_fraction` of the problems are held out: those whose seeded hash of the question (words, case and
/// spacing aside) is smallest. Copies of a question stay together, so the part may be larger by the copies of one.
///
/// # Errors
/// [`ProblemError::Fraction`] if the fraction is not in [0, 1].
pub fn split(
    problems: Vec<Problem>,
    held_out_fraction: f64,
    seed: u64,
) -> Result<(Vec<Problem>, Vec<Problem>), ProblemError> {
    if !(0.0..=1.0).contains(&held_out_fraction) {
        return Err(ProblemError::Fraction {
            fraction: held_out_fraction,
        });
    }
    let keys: Vec<[u8; 32]> = problems.iter().map(|problem| key(&problem.question, seed)).collect();
    let wanted = (problems.len() as f64 * held_out_fraction).round() as usize;
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let Some(last) = wanted.checked_sub(1).and_then(|at| sorted.get(at)) else {
        return Ok((problems, Vec::new()));
    };
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (problem, key) in problems.into_iter().zip(&keys) {
        if key <= last {
            held_out.push(problem)
        } else {
            train.push(problem)
        }
    }
    Ok((train, held_out))
}

fn key(question: &str, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"svs held-out split");
    hash.update(seed.to_le_bytes());
    for word in question.split_whitespace() {
        hash.update(word.to_lowercase().as_bytes());
        hash.update(b" ");
    }
    hash.finalize().into()
}
