use std::sync::Arc;

use svs_engine::{EngineConfig, WeightSet};
use svs_verifier::Verdict;

use super::*;
use crate::Problem;
use crate::log::ListQuery;
use crate::policy::testing::tiny_model;
use crate::reward::testing::{Reply, Server};
use crate::reward::{EndpointConfig, RewardConfig, Task};

/// An engine over random weights and an empty log.
struct Bench {
    engine: EngineHandle,
    log: TrajectoryLog,
    config: RolloutConfig,
    reward: Reward,
    hidden: HiddenShaping,
    abandoned: AtomicBool,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let model = tiny_model(1);
        let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
        let config = EngineConfig {
            kv_cache_bytes: 16 << 20,
            ..EngineConfig::default()
        };
        let engine = EngineHandle::start(weights, model.tokenizer.clone(), config).expect("an engine");
        let folder = tempfile::tempdir().expect("a folder");
        let log = TrajectoryLog::open(&folder.path().join("log.sqlite")).expect("a log");
        Self {
            engine,
            log,
            config: RolloutConfig::default(),
            reward: Reward::new(&RewardConfig::default(), false).expect("a reward"),
            hidden: HiddenShaping::default(),
            abandoned: AtomicBool::new(false),
            _folder: folder,
        }
    }

    fn rollouts(&self) -> EngineRollouts<'_> {
        EngineRollouts {
            engine: &self.engine,
            log: &self.log,
            config: &self.config,
            reward: &self.reward,
            limits: (64, 10),
            version: None,
            abandoned: &self.abandoned,
            hidden: &self.hidden,
            prefix: "run/1".into(),
            seed_name: "0/1".into(),
            progress: &|_, _, _| {},
            tally: Tally::default(),
            conflict: false,
        }
    }

    fn rows(&self) -> usize {
        self.log
            .list(&ListQuery {
                limit: 1000,
                ..ListQuery::default()
            })
            .expect("lists")
            .len()
    }
}

fn ask(key: &str, kind: Kind) -> Ask {
    Ask {
        key: key.into(),
        kind,
        problem_id: "p".into(),
        parent: (kind != Kind::Solve).then(|| "run/1/p#0".into()),
        messages: vec![ChatMessage::new("user", key)],
        trained_as: None,
        task: (kind != Kind::Synthesize).then(|| {
            Task::of(&Problem {
                answer: "4".into(),
                ..Problem::default()
            })
        }),
        n: 3,
    }
}

#[test]
fn groups_are_graded_logged_and_read_back_once_however_often_they_are_sampled() {
    let bench = Bench::new();
    let asks = [ask("p", Kind::Solve), ask("q", Kind::Solve)];
    let first = bench.rollouts().sample(&asks).expect("samples");
    assert_eq!(
        first.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(),
        ["run/1/p", "run/1/q"]
    );
    for group in &first {
        assert_eq!(
            bench
                .log
                .group(&group.id)
                .expect("reads")
                .expect("logged")
                .members
                .len(),
            3
        );
        for (at, member) in group.members.iter().enumerate() {
            assert_eq!(
                (member.id.clone(), member.choice as usize),
                (format!("{}#{at}", group.id), at)
            );
            assert_eq!(
                member.verdicts[0].reward.is_some(),
                member.verdicts[0].verdict != Verdict::Infrastructure
            );
            assert_eq!(member.logprobs.len(), member.segments[1].tokens.len());
        }
        let texts: std::collections::BTreeSet<_> = group.members.iter().map(|member| member.tokens()).collect();
        assert_eq!(texts.len(), 3, "samples of a group differ");
    }
    assert_eq!(bench.rows(), 6);
    // A killed step regenerated: the same tokens, and the log holds them once.
    let again = bench.rollouts().sample(&asks).expect("samples");
    assert_eq!(again, first);
    assert_eq!(bench.rows(), 6);
}

#[test]
fn the_runs_grader_judges_what_is_sampled() {
    let mut bench = Bench::new();
    let grader = serde_json::json!({"type": "regex", "name": "anything", "pattern": ""});
    let config = RewardConfig {
        grader: Some(serde_json::from_value(grader).expect("a grader")),
        ..RewardConfig::default()
    };
    bench.reward = Reward::new(&config, false).expect("a reward");
    let groups = bench.rollouts().sample(&[ask("p", Kind::Solve)]).expect("samples");
    for member in &groups[0].members {
        assert_eq!(
            (member.verdicts[0].grader.as_str(), member.verdicts[0].reward),
            ("anything", Some(1.0))
        );
    }
}

