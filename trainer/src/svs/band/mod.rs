//! How well a group did, and whether that lies in a band.

use svs_verifier::Verdict;

use crate::trajectory::{Group, Trajectory};

/// Counts of a graded group; members without a reward (the grader's fault) do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Members found correct.
    pub correct: u32,
    /// Members graded.
    pub graded: u32,
}

impl Score {
    /// Counts the graders' last findings in `group`: the binary verdict, never a shaped reward.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        let mut score = Self::default();
        for verdict in group.members.iter().filter_map(|member| member.verdicts.last()) {
            if verdict.reward.is_some() {
                score.graded += 1;
                score.correct += u32::from(verdict.verdict == Verdict::Correct);
            }
        }
        score
    }

    /// Share found correct; 0 for an ungraded group.
    #[must_use]
    pub fn accuracy(self) -> f64 {
        if self.graded == 0 {
            0.0
        } else {
            f64::from(self.correct) / f64::from(self.graded)
        }
    }

    /// Neither all right nor all wrong.
    #[must_use]
    pub fn is_mixed(self) -> bool {
        0 < self.correct && self.correct < self.graded
    }
}

/// Whether the last rewards in `group` differ: the only groups with a gradient. Of right and wrong answers it is that the
/// group is mixed.
#[must_use]
pub fn has_contrast(group: &Group) -> bool {
    let mut rewards = group.members.iter().filter_map(|member| member.verdicts.last()?.reward);
    rewards
        .next()
        .is_some_and(|first| rewards.any(|reward| reward != first))
}

/// Whether the last finding on `member` is that it is correct.
#[must_use]
pub fn is_correct(member: &Trajectory) -> bool {
    member
        .verdicts
        .last()
        .is_some_and(|finding| finding.verdict == Verdict::Correct)
}

/// A band of accuracies, `lower..=upper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Least accuracy.
    pub lower: f64,
    /// Greatest accuracy.
    pub upper: f64,
}

impl Band {
    /// The inclusive counts `ceil(lower·n)..=floor(upper·n)`. A relative slack of 1e-9 keeps 0.1·10 at exactly 1.
    #[must_use]
    pub fn counts(self, n: u32) -> (u32, u32) {
        let slack = f64::from(n) * 1e-9;
        let least = (self.lower * f64::from(n) - slack).ceil().max(0.0);
        let greatest = (self.upper * f64::from(n) + slack).floor().min(f64::from(n));
        (least as u32, greatest as u32)
    }

    /// Whether `score` lies in the band. An ungraded group lies in none.
    #[must_use]
    pub fn holds(self, score: Score) -> bool {
        let (least, greatest) = self.counts(score.graded);
        score.graded > 0 && (least..=greatest).contains(&score.correct)
    }
}

#[cfg(test)]
mod tests;
