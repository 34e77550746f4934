//! Why a synthesis output or a context was not used; each reason is a metric of its own.

use serde::{Deserialize, Serialize};

/// Why something produced in an iteration was not used further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// No fence and no heading: the output contains no problem.
    #[error("no problem is marked in the output")]
    NoMarker,
    /// A fence was opened and never closed, usually because the output was cut off.
    #[error("the fence around the problem is not closed")]
    Unclosed,
    /// The marked problem is blank.
    #[error("the marked problem is empty")]
    Empty,
    /// The prompt made of it is longer than the limit.
    #[error("the prompt would be too long")]
    TooLong,
    /// The text contains the reference answer in boxed form.
    #[error("the text gives the reference answer away")]
    Leak,
    /// The text restates the seed question.
    #[error("the text copies its seed question")]
    Copy,
    /// The same text came earlier in the iteration.
    #[error("the text repeats an earlier synthetic problem")]
    Duplicate,
    /// A cap on the number of synthetic problems was reached.
    #[error("a cap of the iteration was reached")]
    Capped,
}

impl RejectReason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 8] = [
        Self::NoMarker,
        Self::Unclosed,
        Self::Empty,
        Self::TooLong,
        Self::Leak,
        Self::Copy,
        Self::Duplicate,
        Self::Capped,
    ];

    /// Name in metrics, e.g. `no_marker`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoMarker => "no_marker",
            Self::Unclosed => "unclosed",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Leak => "leak",
            Self::Copy => "copy",
            Self::Duplicate => "duplicate",
            Self::Capped => "capped",
        }
    }
}
