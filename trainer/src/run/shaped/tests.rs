//! What penalties and bonuses make of a group, and when a run begins to shape.

use super::*;
use crate::hidden::{HiddenShaping, Scope};
use crate::objective::{Advantage, OverlongBuffer};
use crate::policy::testing::{tiny_model, unscored};
use crate::run::testing::run;
use crate::run::{RunState, history};
use crate::svs::testing::verdict;
use crate::trajectory::GraderVerdict;

fn of_rank(rank: f64) -> Dynamics {
    Dynamics {
        rank,
        velocity: 2.0,
        acceleration: 1.0,
    }
}

/// Responses of so many tokens with such rewards and effective ranks.
fn group(members: &[(usize, Option<f64>, f64)]) -> Group {
    let one = |(at, (tokens, reward, rank)): (usize, &(usize, Option<f64>, f64))| Trajectory {
        verdicts: vec![GraderVerdict {
            reward: *reward,
            ..verdict(svs_verifier::Verdict::Correct)
        }],
        hidden: Some(of_rank(*rank)),
        ..unscored(&format!("m{at}"), &vec![7; *tokens], 0, 1.0)
    };
    Group {
        id: "g".into(),
        members: members.iter().enumerate().map(one).collect(),
    }
}

/// A buffer of four tokens before the limit of six, and bonuses of such a scope.
fn config(enabled: bool, scope: Scope) -> TrainConfig {
    let mut config = TrainConfig::default();
    config.algorithm.overlong_buffer = OverlongBuffer {
        len: 4,
        penalty_factor: 0.5,
    };
    config.algorithm.hidden_shaping = HiddenShaping {
        enabled,
        scope,
        ..HiddenShaping::default()
    };
    config
}

#[test]
fn penalties_and_bonuses_reach_the_update() {
    let group = group(&[
        (2, Some(1.0), 100.0),
        (4, Some(1.0), 11.0),
        (6, Some(0.0), 5.0),
        (6, None, 100.0),
    ]);
    let penalised = [Some(1.0), Some(0.75), Some(-0.5), None];
    let usual = Means::after(None, &[of_rank(10.0)], 0.3).expect("a batch");
    // Only ranks deviate, by 5 (at most), 0.1 and -0.5, and count half.
    let bonuses = [5.0f64, 0.1, -0.5].map(|deviation| 0.5 * deviation.tanh());
    let mean = 1.25 / 3.0;
    let squares = [1.0f64, 0.75, -0.5].map(|reward| (reward - mean).powi(2));
    let deviation = (squares.iter().sum::<f64>() / 2.0).sqrt();
    let plain = [1.0, 0.75, -0.5].map(|reward| (reward - mean) / (deviation + 1e-6));
    // The first is more than half of its advantage, the last below 0.
    let shaped = [plain[0] * 1.5, plain[1] + bonuses[1], plain[2]];
    assert!(bonuses[0] > plain[0] / 2.0 && bonuses[1] < plain[1] / 2.0, "{plain:?}");
    for scope in [Scope::Response, Scope::LastToken] {
        let (config, mut seen) = (config(true, scope), Bonuses::default());
        let update = to_update(&group, &config, &config.update(1), 6, Some(&usual), &mut seen).expect("shapes");
        assert_eq!(update.rewards, penalised);
        let found = update.advantages.expect("shaped");
        assert_eq!((found.len(), found[3]), (4, None));
        for at in 0..3 {
            let Advantage { every, last } = found[at].expect("has a reward");
            let wanted = if scope == Scope::Response {
                shaped[at]
            } else {
                plain[at]
            };
            assert!(
                (every - wanted).abs() < 1e-6,
                "{scope:?}, {at}: {every} is not {wanted}"
            );
            assert!((last - shaped[at]).abs() < 1e-6, "{scope:?}, {at}: {last}");
        }
        let mut metrics = BTreeMap::new();
        seen.metrics(&mut metrics);
        let mean = bonuses.iter().sum::<f64>() / 3.0;
        assert!((metrics["hidden/bonus_mean"] - mean).abs() < 1e-6, "{metrics:?}");
        assert_eq!(metrics["hidden/bonus_clipped"], 1.0 / 3.0);
    }
}

#[test]
fn nothing_is_shaped_without_means_or_unasked() {
    let group = group(&[(2, Some(1.0), 100.0), (4, Some(0.0), 11.0)]);
    let usual = Means::after(None, &[of_rank(10.0)], 0.3);
    for (enabled, usual) in [(true, None), (false, usual)] {
        let (config, mut seen) = (config(enabled, Scope::Response), Bonuses::default());
        let update = to_update(&group, &config, &config.update(1), 6, usual.as_ref(), &mut seen).expect("is fine");
        assert_eq!(update.rewards, [Some(1.0), Some(-0.25)]);
        let mut metrics = BTreeMap::new();
        seen.metrics(&mut metrics);
        assert_eq!((update.advantages, metrics.len()), (None, 0));
    }
}

#[test]
fn a_run_shapes_from_its_second_batch_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let toml = "recipe = \"grpo\"\nsteps = 3\nrun_id = \"shaped\"\n\
        [problems]\ntrain_batch_size = 2\nprocedural_count = 8\n\
        [rollout]\nn = 4\nmax_prompt_length = 200\nmax_response_length = 24\n\
        [prompts]\nsolve = \"{question}\"\n\
        [algorithm]\nfilter_groups = false\nhidden_shaping = {enabled = true, stride = 4, window = 16}\n";
    let status = run(tiny_model(1), folder.path(), toml);
    assert_eq!((status.state, status.error), (RunState::Finished, None));
    let records = history::read(&folder.path().join("runs/shaped")).expect("a history");
    let has = |name: &str| -> Vec<bool> {
        let each = records.iter();
        each.map(|record| record.metrics.contains_key(name)).collect()
    };
    assert_eq!(has("hidden/effective_rank"), [true, true, true]);
    for name in ["hidden/bonus_mean", "hidden/bonus_clipped"] {
        assert_eq!(has(name), [false, true, true], "{name}");
    }
}
