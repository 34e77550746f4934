//! Names what a phase waits for that makes no progress. Knows the phases and whom each of them depends on.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use svs_engine::EngineHandle;

use super::control::Control;
use super::runner::Surroundings;
use super::{Stalled, TrainStatus};
use crate::log::TrajectoryLog;
use crate::trajectory::Kind;

/// How often it looks, as a share of the patience, within bounds.
const LOOKS: u32 = 4;
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Watches until `over` is dropped. A phase that has made no progress for `patience` is stalled: the status says what it
/// waits for, and the log does, once for each `patience` that goes by.
pub(super) fn watch(control: &Control, around: &Surroundings, patience: Duration, over: Receiver<()>) {
    let look = (patience / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK);
    let mut said = 0;
    while over.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
        let Some((status, since)) = control.progressed() else {
            continue;
        };
        let quiet = since.elapsed();
        let intervals = (quiet.as_secs_f64() / patience.as_secs_f64()) as u64;
        if intervals == 0 {
            said = 0;
            continue;
        }
        let stalled = Stalled {
            waits_for: waits_for(&status, around),
            phase: status.phase,
            since_s: quiet.as_secs_f64(),
        };
        if intervals > said {
            said = intervals;
            let (step, since_s) = (status.step + 1, stalled.since_s.round());
            tracing::warn!(
                step,
                since_s,
                "{} makes no progress: {}",
                stalled.phase,
                stalled.waits_for
            );
        }
        control.stall(since, stalled);
    }
}

/// What the phase depends on, in words.
fn waits_for(status: &TrainStatus, around: &Surroundings) -> String {
    let done = |of: &str| format!("{} of {} {of}", status.phase_done, status.phase_total);
    let engine = engine(&around.engine);
    match status.phase.as_str() {
        "rollout" | "synthesize" => format!("{}; {engine}", done("groups done")),
        "evaluate" => format!("{}; {engine}", done("requests done")),
        "wait" => format!("{}; {}", done("client groups"), open_groups(&around.log)),
        "publish" => format!("the end of an engine step, to swap the weights; {engine}"),
        "update" => format!("forward and backward in this process, {}", done("rows done")),
        "checkpoint" | "save" => "the disk, to which parameters are written".into(),
        _ => engine,
    }
}

fn engine(engine: &EngineHandle) -> String {
    if let Err(error) = engine.check_running() {
        return format!("engine: {error}");
    }
    let stats = engine.stats();
    let paused = if engine.is_paused() {
        ", paused by an operator"
    } else {
        ""
    };
    format!("engine: {} running, {} waiting{paused}", stats.running, stats.waiting)
}

fn open_groups(log: &TrajectoryLog) -> String {
    match log.open_groups(Kind::Client) {
        Err(error) => error.to_string(),
        Ok(open) => match open.oldest {
            None => "no group open".into(),
            Some((members, size)) if open.count == 1 => format!("1 group open with {members} of {size} members"),
            Some((members, size)) => {
                format!(
                    "{} groups open, the oldest with {members} of {size} members",
                    open.count
                )
            }
        },
    }
}

#[cfg(test)]
mod tests;
