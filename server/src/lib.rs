//! The edge of svs: command line, HTTP routes, metrics, OpenAPI document. It wires engine, trainer and verifier.
//!
//! `error` is the only place that maps errors to HTTP, `cli` the only one that uses `anyhow`.

pub mod assets;
pub mod cli;
