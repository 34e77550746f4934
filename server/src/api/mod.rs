//! Handlers by route.

pub mod adapters;
pub mod chat;
pub mod completions;
pub mod models;
pub mod operate;
pub mod pause;
pub mod score;
pub mod train;
