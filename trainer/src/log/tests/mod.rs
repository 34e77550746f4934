//! The log's promises on real files: order, atomicity, groups, marks, bounds, damage.

mod faults;
mod listing;
mod rewards;

use std::time::{SystemTime, UNIX_EPOCH};

use svs_engine::{FinishReason, SamplingParams, VersionSpan};
use svs_verifier::Verdict;

use super::*;
use crate::trajectory::{GraderVerdict, Kind, Segment, SegmentRole};

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs_f64()
}

fn trajectory(id: &str, group: &str, size: u32) -> Trajectory {
    let sampled: Vec<u32> = id.bytes().map(u32::from).collect();
    let n = sampled.len();
    Trajectory {
        id: id.into(),
        group_id: group.into(),
        group_size: size,
        problem_id: Some(format!("problem-{group}")),
        parent: None,
        kind: Kind::Client,
        segments: vec![
            Segment {
                role: SegmentRole::Prompt,
                tokens: vec![1, 2, u32::MAX],
                trainable: false,
            },
            Segment {
                role: SegmentRole::Sampled,
                tokens: sampled,
                trainable: true,
            },
        ],
        logprobs: (0..n).map(|i| -0.1 - i as f32 / 3.0).collect(),
        raw_logprobs: (0..n).map(|i| -0.2 - i as f32).collect(),
        thresholds: (0..n).map(|i| (i % 2 == 0).then_some(i as f32 / 7.0)).collect(),
        spans: vec![VersionSpan {
            version: 3,
            start: 0,
            end: n as u32,
        }],
        trained_prompt: None,
        adapter: None,
        session: None,
        awaits_reward: false,
        mixed_kv: false,
        approximate: false,
        hidden: None,
        sampling: SamplingParams {
            seed: Some(u64::MAX),
            temperature: 0.7,
            ..SamplingParams::default()
        },
        choice: 1,
        finish_reason: FinishReason::Stop,
        weight: 1.0,
        reference: Some("42".into()),
        verdicts: vec![GraderVerdict {
            grader: "math".into(),
            verdict: Verdict::Correct,
            reward: Some(1.0),
            explanation: None,
        }],
        text: "a\0\u{1F600}\"b".into(),
        metadata: serde_json::json!({"deep": [1, 2.5, null]}),
        created_at: 1_700_000_000.25,
    }
}

fn open(config: LogConfig) -> (tempfile::TempDir, TrajectoryLog) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = TrajectoryLog::open_with(&folder.path().join("log.sqlite"), config).expect("opens");
    (folder, log)
}

#[test]
fn a_trajectory_comes_back_bit_for_bit_after_reopening() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log.sqlite");
    let sent = trajectory("abc", "g", 1);
    let log = TrajectoryLog::open(&path).expect("opens");
    assert_eq!(log.append_blocking(vec![sent.clone()]).expect("appends"), [1]);
    drop(log);
    let log = TrajectoryLog::open(&path).expect("opens again");
    let group = log.group("g").expect("reads").expect("is there");
    assert_eq!(group.members, std::slice::from_ref(&sent));
    assert_eq!(log.get("abc").expect("reads").expect("is there").trajectory, sent);
    assert_eq!(log.group("other").expect("reads"), None);
    let stats = log.stats().expect("counts");
    assert_eq!((stats.rows, stats.open_groups, stats.last_seq), (1, 0, 2));
}

#[test]
fn groups_close_at_their_size_and_only_then() {
    let (_folder, log) = open(LogConfig::default());
    let query = GroupQuery::default();
    let _ = log
        .append_blocking(vec![trajectory("a1", "a", 2), trajectory("b1", "b", 1)])
        .expect("appends");
    let closed = log.closed_groups(&query).expect("reads");
    assert_eq!(closed.iter().map(|c| c.group.id.as_str()).collect::<Vec<_>>(), ["b"]);
    let _ = log
        .append_blocking(vec![trajectory("a2", "a", 2), trajectory("a3", "a", 2)])
        .expect("appends");
    let closed = log
        .closed_groups(&GroupQuery {
            after_seq: closed[0].closed_seq,
            ..query
        })
        .expect("reads");
    assert_eq!(closed.len(), 1);
    let ids: Vec<&str> = closed[0].group.members.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["a1", "a2"], "the third member opens the next group of that id");
    assert_eq!(log.group("a").expect("reads").expect("is there").members.len(), 1);
}

