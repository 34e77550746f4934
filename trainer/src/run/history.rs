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

    /// From here on the disk is full.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn fill_disk(&mut self) {
        self.file = OpenOptions::new().append(true).open("/dev/full").expect("opens");
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

/// At most `limit` records in `folder` of steps after `since`, oldest first, and whether there are more. With `keys`, only
/// these metrics.
///
/// # Errors
/// [`TrainError::Run`] if the file cannot be read.
pub fn page(folder: &Path, since: u64, limit: usize, keys: &[String]) -> Result<(Vec<Record>, bool), TrainError> {
    let path = folder.join("metrics.jsonl");
    let fail = |error: std::io::Error| TrainError::Run(format!("{}: {error}", path.display()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
        Err(error) => return Err(fail(error)),
    };
    let mut records: Vec<Record> = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(fail)?;
        // Most lines are before the page: their steps are enough.
        if step_of(&line).is_some_and(|step| step <= since) {
            continue;
        }
        let Ok(mut record) = serde_json::from_slice::<Record>(&line) else {
            continue;
        };
        if record.step <= since {
            continue;
        }
        if records.len() == limit {
            return Ok((records, true));
        }
        if !keys.is_empty() {
            record.metrics.retain(|key, _| keys.contains(key));
        }
        records.push(record);
    }
    Ok((records, false))
}

/// The step of a line as [`line`] writes it.
fn step_of(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"step\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_behind_a_step_and_hold_the_keys_asked_for() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(page(folder.path(), 0, 9, &[]).expect("none yet"), (Vec::new(), false));
        let mut history = History::open(folder.path(), 0).expect("opens");
        for step in 1..=5 {
            let metrics = [("a".to_owned(), step as f64), ("b".to_owned(), 0.0)];
            let metrics = BTreeMap::from(metrics);
            history.append(&Record { step, metrics }).expect("writes");
        }
        for (since, limit, steps, more) in [
            (0, 9, 1..6, false),
            (2, 2, 3..5, true),
            (3, 2, 4..6, false),
            (5, 2, 0..0, false),
        ] {
            let (found, has_more) = page(folder.path(), since, limit, &["a".into()]).expect("reads");
            let wanted: Vec<u64> = steps.collect();
            assert_eq!(found.iter().map(|record| record.step).collect::<Vec<_>>(), wanted);
            assert_eq!(has_more, more);
            let alone = |record: &Record| record.metrics.keys().eq(["a"]);
            assert!(found.iter().all(alone));
        }
    }

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
