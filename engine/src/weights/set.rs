//! Serving weights of one version, packed for the kernels.

use crate::config::ModelConfig;
use crate::params::Params;

/// Serving weights of one version, packed for the kernels. Immutable; shared by `Arc`.
#[derive(Debug)]
pub struct WeightSet {
    /// Shape of the model.
    pub config: ModelConfig,
    /// Version, unique in a store; grows with each publish.
    pub version: u64,
    /// Human name, e.g. `base`, `step-12`.
    pub label: String,
}

impl WeightSet {
    /// Packs master parameters (copied, so later optimizer steps do not show through).
    #[must_use]
    pub fn pack(_config: &ModelConfig, _params: &Params, _version: u64, _label: &str) -> Self {
        unimplemented!()
    }
}
