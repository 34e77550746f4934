//! Pure graders: deterministic, total, bounded in steps; no tensors, no async, no network. And the sandbox, for the one
//! grader that runs programs.

mod algebra;
mod answers;
mod budget;
mod compare;
mod explain;
mod formula;
mod grade;
mod grader;
pub mod inquiry;
mod objects;
mod options;
mod parity;
pub mod quality;
mod read;
mod respelled;
pub mod sandbox;
mod schema;
mod second;
mod similarity;
pub mod spec;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

pub use answers::Answers;
pub use explain::{Explanation, Reading, explain_math};
pub use grade::grade_math;
pub use grader::{Case, Fault, Grader, Scored};
pub use options::{MathOptions, Profile, Units};
pub use text::boxes::last_boxed;
pub use text::extract::{ExtractRules, Extracted, extract_answer};

/// What a grader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Equal to the gold answer.
    Correct,
    /// An answer, not equal.
    Wrong,
    /// No answer was found in the prediction.
    NoAnswer,
    /// An answer was found but cannot be read.
    Unparseable,
    /// The step budget ran out on the prediction.
    OverBudget,
    /// The gold answer cannot be read, or the grader itself failed: no reward, never 0.
    Infrastructure,
}

impl Verdict {
    /// 1 for correct, 0 for every other finding about the prediction, `None` where the fault is not the prediction's.
    #[must_use]
    pub fn reward(self) -> Option<f64> {
        match self {
            Self::Correct => Some(1.0),
            Self::Wrong | Self::NoAnswer | Self::Unparseable | Self::OverBudget => Some(0.0),
            Self::Infrastructure => None,
        }
    }
}

/// A verdict and how it was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    /// The verdict.
    pub verdict: Verdict,
    /// The answer found in the prediction.
    pub extracted: Option<String>,
    /// Steps counted, not clocked.
    pub steps: u64,
    /// The rule that decided.
    pub rule: String,
    /// The rule that found the answer; absent where none was found.
    #[serde(default)]
    pub found_by: Option<String>,
}
