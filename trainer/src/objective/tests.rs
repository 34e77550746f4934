//! Advantages against the golden table, the loss against PyTorch and by hand, and invariance under any split.

use serde::Deserialize;

use super::*;

mod corrected;

#[test]
fn advantages_equal_the_golden_table() {
    let table = [
        (1, 2.4749, -0.3536),
        (2, 1.6202, -0.5401),
        (3, 1.2076, -0.7246),
        (4, 0.9354, -0.9354),
        (5, 0.7246, -1.2076),
        (6, 0.5401, -1.6202),
        (7, 0.3536, -2.4749),
    ];
    for (correct, of_correct, of_wrong) in table {
        let rewards: Vec<Option<f64>> = (0..8).map(|i| Some(f64::from(u8::from(i < correct)))).collect();
        let advantages = group_advantages(&rewards, true);
        for (i, advantage) in advantages.into_iter().enumerate() {
            let wanted = if i < correct { of_correct } else { of_wrong };
            let found = advantage.expect("has a reward");
            assert!(
                (found - wanted).abs() < 5e-5,
                "{correct} correct: {found} is not {wanted}"
            );
        }
    }
}

#[test]
fn advantages_of_uniform_single_and_masked_groups() {
    let close = |found: Vec<Option<f64>>, wanted: &[Option<f64>]| {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            match (found, wanted) {
                (Some(found), Some(wanted)) => assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}"),
                (found, wanted) => assert_eq!(found, wanted),
            }
        }
    };
    close(group_advantages(&[Some(1.0); 4], true), &[Some(0.0); 4]);
    close(group_advantages(&[Some(1.0)], true), &[Some(1.0 / (1.0 + 1e-6))]);
    close(group_advantages(&[Some(1.0)], false), &[Some(1.0)]);
    close(group_advantages(&[None, None], true), &[None, None]);
    close(group_advantages(&[], true), &[]);
    // Two rewards are left: mean 1/2, unbiased standard deviation 1/√2.
    let half = 0.5 / (0.5f64.sqrt() + 1e-6);
    close(
        group_advantages(&[Some(1.0), None, Some(0.0)], true),
        &[Some(half), None, Some(-half)],
    );
    close(
        group_advantages(&[Some(1.0), None, Some(0.0)], false),
        &[Some(0.5), None, Some(-0.5)],
    );
}

#[derive(Deserialize)]
struct Golden {
    rows: Vec<GoldenRow>,
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenRow {
    logp: Vec<f32>,
    old: Vec<f32>,
    reference: Vec<f32>,
    entropy: Vec<f32>,
    advantage: f64,
    weight: f64,
    group: usize,
}

#[derive(Deserialize)]
struct GoldenCase {
    config: ObjectiveConfig,
    loss: f64,
    dlogp: Vec<Vec<f64>>,
    dentropy: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/data/golden/objective.json")).expect("the fixture parses")
}

impl GoldenRow {
    fn row(&self) -> LossRow<'_> {
        LossRow {
            group: self.group,
            logprobs: &self.logp,
            old_logprobs: &self.old,
            reference: Some(&self.reference),
            entropies: Some(&self.entropy),
            factors: None,
            advantage: self.advantage.into(),
            weight: self.weight,
        }
    }
}

#[test]
fn loss_and_derivatives_equal_autograd() {
    let golden = golden();
    let rows: Vec<LossRow<'_>> = golden.rows.iter().map(GoldenRow::row).collect();
    for case in &golden.cases {
        let output = policy_loss(&rows, &case.config, Denominator::of(&rows));
        let close = |found: f64, wanted: f64| {
            assert!(
                (found - wanted).abs() <= 1e-6 * wanted.abs() + 1e-12,
                "{found} is not {wanted}"
            );
        };
        close(output.loss, case.loss);
        for (row, grads) in output.grads.iter().enumerate() {
            for (token, grad) in grads.iter().enumerate() {
                close(f64::from(grad.dlogprob), case.dlogp[row][token]);
                close(f64::from(grad.dentropy), case.dentropy[row][token]);
            }
        }
    }
}

