//! Where the decoder runs, and what can go wrong there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device that runs the decoder: `cpu`, `cuda` (the first) or `cuda:<n>` in configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The compute pool of this process.
    #[default]
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

/// How a CUDA device computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CudaMode {
    /// Own kernels in the CPU's order of every sum: a row's logits are the same bits alone and in any batch.
    #[default]
    Exact,
    /// cuBLAS and paged-attention kernels, whose order of sums depends on the batch.
    Fast,
}

impl CudaMode {
    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        }
    }
}

impl FromStr for CudaMode {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let modes = [Self::Exact, Self::Fast];
        let found = modes.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| DeviceError::UnknownMode(text.into()))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.into());
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", ordinal)) => ordinal.parse().map(Self::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// Why a device cannot be used, or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("`{0}` is no device: must be `cpu`, `cuda` or `cuda:<number>`")]
    Unknown(String),
    /// Not the name of a mode.
    #[error("`{0}` is no mode of a CUDA device: must be `exact` or `fast`")]
    UnknownMode(String),
    /// The binary lacks what the device needs.
    #[error("this binary was built without {lacks}: build it with `--features {feature}` (docs/cuda.md)")]
    NotBuilt {
        /// What it lacks.
        lacks: &'static str,
        /// Cargo feature that has it.
        feature: &'static str,
    },
    /// No usable device of that number.
    #[error("no CUDA device {ordinal}: {reason}")]
    Absent {
        /// Number asked for.
        ordinal: usize,
        /// What the driver said.
        reason: String,
    },
    /// The device's kernels could not be compiled.
    #[error("the CUDA kernels could not be compiled: {0}")]
    Compile(String),
    /// Weights and KV cache do not fit.
    #[error(
        "{weights} bytes of weights (two versions) + {kv} bytes of KV cache exceed the {free} bytes free on the device: lower kv_cache_bytes or use bf16 weights"
    )]
    Memory {
        /// Bytes of two versions of the weights.
        weights: usize,
        /// Bytes of the KV cache.
        kv: usize,
        /// Bytes free.
        free: usize,
    },
    /// A model whose shape the kernels do not take.
    #[error("{field} {value} is beyond the {limit} that the CUDA kernels take; use `cpu`")]
    Shape {
        /// Field of the model's configuration.
        field: &'static str,
        /// Its value.
        value: usize,
        /// Largest value taken.
        limit: usize,
    },
    /// A model or storage that the mode `fast` does not take.
    #[error("the CUDA mode `fast` does not take {field} {value}: it takes {takes}; use `exact`")]
    Unfit {
        /// Field of the model's configuration or of the storage.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is taken.
        takes: &'static str,
    },
    /// A call to the driver or a library failed.
    #[error("the CUDA device failed while {doing}: {reason}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the driver said.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("cuda:0", Device::Cuda(0)),
            ("cuda:12", Device::Cuda(12)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA"] {
            assert_eq!(text.parse::<Device>(), Err(DeviceError::Unknown(text.into())));
        }
    }
}
