//! What `svs bench train` tells.

use std::fmt::Write;

use serde::Serialize;
use svs_engine::Storage;

use super::report::peak_memory_bytes;
use super::train::{TrainLoad, TrainRun};
use super::train_work::Work;

/// A phase of the step: its time beside the least that it must do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseReport {
    /// `rollout`, `update`, of which `forward_backward` is measured apart, or `publish`.
    pub name: &'static str,
    /// Its time.
    pub seconds: f64,
    /// Its operations and bytes.
    #[serde(flatten)]
    pub work: Work,
}

/// A training step in figures; `svs bench train --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainReport {
    /// Storage of the weights.
    pub weights: &'static str,
    /// Storage of keys and values.
    pub kv: &'static str,
    /// Problems of a step.
    pub problems: usize,
    /// Samples per problem.
    pub samples: usize,
    /// Length of a prompt.
    pub prompt_tokens: usize,
    /// Length of a response.
    pub response_tokens: u32,
    /// Tokens of prompts and responses, each sequence by itself.
    pub tokens: usize,
    /// Tokens that the update computes: what a group's sequences begin with in common counts once.
    pub rows: usize,
    /// Sampling the groups.
    pub rollout_seconds: f64,
    /// Grading the responses.
    pub verify_seconds: f64,
    /// From groups to moved parameters.
    pub update_seconds: f64,
    /// Forward and backward alone, on the rows of the update.
    pub forward_backward_seconds: f64,
    /// Packing the new weights and swapping them in.
    pub publish_seconds: f64,
    /// The whole step.
    pub step_seconds: f64,
    /// Tokens of sequences updated on per second of update.
    pub update_tokens_per_second: f64,
    /// The phases with the least operations and bytes of each.
    pub phases: Vec<PhaseReport>,
    /// Least operations of forward and backward over the rows.
    pub forward_backward_operations: f64,
    /// Their share of the machine's fused multiply-adds.
    pub fma_peak_fraction: f64,
    /// Fused multiply-adds that the machine was measured to do, two operations each.
    pub machine_flops: f64,
    /// Bytes a second that the machine was measured to read.
    pub machine_read_bytes_per_second: f64,
    /// Most memory the process has held: engine, two weight versions, optimizer, gradients and activations.
    pub rss_peak_bytes: u64,
}

impl TrainReport {
    /// Of a run of `load`.
    #[must_use]
    pub fn new(load: &TrainLoad, storage: Storage, run: &TrainRun) -> Self {
        let (seconds, work) = (run.seconds, run.work);
        let phase = |name, seconds, work| PhaseReport { name, seconds, work };
        let operations = work.forward_backward.operations;
        Self {
            weights: storage.weights.name(),
            kv: storage.kv.name(),
            problems: load.problems,
            samples: load.samples,
            prompt_tokens: load.prompt_tokens,
            response_tokens: load.response_tokens,
            tokens: run.tokens,
            rows: run.rows,
            rollout_seconds: seconds.rollout,
            verify_seconds: seconds.verify,
            update_seconds: seconds.update,
            forward_backward_seconds: seconds.forward_backward,
            publish_seconds: seconds.publish,
            step_seconds: seconds.step(),
            update_tokens_per_second: run.tokens as f64 / seconds.update,
            phases: vec![
                phase("rollout", seconds.rollout, work.rollout),
                phase("update", seconds.update, work.update),
                phase("forward_backward", seconds.forward_backward, work.forward_backward),
                phase("publish", seconds.publish, work.publish),
            ],
            forward_backward_operations: operations,
            fma_peak_fraction: operations / seconds.forward_backward / run.limits.flops,
            machine_flops: run.limits.flops,
            machine_read_bytes_per_second: run.limits.read_bytes,
            rss_peak_bytes: peak_memory_bytes().unwrap_or(0),
        }
    }

    /// A table for people.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} problems x {} samples, prompts of {} and responses of {} tokens; weights {}, KV {}",
            self.problems, self.samples, self.prompt_tokens, self.response_tokens, self.weights, self.kv
        );
        let _ = writeln!(
            out,
            "{} tokens in sequences, {} rows computed in the update\n",
            self.tokens, self.rows
        );
        let _ = writeln!(out, "{:<18} {:>9} {:>8}", "phase", "seconds", "of step");
        let phases = [
            ("rollout", self.rollout_seconds),
            ("verify", self.verify_seconds),
            ("update", self.update_seconds),
            ("publish", self.publish_seconds),
            ("step", self.step_seconds),
        ];
        for (name, seconds) in phases {
            let share = 100.0 * seconds / self.step_seconds;
            let _ = writeln!(out, "{name:<18} {seconds:>9.3} {share:>6.1} %");
        }
        let _ = writeln!(
            out,
            "\n{:<18} {:>9} {:>8} {:>9} {:>8} {:>8}",
            "least work of", "seconds", "TFLOP", "GFLOP/s", "GB", "GB/s"
        );
        for PhaseReport { name, seconds, work } in &self.phases {
            let per_second = |amount: f64| 1e-9 * amount / seconds.max(1e-9);
            let _ = writeln!(
                out,
                "{name:<18} {seconds:>9.3} {:>8.3} {:>9.1} {:>8.2} {:>8.1}",
                1e-12 * work.operations,
                per_second(work.operations),
                1e-9 * work.bytes,
                per_second(work.bytes)
            );
        }
        let _ = writeln!(
            out,
            "machine: {:.1} GFLOP/s of fused multiply-adds, of which forward and backward reach {:.1} %; reads {:.1} GB/s",
            self.machine_flops * 1e-9,
            100.0 * self.fma_peak_fraction,
            self.machine_read_bytes_per_second * 1e-9
        );
        let _ = writeln!(out, "peak memory {:.0} MB", self.rss_peak_bytes as f64 * 1e-6);
        out
    }
}
