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
        member.created_at = unix_s();
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

/// Collects as a run of this configuration does.
fn collect_with(
    log: &TrajectoryLog,
    config: &TrainConfig,
    control: &Control,
    cursor: i64,
) -> Result<Option<ClientBatch>, TrainError> {
    let reward = Reward::new(&config.reward, config.rollout.strict_grading).expect("a reward");
    Ok(match collect(log, (config, &reward), control, cursor)? {
        Waited::Found(batch) => Some(batch),
        Waited::Interrupted | Waited::Nothing => None,
    })
}

fn ids(batch: &ClientBatch) -> Vec<&str> {
    batch.groups.iter().map(|group| group.id.as_str()).collect()
}

#[test]
fn groups_on_which_the_grader_fails_end_the_step_and_are_told_of() {
    // Which groups have a reference that cannot be read; groups to train on, ungraded ones, and the last looked at.
    let rows: [(&[bool], &[&str], usize, &str); 4] = [
        (&[true, true, true], &[], 2, "1"),
        (&[true, false, false], &["1", "2"], 1, "2"),
        (&[false, true, true, true, false], &["0", "4"], 3, "4"),
        (&[true, false, true, false], &["1", "3"], 2, "3"),
    ];
    for (broken, taken, ungraded, last) in rows {
        let folder = tempfile::tempdir().expect("a folder");
        let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
        let control = Control::default();
        control.claim("run", 1).expect("idle");
        for (at, broken) in broken.iter().enumerate() {
            let reference = if *broken { "\\frac{" } else { "4" };
            log.append_blocking(answered(&at.to_string(), 2, &["4", "5"], Some(reference)))
                .expect("logged");
        }
        let batch = collect_with(&log, &settings(2), &control, 0).expect("reads");
        let batch = batch.expect("a step, be it one without a group");
        assert_eq!((ids(&batch), batch.ungraded), (taken.to_vec(), ungraded), "{broken:?}");
        assert_eq!(batch.tally.ungraded(), 2 * ungraded as u64, "{broken:?}");
        let query = GroupQuery {
            after_seq: batch.cursor - 1,
            limit: 1,
            ..GroupQuery::default()
        };
        assert_eq!(
            log.closed_groups(&query).expect("reads")[0].group.id,
            last,
            "{broken:?}"
        );
    }
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
    let batch = collect_with(&log, &settings(2), &control, 0)
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
        collect_with(&log, &settings(2), &control, batch.cursor)
            .expect("reads")
            .is_none(),
        "nothing new in time"
    );
    open = answered("late", 3, &["4", "5", "4"], Some("4"));
    log.append_blocking(vec![open.remove(2)]).expect("logged");
    let next = collect_with(&log, &settings(2), &control, batch.cursor)
        .expect("reads")
        .expect("one group after the wait");
    assert_eq!((ids(&next), next.groups[0].members.len()), (vec!["late"], 3));

    // What is marked as trained is left out even by a reader that starts over.
    log.mark_trained("other", &["mixed-0".into(), "mixed-1".into()], 1.0)
        .expect("marks");
    let again = collect_with(&log, &settings(2), &control, 0)
        .expect("reads")
        .expect("two groups");
    assert_eq!(ids(&again), ["second", "late"]);
}

#[test]
fn what_a_run_has_no_use_for_does_not_wait_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
    let control = Control::default();
    let mut config = settings(2);
    config.trajectories.max_staleness = 1;
    let waiting = || {
        let backlog = backlog(&log, &control).expect("reads");
        backlog.map(|backlog| (backlog.groups, backlog.most))
    };
    assert_eq!(waiting(), None, "no run is active");
    control.claim("run", 1).expect("idle");
    control.configured(&config);
    let useless = (0..4).flat_map(|at| answered(&format!("all-right-{at}"), 2, &["4", "4"], Some("4")));
    log.append_blocking(useless.collect()).expect("logged");
    assert_eq!(waiting(), Some((4, 4)), "nobody has looked at them");
    assert!(collect_with(&log, &config, &control, 0).expect("reads").is_none());
    assert_eq!(waiting(), Some((0, 4)), "they keep no others out");

    // One to train on waits for another, and both until they have been trained on.
    let usable = |id: &str| answered(id, 2, &["4", "5"], Some("4"));
    log.append_blocking(usable("first")).expect("logged");
    let found = collect_with(&log, &config, &control, 0).expect("reads").expect("one");
    assert_eq!((ids(&found), waiting()), (vec!["first"], Some((1, 4))));
    log.append_blocking(usable("second")).expect("logged");
    assert_eq!(waiting(), Some((2, 4)));
    let found = collect_with(&log, &config, &control, 0).expect("reads").expect("two");
    assert_eq!((ids(&found), waiting()), (vec!["first", "second"], Some((2, 4))));
    control.consumed(found.cursor);
    assert_eq!(waiting(), Some((0, 4)));
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
    let batch = collect_with(&log, &config, &control, 0)
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
    assert!(collect_with(&log, &config, &control, 0).expect("reads").is_none());
}

/// A group whose members bring graders (or none) in their metadata.
fn with_graders(id: &str, answers: &[&str], reference: Option<&str>, graders: &[Option<&str>]) -> Vec<Trajectory> {
    let size = u32::try_from(answers.len()).expect("a few");
    let mut members = answered(id, size, answers, reference);
    for (member, grader) in members.iter_mut().zip(graders) {
        member.metadata = serde_json::json!({"grader": grader, "label": "7"});
        if grader.is_none() {
            member.metadata = serde_json::Value::Null;
        }
    }
    members
}

