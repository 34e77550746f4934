//! End-to-end tests: one binary, one module per area.
#![allow(clippy::unwrap_used)] // a test may fail where it stands
mod tidy;
mod training;
