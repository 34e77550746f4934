use super::*;

#[test]
fn interquartile_means_are_those_of_scipy() {
    // scipy 1.17.1: scipy.stats.trim_mean(scores, 0.25); the first four by hand as well.
    let cases: [(&[f64], f64); 6] = [
        (&[3.0], 3.0),
        (&[1.0, 2.0], 1.5),
        (&[1.0, 2.0, 4.0], 7.0 / 3.0),
        (&[8.0, 1.0, 4.0, 2.0], 3.0),
        (&[9.0, 1.0, 4.0, 2.0, 7.0], 4.333333333333333),
        (
            &[0.5, 0.25, 0.125, 1.0, 0.0, 0.75, 0.375, 0.875, 0.0625, 0.9],
            0.4791666666666667,
        ),
    ];
    for (scores, expected) in cases {
        // However the scores are dealt out to tasks.
        for tasks in [vec![scores.to_vec()], scores.iter().map(|&score| vec![score]).collect()] {
            let found = interquartile_mean(&tasks).expect("scores");
            assert!((found - expected).abs() < 1e-12, "{scores:?}: {found}");
        }
    }
    assert_eq!(interquartile_mean(&[]), None);
}

/// Scores of three tasks and five runs.
fn scores() -> Vec<Vec<f64>> {
    vec![
        vec![0.1037, 0.2219, 0.1568, 0.2914, 0.0645],
        vec![0.8112, 0.7093, 0.9426, 0.6371, 0.8759],
        vec![0.3541, 0.4473, 0.3127, 0.4986, 0.4038],
    ]
}

#[test]
fn intervals_are_those_of_rliable() {
    // rliable 1.2.0: get_interval_estimates with aggregate_iqm and 50000 resamples gives 0.43069, [0.38853, 0.47920].
    let found = stratified(&scores(), 20_000, 1).expect("runs");
    assert!((found.value - 0.43069).abs() < 1e-5, "{found:?}");
    assert!(
        (found.lower - 0.38853).abs() < 0.002 && (found.upper - 0.47920).abs() < 0.002,
        "{found:?}"
    );
    assert_eq!(stratified(&scores(), 20_000, 1), Some(found));
}

#[test]
fn differences_draw_the_same_runs_of_both() {
    // numpy 2.2, 400000 draws of runs per task, the same for both sides: 0.02667, [0.01111, 0.04444].
    let more = [
        [0.05, 0.01, 0.06, -0.03, 0.02],
        [-0.02, 0.03, 0.0, 0.04, 0.03],
        [0.04, 0.02, 0.05, 0.01, 0.07],
    ];
    let better: Vec<Vec<f64>> = scores()
        .iter()
        .zip(more)
        .map(|(task, more)| task.iter().zip(more).map(|(score, more)| score + more).collect())
        .collect();
    let found = stratified_difference(&better, &scores(), 20_000, 1).expect("runs");
    assert!((found.value - 0.02667).abs() < 1e-5, "{found:?}");
    assert!(
        (found.lower - 0.01111).abs() < 0.003 && (found.upper - 0.04444).abs() < 0.003,
        "{found:?}"
    );
    // The same gain in every run leaves nothing to chance, however the runs differ.
    let shifted: Vec<Vec<f64>> = scores()
        .iter()
        .map(|task| task.iter().map(|score| score + 0.5).collect())
        .collect();
    let sure = stratified_difference(&shifted, &scores(), 500, 2).expect("runs");
    assert!(
        (sure.lower - 0.5).abs() < 1e-12 && (sure.upper - 0.5).abs() < 1e-12,
        "{sure:?}"
    );
    assert_eq!(stratified_difference(&scores(), &scores()[..2], 10, 1), None);
}

#[test]
fn every_task_keeps_its_share_of_the_draws() {
    // Two tasks that all runs fail and two that all solve: drawing runs changes nothing. Without strata it would.
    let tasks = [vec![0.0; 3], vec![0.0; 3], vec![1.0; 3], vec![1.0; 3]];
    let found = stratified(&tasks, 500, 3).expect("runs");
    assert_eq!((found.lower, found.value, found.upper), (0.5, 0.5, 0.5));
    assert_eq!(stratified(&[vec![1.0], vec![]], 10, 1), None);
}

#[test]
fn draws_are_as_frequent_as_counting_says() {
    // One task with the runs 0 and 1: of the four draws of two, one gives 0, two give 1/2, one gives 1.
    let mut seen = [0_u32; 3];
    for seed in 0..4000 {
        let found = stratified(&[vec![0.0, 1.0]], 1, seed).expect("runs");
        seen[(2.0 * found.lower) as usize] += 1;
    }
    for (seen, expected) in seen.into_iter().zip([1000.0, 2000.0, 1000.0]) {
        assert!(
            (f64::from(seen) - expected).abs() < 130.0,
            "{seen} instead of {expected}"
        );
    }
}
