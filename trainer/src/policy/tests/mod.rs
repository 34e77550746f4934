//! Updates of a tiny model: first-step identities, masks, off-policy rows, invariance under cuts, errors that move nothing.

use svs_engine::{FinishReason, VersionSpan};

use super::testing::{logprobs, tiny_model, unscored};
use super::*;
use crate::objective::{Advantage, ObjectiveConfig};
use crate::trajectory::{Group, Segment, SegmentRole, Trajectory};

mod correction;
mod rows;
mod skipped;
mod steps;

const VERSION: u64 = 5;

fn config() -> UpdateConfig {
    UpdateConfig {
        optim: OptimConfig {
            lr: 1e-3,
            ..OptimConfig::default()
        },
        ..UpdateConfig::default()
    }
}

/// Four members, the first two rewarded, with logprobs recorded from `policy`.
fn group(policy: &Policy, name: &str) -> UpdateGroup {
    let salt = name.bytes().map(u32::from).sum::<u32>();
    let members = (0..4u32)
        .map(|i| {
            let sampled: Vec<u32> = (0..3 + i).map(|t| (salt * 7 + i * 31 + t * 13) % 256).collect();
            let mut member = unscored(&format!("{name}-{i}"), &sampled, policy.version(), 0.7);
            member.logprobs = logprobs(policy, &member);
            member
        })
        .collect();
    let rewards = vec![Some(1.0), Some(1.0), Some(0.0), Some(0.0)];
    UpdateGroup {
        group: Group {
            id: name.into(),
            members,
        },
        rewards,
        advantages: None,
    }
}

fn batch(policy: &Policy, names: &[&str]) -> UpdateBatch {
    UpdateBatch {
        groups: names.iter().map(|name| group(policy, name)).collect(),
        reference: None,
    }
}

/// Advantages of four members, of all their tokens.
fn given(advantages: [f64; 4]) -> Option<Vec<Option<Advantage>>> {
    Some(advantages.map(|one| Some(one.into())).to_vec())
}

fn fresh() -> Policy {
    Policy::new(tiny_model(3), VERSION)
}

#[test]
fn the_first_update_is_exactly_on_policy_and_moves_towards_reward() {
    let mut policy = fresh();
    let batch = batch(&policy, &["a", "b"]);
    let report = policy.update(&batch, &config()).expect("updates");
    assert_eq!(
        (report.steps, report.skipped_steps, report.rows, report.tokens),
        (1, 0, 8, 36)
    );
    assert_eq!(
        (report.version, policy.version(), policy.optimizer_steps()),
        (VERSION + 1, VERSION + 1, 1)
    );
    assert!(report.masked.is_empty());
    for (name, wanted) in [
        ("actor/ppo_kl", 0.0),
        ("actor/ratio_mean", 1.0),
        ("actor/ratio_max", 1.0),
        ("actor/pg_clipfrac", 0.0),
        ("actor/kl_loss", 0.0),
        ("rollout_corr/exact_rows", 8.0),
        ("rollout_corr/log_ppl_abs_diff", 0.0),
        ("rollout_corr/logprob_abs_diff_max", 0.0),
        ("critic/rewards/mean", 0.5),
        ("critic/rewards/max", 1.0),
        ("actor/lr", 1e-3),
    ] {
        assert_eq!(report.metrics.get(name), Some(&wanted), "{name}");
    }
    let entropy = report.metrics["actor/entropy"];
    assert!(entropy > 0.0 && entropy <= 259f64.ln() + 1e-3, "{entropy}");
    assert!(report.metrics["actor/grad_norm"] > 0.0);
    for (group, given) in batch
        .groups
        .iter()
        .flat_map(|group| group.group.members.iter().zip(&group.rewards))
    {
        let change: f32 = logprobs(&policy, group)
            .iter()
            .zip(&group.logprobs)
            .map(|(now, then)| now - then)
            .sum();
        assert!(
            (change > 0.0) == (*given == Some(1.0)),
            "{}: reward {given:?}, change {change}",
            group.id
        );
    }
}

