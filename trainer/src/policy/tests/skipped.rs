//! Steps that are not taken because something of them is not finite.

use super::*;
use crate::objective::LossMode;
use crate::policy::testing::{breaking, brittle_model};

#[test]
fn a_gradient_that_is_not_finite_moves_nothing_and_leaves_its_batch() {
    let mut policy = fresh();
    let mut bad = batch(&policy, &["a"]);
    bad.groups[0].group.members[1].weight = 1e300;
    let report = policy.update(&bad, &config()).expect("skips");
    assert_eq!((report.steps, report.skipped_steps, report.version), (0, 1, VERSION));
    assert!(*policy.params() == *fresh().params());
    let skipped = &report.skipped[0];
    assert_eq!((skipped.rows.len(), skipped.version), (4, VERSION));
    assert_eq!(skipped.cause, "gradient_norm");
    assert!(!skipped.grad_norm.parse::<f64>().expect("a number").is_finite());
    let member = &bad.groups[0].group.members[1];
    let row = &skipped.rows[1];
    assert_eq!(
        (&row.id, &row.tokens, &row.behaviour),
        (&member.id, &member.tokens(), &member.logprobs)
    );
    let json = serde_json::to_string(skipped).expect("serialises");
    assert_eq!(&serde_json::from_str::<SkippedStep>(&json).expect("reads"), skipped);
    // The next batch trains as if nothing had been.
    let good = batch(&policy, &["b"]);
    assert_eq!(policy.update(&good, &config()).expect("updates").steps, 1);
}

#[test]
fn logits_that_are_not_finite_skip_the_steps_after_the_one_that_broke_the_weights() {
    let after = |epochs, max_skipped_steps| {
        let mut policy = Policy::new(brittle_model(3), VERSION);
        let batch = batch(&policy, &["a"]);
        let config = UpdateConfig {
            optim: breaking(),
            epochs,
            max_skipped_steps,
            ..config()
        };
        let report = policy.update(&batch, &config).expect("skips");
        (policy, report)
    };
    let ((once, step), (policy, report)) = (after(1, u64::MAX), after(3, u64::MAX));
    assert_eq!(
        report.metrics["actor/grad_norm"], step.metrics["actor/grad_norm"],
        "the mean of the steps that were taken"
    );
    assert_eq!(after(9, 2).1.skipped_steps, 3, "one more ends the update");
    assert_eq!(
        (report.steps, report.skipped_steps, report.version),
        (1, 2, VERSION + 1)
    );
    assert!(
        *policy.params() == *once.params(),
        "the first step alone moved something"
    );
    let optimizer = policy.optimizer().expect("made");
    assert_eq!((optimizer.steps, optimizer.skipped), (1, 2));
    for skipped in &report.skipped {
        assert!(
            skipped.cause.starts_with("logits at position "),
            "{}: {}",
            skipped.cause,
            skipped.loss
        );
        assert_eq!((skipped.rows.len(), skipped.loss.as_str()), (4, "NaN"));
    }
}

#[test]
fn a_loss_that_is_not_finite_skips_the_step_though_its_gradient_is() {
    let mut policy = fresh();
    let mut bad = batch(&policy, &["a"]);
    bad.groups[0].advantages = given([1e10, 1.0, -1.0, -1.0]);
    // Clipped at every token, so without a derivative; the value is 1.28 · 1e10 · 1e300.
    let row = &mut bad.groups[0].group.members[0];
    row.weight = 1e300;
    row.spans[0].version = VERSION - 1;
    row.logprobs.iter_mut().for_each(|logprob| *logprob -= 1.0);
    let report = policy.update(&bad, &config()).expect("skips");
    assert_eq!((report.steps, report.skipped_steps, report.version), (0, 1, VERSION));
    assert!(*policy.params() == *fresh().params());
    let skipped = &report.skipped[0];
    assert_eq!((skipped.cause.as_str(), skipped.loss.as_str()), ("loss", "-inf"));
    assert_eq!(policy.optimizer().expect("made").skipped, 1);
    // With a weight that leaves the value finite it is the gradient that the step is made of.
    bad.groups[0].group.members[0].weight = 1e200;
    assert_eq!(policy.update(&bad, &config()).expect("updates").steps, 1);
}

