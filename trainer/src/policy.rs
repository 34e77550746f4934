//! The policy being trained: master parameters, optimizer state, version; one `update` per step.

use std::sync::Arc;

use svs_engine::WeightSet;

/// Master parameters with their optimizer.
#[derive(Debug)]
pub struct Policy {}

impl Policy {
    /// Packs the current parameters for serving.
    #[must_use]
    pub fn weight_set(&self, _label: &str) -> Arc<WeightSet> {
        unimplemented!()
    }
}
