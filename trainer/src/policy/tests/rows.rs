//! Rows that were sampled with another prompt, and rows that only some losses reach.

use super::*;
use crate::objective::{LossAggMode, LossMode};

#[test]
fn a_row_sampled_with_a_hint_is_trained_on_without_it() {
    let mut policy = fresh();
    let plain = batch(&policy, &["a"]);
    let mut hinted = plain.clone();
    let hint = [9u32, 8, 7, 6];
    for member in &mut hinted.groups[0].group.members {
        // The same response, behind the plain prompt in the loss, drawn behind a longer one.
        let prompt = member.segments[0].tokens.clone();
        member.trained_prompt = Some(prompt.clone());
        member.segments[0].tokens = [hint.as_slice(), &prompt].concat();
        let sampled_with = Trajectory {
            trained_prompt: None,
            ..member.clone()
        };
        member.logprobs = logprobs(&policy, &sampled_with);
    }
    // ρ = π(y | x) / π(y | hint, x), token by token.
    let ratios: Vec<f64> = (0..4)
        .flat_map(|at| {
            let now = &plain.groups[0].group.members[at].logprobs;
            let then = &hinted.groups[0].group.members[at].logprobs;
            now.iter()
                .zip(then)
                .map(|(now, then)| (f64::from(*now) - f64::from(*then)).exp())
        })
        .collect();
    let wanted = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let report = policy.update(&hinted, &config()).expect("updates");
    let found = report.metrics["actor/ratio_mean"];
    assert!((found - wanted).abs() < 1e-6 && found != 1.0, "{found} is not {wanted}");
    assert_eq!(report.steps, 1);
    assert!(
        !report.metrics.contains_key("rollout_corr/log_ppl_abs_diff")
            || report.metrics["rollout_corr/exact_rows"] == 0.0
    );
}

#[test]
fn under_real_a_row_at_the_mean_of_its_group_is_a_wrong_one() {
    let real = |loss_agg_mode| UpdateConfig {
        objective: ObjectiveConfig {
            loss_mode: LossMode::Real,
            loss_agg_mode,
            ..ObjectiveConfig::default()
        },
        ..config()
    };
    for mode in [LossAggMode::TokenMean, LossAggMode::SeqMeanTokenMean] {
        let mut policy = fresh();
        let mut partial = batch(&policy, &["a"]);
        partial.groups[0].rewards = [1.0, 0.5, 0.5, 0.0].map(Some).to_vec();
        let report = policy.update(&partial, &real(mode)).expect("updates");
        assert_eq!(report.steps, 1);
        for (member, right) in partial.groups[0].group.members.iter().zip([true, false, false, false]) {
            let change: f32 = logprobs(&policy, member).iter().sum::<f32>() - member.logprobs.iter().sum::<f32>();
            assert_eq!(change > 0.0, right, "{mode:?}, {}: {change}", member.id);
        }
        if mode == LossAggMode::TokenMean {
            // Every score is 0: ln(1 + one right) + ln(1 + three wrong).
            let loss = report.metrics["actor/pg_loss"];
            assert!((loss - 8f64.ln()).abs() < 1e-6, "{loss}");
        }
    }
    // Without a contrast there is nothing to compare, and no step whose only cause is the optimizer's memory.
    let mut policy = fresh();
    let mut same = batch(&policy, &["a"]);
    same.groups[0].rewards = vec![Some(0.5); 4];
    assert_eq!(
        policy
            .update(&same, &real(LossAggMode::TokenMean))
            .expect("is fine")
            .steps,
        0
    );
}
