use super::*;

/// An evaluation with as many correct samples in every task: `correct` of `samples` in each of its two problems.
fn evaluation(arm: Arm, seed: u64, due_tokens: u64, correct: [u32; 2]) -> Evaluation {
    Evaluation {
        arm,
        seed,
        due_tokens,
        generated_tokens: due_tokens,
        step: 1,
        samples: 4,
        entropy: 0.1 * f64::from(correct[0]),
        sampled_tokens: 100,
        correct: correct.repeat(tasks()),
    }
}

fn evaluations() -> Vec<Evaluation> {
    let mut all = Vec::new();
    for (seed, grpo, svs) in [(0, [1, 3], [2, 4]), (1, [2, 2], [1, 1]), (2, [1, 1], [2, 2])] {
        all.push(evaluation(Arm::Start, seed, 0, [1, 0]));
        all.push(evaluation(Arm::Grpo, seed, 50, grpo));
        all.push(evaluation(Arm::Svs, seed, 50, svs));
    }
    all
}

#[test]
fn scores_are_means_of_pass_at_k_over_the_problems_of_a_task() {
    let one = evaluation(Arm::Svs, 0, 50, [1, 3]);
    // pass@1: (1/4 + 3/4) / 2. pass@8 of 4 samples is refused.
    assert_eq!(scores(&one, "pass@1").expect("scores"), vec![0.5; tasks()]);
    assert!(scores(&one, "pass@8").is_err());
    assert_eq!(scores(&one, ENTROPY).expect("scores"), [0.1]);
    let short = Evaluation {
        correct: vec![1],
        ..one
    };
    assert!(scores(&short, "pass@1").is_err());
}

#[test]
fn recipes_are_compared_at_the_start_and_at_every_part_of_the_budget() {
    let found = Comparison::new(&evaluations(), &[0, 1, 2], &[50]).expect("complete");
    assert_eq!((found.points.len(), found.problems, found.samples), (2, 2 * tasks(), 4));
    let start = &found.points[0].measures["pass@1"];
    assert_eq!(
        (start.grpo.value, start.svs.value, start.difference.upper),
        (0.125, 0.125, 0.0)
    );
    let end = &found.end().expect("a point").measures["pass@1"];
    // By seed 4/8, 4/8, 2/8 and 6/8, 2/8, 4/8 in all 18 tasks. Of 54 scores 13 go at each end: of GRPO's 18 × 1/4 and
    // 36 × 1/2, 5 of 28 are 1/4; of SvS's 18 of each, 5 are 1/4, 18 are 1/2 and 5 are 3/4.
    assert!(
        (end.grpo.value - (5.0 * 0.25 + 23.0 * 0.5) / 28.0).abs() < 1e-12,
        "{end:?}"
    );
    assert!((end.svs.value - 0.5).abs() < 1e-12, "{end:?}");
    assert!(
        (end.grpo_mean - 5.0 / 12.0).abs() < 1e-12 && (end.svs_mean - 0.5).abs() < 1e-12,
        "{end:?}"
    );
    assert_eq!(end.seeds_higher, 2);
    assert!(end.difference.lower <= end.difference.value && end.difference.value <= end.difference.upper);
}

#[test]
fn what_is_missing_is_named() {
    let error = Comparison::new(&evaluations(), &[0, 3], &[50])
        .expect_err("no seed 3")
        .to_string();
    assert_eq!(error, "no evaluation of start with seed 3 at 0 tokens");
    let error = Comparison::new(&evaluations(), &[0], &[60])
        .expect_err("not at 60")
        .to_string();
    assert_eq!(error, "no evaluation of grpo with seed 0 at 60 tokens");
}
