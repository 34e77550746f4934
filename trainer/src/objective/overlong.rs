//! Soft punishment of responses that come near the limit of their length.

use serde::{Deserialize, Serialize};

/// `[algorithm.overlong_buffer]`, verl's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverlongBuffer {
    /// Tokens before the limit over which the penalty grows; 0 turns it off.
    pub len: u32,
    /// The penalty at the limit.
    pub penalty_factor: f64,
}

impl Default for OverlongBuffer {
    fn default() -> Self {
        Self {
            len: 0,
            penalty_factor: 1.0,
        }
    }
}

impl OverlongBuffer {
    /// What is added to the reward of a response of `length` tokens where `longest` are allowed: 0 up to the buffer, falling
    /// linearly to −`penalty_factor` at the limit and beyond.
    ///
    /// # Source
    /// DAPO, arXiv 2503.14476, eq. 13.
    #[must_use]
    pub fn penalty(&self, length: usize, longest: u32) -> f64 {
        if self.len == 0 {
            return 0.0;
        }
        let free = f64::from(longest) - f64::from(self.len);
        let over = (length as f64 - free) / f64::from(self.len);
        -over.clamp(0.0, 1.0) * self.penalty_factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_over_the_buffer() {
        let buffer = OverlongBuffer {
            len: 4,
            penalty_factor: 0.5,
        };
        for (length, wanted) in [(0, 0.0), (12, 0.0), (13, -0.125), (14, -0.25), (16, -0.5), (20, -0.5)] {
            assert_eq!(buffer.penalty(length, 16), wanted, "{length}");
        }
        assert_eq!(OverlongBuffer::default().penalty(99, 16), 0.0);
    }
}
