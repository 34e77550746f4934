//! Where a check runs.

use svs_engine::model::Executor;
use svs_engine::{CudaMode, Device, WeightSet};

/// A device in one of its modes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) mode: CudaMode,
}

impl Place {
    pub(crate) const CPU: Self = Self {
        device: Device::Cpu,
        mode: CudaMode::Exact,
    };

    /// An executor with so many KV blocks.
    pub(crate) fn executor(self, weights: &WeightSet, blocks: usize) -> Executor {
        Executor::new(self.device, self.mode, weights, blocks).expect("the device is there")
    }

    /// Sizes of teams that the check runs in; they matter on the CPU only.
    pub(crate) fn threads(self) -> &'static [usize] {
        match self.device {
            Device::Cpu => &[1, 2, 6],
            Device::Cuda(_) => &[1],
        }
    }
}
