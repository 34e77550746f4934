//! Adapters beside the policy: merged parameters, packed and pinned under a version of their own.

use std::sync::Arc;

use super::EngineHandle;
use crate::error::EngineError;
use crate::params::{ParamLayout, Params};
use crate::weights::WeightSet;

impl EngineHandle {
    /// A version for an adapter, if there is a place in the store and memory to merge and pack it.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] with the arithmetic.
    pub fn adapter_version(&self) -> Result<u64, EngineError> {
        let merged = size_of::<f32>() * ParamLayout::of(self.model()).len;
        let packed = self.weights().policy().bytes();
        self.room_for(&[("merged parameters", merged), ("packed weights", packed)])?;
        self.weights().adapter_version()
    }

    /// Packs merged parameters as the policy is packed, and keeps them as `version` under `name` until they are unpinned.
    /// Takes as long as packing does; requests run meanwhile.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`], [`EngineError::IncompatibleWeights`].
    pub fn pin_adapter(&self, version: u64, name: &str, merged: &Params) -> Result<Arc<WeightSet>, EngineError> {
        let storage = self.weights().policy().storage;
        let set = Arc::new(WeightSet::pack_as(storage, self.model(), merged, version, name));
        self.weights().pin(Arc::clone(&set))?;
        Ok(set)
    }
}
