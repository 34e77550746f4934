//! The threads that drive jobs: one tries their files, one starts the next and watches the one that runs.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use svs_openapi::fine_tuning::JobFailure;
use svs_trainer::TrainConfig;
use svs_trainer::problems::visit;
use svs_trainer::reward::{Reward, Task};
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{RunState, TrainError};
use svs_verifier::Verdict;

use super::record::{Record, Status, TRAINING, VALIDATION};
use super::{Held, Job, Shared, settle};

/// Time between looks at a run, or at whether one that is no job's has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Drives the runs of jobs until the jobs are closed: starts the next, watches the one that runs.
pub(super) fn drive_runs(shared: &Shared) {
    drive(shared, |held| {
        let live = held.jobs.iter().find(|job| job.live);
        let turn = live.map(|job| Turn::Watch(job.record.clone()));
        turn.or_else(|| first(held, Status::Queued).map(Turn::Start))
    });
}

/// Tries the files of jobs until the jobs are closed, beside what runs: a long file holds nothing else up.
pub(super) fn drive_files(shared: &Shared) {
    drive(shared, |held| first(held, Status::ValidatingFiles).map(Turn::Validate));
}

/// What is to be done next.
enum Turn {
    Validate(Record),
    Start(Record),
    Watch(Record),
}

fn first(held: &Held, status: Status) -> Option<Record> {
    let found = held.jobs.iter().find(|job| job.record.status == status);
    found.map(|job| job.record.clone())
}

fn drive(shared: &Shared, pick: fn(&Held) -> Option<Turn>) {
    while let Some(turn) = next(shared, pick) {
        let waits = match turn {
            Turn::Validate(record) => validate(shared, &record),
            Turn::Start(record) => start(shared, &record),
            Turn::Watch(record) => settle::watch(shared, &record),
        };
        if waits {
            let held = shared.held();
            if !held.closing {
                // A change ends the wait.
                drop(
                    shared
                        .wake
                        .wait_timeout(held, LOOK)
                        .unwrap_or_else(PoisonError::into_inner),
                );
            }
        }
    }
}