#[test]
fn derivatives_by_hand() {
    let config = ObjectiveConfig::default();
    let one = |log_ratio: f32, advantage: f64| {
        let rows = [LossRow {
            group: 0,
            logprobs: &[log_ratio - 1.0],
            old_logprobs: &[-1.0],
            reference: None,
            entropies: None,
            factors: None,
            advantage: Advantage::from(advantage),
            weight: 1.0,
        }];
        let output = policy_loss(&rows, &config, Denominator::of(&rows));
        (output.loss, f64::from(output.grads[0][0].dlogprob))
    };
    let (two, half) = (2f32.ln(), 0.5f32.ln());
    let e20 = 20f64.exp();
    for ((log_ratio, advantage), (loss, derivative)) in [
        ((0.0, 1.0), (-1.0, -1.0)),
        ((0.0, -1.0), (1.0, 1.0)),
        ((two, 1.0), (-1.28, 0.0)),        // clipped above
        ((two, -1.0), (2.0, 2.0)),         // not clipped: the worse side stays
        ((half, 1.0), (-0.5, -0.5)),       // not clipped
        ((half, -1.0), (0.8, 0.0)),        // clipped below
        ((2.0, -1.0), (3.0, 0.0)),         // dual clip
        ((-25.0, 1.0), (-1.0 / e20, 0.0)), // log ratio clamped
        ((0.3, 0.0), (0.0, 0.0)),
    ] {
        let found = one(log_ratio, advantage);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(
            close(found.0, loss) && close(found.1, derivative),
            "{log_ratio} {advantage}: {found:?}"
        );
    }
}

/// Largest difference of a derivative between the whole mini-batch and its parts, when `denominator_of` divides each part.
fn split_difference(
    config: &ObjectiveConfig,
    cut: usize,
    denominator_of: impl Fn(&[LossRow<'_>], &[LossRow<'_>]) -> Denominator,
) -> (f64, f64) {
    let golden = golden();
    let rows: Vec<LossRow<'_>> = golden.rows.iter().map(GoldenRow::row).collect();
    let whole = policy_loss(&rows, config, Denominator::of(&rows));
    let parts: Vec<LossOutput> = [&rows[..cut], &rows[cut..]]
        .map(|part| policy_loss(part, config, denominator_of(part, &rows)))
        .into();
    let grads = parts.iter().flat_map(|part| &part.grads).flatten();
    let difference = whole
        .grads
        .iter()
        .flatten()
        .zip(grads)
        .map(|(whole, part)| f64::from((whole.dlogprob - part.dlogprob).abs()))
        .fold(0.0, f64::max);
    (
        difference,
        (whole.loss - parts.iter().map(|part| part.loss).sum::<f64>()).abs(),
    )
}

#[test]
fn any_split_gives_the_same_gradient_and_a_wrong_divisor_does_not() {
    for (config, cut) in golden()
        .cases
        .iter()
        .flat_map(|case| (1..5).map(|cut| (&case.config, cut)))
        // A loss of the whole group is only cut between the groups.
        .filter(|(config, cut)| config.loss_mode != LossMode::Real || *cut == 3)
    {
        let (gradient, loss) = split_difference(config, cut, |_, whole| Denominator::of(whole));
        assert_eq!(gradient, 0.0, "cut at {cut}");
        assert!(loss < 1e-12, "cut at {cut}: {loss}");
        // The mean of each part's own mean, weighted by rows, is what goes wrong with token means in practice; with means of
        // sequences it is each part's own number of sequences. This test must see either.
        let wrong = split_difference(config, cut, |part, whole| {
            let (part, whole) = (Denominator::of(part), Denominator::of(whole));
            match config.loss_agg_mode {
                _ if config.loss_mode == LossMode::Real => Denominator {
                    groups: part.groups,
                    ..whole
                },
                LossAggMode::TokenMean => Denominator {
                    tokens: part.tokens * whole.rows / part.rows,
                    ..whole
                },
                _ => part,
            }
        });
        assert!(
            wrong.0 > 1e-3 || wrong.1 > 1e-3,
            "cut at {cut}: a wrong divisor went unnoticed: {wrong:?}"
        );
    }
}

