//! Rewards to advantages to per-token derivatives, in f64 over whole groups, on the driver.
//!
//! Knows logprobs, entropies and rewards; knows no tensors, no model and no recipe. The engine back-propagates
//! Σ dL/dlogp·logp + dL/dH·H, so nothing about a loss needs to exist anywhere else.

mod advantage;
mod aggregate;
mod config;
mod group_loss;
mod loss;
mod overlong;
mod token;

#[cfg(test)]
mod tests;

pub use advantage::{AdvantageError, advantages, group_advantages};
pub use aggregate::Denominator;
pub use config::{AdvEstimator, LossAggMode, LossMode, ObjectiveConfig};
pub use loss::{Advantage, LossOutput, LossRow, LossSums, policy_loss};
pub use overlong::OverlongBuffer;
