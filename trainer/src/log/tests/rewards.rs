//! Rewards that come later, and groups that wait for them or for their session.

use super::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

fn given(reward: f64) -> GraderVerdict {
    GraderVerdict {
        grader: "client".into(),
        verdict: Verdict::Wrong,
        reward: Some(reward),
        explanation: Some("because".into()),
    }
}

fn closed(log: &TrajectoryLog) -> Vec<String> {
    let groups = log.closed_groups(&GroupQuery::default()).expect("reads");
    groups.into_iter().map(|closed| closed.group.id).collect()
}

/// A client's trajectory that nobody has judged.
fn unjudged(id: &str, group: &str, size: u32) -> Trajectory {
    Trajectory {
        verdicts: Vec::new(),
        created_at: now(),
        ..trajectory(id, group, size)
    }
}

#[test]
fn a_group_that_awaits_rewards_closes_with_the_last_of_them() {
    let (_folder, log) = open(LogConfig::default());
    let awaiting = |id| Trajectory {
        awaits_reward: true,
        ..unjudged(id, "g", 2)
    };
    let _ = log
        .append_blocking(vec![awaiting("a"), awaiting("b")])
        .expect("appends");
    wait(log.set_rewards(vec![("a".into(), given(0.25))])).expect("notes it");
    assert!(closed(&log).is_empty(), "one is still to come");
    let bytes = log.stats().expect("counts").bytes;
    wait(log.set_rewards(vec![("b".into(), given(1.0))])).expect("notes it");
    assert_eq!(closed(&log), ["g"]);
    assert!(log.stats().expect("counts").bytes > bytes, "the record has grown");
    let row = log.get("a").expect("reads").expect("is there").trajectory;
    assert_eq!((row.verdicts, row.awaits_reward), (vec![given(0.25)], false));
    let by_reward = Filter {
        max_reward: Some(0.5),
        ..Filter::default()
    };
    let reader = log.reader().expect("opens");
    assert_eq!(reader.count(&by_reward).expect("counts"), 1);
    // Another reward goes over the one before, until it is trained on.
    wait(log.set_rewards(vec![("a".into(), given(0.75))])).expect("notes it");
    assert_eq!(reader.count(&by_reward).expect("counts"), 0);
    assert_eq!(closed(&log), ["g"], "it closes once");
    let _ = log.mark_trained("run", &["a".into()], 1.0).expect("marks");
    let late = wait(log.set_rewards(vec![("b".into(), given(0.0)), ("a".into(), given(0.0))]));
    assert!(matches!(late, Err(LogError::Trained(id)) if id == "a"));
    let b = log.get("b").expect("reads").expect("is there").trajectory;
    assert_eq!(b.verdicts.len(), 1, "all or none");
    for (id, wanted) in [("nobody", "no trajectory `nobody`"), ("own", "sampled by a run")] {
        if id == "own" {
            let own = Trajectory {
                kind: Kind::Solve,
                ..unjudged("own", "r/1/p", 1)
            };
            let _ = log.append_blocking(vec![own]).expect("appends");
        }
        let error = wait(log.set_rewards(vec![(id.into(), given(0.0))]))
            .expect_err(id)
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let nan = wait(log.set_rewards(vec![("b".into(), given(f64::NAN))]));
    assert!(matches!(nan, Err(LogError::Invalid { .. })));
}

#[test]
fn a_group_of_a_session_stays_open_until_it_is_told() {
    let (_folder, log) = open(LogConfig::default());
    let of_session = |id: &str, session: &str| Trajectory {
        session: Some(session.into()),
        ..unjudged(id, session, 1)
    };
    let rows = vec![of_session("a", "s1"), of_session("b", "s1"), of_session("c", "s2")];
    let _ = log.append_blocking(rows).expect("appends");
    assert_eq!(
        log.close_expired(0.0, now() + 1e6).expect("looks"),
        0,
        "held groups do not expire"
    );
    assert!(closed(&log).is_empty());
    assert!(wait(log.close_group("s1")).expect("closes"));
    assert!(!wait(log.close_group("s1")).expect("looks"), "it is closed already");
    assert_eq!(closed(&log), ["s1"]);
    // After a restart nobody would tell.
    assert_eq!(log.release_held().expect("releases"), 1);
    assert_eq!(log.close_expired(0.0, now() + 1e6).expect("closes"), 1);
    assert_eq!(closed(&log), ["s1", "s2"]);
}

#[test]
fn what_a_client_samples_joins_no_group_of_sessions() {
    let (_folder, log) = open(LogConfig::default());
    let of_session = |id: &str| Trajectory {
        session: Some(format!("session of {id}")),
        ..unjudged(id, "g", 1)
    };
    let members = || -> Vec<Vec<String>> {
        let groups = log.closed_groups(&GroupQuery::default()).expect("reads");
        let ids = |closed: &ClosedGroup| closed.group.members.iter().map(|row| row.id.clone()).collect();
        groups.iter().map(ids).collect()
    };
    // A client begins a group of four before the sessions do, and goes on while theirs is open.
    let _ = log
        .append_blocking(vec![
            unjudged("x", "g", 4),
            of_session("a"),
            unjudged("y", "g", 4),
            of_session("b"),
        ])
        .expect("appends");
    assert!(members().is_empty());
    assert!(wait(log.close_group("g")).expect("closes"));
    assert_eq!(members(), [["a", "b"]]);
    assert!(
        !wait(log.close_group("g")).expect("looks"),
        "a client's is not theirs to close"
    );
    // After a restart theirs is nobody's, and does not become the client's.
    let _ = log.append_blocking(vec![of_session("c")]).expect("appends");
    assert_eq!(log.release_held().expect("releases"), 1);
    assert_eq!(members(), [vec!["a", "b"], vec!["c"]]);
    let _ = log
        .append_blocking(vec![unjudged("z", "g", 4), unjudged("w", "g", 4)])
        .expect("appends");
    assert_eq!(members()[2], ["x", "y", "z", "w"]);
}

#[test]
fn a_group_without_its_rewards_expires() {
    let (_folder, log) = open(LogConfig::default());
    let late = Trajectory {
        awaits_reward: true,
        ..unjudged("a", "g", 1)
    };
    let _ = log.append_blocking(vec![late]).expect("appends");
    assert!(closed(&log).is_empty());
    assert_eq!(log.close_expired(0.0, now() + 1e6).expect("closes"), 1);
    assert_eq!(closed(&log), ["g"]);
}
