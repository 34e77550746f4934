//! What happened to a job: `events.jsonl` in the folder of its run, one line each, numbered from 1.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use svs_openapi::fine_tuning::JobEvent;

use crate::app::unix_seconds;

const FILE: &str = "events.jsonl";

/// The events of one job.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    job: String,
    /// Events so far, and their bytes.
    count: u64,
    bytes: u64,
    most: u64,
}

/// How far somebody has read the events of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Events that were passed over.
    pub seen: u64,
    /// Their bytes, once known.
    bytes: u64,
}

impl Events {
    /// Those of `job` in `folder`, at most `most`; half a line of a killed process goes.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(folder: &Path, job: &str, most: usize) -> std::io::Result<Self> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        let count = text[..whole].iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Self {
            path,
            job: job.to_owned(),
            count,
            bytes: whole as u64,
            most: most as u64,
        })
    }

    /// Events so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Notes something. Beyond the bound nothing is noted any more but the last word of a job.
    ///
    /// # Errors
    /// The disk's.
    pub fn note(&mut self, level: &str, message: String, metrics: Option<Value>, last: bool) -> std::io::Result<()> {
        if self.count >= self.most && !last {
            return Ok(());
        }
        let number = self.count + 1;
        let event = JobEvent {
            id: format!("ftevent-{}-{number}", self.job.trim_start_matches("ftjob-")),
            object: "fine_tuning.job.event".into(),
            created_at: unix_seconds(),
            level: level.into(),
            message,
            kind: if metrics.is_some() { "metrics" } else { "message" }.into(),
            data: metrics.unwrap_or_default(),
        };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        if file.metadata()?.len() > self.bytes {
            // A disk that was full took half a line; what follows that could not be read.
            file.set_len(self.bytes)?;
        }
        file.write_all(&line)?;
        self.count = number;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

impl Place {
    /// Behind the first `seen` events.
    #[must_use]
    pub fn behind(seen: u64) -> Self {
        Self { seen, bytes: 0 }
    }
}

/// The events in `folder` after `place`, oldest first, at most `most`; `place` is behind them afterwards.
///
/// # Errors
/// The disk's.
pub fn read(folder: &Path, place: &mut Place, most: usize) -> std::io::Result<Vec<JobEvent>> {
    let mut file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(place.bytes))?;
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    // Where the bytes are not known, lines are counted from the beginning.
    let mut unknown = if place.bytes == 0 { place.seen } else { 0 };
    let (mut events, mut bytes) = (Vec::new(), place.bytes);
    while events.len() < most {
        line.clear();
        file.read_until(b'\n', &mut line)?;
        // The last line may be on its way.
        if line.last() != Some(&b'\n') {
            break;
        }
        if unknown > 0 {
            unknown -= 1;
        } else {
            let Ok(event) = serde_json::from_slice(&line) else {
                break;
            };
            events.push(event);
            place.seen += 1;
        }
        bytes += line.len() as u64;
    }
    if unknown == 0 {
        place.bytes = bytes;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_bounded_and_survive_half_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut events = Events::open(folder.path(), "ftjob-a", 3).expect("made");
        events.note("info", "one".into(), None, false).expect("written");
        let path = folder.path().join(FILE);
        let mut file = OpenOptions::new().append(true).open(&path).expect("there");
        file.write_all(b"{\"id\": \"half").expect("written");
        let mut events = Events::open(folder.path(), "ftjob-a", 3).expect("opened");
        // Half a line that the disk took before it was full.
        file.write_all(b"{\"id\": \"half").expect("written");
        for (message, last) in [("two", false), ("three", false), ("four", false), ("five", true)] {
            events.note("info", message.into(), None, last).expect("written");
        }
        let told = |place: &mut Place, most| {
            let events = read(folder.path(), place, most).expect("read");
            let told = events.iter().map(|event| format!("{} {}", event.id, event.message));
            told.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            told(&mut Place::default(), 9),
            "ftevent-a-1 one, ftevent-a-2 two, ftevent-a-3 three, ftevent-a-4 five"
        );
        assert_eq!(told(&mut Place::behind(4), 1), "");
        // Who reads on begins where the last page ended.
        let mut place = Place::behind(1);
        assert_eq!(told(&mut place, 1), "ftevent-a-2 two");
        assert_eq!(place.seen, 2);
        assert!(place.bytes > 0);
        assert_eq!(told(&mut place, 9), "ftevent-a-3 three, ftevent-a-4 five");
        assert_eq!(told(&mut place, 9), "");
    }
}
