//! What becomes of a job whose run is under way: its steps and checkpoints are told, its end is noted.

use std::path::Path;

use serde_json::json;
use svs_trainer::run::history::{self, Record as Step};
use svs_trainer::run::{Checkpoint, RunState, TrainStatus};

use super::drive::{fail, report};
use super::record::{Record, Status};
use super::{Job, JobError, Shared};

/// Steps that are told of at once.
const STEPS_AT_ONCE: usize = 100;

/// Metrics that have a name at OpenAI, and a word in the messages.
const SAID: [(&str, &str, &str); 3] = [
    ("critic/score/mean", "train_mean_reward", "train mean reward"),
    ("train/loss", "train_loss", "training loss"),
    ("val/loss", "valid_loss", "validation loss"),
];

/// Looks at the run of `record`. True while it goes on.
pub(super) fn watch(shared: &Shared, record: &Record) -> bool {
    let id = &record.id;
    let Some(status) = shared.trainer.status_of(id) else {
        // Other runs have begun and ended since this one did: what it left says how far it came.
        let step = history::read(&shared.folder(id))
            .ok()
            .and_then(|steps| Some(steps.last()?.step));
        let whole = step.is_some_and(|step| step >= record.config.steps) || is_spent(shared, record);
        ended(shared, record, whole, "its run ended unseen");
        return false;
    };
    let told = tell(shared, id, &status);
    let more = matches!(told, Ok(true));
    report(id, told.err());
    match status.state {
        // Its last steps are told of before its end is.
        RunState::Finished | RunState::Failed if more => false,
        RunState::Finished => {
            finish(shared, record, &status);
            false
        }
        RunState::Failed => {
            let cause = status.error.unwrap_or_else(|| "the run failed".into());
            fail(shared, id, "training_failed", None, cause);
            false
        }
        state => {
            follow(shared, id, (state, status.step));
            true
        }
    }
}

/// Follows a pause or resume that came by `/v1/train`.
fn follow(shared: &Shared, id: &str, (state, step): (RunState, u64)) {
    let wanted = {
        let mut held = shared.held();
        let Some(job) = held.jobs.iter_mut().find(|job| job.record.id == id) else {
            return;
        };
        if let Some((asked, since)) = job.asked {
            // Until its step has ended, a run that was asked to pause is still running. More than that it does not do.
            if asked == state || step > since + 1 {
                job.asked = None;
            }
            return;
        }
        match (job.record.status, state) {
            (Status::Running, RunState::Paused) => Status::Paused,
            (Status::Paused, RunState::Running) => Status::Running,
            _ => return,
        }
    };
    let said = match wanted {
        Status::Paused => "The run was paused.",
        _ => "The run goes on.",
    };
    let changed = shared.change(id, "info", said.into(), |job| {
        // Unless somebody was faster.
        if !job.record.status.is_final() && job.asked.is_none() {
            job.record.status = wanted;
        }
    });
    report(id, changed.err());
}

/// Tells of steps that are done, and of checkpoints; true if there are more steps than are told of at once.
fn tell(shared: &Shared, id: &str, status: &TrainStatus) -> Result<bool, JobError> {
    let step = status.step;
    let folder = shared.folder(id);
    let failed = |error: &dyn std::fmt::Display| JobError::Disk(error.to_string());
    let (told, saved) = {
        let mut held = shared.held();
        let Some(job) = held.jobs.iter_mut().find(|job| job.record.id == id) else {
            return Ok(false);
        };
        went_back(shared, job, step).map_err(|error| failed(&error))?;
        follow_end(shared, &mut job.record).map_err(|error| failed(&error))?;
        (job.record.told, job.record.saved)
    };
    if told >= step && saved >= step {
        return Ok(false);
    }
    let (steps, more) = if told < step {
        history::page(&folder, told, STEPS_AT_ONCE, &[]).map_err(|error| failed(&error))?
    } else {
        (Vec::new(), false)
    };
    let checkpoints = shared.trainer.checkpoints(id).map_err(|error| failed(&error))?;
    let mut held = shared.held();
    let Some(job) = held.jobs.iter_mut().find(|job| job.record.id == id) else {
        return Ok(false);
    };
    let before = job.events.count();
    // Those of a step that was told of come late where somebody asked for them.
    note_saved(job, &checkpoints).map_err(|error| failed(&error))?;
    for done in steps.iter().filter(|done| done.step <= step) {
        let (said, metrics) = (worded(done, status.steps), metrics_of(done));
        let noted = job.events.note("info", said, Some(metrics), false);
        noted.map_err(|error| failed(&error))?;
        job.record.told = done.step;
        note_saved(job, &checkpoints).map_err(|error| failed(&error))?;
    }
    let more = more && job.record.told < step;
    if job.events.count() == before {
        return Ok(more);
    }
    job.record.save(&folder).map_err(|error| failed(&error))?;
    drop(held);
    shared.tell();
    Ok(more)
}

