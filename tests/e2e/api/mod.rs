//! The HTTP API over a real server: a tiny random-weight model, its engine and log, real sockets.

mod bad_input;
mod generate;
mod harness;
mod operate;
mod pause;
mod stream;
mod trajectories;