/// What to do next; waits while there is nothing. `None` once the jobs are closed.
fn next(shared: &Shared, pick: fn(&Held) -> Option<Turn>) -> Option<Turn> {
    let mut held = shared.held();
    loop {
        if held.closing {
            return None;
        }
        match pick(&held) {
            Some(turn) => return Some(turn),
            None => held = shared.wake.wait(held).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Notes that a job has failed.
pub(super) fn fail(shared: &Shared, id: &str, code: &str, param: Option<&str>, message: String) {
    tracing::warn!(id, message, "a fine-tuning job failed");
    let failed = shared.change(id, "error", message.clone(), |job| {
        job.live = false;
        if !job.record.status.is_final() {
            job.record.status = Status::Failed;
            job.record.error = Some(JobFailure {
                code: code.into(),
                message,
                param: param.map(str::to_owned),
            });
        }
    });
    report(id, failed.err());
}

/// The disk would not take what is in memory: said where the operator looks, since nobody waits here.
pub(super) fn report(id: &str, error: Option<impl std::fmt::Display>) {
    if let Some(error) = error {
        tracing::error!(id, %error, "the state of a job could not be written");
    }
}

/// Tries every line, with the grader if there is one, then lets the job wait for its turn. False: there may be more to do at once.
fn validate(shared: &Shared, record: &Record) -> bool {
    let files = [
        (TRAINING, "training_file", Some(&record.training_file)),
        (VALIDATION, "validation_file", record.validation_file.as_ref()),
    ];
    for (name, param, id) in files {
        let Some(id) = id else { continue };
        if let Err(reason) = try_lines(shared, record, name) {
            if !goes_on(shared, &record.id) {
                return false;
            }
            fail(
                shared,
                &record.id,
                &format!("invalid_{param}"),
                Some(param),
                format!("file `{id}`: {reason}"),
            );
            return false;
        }
    }
    let said = "Files validated, moving job to queued state".to_owned();
    let queued = shared.change(&record.id, "info", said, |job| {
        // It may have been cancelled meanwhile.
        if job.record.status == Status::ValidatingFiles {
            job.record.status = Status::Queued;
        }
    });
    report(&record.id, queued.err());
    false
}

/// Whether the files of a job are still to be tried.
fn goes_on(shared: &Shared, id: &str) -> bool {
    let held = shared.held();
    let tried = |job: &Job| job.record.id == id && job.record.status == Status::ValidatingFiles;
    !held.closing && held.jobs.iter().any(tried)
}

fn try_lines(shared: &Shared, record: &Record, name: &str) -> Result<(), String> {
    let path = shared.folder(&record.id).join(name);
    let goes_on = || goes_on(shared, &record.id);
    let tried = match record.config.recipe {
        Recipe::Sft => shared
            .trainer
            .try_examples(&path, &goes_on)
            .map_err(|error| error.to_string()),
        _ => try_problems(shared, record, &path, &goes_on),
    };
    let shown = format!("{}: ", path.display());
    tried.map_err(|reason| reason.replace(&shown, ""))
}

fn try_problems(shared: &Shared, record: &Record, path: &Path, goes_on: &dyn Fn() -> bool) -> Result<(), String> {
    let mut options = record.config.problems.columns.clone();
    options.keep_rows = true;
    let config = config(shared, record);
    let reward = Reward::new(&config.reward, config.rollout.strict_grading).map_err(|error| error.to_string())?;
    let grader = config.reward.grader.as_ref();
    // What an endpoint makes of a line is known only when it is asked.
    let asks = grader.is_some_and(|grader| !grader.endpoints().is_empty());
    let tried = visit(path, &options, &mut |_, problem| {
        if !goes_on() {
            return Err("the reading was ended".into());
        }
        let task = Task::of(&problem);
        match asks || reward.judge(&task).grade("", &task).verdict != Verdict::Infrastructure {
            true => Ok(()),
            false => {
                Err("the grader cannot be used on it: a value that it names is missing, or of the wrong type".into())
            }
        }
    });
    // The rows of JSON lines are their lines.
    tried
        .map(drop)
        .map_err(|error| error.to_string().replace(": row ", ": line "))
}

/// The configuration of a job's run, with what only this process knows.
fn config(shared: &Shared, record: &Record) -> TrainConfig {
    let mut config = record.config.clone();
    config.reward.code.clone_from(&shared.defaults.reward.code);
    config.reward.endpoints.clone_from(&shared.defaults.reward.endpoints);
    config
}

/// Hands a job to the trainer. True where it must wait.
fn start(shared: &Shared, record: &Record) -> bool {
    let busy = || {
        let state = shared.trainer.status().state;
        matches!(state, RunState::Running | RunState::Paused | RunState::Stopping)
    };
    // Nothing is trained while the server sleeps, and it does not fall asleep before the run is known.
    let awake = shared.sleep.awake();
    if busy() || awake.is_err() {
        return true;
    }
    let id = &record.id;
    let resume = shared.trainer.folder(id).is_some();
    shared.tuned.make_room();
    match shared.trainer.start(config(shared, record), resume) {
        Ok(status) => {
            let mut cancelled = false;
            let said = match (resume, status.step) {
                (false, _) => "Fine-tuning job started".to_owned(),
                (true, 0) => "Fine-tuning job started over: it had no checkpoint".to_owned(),
                (true, step) => format!("Fine-tuning job resumed at step {step}"),
            };
            let started = shared.change(id, "info", said, |job| {
                job.live = true;
                // Steps behind the last checkpoint are made, and told of, once more.
                job.record.told = job.record.told.min(status.step);
                job.record.saved = job.record.saved.min(status.step);
                cancelled = job.record.status != Status::Queued;
                if !cancelled {
                    job.record.status = Status::Running;
                }
            });
            report(id, started.err());
            if cancelled {
                // It may have ended already.
                let _ = shared.trainer.stop();
            }
            false
        }
        // Somebody else was faster.
        Err(TrainError::State(_)) if busy() => true,
        Err(error) => {
            let of_file = matches!(&error, TrainError::Config { field, .. } if field.starts_with("problems"));
            let (code, param) = match of_file {
                true => ("invalid_training_file", Some("training_file")),
                false => ("training_failed", None),
            };
            fail(shared, id, code, param, error.to_string());
            false
        }
    }
}
