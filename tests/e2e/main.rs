//! End-to-end tests: one binary, one module per area.
#![allow(clippy::unwrap_used, clippy::type_complexity)] // a test may fail where it stands
mod api;
mod bench;
mod demo;
#[cfg(target_os = "linux")]
mod sandbox;
mod tidy;
mod training;