#[test]
fn a_recorded_logprob_that_rescoring_does_not_give_stops_the_update() {
    let mut policy = fresh();
    let mut bad = batch(&policy, &["a"]);
    // By the smallest step there is, and by a large one.
    let recorded = bad.groups[0].group.members[2].logprobs[1];
    bad.groups[0].group.members[2].logprobs[1] = recorded.next_up();
    let error = policy.update(&bad, &config()).expect_err("is noticed");
    assert!(
        matches!(&error, PolicyError::Identity(reason) if reason.contains("at most 0")),
        "{error}"
    );
    bad.groups[0].group.members[2].logprobs[1] = recorded + 0.01;
    let before = policy.params().clone();
    let error = policy.update(&bad, &config()).expect_err("is noticed");
    assert!(
        matches!(&error, PolicyError::Identity(reason) if reason.contains("scored token 1")),
        "{error}"
    );
    assert!(*policy.params() == before);
    assert_eq!((policy.version(), policy.optimizer_steps()), (VERSION, 0));
    let tolerant = UpdateConfig {
        parity_tolerance: 0.1,
        ..config()
    };
    let report = policy.update(&bad, &tolerant).expect("within the tolerance");
    let worst = report.metrics["rollout_corr/logprob_abs_diff_max"];
    assert!((worst - 0.01).abs() < 1e-5, "{worst}");
}

#[test]
fn rows_that_cannot_be_trained_on_are_masked_and_counted() {
    type Harm = fn(&mut UpdateGroup);
    let cases: [(&str, Harm); 8] = [
        ("no_reward", |group| group.rewards[0] = None),
        ("greedy", |group| group.group.members[0].sampling.temperature = 0.0),
        ("aborted", |group| {
            group.group.members[0].finish_reason = FinishReason::Abort
        }),
        ("no_tokens", |group| {
            group.group.members[0].segments[1].trainable = false
        }),
        ("no_tokens", |group| drop(group.group.members[0].segments.remove(0))),
        ("stale", |group| {
            group.group.members[0].spans = vec![VersionSpan {
                version: 1,
                start: 0,
                end: 3,
            }]
        }),
        ("adapter", |group| group.group.members[0].adapter = Some("math".into())),
        ("adapter", |group| {
            group.group.members[0].spans[0].version = svs_engine::weights::ADAPTER_VERSIONS
        }),
    ];
    for (reason, harm) in cases {
        let mut policy = fresh();
        let mut batch = batch(&policy, &["a"]);
        harm(&mut batch.groups[0]);
        let report = policy
            .update(
                &batch,
                &UpdateConfig {
                    max_staleness: 3,
                    ..config()
                },
            )
            .expect(reason);
        assert_eq!(report.masked, [(reason.to_owned(), 1)].into());
        assert_eq!(report.rows, 3);
        // One correct of three is left: mean 1/3, unbiased deviation 1/√3.
        let wanted = (2.0 / 3.0) / ((1.0f64 / 3.0).sqrt() + 1e-6);
        assert!(
            (report.metrics["critic/advantages/max"] - wanted).abs() < 1e-9,
            "{reason}"
        );
    }
}

#[test]
fn rows_of_other_versions_and_truncated_rows_are_scored_first() {
    type Change = fn(&mut Trajectory);
    let cases: [(&str, Change); 7] = [
        ("version", |row| row.spans[0].version = VERSION - 1),
        ("approximate", |row| row.approximate = true),
        ("mixed_kv", |row| row.mixed_kv = true),
        ("threshold", |row| row.thresholds[0] = Some(0.5)),
        ("top_p", |row| row.sampling.top_p = 0.9),
        ("penalty", |row| row.sampling.presence_penalty = 0.1),
        ("min_tokens", |row| row.sampling.min_tokens = 2),
    ];
    for (name, change) in cases {
        let mut policy = fresh();
        let mut batch = batch(&policy, &["a"]);
        for member in &mut batch.groups[0].group.members {
            change(member);
            member.logprobs.iter_mut().for_each(|logprob| *logprob += 0.1);
        }
        let report = policy.update(&batch, &config()).expect(name);
        assert_eq!(report.metrics["rollout_corr/exact_rows"], 0.0, "{name}");
        // How far off is claimed of none but those sampled in the fast mode.
        let claimed = report.metrics.get("rollout_corr/log_ppl_abs_diff");
        assert_eq!(claimed.is_some(), name == "approximate", "{name}");
        assert!(
            claimed.is_none_or(|claimed| (claimed - 0.1).abs() < 1e-4),
            "{claimed:?}"
        );
        let ratio = report.metrics["actor/ratio_mean"];
        assert!((ratio - (-0.1f64).exp()).abs() < 1e-4, "{name}: {ratio}");
    }
}

