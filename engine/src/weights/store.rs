//! Versions held by an engine: the alias `policy`, leases of running sequences, references.

use std::sync::Arc;

use super::WeightSet;
use crate::error::EngineError;

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
