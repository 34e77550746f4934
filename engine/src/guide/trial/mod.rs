//! Trying a guide in a process of its own, under limits that the kernel enforces.
//!
//! A schema of forty bytes (`multipleOf` a large number) or a grammar of a kilobyte (terminals that double in each
//! line) can ask for minutes and gigabytes before the first token, and the grammar library does not count all of that
//! work. So a guide that is not known yet is compiled in a child first, whose processor time and memory are bounded;
//! only what the child managed is compiled here. What follows the compiling is bounded by counts, token by token.

mod child;
mod parent;

use serde::{Deserialize, Serialize};

use super::vocabulary::Vocabulary;
use super::{Guide, GuideLimits};

pub use child::run_child;
pub(super) use parent::try_guide;

/// Longest sentence that a child says.
const MAX_SENTENCE_BYTES: usize = 2048;

/// What a child is asked.
#[derive(Serialize, Deserialize)]
struct Question {
    limits: GuideLimits,
    /// Bytes and control tokens: a whole vocabulary would take longer to read than most guides take to compile, and
    /// the work that depends on it is counted.
    letters: Vocabulary,
    guide: Guide,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It compiles, and takes so much memory.
    Bytes(usize),
    /// What is wrong with it.
    Refused(String),
}