#[test]
fn an_expired_group_closes_after_the_cursor_of_later_groups() {
    let (_folder, log) = open(LogConfig::default());
    let start = now();
    let slow = Trajectory {
        created_at: start - 100.0,
        ..trajectory("s1", "slow", 8)
    };
    let _ = log
        .append_blocking(vec![
            slow,
            Trajectory {
                created_at: start,
                ..trajectory("y1", "young", 8)
            },
        ])
        .expect("ok");
    let _ = log
        .append_blocking(vec![trajectory("q1", "quick", 1)])
        .expect("appends");
    let cursor = log.closed_groups(&GroupQuery::default()).expect("reads")[0].closed_seq;
    assert_eq!(log.close_expired(60.0, start).expect("closes"), 1);
    assert_eq!(log.close_expired(60.0, start).expect("closes"), 0);
    let later = log
        .closed_groups(&GroupQuery {
            after_seq: cursor,
            ..GroupQuery::default()
        })
        .expect("reads");
    assert_eq!(
        later
            .iter()
            .map(|c| (c.group.id.as_str(), c.expired))
            .collect::<Vec<_>>(),
        [("slow", true)]
    );
    let frozen = GroupQuery {
        until_seq: Some(cursor),
        ..GroupQuery::default()
    };
    assert_eq!(log.closed_groups(&frozen).expect("reads").len(), 1);
}

