//! The metrics file of a run: one JSON line per step, cut back to the checkpoint on resume.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;

/// Metrics of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Step, counted from 1.
    pub step: u64,
    /// Metrics by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Appends records to `metrics.jsonl`.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    file: File,
}

impl History {
    /// Opens the file in `folder`, keeping the records of steps up to `step`; a half-written last line goes.
    ///
    /// # Errors
    /// [`TrainError::Run`] if the file cannot be read or written.
    pub fn open(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let path = folder.join("metrics.jsonl");
        let kept: Vec<Record> = read(folder)?.into_iter().filter(|record| record.step <= step).collect();
        let fail = |error: std::io::Error| TrainError::Run(format!("{}: {error}", path.display()));
        let fresh = folder.join("metrics.jsonl.part");
        let mut file = File::create(&fresh).map_err(fail)?;
        for record in &kept {
            file.write_all(&line(record)).map_err(fail)?;
        }
        file.sync_all().map_err(fail)?;
        std::fs::rename(&fresh, &path).map_err(fail)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
        Ok(Self { path, file })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`TrainError::Run`] if the file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), TrainError> {
        let written = self.file.write_all(&line(record));
        written.map_err(|error| TrainError::Run(format!("{}: {error}", self.path.display())))
    }

    /// Makes the records so far survive a power failure.
    ///
    /// # Errors
    /// [`TrainError::Run`] if the file cannot be written.
    pub fn sync(&self) -> Result<(), TrainError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| TrainError::Run(format!("{}: {error}", self.path.display())))
    }
}

fn line(record: &Record) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(record).expect("numbers and strings serialise");
    bytes.push(b'\n');
    bytes
}

/// The records in `folder`, oldest first; none if there is no file. Lines that do not parse (a crash) are left out.
///
/// # Errors
/// [`TrainError::Run`] if the file cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Record>, TrainError> {
    let path = folder.join("metrics.jsonl");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TrainError::Run(format!("{}: {error}", path.display()))),
    };
    let mut records = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| TrainError::Run(format!("{}: {error}", path.display())))?;
        records.extend(serde_json::from_slice::<Record>(&line).ok());
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_cuts_back_to_the_checkpoint_and_drops_a_torn_line() {
        let folder = tempfile::tempdir().expect("folder");
        let record = |step: u64| Record {
            step,
            metrics: BTreeMap::from([("actor/lr".to_owned(), step as f64)]),
        };
        let mut history = History::open(folder.path(), 0).expect("opens");
        for step in 1..=3 {
            history.append(&record(step)).expect("writes");
        }
        history.file.write_all(b"{\"step\":4,\"met").expect("writes");
        assert_eq!(read(folder.path()).expect("reads").len(), 3);
        let mut history = History::open(folder.path(), 2).expect("opens");
        history.append(&record(3)).expect("writes");
        assert_eq!(read(folder.path()).expect("reads"), [record(1), record(2), record(3)]);
    }
}
