//! Whole runs that meet trouble.

#[cfg(target_os = "linux")]
mod full_disk;
mod no_advantage;
