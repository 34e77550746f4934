//! Packed serving weights, and the bounded store that versions and leases them.

mod read;
mod set;
mod store;

pub use read::TensorReader;
pub use set::WeightSet;
pub(crate) use set::{LayerTensors, LayerWeights, tensor};
pub use store::{ADAPTER_VERSIONS, WeightStore};
