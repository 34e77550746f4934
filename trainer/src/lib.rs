//! RLVR over our own engine: trajectory log, objective, optimizer, SvS, checkpoints, evaluation.
//!
//! Knows the engine and the verifier; knows no HTTP. Every group that is trained on is read from the trajectory log.

pub mod checkpoint;
mod clock;
pub mod crash;
pub mod eval;
pub mod export;
pub mod fanout;
pub mod hidden;
pub mod log;
pub mod objective;
pub mod optim;
pub mod policy;
pub mod problems;
mod recorded;
pub mod reward;
pub mod run;
pub mod seeds;
pub mod sft;
mod surprisal;
pub mod svs;
pub mod trajectory;

pub use log::TrajectoryLog;
pub use policy::Policy;
pub use problems::Problem;
pub use run::{TrainConfig, TrainerHandle};
pub use trajectory::{Group, Trajectory};
