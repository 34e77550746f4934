//! SvS: solve, write variational problems from correct solutions, solve those too.
//!
//! Pure stages with typed groups and named reject reasons; they know neither the engine nor the log, so a scripted
//! engine can drive every one of them. Rules and where they come from: docs/svs.md.

pub mod band;
pub mod config;
pub mod extract;
pub mod filter;
pub mod funnel;
pub mod iteration;
pub mod keep;
pub mod prompts;
pub mod reject;
pub mod reward;
pub mod select;
mod solve;

pub use config::SvsConfig;
pub use extract::extract_problem;
pub use funnel::Funnel;
pub use iteration::{Ask, Iteration, Plan, Rollouts, iterate};
pub use prompts::{PromptError, Prompts};
pub use reject::RejectReason;
pub use solve::GroupFilter;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