#[test]
fn later_mini_batches_are_scored_under_the_moved_weights() {
    let mut policy = fresh();
    let batch = batch(&policy, &["a", "b", "c"]);
    let report = policy
        .update(
            &batch,
            &UpdateConfig {
                mini_batch_groups: 1,
                epochs: 2,
                ..config()
            },
        )
        .expect("updates");
    assert_eq!(
        (report.steps, policy.optimizer_steps(), policy.version()),
        (6, 6, VERSION + 1)
    );
    assert_eq!(report.metrics["rollout_corr/exact_rows"], 4.0);
    assert!(report.metrics["actor/ratio_max"] > 1.0);
}

/// Parameters after one step in which the change is nearly linear in the gradient (a large epsilon).
fn after(micro_batch_tokens: usize, seed: Option<u64>) -> Vec<f32> {
    let mut policy = fresh();
    let batch = batch(&policy, &["a", "b", "c"]);
    let optim = OptimConfig {
        lr: 1.0,
        eps: 1.0,
        weight_decay: 0.0,
        ..OptimConfig::default()
    };
    let config = UpdateConfig {
        micro_batch_tokens,
        shuffle_seed: seed,
        optim,
        ..config()
    };
    let _ = policy.update(&batch, &config).expect("updates");
    policy.params().values.clone()
}

#[test]
fn neither_micro_batches_nor_the_order_of_groups_change_the_gradient() {
    let whole = after(100_000, None);
    assert!(whole == after(100_000, None), "the same update gives the same bits");
    let start = fresh().params().values.clone();
    let moved = whole
        .iter()
        .zip(&start)
        .map(|(now, then)| (now - then).abs())
        .fold(0.0, f32::max);
    for (tokens, seed) in [(1, None), (16, None), (40, Some(1)), (100_000, Some(2))] {
        let split = after(tokens, seed);
        let apart = whole.iter().zip(&split).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(
            apart < 1e-4 * moved,
            "{tokens} tokens, seed {seed:?}: {apart} of {moved}"
        );
    }
}

#[test]
fn the_reference_is_asked_for_and_its_kl_starts_at_zero() {
    let mut policy = fresh();
    let mut batch = batch(&policy, &["a"]);
    let objective = ObjectiveConfig {
        kl_loss_coef: 0.1,
        entropy_coef: 0.01,
        ..ObjectiveConfig::default()
    };
    let config = UpdateConfig {
        objective,
        mini_batch_groups: 1,
        epochs: 2,
        ..config()
    };
    assert!(matches!(policy.update(&batch, &config), Err(PolicyError::Batch(reason)) if reason.contains("reference")));
    batch.reference = Some(policy.weight_set("reference"));
    let first = policy
        .update(
            &batch,
            &UpdateConfig {
                epochs: 1,
                ..config.clone()
            },
        )
        .expect("updates");
    assert_eq!(first.metrics["actor/kl_loss"], 0.0);
    let second = policy.update(&batch, &config).expect("updates");
    assert!(second.metrics["actor/kl_loss"] > 0.0);
}

#[test]
fn nothing_to_learn_moves_nothing() {
    let mut policy = fresh();
    let mut batch = batch(&policy, &["a"]);
    batch.groups[0].rewards = vec![Some(1.0); 4];
    for batch in [UpdateBatch::default(), batch] {
        let report = policy.update(&batch, &config()).expect("is fine");
        assert_eq!((report.steps, report.version), (0, VERSION));
        assert!(*policy.params() == *fresh().params());
    }
}

#[test]
fn given_advantages_replace_those_of_the_rewards() {
    let mut policy = fresh();
    let mut batch = batch(&policy, &["a"]);
    batch.groups[0].advantages = given([0.0, 0.0, 2.0, 0.0]);
    batch.groups[0].rewards = vec![None; 4];
    let member = batch.groups[0].group.members[2].clone();
    let report = policy.update(&batch, &config()).expect("updates");
    assert_eq!((report.rows, report.metrics["critic/advantages/max"]), (4, 2.0));
    assert!(logprobs(&policy, &member).iter().sum::<f32>() > member.logprobs.iter().sum::<f32>());
}