const SAME: &str = r#"{"type": "string_check", "name": "same", "operation": "like",
    "input": "{{ sample.output_text }}", "reference": "{{ item.label }}"}"#;
const ALIKE: &str = r#"{"type": "text_similarity", "name": "alike", "evaluation_metric": "fuzzy_match",
    "input": "{{ sample.output_text }}", "reference": "{{ item.reference }}"}"#;
const SEVEN: &str = r#"{"type": "regex", "name": "seven", "pattern": "7"}"#;

#[test]
fn the_grader_of_a_request_comes_before_the_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
    let control = Control::default();
    control.claim("run", 1).expect("idle");
    let rows = [
        with_graders("own", &["7", "8"], None, &[Some(SAME), Some(SAME)]),
        with_graders("shared", &["7", "8"], Some("8"), &[Some(SEVEN), None]),
        with_graders("broken", &["7", "8"], Some("7"), &[Some("{}"), None]),
        with_graders("between", &["7", "8"], Some("7"), &[Some(ALIKE), Some(ALIKE)]),
        answered("plain", 2, &["7", "8"], Some("8")),
        answered("nothing", 2, &["7", "8"], None),
    ];
    log.append_blocking(rows.concat()).expect("logged");
    let found = |config: &TrainConfig| collect_with(&log, config, &control, 0).expect("reads").expect("groups");
    let rewards = |batch: &ClientBatch| -> Vec<Vec<(String, Option<f64>)>> {
        let of = |group: &Group| {
            let verdicts = group.members.iter().map(|member| &member.verdicts[0]);
            verdicts
                .map(|finding| (finding.grader.clone(), finding.reward))
                .collect()
        };
        batch.groups.iter().map(of).collect()
    };
    let both = |grader: &str, first: f64, second: f64| {
        vec![(grader.to_owned(), Some(first)), (grader.to_owned(), Some(second))]
    };

    let batch = found(&settings(9));
    assert_eq!(ids(&batch), ["own", "shared", "between", "plain"]);
    assert_eq!(
        (batch.with_bad_grader, batch.without_reference, batch.between),
        (1, 1, 0)
    );
    let given = rewards(&batch);
    assert_eq!(given[0], both("same", 1.0, 0.0));
    assert_eq!(given[1], both("seven", 1.0, 0.0));
    assert_eq!(given[3], both("math", 0.0, 1.0));
    let between: Vec<f64> = given[2].iter().filter_map(|(_, reward)| *reward).collect();
    assert!(
        between[1] < between[0] && 0.0 < between[0] && between[0] < 1.0,
        "{between:?}"
    );

    // The run's grader takes what brings none, with or without a reference.
    let mut config = settings(9);
    config.reward.grader = Some(serde_json::from_str(SEVEN).expect("a grader"));
    let batch = found(&config);
    assert_eq!(ids(&batch), ["own", "shared", "between", "plain", "nothing"]);
    assert_eq!(rewards(&batch)[3], both("seven", 1.0, 0.0));

    // An estimator of right and wrong is not given anything between.
    config.algorithm.adv_estimator = crate::objective::AdvEstimator::Nsr;
    let batch = found(&config);
    assert_eq!(
        (ids(&batch), batch.between),
        (vec!["own", "shared", "plain", "nothing"], 1)
    );
}

#[test]
fn given_rewards_count_and_rows_that_cannot_be_read_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.sqlite");
    let log = TrajectoryLog::open(&path).expect("a log");
    let control = Control::default();
    control.claim("run", 1).expect("idle");
    let given = |mut rows: Vec<Trajectory>, rewards: &[Option<f64>]| {
        for (row, reward) in rows.iter_mut().zip(rewards) {
            let finding = reward.map(|reward| crate::trajectory::GraderVerdict {
                grader: "client".into(),
                verdict: Verdict::Wrong,
                reward: Some(reward),
                explanation: None,
            });
            row.verdicts.extend(finding);
        }
        rows
    };
    let rows = [
        // Neither reference nor grader: the rewards are all there is; the third has none and is masked.
        given(
            answered("given", 3, &["1", "2", "3"], None),
            &[Some(1.0), Some(0.0), None],
        ),
        // A reward goes before what the reference would say.
        given(answered("both", 2, &["4", "4"], Some("4")), &[Some(0.0), None]),
        answered("torn", 3, &["4", "5", "4"], Some("4")),
        answered("lost", 1, &["4"], Some("4")),
        answered("whole", 2, &["4", "5"], Some("4")),
    ];
    log.append_blocking(rows.concat()).expect("logged");
    let damaged = rusqlite::Connection::open(&path).expect("opens");
    let damage = "UPDATE trajectories SET record = '{' WHERE id IN ('torn-2', 'lost-0')";
    assert_eq!(damaged.execute(damage, []).expect("damages"), 2);
    let batch = collect_with(&log, &settings(4), &control, 0)
        .expect("the run goes on")
        .expect("four groups");
    assert_eq!(ids(&batch), ["given", "both", "torn", "whole"]);
    assert_eq!(batch.unreadable, 2);
    let rewards: Vec<Vec<Option<f64>>> = batch
        .groups
        .iter()
        .map(|group| group.members.iter().map(|member| member.verdicts[0].reward).collect())
        .collect();
    let (one, zero) = (Some(1.0), Some(0.0));
    assert_eq!(
        rewards,
        [vec![one, zero, None], vec![zero, one], vec![one, zero], vec![one, zero]]
    );
    assert_eq!(
        batch.groups[0].members[0].verdicts[0].verdict,
        Verdict::Correct,
        "by the run's threshold"
    );
}
