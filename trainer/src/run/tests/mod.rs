//! Whole runs that meet trouble.

mod broken_grader;
#[cfg(target_os = "linux")]
mod full_disk;
mod no_advantage;