/// Takes back what was told of steps behind `step`, if a rollback has undone them: they will be told of again, and others
/// will have their names.
pub(super) fn went_back(shared: &Shared, job: &mut Job, step: u64) -> std::io::Result<()> {
    if job.record.told <= step {
        return Ok(());
    }
    shared.tuned.forget_after(&job.record.tuned, step);
    let said = format!("The run went back to step {step}; later steps and checkpoints are undone.");
    job.record.told = step;
    job.record.saved = job.record.saved.min(step);
    let noted = job.events.note("warn", said, None, false);
    job.record.save(&shared.folder(&job.record.id)).and(noted)
}

/// Notes where PATCH /v1/train/config has moved the end of a job's run to; the next process is to go on to there.
pub(super) fn follow_end(shared: &Shared, record: &mut Record) -> std::io::Result<()> {
    let config = shared.trainer.config();
    let config = config.filter(|config| config.run_id.as_deref() == Some(&record.id));
    let end = config.map(|now| (now.steps, now.max_generated_tokens));
    let known = (record.config.steps, record.config.max_generated_tokens);
    let Some(end) = end.filter(|end| *end != known) else {
        return Ok(());
    };
    (record.config.steps, record.config.max_generated_tokens) = end;
    record.save(&shared.folder(&record.id))
}

/// Tells of the checkpoints up to the last step that was told of.
fn note_saved(job: &mut Job, checkpoints: &[Checkpoint]) -> std::io::Result<()> {
    for checkpoint in checkpoints {
        let step = checkpoint.step;
        if step > job.record.saved && step <= job.record.told {
            let name = super::tuned::checkpoint_name(&job.record.tuned, step);
            let said = format!("Checkpoint created at step {step}: {name}");
            job.events.note("info", said, None, false)?;
            job.record.saved = step;
        }
    }
    Ok(())
}

fn worded(done: &Step, steps: u64) -> String {
    let measured = SAID.iter().filter_map(|(metric, _, word)| {
        let value = done.metrics.get(*metric)?;
        Some(format!("{word}={value:.4}"))
    });
    let measured: Vec<String> = measured.collect();
    let colon = if measured.is_empty() { "" } else { ": " };
    format!("Step {}/{steps}{colon}{}", done.step, measured.join(", "))
}

/// The metrics of a step, with OpenAI's names for some.
#[must_use]
pub fn metrics_of(done: &Step) -> serde_json::Value {
    let mut metrics = json!({"step": done.step});
    for (name, value) in &done.metrics {
        metrics[name] = json!(value);
    }
    for (metric, name, _) in SAID {
        if let Some(value) = done.metrics.get(metric) {
            metrics[name] = json!(value);
        }
    }
    metrics
}

/// A run that has ended well: all its steps are done, or somebody stopped it.
fn finish(shared: &Shared, record: &Record, status: &TrainStatus) {
    let whole = status.step >= status.steps || is_spent(shared, record);
    let cause = format!(
        "stopped by /v1/train/stop after step {} of {}",
        status.step, status.steps
    );
    ended(shared, record, whole, &cause);
}

/// Whether a run has generated all tokens that it was given.
fn is_spent(shared: &Shared, record: &Record) -> bool {
    let now = shared
        .trainer
        .config()
        .filter(|config| config.run_id.as_deref() == Some(&record.id));
    let budget = now.map_or(record.config.max_generated_tokens, |config| config.max_generated_tokens);
    let steps = history::read(&shared.folder(&record.id)).unwrap_or_default();
    let generated = steps
        .last()
        .and_then(|step| step.metrics.get("training/generated_tokens"));
    budget.is_some_and(|budget| generated.is_some_and(|generated| *generated >= budget as f64))
}

fn ended(shared: &Shared, record: &Record, whole: bool, cause: &str) {
    let folder = shared.folder(&record.id);
    let tokens = trained_tokens(&folder);
    let said = match (record.status, whole) {
        (Status::Cancelled, _) => "Its last step has ended.".to_owned(),
        (_, true) => format!("New fine-tuned model created: {}", record.tuned),
        (_, false) => format!("The job was cancelled: {cause}"),
    };
    let changed = shared.change(&record.id, "info", said, |job| {
        job.live = false;
        job.record.trained_tokens = Some(tokens);
        if !job.record.status.is_final() {
            job.record.status = if whole { Status::Succeeded } else { Status::Cancelled };
        }
    });
    report(&record.id, changed.err());
}

/// Tokens of all updates of the run in `folder`.
pub(super) fn trained_tokens(folder: &Path) -> u64 {
    let steps = history::read(folder).unwrap_or_default();
    let tokens = steps.iter().filter_map(|step| step.metrics.get("training/tokens"));
    tokens.sum::<f64>() as u64
}