#[test]
fn contradictory_batches_and_configs_are_refused_by_name() {
    type Harm = fn(&mut UpdateGroup);
    let cases: [(&str, Harm); 4] = [
        ("3 rewards for 4", |group| group.rewards.truncate(3)),
        ("1 advantages for 4", |group| {
            group.advantages = Some(vec![Some(1.0.into())])
        }),
        ("not finite", |group| {
            group.advantages = given([1.0, f64::NAN, 0.0, 0.0])
        }),
        ("only 2 logprobs", |group| group.group.members[0].logprobs.truncate(2)),
    ];
    for (wanted, harm) in cases {
        let mut policy = fresh();
        let mut batch = batch(&policy, &["a"]);
        harm(&mut batch.groups[0]);
        let error = policy.update(&batch, &config()).expect_err(wanted).to_string();
        assert!(error.contains(wanted) && error.contains("group `a`"), "{error}");
    }
    for (config, wanted) in [
        (
            UpdateConfig {
                mini_batch_groups: 0,
                ..config()
            },
            "mini_batch_groups",
        ),
        (
            UpdateConfig {
                micro_batch_tokens: 0,
                ..config()
            },
            "micro_batch_tokens",
        ),
        (UpdateConfig { epochs: 0, ..config() }, "epochs"),
        (
            UpdateConfig {
                parity_tolerance: f64::NAN,
                ..config()
            },
            "parity_tolerance",
        ),
        (
            UpdateConfig {
                optim: OptimConfig {
                    lr: -1.0,
                    ..OptimConfig::default()
                },
                ..config()
            },
            "optim.lr",
        ),
    ] {
        let error = fresh().update(&UpdateBatch::default(), &config).expect_err(wanted);
        assert!(
            matches!(&error, PolicyError::Config { field, .. } if *field == wanted),
            "{error}"
        );
    }
}

#[test]
fn logprobs_follow_their_segments() {
    let mut row = unscored("r", &[1, 2], 0, 1.0);
    let segment = |role, tokens: &[u32], trainable| Segment {
        role,
        tokens: tokens.to_vec(),
        trainable,
    };
    row.segments.extend([
        segment(SegmentRole::Env, &[3, 4], false),
        segment(SegmentRole::Sampled, &[5], false),
        segment(SegmentRole::Sampled, &[6, 7], true),
    ]);
    row.logprobs = vec![-1.0, -2.0, -3.0, -4.0, -5.0];
    assert_eq!(row.scored(), [4, 5, 9, 10]);
    assert_eq!(row.scored_logprobs(), Ok(vec![-1.0, -2.0, -4.0, -5.0]));
    row.logprobs.push(-6.0);
    assert_eq!(row.scored_logprobs(), Err("1 logprobs are left over".into()));
}

#[test]
fn weights_are_packed_once_per_version_and_label() {
    let mut policy = fresh();
    let first = policy.weight_set("a");
    assert!(Arc::ptr_eq(&first, &policy.weight_set("a")));
    assert!(!Arc::ptr_eq(&first, &policy.weight_set("b")));
    policy.set_version(9);
    assert_eq!(policy.weight_set("a").version, 9);
}

#[test]
fn micro_batches_fill_their_budget() {
    for (lengths, budget, wanted) in [
        (vec![], 10, vec![]),
        (vec![3, 3, 4, 1], 10, vec![0..3, 3..4]),
        (vec![50, 1, 50], 10, vec![0..1, 1..2, 2..3]),
        (vec![5, 5, 1], 10, vec![0..2, 2..3]),
    ] {
        assert_eq!(by_tokens(&lengths, budget), wanted, "{lengths:?}");
    }
}

#[test]
fn stale_rows_are_decoupled_weighed_and_masked_as_asked() {
    let correction = |decoupled, rollout_is, rollout_rs| RolloutCorrection {
        decoupled,
        rollout_is,
        rollout_rs,
        rollout_rs_threshold: 1.0 + 1e-9,
        ..RolloutCorrection::default()
    };
    let off = RatioLevel::None;
    for (correction, at_one, steps) in [
        (correction(false, off, off), false, 1),
        (correction(true, off, off), true, 1),
        (correction(true, RatioLevel::Token, off), true, 1),
        (correction(false, off, RatioLevel::Geometric), false, 0),
    ] {
        let mut policy = fresh();
        let (other, stale) = (batch(&policy, &["a"]), batch(&policy, &["b"]));
        policy.update(&other, &config()).expect("updates");
        let config = UpdateConfig { correction, ..config() };
        let report = policy.update(&stale, &config).expect("updates");
        assert_eq!(report.steps, steps, "{correction:?}");
        if steps == 0 {
            assert_eq!(report.masked["rollout_rs"], 4);
            continue;
        }
        let ratio = report.metrics["actor/ratio_mean"];
        assert_eq!(ratio == 1.0, at_one, "{correction:?}: {ratio}");
        let weight = report.metrics.get("rollout_corr/rollout_is_mean");
        assert_eq!(weight.is_some(), correction.decoupled);
        assert_eq!(
            weight.is_some_and(|weight| *weight != 1.0),
            correction.rollout_is == RatioLevel::Token
        );
    }
}
