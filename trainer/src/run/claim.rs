//! The name and the lock of a run.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::lock::RunLock;
use super::open::file_error;
use super::{TrainConfig, TrainError};

/// The file that makes a folder a run.
pub(super) const CONFIG_FILE: &str = "config.toml";

/// Most runs that may start at the same moment without a name of their own.
const MOST_STARTS: usize = 64;

/// Writes the configuration of the run in `folder` in place of what was there: whole, or not at all where the process dies.
///
/// # Errors
/// [`TrainError::Run`] if it cannot be written.
pub(super) fn write_config(folder: &Path, config: &TrainConfig) -> Result<(), TrainError> {
    replace(folder, CONFIG_FILE, &config.to_toml()?)
}

/// Writes the file `name` in `folder`, first as `<name>.part`, and makes it survive a power failure.
///
/// # Errors
/// [`TrainError::Run`] naming the file if it cannot be written; what was there stays.
pub(super) fn replace(folder: &Path, name: &str, text: &str) -> Result<(), TrainError> {
    let (part, path) = (folder.join(format!("{name}.part")), folder.join(name));
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, &path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|error| file_error(&path, &error))
}

/// Names the run that `config` starts or resumes and takes its lock. Of two runs that start at the same moment without a
/// `run_id`, one gets the next number.
///
/// # Errors
/// [`TrainError::State`] if it exists and shall not be resumed, or the other way round, or runs in another process.
pub(super) fn claim(runs: &Path, config: &TrainConfig, resume: bool) -> Result<(String, RunLock), TrainError> {
    let may_number = config.run_id.is_none() && !resume;
    let mut busy = Vec::new();
    loop {
        let id = run_id(runs, config, resume, &busy)?;
        let folder = runs.join(&id);
        fs::create_dir_all(&folder).map_err(|error| file_error(&folder, &error))?;
        match RunLock::take(&folder) {
            // Another process may have begun and ended the run since it was named.
            Ok(lock) if resume || !folder.join(CONFIG_FILE).exists() => return Ok((id, lock)),
            Err(error) if !may_number || busy.len() >= MOST_STARTS || !matches!(error, TrainError::State(_)) => {
                return Err(error);
            }
            _ => busy.push(id),
        }
    }
}

/// The id of the run that `config` starts or resumes: its own, else the first free (or the last taken) of
/// `<recipe>-seed<seed>`, `…-2`, `…-3`.
///
/// # Errors
/// [`TrainError::State`] if it exists and shall not be resumed, or the other way round.
fn run_id(runs: &Path, config: &TrainConfig, resume: bool, busy: &[String]) -> Result<String, TrainError> {
    let exists = |id: &str| runs.join(id).join(CONFIG_FILE).exists() || busy.iter().any(|other| other == id);
    let base = config.run_name();
    let taken: Vec<String> = match config.run_id {
        Some(_) => std::iter::once(base.clone()).filter(|id| exists(id)).collect(),
        None => numbered(&base).take_while(|id| exists(id)).collect(),
    };
    let path = runs.join(&base);
    if path.exists() && !path.is_dir() {
        let reason = format!("{} is a file", path.display());
        return Err(TrainError::Config {
            field: "run_id".into(),
            reason,
        });
    }
    match (resume, taken.last(), &config.run_id) {
        (true, Some(last), _) => Ok(last.clone()),
        (true, None, _) => Err(TrainError::State(format!(
            "there is no run `{base}` in {} to resume; start it without resuming",
            runs.display()
        ))),
        (false, Some(_), Some(_)) => Err(TrainError::State(format!(
            "run `{base}` exists in {}; resume it or choose another run_id",
            runs.display()
        ))),
        (false, _, _) => Ok(numbered(&base).nth(taken.len()).expect("numbers do not run out")),
    }
}

fn numbered(base: &str) -> impl Iterator<Item = String> {
    let base = base.to_owned();
    (1u32..).map(move |number| {
        if number == 1 {
            base.clone()
        } else {
            format!("{base}-{number}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_configuration_is_replaced_whole_and_half_of_one_is_none() {
        let runs = tempfile::tempdir().expect("a folder");
        let named = TrainConfig {
            run_id: Some("a".into()),
            ..TrainConfig::default()
        };
        let folder = runs.path().join("a");
        fs::create_dir(&folder).expect("made");
        let part = folder.join("config.toml.part");
        fs::write(&part, "recipe = \"gr").expect("what a killed process leaves");
        drop(claim(runs.path(), &named, false).expect("no run yet"));
        write_config(&folder, &named).expect("written");
        assert!(!part.exists());
        // Whoever has it open keeps reading what it was.
        let mut before = File::open(folder.join(CONFIG_FILE)).expect("there");
        let changed = TrainConfig {
            steps: 99,
            ..named.clone()
        };
        write_config(&folder, &changed).expect("written");
        let mut text = String::new();
        before.read_to_string(&mut text).expect("readable");
        assert_eq!(TrainConfig::from_toml(&text).expect("whole"), named);
        let text = fs::read_to_string(folder.join(CONFIG_FILE)).expect("readable");
        assert_eq!(TrainConfig::from_toml(&text).expect("whole"), changed);
    }

    #[test]
    fn runs_that_start_together_get_numbers_and_named_ones_are_refused() {
        let runs = tempfile::tempdir().expect("a folder");
        let unnamed = TrainConfig::default();
        let base = unnamed.run_name();
        let first = claim(runs.path(), &unnamed, false).expect("free");
        let second = claim(runs.path(), &unnamed, false).expect("numbered");
        let third = claim(runs.path(), &unnamed, false).expect("numbered");
        assert_eq!(
            [&first.0, &second.0, &third.0],
            [&base, &format!("{base}-2"), &format!("{base}-3")]
        );
        drop(second);
        let again = claim(runs.path(), &unnamed, false).expect("numbered");
        assert_eq!(again.0, format!("{base}-2"), "it never wrote its configuration");
        let named = TrainConfig {
            run_id: Some(base.clone()),
            ..unnamed.clone()
        };
        assert!(matches!(claim(runs.path(), &named, false), Err(TrainError::State(_))));
        fs::write(runs.path().join(&base).join(CONFIG_FILE), "").expect("written");
        drop(first);
        assert!(matches!(claim(runs.path(), &named, false), Err(TrainError::State(_))));
        assert_eq!(claim(runs.path(), &named, true).expect("resumed").0, base);
    }
}
