//! End-to-end tests: one binary, one module per area.
#![allow(clippy::unwrap_used, clippy::type_complexity)] // a test may fail where it stands
mod api;
mod bench;
mod demo;
mod tidy;
mod training;
