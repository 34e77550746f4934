//! SvS: solve, write variational problems from correct solutions, solve those too.
//!
//! Pure stages with typed groups and named reject reasons; they know neither the engine nor the log, so a scripted
//! engine can drive every one of them. Rules and where they come from: docs/svs.md.

pub mod extract;
pub mod prompts;
pub mod reject;

pub use extract::extract_problem;
pub use prompts::{PromptError, Prompts};
pub use reject::RejectReason;
