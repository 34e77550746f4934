//! Jobs on the disk: a folder appears whole or not at all, and what a process left in the middle goes on with the next.

use std::fs;
use std::path::{Path, PathBuf};

use super::record::{Record, Status};
use super::{Events, Job, JobsConfig, PREFIX, drive, settle};
use crate::own_folder::{TEMPORARY, discard, sync_folder};

/// Makes the folder of a job aside, then puts it in its place: what a killed process left of one is none.
pub(super) fn take_in(runs: &Path, record: &Record, files: &[(PathBuf, &str)], most: usize) -> std::io::Result<Events> {
    let (aside, folder) = (runs.join(format!("{TEMPORARY}{}", record.id)), runs.join(&record.id));
    let made = fill(&aside, record, files, most)
        .and_then(|()| fs::rename(&aside, &folder))
        .and_then(|()| sync_folder(runs))
        .and_then(|()| Events::open(&folder, &record.id, most));
    if made.is_err() {
        discard(&aside);
        discard(&folder);
    }
    made
}

fn fill(folder: &Path, record: &Record, files: &[(PathBuf, &str)], most: usize) -> std::io::Result<()> {
    fs::create_dir(folder)?;
    for (from, name) in files {
        // The same bytes under a second name where the disk can: the file may be deleted then.
        let to = folder.join(name);
        if fs::hard_link(from, &to).is_err() {
            fs::copy(from, &to)?;
        }
    }
    let mut events = Events::open(folder, &record.id, most)?;
    events.note("info", format!("Created fine-tuning job: {}", record.id), None, false)?;
    record.save(folder)
}

/// The jobs in `runs`, oldest first. Those that a process left in the middle wait for their turn again.
pub(super) fn read_all(runs: &Path, config: JobsConfig) -> std::io::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{TEMPORARY}{PREFIX}")) {
            discard(&entry.path());
            continue;
        }
        if !name.starts_with(PREFIX) {
            continue;
        }
        let folder = entry.path();
        match Record::load(&folder) {
            // One that cannot be read must not take the others with it.
            Ok(Some(record)) if record.id == name => match found(&folder, record, config) {
                Ok(job) => jobs.push(job),
                Err(error) => tracing::error!(name, %error, "is a job that cannot be read"),
            },
            Ok(Some(_)) => tracing::warn!(name, "is no job: its id is another"),
            Ok(None) => tracing::warn!(name, "is no job: it has no record"),
            Err(error) => tracing::warn!(name, %error, "is no job that can be read"),
        }
    }
    jobs.sort_by(|a, b| (a.record.created_us, &a.record.id).cmp(&(b.record.created_us, &b.record.id)));
    Ok(jobs)
}

fn found(folder: &Path, mut record: Record, config: JobsConfig) -> std::io::Result<Job> {
    let mut events = Events::open(folder, &record.id, config.max_events)?;
    if record.status.is_final() && record.trained_tokens.is_none() {
        // It was killed before its last step had ended.
        record.trained_tokens = Some(settle::trained_tokens(folder));
    }
    if record.status == Status::Running {
        record.status = Status::Queued;
        let said = "The server was stopped; the job goes on from its last checkpoint.";
        let noted = events.note("warn", said.into(), None, false);
        // It goes on even if a full disk takes no word of it.
        drive::report(&record.id, record.save(folder).and(noted).err());
    }
    Ok(Job {
        record,
        events,
        live: false,
        asked: None,
    })
}
