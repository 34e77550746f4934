//! Handlers by route.

pub mod adapters;
pub mod answer;
pub mod chat;
pub mod completions;
pub mod control;
pub mod describe;
pub mod embeddings;
pub mod files;
pub mod graders;
pub mod jobs;
pub mod models;
pub mod native;
pub mod operate;
pub mod pause;
pub mod problems;
pub mod responses;
pub mod rl;
pub mod score;
pub mod sleep;
pub mod steer;
pub mod token_generation;
pub mod tokenize;
pub mod train;
pub mod trajectories;
pub mod update_steps;
pub mod updates;
