use svs_verifier::Verdict;

use super::*;
use crate::run::config::{ProblemSource, Recipe};
use crate::svs::testing::trajectory;
use crate::trajectory::Trajectory;

/// A client's group of `answers` to a question whose reference answer is `reference`.
fn answered(id: &str, size: u32, answers: &[&str], reference: Option<&str>) -> Vec<Trajectory> {
    let member = |(at, answer): (usize, &&str)| {
        let mut member = trajectory(
            &format!("{id}-{at}"),
            id,
            size,
            Kind::Client,
            &format!("\\boxed{{{answer}}}"),
        );
        member.reference = reference.map(String::from);
        member.created_at = unix_time();
        member
    };
    answers.iter().enumerate().map(member).collect()
}

fn settings(groups_per_step: usize) -> TrainConfig {
    let mut config = TrainConfig {
        recipe: Recipe::Grpo,
        ..TrainConfig::default()
    };
    config.problems.source = ProblemSource::Trajectories;
    config.trajectories.groups_per_step = groups_per_step;
    config.trajectories.idle_timeout_s = 0.05;
    config.trajectories.poll_ms = 1;
    config
}

fn ids(batch: &ClientBatch) -> Vec<&str> {
    batch.groups.iter().map(|group| group.id.as_str()).collect()
}

#[test]
fn groups_are_graded_filtered_and_taken_in_the_order_of_closing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
    let control = Control::default();
    control.claim("run", 1).expect("idle");
    let mut adapted = answered("adapted", 2, &["4", "5"], Some("4"));
    adapted[0].adapter = Some("math".into());
    let mut open = answered("late", 3, &["4", "5"], Some("4"));
    let rows = [
        open.clone(),
        adapted,
        answered("all-right", 2, &["4", "4"], Some("4")),
        answered("mixed", 2, &["4", "5"], Some("4")),
        answered("no-reference", 2, &["4", "5"], None),
        answered("second", 3, &["7", "1", "7"], Some("7")),
    ];
    log.append_blocking(rows.concat()).expect("logged");
    let batch = collect(&log, &settings(2), &control, 0)
        .expect("reads")
        .expect("two groups");
    assert_eq!(ids(&batch), ["mixed", "second"]);
    assert_eq!(
        (
            batch.without_contrast,
            batch.without_reference,
            batch.of_adapters,
            batch.expired
        ),
        (1, 1, 1, 0)
    );
    let verdicts: Vec<Verdict> = batch.groups[1]
        .members
        .iter()
        .map(|member| member.verdicts[0].verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Correct, Verdict::Wrong, Verdict::Correct]);

    // The group that was still open comes once it is whole; nothing comes twice.
    assert!(
        collect(&log, &settings(2), &control, batch.cursor)
            .expect("reads")
            .is_none(),
        "nothing new in time"
    );
    open = answered("late", 3, &["4", "5", "4"], Some("4"));
    log.append_blocking(vec![open.remove(2)]).expect("logged");
    let next = collect(&log, &settings(2), &control, batch.cursor)
        .expect("reads")
        .expect("one group after the wait");
    assert_eq!((ids(&next), next.groups[0].members.len()), (vec!["late"], 3));

    // What is marked as trained is left out even by a reader that starts over.
    log.mark_trained("other", &["mixed-0".into(), "mixed-1".into()], 1.0)
        .expect("marks");
    let again = collect(&log, &settings(2), &control, 0)
        .expect("reads")
        .expect("two groups");
    assert_eq!(ids(&again), ["second", "late"]);
}

#[test]
fn a_group_that_never_fills_is_used_with_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
    let control = Control::default();
    control.claim("run", 1).expect("idle");
    log.append_blocking(answered("partial", 8, &["4", "5", "6"], Some("4")))
        .expect("logged");
    let mut config = settings(1);
    config.trajectories.group_timeout_s = 0.01;
    config.trajectories.idle_timeout_s = 5.0;
    let batch = collect(&log, &config, &control, 0)
        .expect("reads")
        .expect("the partial group");
    assert_eq!((batch.groups[0].members.len(), batch.expired), (3, 1));
}

#[test]
fn a_stop_ends_the_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
    let control = Control::default();
    control.claim("run", 1).expect("idle");
    control.stop().expect("running");
    let mut config = settings(1);
    config.trajectories.idle_timeout_s = 1e6;
    assert!(collect(&log, &config, &control, 0).expect("reads").is_none());
}
