//! The reward of writing a problem: how often the policy solves it, judged against the original answer.

use svs_verifier::Verdict;

use super::band::{Band, Score};
use super::{RejectReason, SvsConfig};
use crate::trajectory::GraderVerdict;

/// What became of one synthesis output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It never became a problem.
    Rejected(RejectReason),
    /// It was solved so often.
    Solved(Score),
}

/// The finding on a synthesis output: 1 if its problem lies in the positive band, else 0. What a cap left out and
/// what the grader could not judge has no reward and leaves the group's statistics.
#[must_use]
pub fn judge(outcome: Outcome, config: &SvsConfig) -> GraderVerdict {
    let band = Band {
        lower: config.positive_synthesis_acc_lower,
        upper: config.positive_synthesis_acc_upper,
    };
    let (grader, verdict) = match outcome {
        Outcome::Rejected(RejectReason::Capped) => ("svs/capped".into(), Verdict::Infrastructure),
        Outcome::Rejected(reason) => {
            let unmarked = matches!(
                reason,
                RejectReason::NoMarker | RejectReason::Unclosed | RejectReason::Empty
            );
            (
                format!("svs/{}", reason.name()),
                if unmarked { Verdict::NoAnswer } else { Verdict::Wrong },
            )
        }
        Outcome::Solved(score) if score.graded == 0 => ("svs/ungraded".into(), Verdict::Infrastructure),
        Outcome::Solved(score) if band.holds(score) => ("svs/band".into(), Verdict::Correct),
        Outcome::Solved(_) => ("svs/band".into(), Verdict::Wrong),
    };
    GraderVerdict {
        grader,
        verdict,
        reward: verdict.reward(),
        explanation: None,
    }
}