/// dL/dlogp of each token of two on-policy trajectories with advantages 1 and −1, 2 and 8 tokens long.
fn weights_of(loss_mode: LossMode, loss_agg_mode: LossAggMode) -> [f64; 2] {
    let logprobs = [-1.0f32; 8];
    let row = |length: usize, advantage| LossRow {
        group: 0,
        logprobs: &logprobs[..length],
        old_logprobs: &logprobs[..length],
        reference: None,
        entropies: None,
        factors: None,
        advantage: Advantage::from(advantage),
        weight: 1.0,
    };
    let rows = [row(2, 1.0), row(8, -1.0)];
    let config = ObjectiveConfig {
        loss_mode,
        loss_agg_mode,
        loss_scale_factor: 16.0,
        ..ObjectiveConfig::default()
    };
    let grads = policy_loss(&rows, &config, Denominator::of(&rows)).grads;
    [0, 1].map(|row| {
        assert!(
            grads[row].iter().all(|grad| *grad == grads[row][0]),
            "tokens of a row are alike"
        );
        f64::from(grads[row][0].dlogprob)
    })
}

#[test]
fn what_a_token_weighs_on_policy() {
    for (loss_mode, loss_agg_mode, wanted) in [
        (LossMode::Vanilla, LossAggMode::TokenMean, [-0.1, 0.1]),
        (LossMode::Cispo, LossAggMode::TokenMean, [-0.1, 0.1]),
        // GSPO, and LUSPO, which multiplies each sequence's loss by its length.
        (LossMode::Gspo, LossAggMode::SeqMeanTokenMean, [-0.25, 0.0625]),
        (LossMode::Gspo, LossAggMode::SeqMeanTokenSum, [-0.5, 0.5]),
        // Dr. GRPO.
        (LossMode::Vanilla, LossAggMode::SeqMeanTokenSumNorm, [-0.03125, 0.03125]),
    ] {
        let found = weights_of(loss_mode, loss_agg_mode);
        let close = found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| (found - wanted).abs() < 1e-7);
        assert!(close, "{loss_mode:?} {loss_agg_mode:?}: {found:?}");
    }
}

