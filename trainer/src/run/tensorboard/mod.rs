//! TensorBoard's event files: metrics of each step as scalars. Knows the format, not what the metrics mean.
//!
//! Every start of a run writes a file of its own that begins with a session start at the next step; readers then drop what
//! earlier files say of that step and later ones, so that a step replayed after a crash has one value.

mod crc;
mod event;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::TrainError;
use crate::clock::unix_s;
use event::Event;

/// How the names of event files begin; readers find them by it.
const PREFIX: &str = "events.out.tfevents.";

/// Appends events to a file.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a file in `folder`; `step` is the next one.
    ///
    /// # Errors
    /// [`TrainError::Run`] if it cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let fail = |path: &Path, error: std::io::Error| TrainError::Run(format!("{}: {error}", path.display()));
        let path = folder.join(fresh_name(folder).map_err(|error| fail(folder, error))?);
        let file = File::create_new(&path).map_err(|error| fail(&path, error))?;
        let mut events = Self { path, file };
        events.write(&[Event::version(), Event::session_start(step)])?;
        Ok(events)
    }

    /// Appends the metrics of a step.
    ///
    /// # Errors
    /// [`TrainError::Run`] if it cannot be written.
    pub fn append(&mut self, step: u64, metrics: &BTreeMap<String, f64>) -> Result<(), TrainError> {
        self.write(&[Event::scalars(step, metrics)])
    }

    /// From here on the disk is full.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn fill_disk(&mut self) {
        self.file = File::options().append(true).open("/dev/full").expect("opens");
    }

    fn write(&mut self, events: &[Event]) -> Result<(), TrainError> {
        let seconds = unix_s();
        let bytes: Vec<u8> = events.iter().flat_map(|event| framed(&event.encode(seconds))).collect();
        let written = self.file.write_all(&bytes);
        written.map_err(|error| TrainError::Run(format!("{}: {error}", self.path.display())))
    }
}

/// A name that sorts after those of the event files that are there, whatever the clock says: readers go by the names.
fn fresh_name(folder: &Path) -> std::io::Result<String> {
    let (mut latest, mut count) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let seconds = rest.split('.').next().and_then(|seconds| seconds.parse().ok());
        (latest, count) = (latest.max(seconds.unwrap_or(0)), count + 1);
    }
    let seconds = latest.max(unix_s() as u64);
    Ok(format!("{PREFIX}{seconds:010}.{count:06}.svs"))
}

/// A record: its length and its bytes, each with its masked CRC-32C.
///
/// # Source
/// TensorFlow, `lib/io/record_writer.h`.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let parts: [&[u8]; 4] = [
        &length,
        &crc::masked(&length).to_le_bytes(),
        bytes,
        &crc::masked(bytes).to_le_bytes(),
    ];
    parts.concat()
}

#[cfg(test)]
mod tests;
