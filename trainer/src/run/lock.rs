//! One process per run: a lock on a file in the run's folder, which the system gives back when the process ends, however
//! it ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::TrainError;
use super::open::file_error;

/// The file whose lock a run holds.
const RUN_LOCK: &str = "run.lock";
/// The file whose lock a run holds that trains on clients' trajectories: two of them would both take the same groups.
const CLIENTS_LOCK: &str = "trajectories.lock";

/// What keeps other processes off a run while it lives.
#[derive(Debug)]
pub(super) struct RunLock {
    files: Vec<File>,
}

impl RunLock {
    /// Locks the run in `folder`.
    ///
    /// # Errors
    /// [`TrainError::State`] if another process has the lock, [`TrainError::Run`] if the file cannot be made.
    pub(super) fn take(folder: &Path) -> Result<Self, TrainError> {
        let files = vec![lock(&folder.join(RUN_LOCK), "the run")?];
        Ok(Self { files })
    }

    /// Locks the trajectories of all runs in `runs` too.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn take_clients(&mut self, runs: &Path) -> Result<(), TrainError> {
        self.files
            .push(lock(&runs.join(CLIENTS_LOCK), "training on clients' trajectories")?);
        Ok(())
    }
}

fn lock(path: &Path, what: &str) -> Result<File, TrainError> {
    let file = File::create(path).map_err(|error| file_error(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::State(format!(
            "{what} is under way in another process, which holds {}",
            path.display()
        ))),
        // Some network file systems have no locks; there a second process is the user's own care.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(file_error(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let runs = tempfile::tempdir().expect("a folder");
        let folders = ["a", "b"].map(|name| runs.path().join(name));
        folders
            .iter()
            .for_each(|folder| std::fs::create_dir(folder).expect("made"));
        let take = |at: usize, clients: bool| {
            let mut lock = RunLock::take(&folders[at])?;
            if clients {
                lock.take_clients(runs.path())?;
            }
            Ok::<_, TrainError>(lock)
        };
        let first = take(0, true).expect("free");
        assert!(matches!(take(0, false), Err(TrainError::State(_))));
        assert!(matches!(take(1, true), Err(TrainError::State(_))));
        let other = take(1, false).expect("another run is free");
        drop((first, other));
        let _ = take(0, true).expect("free again");
    }
}
