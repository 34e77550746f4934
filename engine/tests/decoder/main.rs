//! The decoder from outside: against transformers, and against itself under every batching.
#![allow(clippy::unwrap_used)] // a test may fail where it stands

mod fixture;
mod golden;
mod parity;
