//! The HTTP API over a real server: a tiny random-weight model, its engine and log, real sockets.

mod adapters;
mod bad_input;
mod browse;
mod controls;
mod describe;
mod generate;
mod graders;
mod guided;
pub(crate) mod harness;
mod judge;
mod keys;
mod metrics;
mod multibyte;
mod operate;
mod pause;
mod score;
mod sessions;
mod stream;
mod token_generation;
mod token_refused;
mod tokenize;
mod tools;
mod trajectories;
mod updates;
mod updates_refused;