#[test]
fn what_was_logged_while_the_grader_failed_is_graded_anew_under_another_id() {
    // Which requests fail in the first attempt of three samples, and whether the second one meets what cannot stay.
    for (failing, conflict) in [(0..0, false), (0..1, true), (1..3, true), (0..3, true)] {
        let reply = {
            let failing = failing.clone();
            move |at| match failing.contains(&at) {
                true => Reply::status(500),
                false => Reply::json(200, &serde_json::json!({"reward": 1})),
            }
        };
        let endpoint = EndpointConfig {
            retries: 0,
            cache_entries: 0,
            ..EndpointConfig::at(&Server::start(reply).url)
        };
        let grader = serde_json::json!({"type": "external", "name": "e", "endpoint": "lab"});
        let config = RewardConfig {
            grader: Some(serde_json::from_value(grader).expect("a grader")),
            endpoints: [("lab".to_owned(), endpoint)].into(),
            ..RewardConfig::default()
        };
        let mut bench = Bench::new();
        bench.reward = Reward::new(&config, false).expect("a reward");
        let rewards = |groups: &[Group]| -> usize {
            let members = groups.iter().flat_map(|group| &group.members);
            members.filter(|member| has_reward(member)).count()
        };
        let asks = [ask("p", Kind::Solve)];
        let first = bench.rollouts().sample(&asks).expect("a fault is no error");
        assert_eq!(rewards(&first), 3 - failing.len(), "{failing:?}");

        let mut again = bench.rollouts();
        let outcome = again.sample(&asks);
        assert_eq!((outcome.is_err(), again.conflict), (conflict, conflict), "{failing:?}");
        again.prefix = "run/1v1".into();
        let anew = again.sample(&asks).expect("free ids");
        assert_eq!(rewards(&anew), 3, "{failing:?}");
        let tokens = |groups: &[Group]| -> Vec<Vec<u32>> { groups[0].members.iter().map(Trajectory::tokens).collect() };
        assert_eq!(tokens(&anew), tokens(&first), "the same samples");
    }
}

#[test]
fn synthesis_is_logged_with_its_findings() {
    let bench = Bench::new();
    let mut rollouts = bench.rollouts();
    let written = rollouts.sample(&[ask("p/c0", Kind::Synthesize)]).expect("samples");
    assert_eq!(bench.rows(), 0);
    let finding = GraderVerdict {
        grader: "svs/band".into(),
        verdict: Verdict::Correct,
        reward: Some(1.0),
        explanation: None,
    };
    let recorded = rollouts.record(written, vec![vec![finding.clone(); 3]]).expect("logs");
    assert!(
        recorded[0]
            .members
            .iter()
            .all(|member| member.verdicts == [finding.clone()])
    );
    assert_eq!(bench.rows(), 3);
}

#[test]
fn other_rollouts_under_the_same_ids_are_a_conflict() {
    let mut bench = Bench::new();
    bench.rollouts().sample(&[ask("p", Kind::Solve)]).expect("samples");
    bench.config.temperature = 0.3;
    let mut rollouts = bench.rollouts();
    rollouts
        .sample(&[ask("p", Kind::Solve)])
        .expect_err("the log keeps what it has");
    assert!(rollouts.conflict);
    rollouts.prefix = "run/1v1".into();
    rollouts.sample(&[ask("p", Kind::Solve)]).expect("samples");
    assert_eq!(bench.rows(), 6);
}

#[test]
fn seeds_depend_on_names_only() {
    let bench = Bench::new();
    let rollouts = bench.rollouts();
    let seed = |ask: &Ask| rollouts.request(ask, &[1], &States::default()).sampling.seed;
    let solve = ask("p", Kind::Solve);
    assert_eq!(seed(&solve), seed(&solve));
    assert_ne!(seed(&solve), seed(&ask("q", Kind::Solve)));
    assert_ne!(seed(&solve), seed(&ask("p", Kind::Synthesize)));
    let other = EngineRollouts {
        seed_name: "0/2".into(),
        ..bench.rollouts()
    };
    assert_ne!(
        seed(&solve),
        other.request(&solve, &[1], &States::default()).sampling.seed
    );
    assert!(
        !rollouts
            .fits(&[ChatMessage::new("user", &"x".repeat(64))])
            .expect("encodes")
    );
}

#[test]
fn hidden_states_are_measured_where_a_run_asks_for_it_and_stay_in_the_log() {
    let mut bench = Bench::new();
    let asks = [ask("p", Kind::Solve), ask("q", Kind::Solve)];
    let plain = bench.rollouts().sample(&asks[..1]).expect("samples");
    assert!(plain[0].members.iter().all(|member| member.hidden.is_none()));
    bench.hidden = HiddenShaping {
        enabled: true,
        stride: 2,
        ..HiddenShaping::default()
    };
    let groups = bench.rollouts().sample(&asks[1..]).expect("samples");
    for member in &groups[0].members {
        let (found, tokens) = (member.hidden.expect("measured"), member.logprobs.len() as f64);
        assert!(found.rank > 1.0 && found.rank < tokens, "{found:?} of {tokens} tokens");
        assert!(tokens < 6.0 || found.velocity != 0.0, "{found:?} of {tokens} tokens");
    }
}

#[test]
fn a_group_with_a_hint_is_trained_on_behind_the_plain_prompt() {
    let bench = Bench::new();
    let plain = vec![ChatMessage::new("user", "short")];
    let hinted = Ask {
        kind: Kind::SolveHinted,
        trained_as: Some(plain.clone()),
        ..ask("a much longer prompt", Kind::Solve)
    };
    let group = bench.rollouts().sample(&[hinted]).expect("samples").remove(0);
    let plain = bench.engine.tokenizer().encode_chat(&plain, true).expect("encodes");
    for member in &group.members {
        let (tokens, scored) = member.trained();
        let response = &member.tokens()[member.prompt_len()..];
        assert_eq!(tokens, [plain.as_slice(), response].concat());
        let positions: Vec<u32> = (plain.len()..tokens.len()).map(|at| at as u32).collect();
        assert_eq!(scored, positions);
        assert_ne!(member.prompt_len(), plain.len());
    }
}
