use std::time::Instant;

use super::*;
use crate::policy::testing::tiny_model;
use crate::run::testing::parts;
use crate::run::{RunState, TrainConfig, TrainerHandle};
use crate::svs::testing::trajectory;
use crate::trajectory::Trajectory;

/// A client's trajectory, sampled just now.
fn of_client(id: &str, group: &str, size: u32) -> Trajectory {
    Trajectory {
        created_at: crate::clock::unix_s(),
        ..trajectory(id, group, size, Kind::Client, "4")
    }
}

fn until(trainer: &TrainerHandle, holds: impl Fn(&TrainStatus) -> bool) -> TrainStatus {
    let began = Instant::now();
    loop {
        let status = trainer.status();
        if holds(&status) {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn rollouts_of_a_paused_engine_are_said_to_wait_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, _, trainer) = parts(tiny_model(1), folder.path());
    let config = "recipe = \"grpo\"\nsteps = 1\nwatchdog_s = 0.2\n\
        [problems]\ntrain_batch_size = 3\nprocedural_count = 8\n\
        [rollout]\nn = 2\nmax_prompt_length = 240\nmax_response_length = 8\n\
        [prompts]\nsolve = \"{question}\"\n";
    engine.set_paused(true);
    trainer
        .start(TrainConfig::from_toml(config).expect("valid"), false)
        .expect("starts");
    let stalled = until(&trainer, |status| status.stalled.is_some())
        .stalled
        .expect("stalled");
    assert_eq!(stalled.phase, "rollout");
    assert!(stalled.since_s >= 0.2, "{stalled:?}");
    assert!(
        stalled.waits_for.starts_with("0 of 3 groups done; engine: "),
        "{stalled:?}"
    );
    assert!(
        stalled.waits_for.ends_with(" waiting, paused by an operator"),
        "{stalled:?}"
    );
    // It goes on growing, and is gone with the first progress.
    until(&trainer, |status| {
        status.stalled.as_ref().is_some_and(|now| now.since_s > stalled.since_s)
    });
    engine.set_paused(false);
    let ended = trainer.wait();
    assert_eq!(
        (ended.state, ended.stalled, ended.error),
        (RunState::Finished, None, None)
    );
}

#[test]
fn a_wait_for_clients_says_what_they_have_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, log, trainer) = parts(tiny_model(1), folder.path());
    let config = "recipe = \"grpo\"\nsteps = 1\nwatchdog_s = 0.1\n[problems]\nsource = \"trajectories\"\n";
    let members = (0..3).map(|at| of_client(&format!("a{at}"), "a", 8)).collect();
    log.append_blocking(members).expect("appends");
    trainer
        .start(TrainConfig::from_toml(config).expect("valid"), false)
        .expect("starts");
    let says = |words: &'static str| {
        move |status: &TrainStatus| {
            status
                .stalled
                .as_ref()
                .is_some_and(|stalled| stalled.waits_for == words)
        }
    };
    until(&trainer, says("0 of 8 client groups; 1 group open with 3 of 8 members"));
    log.append_blocking(vec![of_client("b0", "b", 2)]).expect("appends");
    until(
        &trainer,
        says("0 of 8 client groups; 2 groups open, the oldest with 3 of 8 members"),
    );
    trainer.stop().expect("stops");
    assert_eq!(trainer.wait().state, RunState::Finished);
}

#[test]
fn a_run_paused_between_steps_is_not_stalled() {
    let control = Control::default();
    assert!(control.progressed().is_none(), "idle");
    control.claim("a", 5).expect("idle");
    let (_, since) = control.progressed().expect("running");
    let stalled = Stalled {
        phase: "start".into(),
        since_s: 1.0,
        waits_for: "x".into(),
    };
    control.stall(since, stalled.clone());
    assert_eq!(control.status().stalled, Some(stalled.clone()));
    control.update(|status| status.phase_done += 1);
    assert_eq!(control.status().stalled, None);
    // It was seen before the progress.
    control.stall(since, stalled);
    assert_eq!(control.status().stalled, None);
    control.update(|status| status.state = RunState::Paused);
    assert!(control.progressed().is_none());
}
