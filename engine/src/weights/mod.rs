//! Packed serving weights, and the bounded store that versions and leases them.

use std::sync::Arc;

use crate::config::ModelConfig;
use crate::error::EngineError;
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

/// Versions held by an engine: the alias `policy`, leases of running sequences, references.
#[derive(Debug, Clone)]
pub struct WeightStore {}

impl WeightStore {
    /// A store whose `policy` is `first`, holding at most `capacity` sets.
    #[must_use]
    pub fn new(_first: Arc<WeightSet>, _capacity: usize) -> Self {
        unimplemented!()
    }

    /// The current policy.
    #[must_use]
    pub fn policy(&self) -> Arc<WeightSet> {
        unimplemented!()
    }

    /// Resolves `policy`, a version number or a label.
    ///
    /// # Errors
    /// [`EngineError::UnknownWeights`].
    pub fn resolve(&self, _name: Option<&str>) -> Result<Arc<WeightSet>, EngineError> {
        unimplemented!()
    }
}