#[test]
fn estimators_by_hand() {
    let rewards = [Some(1.0), Some(0.0), None, Some(1.0), Some(0.0)];
    let config = |adv_estimator| ObjectiveConfig {
        adv_estimator,
        ..ObjectiveConfig::default()
    };
    let third = 1.0 / 3.0;
    for (estimator, wanted) in [
        (
            AdvEstimator::Rloo,
            [
                Some(2.0 * third),
                Some(-2.0 * third),
                None,
                Some(2.0 * third),
                Some(-2.0 * third),
            ],
        ),
        (AdvEstimator::Psr, [Some(1.0), None, None, Some(1.0), None]),
        (AdvEstimator::Nsr, [None, Some(-1.0), None, None, Some(-1.0)]),
        (
            AdvEstimator::WReinforce,
            [Some(0.1), Some(-1.0), None, Some(0.1), Some(-1.0)],
        ),
    ] {
        let found = advantages(&rewards, &config(estimator)).expect("rewards of 0 and 1");
        let close = found.iter().zip(wanted).all(|pair| match pair {
            (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-12,
            (found, wanted) => *found == wanted,
        });
        assert!(close, "{estimator:?}: {found:?}");
        let between = advantages(&[Some(0.5), Some(1.0)], &config(estimator));
        assert_eq!(between.is_ok(), estimator == AdvEstimator::Rloo, "{estimator:?}");
    }
    assert_eq!(
        advantages(&[Some(0.7)], &config(AdvEstimator::Rloo)),
        Ok(vec![Some(0.7)])
    );
}

#[test]
fn the_last_token_may_have_an_advantage_of_its_own() {
    let config = ObjectiveConfig::default();
    let logprobs = [-0.5f32, -1.0, -2.0];
    for (every, last) in [(1.0, 1.5), (-1.0, -0.5), (0.0, 2.0)] {
        let row = LossRow {
            group: 0,
            logprobs: &logprobs,
            old_logprobs: &logprobs,
            reference: None,
            entropies: None,
            factors: None,
            advantage: Advantage { every, last },
            weight: 1.0,
        };
        let found = policy_loss(&[row], &config, Denominator::of_lengths([3].into_iter(), 1));
        // At ratio 1 the derivative of each of three tokens is a third of its negative advantage.
        for (grad, advantage) in found.grads[0].iter().zip([every, every, last]) {
            assert!(
                (f64::from(grad.dlogprob) + advantage / 3.0).abs() < 1e-7,
                "{every} {last}: {grad:?}"
            );
        }
        assert!((found.loss + (2.0 * every + last) / 3.0).abs() < 1e-12);
    }
}

#[test]
fn metrics_at_ratio_one() {
    let logprobs = [-0.5f32, -1.5];
    let row = |advantage| LossRow {
        group: 0,
        logprobs: &logprobs,
        old_logprobs: &logprobs,
        reference: Some(&logprobs),
        entropies: None,
        factors: None,
        advantage: Advantage::from(advantage),
        weight: 1.0,
    };
    let rows = [row(1.0), row(-0.5)];
    let config = ObjectiveConfig {
        kl_loss_coef: 1.0,
        ..ObjectiveConfig::default()
    };
    let metrics = policy_loss(&rows, &config, Denominator::of(&rows)).sums.metrics();
    let of = |name| metrics.iter().find(|metric| metric.0 == name).expect("is reported").1;
    for (name, wanted) in [
        ("actor/pg_loss", -0.25),
        ("actor/kl_loss", 0.0),
        ("actor/pg_clipfrac", 0.0),
        ("actor/pg_clipfrac_lower", 0.0),
        ("actor/ppo_kl", 0.0),
        ("actor/ratio_mean", 1.0),
        ("actor/ratio_max", 1.0),
    ] {
        assert_eq!(of(name), wanted, "{name}");
    }
}

#[test]
fn config_ranges_are_checked_by_name() {
    assert_eq!(ObjectiveConfig::default().validate(), Ok(()));
    for (config, field) in [
        (
            ObjectiveConfig {
                clip_ratio_low: 1.0,
                ..ObjectiveConfig::default()
            },
            "objective.clip_ratio_low",
        ),
        (
            ObjectiveConfig {
                clip_ratio_high: -0.1,
                ..ObjectiveConfig::default()
            },
            "objective.clip_ratio_high",
        ),
        (
            ObjectiveConfig {
                clip_ratio_c: 0.5,
                ..ObjectiveConfig::default()
            },
            "objective.clip_ratio_c",
        ),
        (
            ObjectiveConfig {
                kl_loss_coef: f64::NAN,
                ..ObjectiveConfig::default()
            },
            "objective.kl_loss_coef",
        ),
        (
            ObjectiveConfig {
                entropy_coef: f64::INFINITY,
                ..ObjectiveConfig::default()
            },
            "objective.entropy_coef",
        ),
    ] {
        assert_eq!(config.validate().expect_err(field).0, field);
    }
}

#[test]
fn factors_weigh_and_leave_out() {
    let (logprobs, old) = ([-1.0f32, -2.0, -0.5, -1.5], [-1.1f32, -1.9, -0.4, -1.5]);
    let row = |factors, from: usize| LossRow {
        group: 0,
        logprobs: &logprobs[from..],
        old_logprobs: &old[from..],
        reference: None,
        entropies: None,
        factors,
        advantage: 1.0.into(),
        weight: 1.0,
    };
    for loss_mode in [LossMode::Vanilla, LossMode::Gspo, LossMode::Cispo] {
        let config = ObjectiveConfig {
            loss_mode,
            loss_agg_mode: LossAggMode::SeqMeanTokenMean,
            ..ObjectiveConfig::default()
        };
        let of = |row: LossRow<'_>| policy_loss(&[row], &config, Denominator::of(&[row]));
        let (masked, shorter) = (of(row(Some(&[0.0, 1.0, 1.0, 1.0]), 0)), of(row(None, 1)));
        assert_eq!(
            (masked.loss, masked.sums),
            (shorter.loss, shorter.sums),
            "{loss_mode:?}"
        );
        assert_eq!(masked.grads[0][1..], shorter.grads[0], "{loss_mode:?}");
        assert_eq!(masked.grads[0][0].dlogprob, 0.0);
        let doubled = of(row(Some(&[2.0; 4]), 0));
        assert!(
            (doubled.loss - 2.0 * of(row(None, 0)).loss).abs() < 1e-12,
            "{loss_mode:?}"
        );
    }
}