#[test]
fn closed_groups_can_be_chosen_by_kind_and_limited() {
    let (_folder, log) = open(LogConfig::default());
    let kinds = [Kind::Solve, Kind::Synthesize, Kind::SolveSynthetic, Kind::Client];
    for (i, kind) in kinds.into_iter().enumerate() {
        let _ = log
            .append_blocking(vec![Trajectory {
                kind,
                ..trajectory(&format!("t{i}"), &format!("g{i}"), 1)
            }])
            .expect("ok");
    }
    let of = |kinds: Vec<Kind>, limit| {
        let query = GroupQuery {
            kinds,
            limit,
            ..GroupQuery::default()
        };
        log.closed_groups(&query)
            .expect("reads")
            .into_iter()
            .map(|c| c.group.members[0].kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(vec![], 10), kinds);
    assert_eq!(of(vec![], 2), kinds[..2]);
    assert_eq!(
        of(vec![Kind::Client, Kind::Synthesize], 10),
        [Kind::Synthesize, Kind::Client]
    );
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let (_folder, log) = open(LogConfig::default());
    let first = log.append_blocking(vec![trajectory("a", "g", 9)]).expect("appends");
    let other = Trajectory {
        logprobs: vec![-9.0],
        ..trajectory("a", "g", 9)
    };
    let failed = log.append_blocking(vec![trajectory("b", "g", 9), other]);
    assert!(matches!(failed, Err(LogError::Conflict(id)) if id == "a"));
    assert_eq!(log.stats().expect("counts").rows, 1);
    assert!(log.get("b").expect("reads").is_none());
    let again = log
        .append_blocking(vec![trajectory("c", "g", 9), trajectory("a", "g", 9)])
        .expect("appends");
    assert_eq!(again[1], first[0], "the same trajectory keeps its number");
    assert_eq!(log.group("g").expect("reads").expect("is there").members.len(), 2);
}

#[test]
fn contradictory_trajectories_are_refused_by_name() {
    let (_folder, log) = open(LogConfig {
        max_batch: 2,
        ..LogConfig::default()
    });
    let good = || trajectory("abc", "g", 2);
    let cases: Vec<(&str, Trajectory)> = vec![
        (
            "empty",
            Trajectory {
                id: String::new(),
                ..good()
            },
        ),
        (
            "group_size",
            Trajectory {
                group_size: 0,
                ..good()
            },
        ),
        (
            "logprobs has 1",
            Trajectory {
                logprobs: vec![-1.0],
                ..good()
            },
        ),
        (
            "raw_logprobs has 0",
            Trajectory {
                raw_logprobs: vec![],
                ..good()
            },
        ),
        (
            "thresholds has 4",
            Trajectory {
                thresholds: vec![None; 4],
                ..good()
            },
        ),
        (
            "not finite",
            Trajectory {
                logprobs: vec![-1.0, f32::NAN, -1.0],
                ..good()
            },
        ),
        (
            "weight",
            Trajectory {
                weight: f64::INFINITY,
                ..good()
            },
        ),
        (
            "cover 2 of 3",
            Trajectory {
                spans: vec![VersionSpan {
                    version: 0,
                    start: 0,
                    end: 2,
                }],
                ..good()
            },
        ),
        (
            "follow",
            Trajectory {
                spans: vec![VersionSpan {
                    version: 0,
                    start: 1,
                    end: 3,
                }],
                ..good()
            },
        ),
    ];
    for (wanted, bad) in cases {
        let error = log.append_blocking(vec![bad]).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let many = (0..3).map(|i| trajectory(&format!("m{i}"), "m", 3)).collect();
    assert!(
        log.append_blocking(many)
            .expect_err("too many")
            .to_string()
            .contains("max_batch 2")
    );
    assert_eq!(log.stats().expect("counts").rows, 0);
}

#[test]
fn marks_follow_the_checkpoint() {
    let (_folder, log) = open(LogConfig::default());
    let _ = log
        .append_blocking(
            (0..4)
                .map(|i| trajectory(&format!("t{i}"), &format!("g{i}"), 1))
                .collect(),
        )
        .expect("ok");
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        log.mark_trained("a", &ids(&["t0", "t1", "gone"]), 5.0).expect("marks"),
        2
    );
    let untrained = || {
        let query = GroupQuery {
            untrained_only: true,
            ..GroupQuery::default()
        };
        log.closed_groups(&query)
            .expect("reads")
            .into_iter()
            .map(|c| c.group.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(untrained(), ["g2", "g3"]);
    assert_eq!(
        log.repair_trained("b", &ids(&["t1", "t2"]), 7.0).expect("repairs"),
        1,
        "marks of another run stay"
    );
    assert_eq!(untrained(), ["g3"]);
    assert_eq!(log.repair_trained("b", &[], 8.0).expect("repairs"), 1);
    assert_eq!(log.repair_trained("a", &ids(&["t1", "t2"]), 9.0).expect("repairs"), 2);
    assert_eq!(untrained(), ["g0", "g3"]);
    let marks: Vec<Option<f64>> = (0..4)
        .map(|i| log.get(&format!("t{i}")).expect("reads").expect("is there").trained_at)
        .collect();
    assert_eq!(marks, [None, Some(5.0), Some(9.0), None]);
}

#[test]
fn listing_pages_backwards_without_gaps() {
    let (_folder, log) = open(LogConfig::default());
    let _ = log
        .append_blocking(
            (0..7)
                .map(|i| trajectory(&format!("t{i}"), &format!("g{}", i % 2), 99))
                .collect(),
        )
        .expect("ok");
    let (mut seen, mut before_seq) = (Vec::new(), None);
    loop {
        let page = log
            .list(&ListQuery {
                before_seq,
                limit: 3,
                ..ListQuery::default()
            })
            .expect("lists");
        let Some(last) = page.last() else { break };
        before_seq = Some(last.seq);
        seen.extend(page.into_iter().map(|row| row.trajectory.id));
    }
    assert_eq!(seen, ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]);
    let query = ListQuery {
        limit: 9,
        problem_id: Some("problem-g1".into()),
        kind: Some(Kind::Client),
        ..ListQuery::default()
    };
    assert_eq!(log.list(&query).expect("lists").len(), 3);
}

#[test]
fn retention_removes_the_oldest_closed_groups_and_counts_them() {
    let (_folder, log) = open(LogConfig {
        retention_rows: Some(3),
        ..LogConfig::default()
    });
    let _ = log
        .append_blocking(vec![trajectory("open", "open", 2)])
        .expect("appends");
    for i in 0..6 {
        let _ = log
            .append_blocking(vec![trajectory(&format!("t{i}"), &format!("g{i}"), 1)])
            .expect("appends");
        if i == 0 {
            assert_eq!(log.mark_trained("a", &["t0".into()], 1.0).expect("marks"), 1);
        }
    }
    assert_eq!(log.close_expired(1e12, 0.0).expect("waits for the writer"), 0);
    let stats = log.stats().expect("counts");
    assert_eq!((stats.rows, stats.evicted, stats.evicted_untrained), (3, 4, 3));
    assert!(log.get("open").expect("reads").is_some(), "open groups stay");
    assert!(log.get("t5").expect("reads").is_some());
    assert!(log.get("t3").expect("reads").is_none());
}

#[test]
fn many_threads_lose_nothing_and_share_one_order() {
    let (_folder, log) = open(LogConfig::default());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            let _ = scope.spawn(move || {
                for i in 0..25 {
                    let id = format!("t{thread}-{i}");
                    let _ = log
                        .append_blocking(vec![trajectory(&id, &format!("g{i}"), 8)])
                        .expect("appends");
                }
            });
        }
    });
    let closed = log.closed_groups(&GroupQuery::default()).expect("reads");
    assert_eq!(closed.len(), 25);
    assert!(closed.iter().all(|c| c.group.members.len() == 8 && !c.expired));
    assert!(closed.windows(2).all(|pair| pair[0].closed_seq < pair[1].closed_seq));
    assert_eq!(log.stats().expect("counts").last_seq, 225);
}
