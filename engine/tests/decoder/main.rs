//! The decoder from outside: against transformers, and against itself under every batching.

mod fixture;
mod golden;
mod parity;
