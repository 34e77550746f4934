//! End-to-end tests: one binary, one module per area.
mod tidy;
mod training;
