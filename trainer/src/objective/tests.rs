//! Advantages against the golden table, the loss against PyTorch and by hand, and invariance under any split.

use serde::Deserialize;

use super::*;

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
            logprobs: &self.logp,
            old_logprobs: &self.old,
            reference: Some(&self.reference),
            entropies: Some(&self.entropy),
            advantage: self.advantage,
            weight: self.weight,
        }
    }
}

#[test]
fn loss_and_derivatives_equal_autograd() {
    let golden = golden();
    let rows: Vec<LossRow<'_>> = golden.rows.iter().map(GoldenRow::row).collect();
    for case in &golden.cases {
        let output = policy_loss(&rows, &case.config, token_count(&rows));
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
            logprobs: &[log_ratio - 1.0],
            old_logprobs: &[-1.0],
            reference: None,
            entropies: None,
            advantage,
            weight: 1.0,
        }];
        let output = policy_loss(&rows, &config, 1.0);
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
fn split_difference(cut: usize, denominator_of: impl Fn(&[LossRow<'_>], &[LossRow<'_>]) -> f64) -> (f64, f64) {
    let golden = golden();
    let config = &golden.cases[1].config;
    let rows: Vec<LossRow<'_>> = golden.rows.iter().map(GoldenRow::row).collect();
    let whole = policy_loss(&rows, config, token_count(&rows));
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
    for cut in 1..5 {
        let (gradient, loss) = split_difference(cut, |_, whole| token_count(whole));
        assert_eq!(gradient, 0.0, "cut at {cut}");
        assert!(loss < 1e-12, "cut at {cut}: {loss}");
        // The mean of each part's own mean, weighted by rows, is what goes wrong in practice; this test must see it.
        let wrong = split_difference(cut, |part, whole| {
            token_count(part) * whole.len() as f64 / part.len() as f64
        });
        assert!(
            wrong.0 > 1e-3 || wrong.1 > 1e-3,
            "cut at {cut}: a wrong divisor went unnoticed: {wrong:?}"
        );
    }
}

#[test]
fn metrics_at_ratio_one() {
    let logprobs = [-0.5f32, -1.5];
    let row = |advantage| LossRow {
        logprobs: &logprobs,
        old_logprobs: &logprobs,
        reference: Some(&logprobs),
        entropies: None,
        advantage,
        weight: 1.0,
    };
    let rows = [row(1.0), row(-0.5)];
    let config = ObjectiveConfig {
        kl_loss_coef: 1.0,
        ..ObjectiveConfig::default()
    };
    let metrics = policy_loss(&rows, &config, token_count(&rows)).sums.metrics();
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
