//! The edge of svs: command line, HTTP routes, metrics, OpenAPI document. It wires engine, trainer and verifier.
//!
//! `error` is the only place that maps errors to HTTP, `cli` the only one that uses `anyhow`. A request goes
//! `http` (guards, body) → `api` (handler) → `lower` (checks) → `session` (engine) → `record` (log) → `reply` or `stream`.

pub mod adapters;
pub mod api;
pub mod app;
pub mod assets;
pub mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub mod docs;
pub mod error;
pub mod files;
pub mod http;
pub mod jobs;
pub mod labels;
pub mod log_access;
pub mod lower;
pub mod metrics;
pub mod otlp;
pub mod own_folder;
pub mod page;
pub mod problem_files;
pub mod record;
pub mod reply;
pub mod responses;
pub mod running;
pub mod secret;
pub mod session;
pub mod sessions;
pub mod sleep;
pub mod stack;
pub mod stream;
pub mod updates;
