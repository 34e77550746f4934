//! The time of day, as it is written into logs and files.

use std::time::SystemTime;

/// Seconds since 1970; 0 on a clock before it.
pub(crate) fn unix_s() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |age| age.as_secs_f64())
}
