//! The HTTP API over a real server: a tiny random-weight model, its engine and log, real sockets.

mod adapters;
mod bad_input;
mod generate;
mod guided;
mod harness;
mod multibyte;
mod operate;
mod pause;
mod score;
mod stream;
mod trajectories;
