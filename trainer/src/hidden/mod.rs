//! What hidden states tell about a response, and the advantages that it shapes (VERL).
//!
//! The engine shows each state to a tap; ours keeps those of a response until it has ended and is reduced to three numbers.
//! Knows no model and no loss.

mod dynamics;
mod eigen;
mod shaping;
mod states;

pub use dynamics::Dynamics;
pub use shaping::{Bonuses, HiddenShaping, Means, Scope};
pub use states::{Response, States};
