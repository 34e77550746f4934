//! Whether there is memory for what is about to be taken, and the arithmetic where there is not.

use super::EngineHandle;
use crate::device::Device;
use crate::error::EngineError;
use crate::model::KvCache;

/// Refuses `parts`, bytes by what takes them, if they are more than is `available`; where the system does not tell, nothing
/// is refused.
///
/// # Errors
/// The sum, part by part.
pub(super) fn fit(parts: &[(&str, usize)], available: Option<usize>) -> Result<(), String> {
    let sum = parts.iter().fold(0usize, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let Some(available) = available.filter(|available| sum > *available) else {
        return Ok(());
    };
    let terms: Vec<String> = parts
        .iter()
        .map(|(name, bytes)| format!("{bytes} bytes of {name}"))
        .collect();
    Err(format!(
        "{} = {sum} bytes, {available} are available",
        terms.join(" + ")
    ))
}

/// Memory that can be had without swapping, where the system tells.
pub(super) fn available_bytes() -> Option<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<usize>()
        .ok()?
        .checked_mul(1024)
}

impl EngineHandle {
    /// Refuses to have `parts`, bytes by what takes them, taken from the memory of an engine on the CPU, which needs what its
    /// free KV blocks will take once they are written. Other devices have their own memory.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] with the arithmetic.
    pub fn room_for(&self, parts: &[(&str, usize)]) -> Result<(), EngineError> {
        if self.config().device != Device::Cpu {
            return Ok(());
        }
        let block_bytes = KvCache::bytes_per_block(self.model(), self.config().kv);
        let unwritten = ("free KV blocks", self.stats().kv_blocks_free * block_bytes);
        let parts: Vec<_> = parts.iter().copied().chain([unwritten]).collect();
        fit(&parts, available_bytes()).map_err(EngineError::NoRoom)
    }
}
