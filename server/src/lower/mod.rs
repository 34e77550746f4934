//! Wire requests → a checked [`Plan`]: token prompts, sampling parameters, what to report, what to log.
//!
//! Every range is checked here or in the engine, and every refusal names its field; nothing has run yet.

mod intent;
mod plan;
mod sampling;

pub use intent::Intent;
pub use plan::{Outputs, Plan, PromptPlan, plan_chat, plan_completion};
