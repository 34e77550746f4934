//! The step loop on its own thread, and the handle that the rest of the program holds.
//!
//! [`Engine`] is the loop's body and can be stepped by hand; [`EngineHandle`] talks to one over a bounded queue.

mod adapter;
mod compute;
mod embed;
mod engine;
mod generation;
mod handle;
mod lane;
mod lists;
mod live;
mod memory;
mod pause;
mod pooled;
mod report;
mod room;
mod score;
mod scoring;
mod sleep;
mod stats;
mod steer;
mod stop;
mod sweep;
#[cfg(test)]
mod tests;
mod thread;
mod validate;
mod wanted;

pub use embed::{EmbedRequest, EmbedRun, Embeddings};
pub use engine::{Engine, event_channel};
pub use generation::{Collected, Generation};
pub use handle::{EngineHandle, TrainingComputes};
pub use pause::PauseMode;
pub use score::{ScoreRequest, ScoreRun, Scores};
pub use stats::{EngineStats, PublishReport};