#[test]
fn broken_weights_skip_rows_of_others_and_break_the_identity_of_their_own() {
    let sampled = fresh();
    let own = batch(&sampled, &["a"]);
    let mut foreign = own.clone();
    for member in &mut foreign.groups[0].group.members {
        member.spans[0].version = VERSION - 1;
    }
    let mut mixed = foreign.clone();
    mixed.groups[0].group.members[3].spans[0].version = VERSION;
    let decoupled = RolloutCorrection {
        decoupled: true,
        ..RolloutCorrection::default()
    };
    for (what, correction) in [("plain", RolloutCorrection::default()), ("decoupled", decoupled)] {
        let config = UpdateConfig { correction, ..config() };
        let mut policy = fresh();
        let broken: Vec<f32> = policy.params().values.iter().map(|value| value * 1e12).collect();
        policy.restore(broken, None, VERSION).expect("fits");
        let report = policy.update(&foreign, &config).expect(what);
        assert_eq!((report.steps, report.skipped_steps), (0, 1), "{what}");
        let skipped = &report.skipped[0];
        assert!(skipped.cause.contains("weight version 5"), "{what}: {}", skipped.cause);
        assert_eq!(skipped.rows.len(), 4, "{what}");
        for batch in [&own, &mixed] {
            let error = policy.update(batch, &config).expect_err(what);
            assert!(
                matches!(&error, PolicyError::Identity(reason) if reason.contains("non-finite logits")),
                "{what}: {error}"
            );
        }
    }
}

/// A change to a record without which it could not be replayed.
type Loses = fn(&mut SkippedRow);

#[test]
fn the_loss_of_a_step_is_computed_again_from_its_record_alone() {
    let plain = ObjectiveConfig::default();
    let real = ObjectiveConfig {
        loss_mode: LossMode::Real,
        ..plain.clone()
    };
    let regularized = ObjectiveConfig {
        kl_loss_coef: 0.3,
        ..plain.clone()
    };
    let weighed = RolloutCorrection {
        decoupled: true,
        rollout_is: RatioLevel::Token,
        ..RolloutCorrection::default()
    };
    let off = RolloutCorrection::default();
    let cases: [(&str, ObjectiveConfig, RolloutCorrection, &[Loses]); 4] = [
        (
            "vanilla",
            plain.clone(),
            off,
            &[|row| row.logprobs = None, |row| row.last_advantage = 0.5],
        ),
        ("real", real, off, &[|row| row.group += row.tokens.len()]),
        (
            "tis",
            plain,
            weighed,
            &[|row| row.factors = None, |row| row.start = None],
        ),
        ("kl", regularized, off, &[|row| row.reference.clone_from(&row.logprobs)]),
    ];
    for (name, objective, correction, losses) in cases {
        let mut policy = fresh();
        let mut bad = batch(&policy, &["a", "b"]);
        bad.groups[0].rewards = [1.0, 0.5, 0.5, 0.0].map(Some).to_vec();
        bad.reference = Some(Policy::new(tiny_model(4), 99).weight_set("reference"));
        for member in bad.groups.iter_mut().flat_map(|group| &mut group.group.members) {
            member.weight = 1e45;
            member.spans[0].version = VERSION - 1;
            member.logprobs.iter_mut().for_each(|logprob| *logprob -= 0.1);
        }
        let config = UpdateConfig {
            objective,
            correction,
            ..config()
        };
        let report = policy.update(&bad, &config).expect("skips");
        assert_eq!(
            (report.skipped_steps, report.skipped[0].cause.as_str()),
            (1, "gradient_norm"),
            "{name}"
        );
        let json = serde_json::to_string(&report.skipped[0]).expect("serialises");
        let record: SkippedStep = serde_json::from_str(&json).expect("reads");
        let again = record.replay().expect("everything is there");
        assert_eq!(again.loss.to_string(), record.loss, "{name}");
        for (at, lose) in losses.iter().enumerate() {
            let mut less = record.clone();
            less.rows.iter_mut().for_each(*lose);
            let loss = less.replay().map(|again| again.loss);
            assert_ne!(loss, Some(again.loss), "{name}: {at} does not matter");
        }
    }
}

#[test]
fn records_of_earlier_versions_are_read() {
    let json = r#"{"grad_norm": "inf", "loss": "0.5", "version": 3, "rows": [{"id": "a", "tokens": [1, 2], "scored": [1],
        "temperature": 1.0, "behaviour": [-1.0], "advantage": 1.0, "weight": 1.0}]}"#;
    let record: SkippedStep = serde_json::from_str(json).expect("reads");
    assert_eq!((record.rows[0].tokens.len(), record.replay()), (2, None));
}
