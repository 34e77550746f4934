//! What becomes of a job whose run is under way: its steps and checkpoints are told, its end is noted.

use std::path::Path;

use serde_json::json;
use svs_trainer::run::history::{self, Record as Step};
use svs_trainer::run::{RunState, TrainStatus};

use super::drive::{fail, report};
use super::record::{Record, Status};
use super::{JobError, Shared};

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
    let status = shared.trainer.status();
    let id = &record.id;
    if status.run_id.as_deref() != Some(id) {
        // Another run has begun since this one ended: what it left says how.
        ended(
            shared,
            record,
            shared.folder(id).join("model").is_dir(),
            "its run ended unseen",
        );
        return false;
    }
    report(id, tell(shared, id, status.step).err());
    match status.state {
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

/// Tells of steps up to `step`, and of checkpoints.
fn tell(shared: &Shared, id: &str, step: u64) -> Result<(), JobError> {
    let told = {
        let mut held = shared.held();
        let Some(job) = held.jobs.iter_mut().find(|job| job.record.id == id) else {
            return Ok(());
        };
        // A rollback took steps back; they will be told of again.
        job.record.told = job.record.told.min(step);
        job.saved = job.saved.min(step);
        job.record.told
    };
    if told >= step {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| JobError::Disk(error.to_string());
    let folder = shared.folder(id);
    let (steps, _) = history::page(&folder, told, STEPS_AT_ONCE, &[]).map_err(|error| failed(&error))?;
    let checkpoints = shared.trainer.checkpoints(id).map_err(|error| failed(&error))?;
    let mut held = shared.held();
    let Some(job) = held.jobs.iter_mut().find(|job| job.record.id == id) else {
        return Ok(());
    };
    for done in steps.iter().filter(|done| done.step <= step) {
        let noted = job.events.note(
            "info",
            worded(done, job.record.config.steps),
            Some(metrics_of(done)),
            false,
        );
        noted.map_err(|error| failed(&error))?;
        job.record.told = done.step;
        if done.step > job.saved && checkpoints.iter().any(|checkpoint| checkpoint.step == done.step) {
            job.saved = done.step;
            let name = super::tuned::checkpoint_name(&job.record.tuned, done.step);
            let said = format!("Checkpoint created at step {}: {name}", done.step);
            job.events
                .note("info", said, None, false)
                .map_err(|error| failed(&error))?;
        }
    }
    job.record.save(&folder).map_err(|error| failed(&error))?;
    drop(held);
    shared.tell();
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
    let whole = status.step >= record.config.steps || record.config.max_generated_tokens.is_some();
    let cause = format!(
        "stopped by /v1/train/stop after step {} of {}",
        status.step, record.config.steps
    );
    ended(shared, record, whole, &cause);
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
fn trained_tokens(folder: &Path) -> u64 {
    let steps = history::read(folder).unwrap_or_default();
    let tokens = steps.iter().filter_map(|step| step.metrics.get("training/tokens"));
    tokens.sum::<f64>() as u64
}
