//! The engine serves what the run has learned: a publish waits for its turn where others hold all weight sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use svs_engine::runtime::{PublishReport, TrainingComputes};
use svs_engine::{EngineError, WeightSet};

use super::TrainError;
use super::runner::Runner;
use crate::crash;

/// Time between two looks whether a publish has room.
const ROOM_POLL: Duration = Duration::from_millis(20);

impl Runner {
    /// Makes the engine serve the weights of now. The training's `lane` ends with what it computes: a wait for room is none.
    pub(super) fn publish(
        &mut self,
        step: u64,
        lane: TrainingComputes,
        metrics: &mut BTreeMap<String, f64>,
    ) -> Result<(), TrainError> {
        self.control.phase("publish");
        let began = Instant::now();
        crash::point(crash::Point::Publish);
        let weights = self.policy.weight_set(&format!("step-{step}"));
        drop(lane);
        let published = self.publish_in_turn(&weights)?;
        metrics.insert("timing_s/update_weights".into(), began.elapsed().as_secs_f64());
        metrics.insert("publish/ms".into(), 1e3 * began.elapsed().as_secs_f64());
        metrics.insert("publish/pause_ms".into(), published.pause_ms);
        metrics.insert("publish/in_flight".into(), published.in_flight as f64);
        Ok(())
    }

    /// Publishes once there is room: requests and evaluations that hold older weights end, and a run is not lost to them.
    /// A stop ends the wait with an error: the last checkpoint stands, and what was learned since is learned again.
    pub(super) fn publish_in_turn(&self, weights: &Arc<WeightSet>) -> Result<PublishReport, TrainError> {
        let engine = &self.around.engine;
        let patience_s = self.memory.config.publish_wait_s;
        let began = Instant::now();
        let mut told = false;
        loop {
            let why = match engine.publish(Arc::clone(weights), engine.config().in_flight) {
                Err(EngineError::NoRoom(why)) => why,
                done => return Ok(done?),
            };
            let waited_s = began.elapsed().as_secs_f64();
            if waited_s >= patience_s || self.control.is_stopping() {
                let (label, version) = (&weights.label, weights.version);
                return Err(TrainError::Run(format!(
                    "`{label}` (version {version}) was not published in {waited_s:.1} s (publish_wait_s is {patience_s}): {why}"
                )));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(version = weights.version, "the publish waits: {why}");
            }
            std::thread::sleep(ROOM_POLL);
        }
    }
}
