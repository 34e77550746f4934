//! Rows that other weights sampled, against PyTorch: factors of tokens, rows left out, last tokens' own advantages.

use super::*;

#[derive(Deserialize)]
struct Fixture {
    corrected: Corrected,
}

#[derive(Deserialize)]
struct Corrected {
    rows: Vec<CorrectedRow>,
    cases: Vec<CorrectedCase>,
}

#[derive(Deserialize)]
struct CorrectedRow {
    logp: Vec<f32>,
    behaviour: Vec<f32>,
    start: Vec<f32>,
    reference: Vec<f32>,
    entropy: Vec<f32>,
    advantage: Advantage,
    weight: f64,
    group: usize,
}

#[derive(Deserialize)]
struct CorrectedCase {
    correction: Correction,
    config: ObjectiveConfig,
    loss: f64,
    kept: Vec<Kept>,
}

/// What the loss has to know of the correction: the policy that ratios are taken to.
#[derive(Deserialize)]
struct Correction {
    #[serde(default)]
    decoupled: bool,
}

/// A row that the correction has left in; of one that this very policy sampled there are no factors.
#[derive(Deserialize)]
struct Kept {
    row: usize,
    factors: Option<Vec<f64>>,
    dlogp: Vec<f64>,
    dentropy: Vec<f64>,
}

fn corrected() -> Corrected {
    let text = include_str!("../../../../tests/data/golden/objective.json");
    serde_json::from_str::<Fixture>(text)
        .expect("the fixture parses")
        .corrected
}

impl CorrectedCase {
    fn rows<'a>(&'a self, rows: &'a [CorrectedRow]) -> Vec<LossRow<'a>> {
        let row = |kept: &'a Kept| {
            let row = &rows[kept.row];
            LossRow {
                group: row.group,
                logprobs: &row.logp,
                old_logprobs: if self.correction.decoupled {
                    &row.start
                } else {
                    &row.behaviour
                },
                reference: Some(&row.reference),
                entropies: Some(&row.entropy),
                factors: kept.factors.as_deref(),
                advantage: row.advantage,
                weight: row.weight,
            }
        };
        self.kept.iter().map(row).collect()
    }
}

#[test]
fn corrected_losses_and_their_derivatives_equal_autograd() {
    let Corrected { rows, cases } = corrected();
    for (number, case) in cases.iter().enumerate() {
        let rows = case.rows(&rows);
        let output = policy_loss(&rows, &case.config, Denominator::of(&rows));
        let close = |what: &str, found: f64, wanted: f64| {
            let apart = (found - wanted).abs();
            assert!(
                apart <= 1e-6 * wanted.abs() + 1e-12,
                "case {number}, {what}: {found} is not {wanted}"
            );
        };
        close("loss", output.loss, case.loss);
        for (kept, grads) in case.kept.iter().zip(&output.grads) {
            assert_eq!((grads.len(), kept.dentropy.len()), (kept.dlogp.len(), grads.len()));
            for (token, grad) in grads.iter().enumerate() {
                let at = |what: &str| format!("{what} of token {token} of row {}", kept.row);
                close(&at("dlogp"), f64::from(grad.dlogprob), kept.dlogp[token]);
                close(&at("dentropy"), f64::from(grad.dentropy), kept.dentropy[token]);
            }
        }
    }
}

#[test]
fn a_divisor_that_counts_what_is_left_out_does_not_go_unnoticed() {
    let Corrected { rows, cases } = corrected();
    let mut masking = 0;
    for case in &cases {
        let rows = case.rows(&rows);
        let right = Denominator::of(&rows);
        let tokens: usize = rows.iter().map(|row| row.logprobs.len()).sum();
        let wrong = Denominator {
            tokens: tokens as f64,
            ..right
        };
        if wrong == right || case.config.loss_agg_mode != LossAggMode::TokenMean {
            continue;
        }
        masking += 1;
        let found = policy_loss(&rows, &case.config, wrong);
        let noticed = case.kept.iter().zip(&found.grads).any(|(kept, grads)| {
            let mut pairs = grads.iter().zip(&kept.dlogp);
            pairs.any(|(grad, wanted)| (f64::from(grad.dlogprob) - wanted).abs() > 1e-3 * wanted.abs())
        });
        // REAL divides by tokens nowhere but in its regularizers.
        assert!(noticed || case.config.loss_mode == LossMode::Real);
    }
    assert!(masking >= 2, "{masking} cases leave tokens out of a token mean");
}
