use super::*;

#[test]
fn pass_at_k_equals_counting_subsets() {
    // By hand: C(n-c, k) / C(n, k).
    let cases = [
        (8, 0, 1, 0.0),
        (8, 8, 1, 1.0),
        (8, 3, 1, 3.0 / 8.0),
        (8, 1, 8, 1.0),
        (8, 0, 8, 0.0),
        (4, 1, 2, 1.0 - 3.0 / 6.0),
        (5, 2, 2, 1.0 - 3.0 / 10.0),
        (8, 2, 4, 1.0 - 15.0 / 70.0),
        (32, 1, 32, 1.0),
        (10, 9, 2, 1.0),
    ];
    for (n, c, k, expected) in cases {
        let found = pass_at_k(n, c, k).expect("k <= n");
        assert!(
            (found - expected).abs() < 1e-12,
            "n={n} c={c} k={k}: {found} != {expected}"
        );
    }
    for (n, c, k) in [(8, 1, 9), (8, 1, 0), (8, 9, 1)] {
        assert_eq!(pass_at_k(n, c, k), None, "n={n} c={c} k={k}");
    }
}

#[test]
fn pass_at_k_is_unbiased() {
    // Enumerate all subsets of 6 samples, 2 of them correct.
    for k in 1..=6u32 {
        let subsets = (0u32..64).filter(|subset| subset.count_ones() == k);
        let (hit, all) = subsets.fold((0, 0), |(hit, all), subset| {
            (hit + u32::from(subset & 0b11 != 0), all + 1)
        });
        let found = pass_at_k(6, 2, k).expect("k <= n");
        assert!((found - f64::from(hit) / f64::from(all)).abs() < 1e-12);
    }
}

#[test]
fn the_ladder_ends_at_n() {
    assert_eq!(ladder(8), [1, 2, 4, 8]);
    assert_eq!(ladder(6), [1, 2, 4, 6]);
    assert_eq!(ladder(1), [1]);
    assert!(ladder(0).is_empty());
}

#[test]
fn the_interval_covers_the_mean_and_narrows_with_more_problems() {
    let values = |len: usize| -> Vec<f64> { (0..len).map(|at| f64::from(u8::from(at % 4 == 0))).collect() };
    let few = bootstrap(&values(40), 2000, 1).expect("values");
    let many = bootstrap(&values(4000), 2000, 1).expect("values");
    assert!((few.mean - 0.25).abs() < 1e-12 && few.lower < 0.25 && few.upper > 0.25);
    // Normal approximation: ±1.96·sqrt(p·(1-p)/n) = ±0.134 and ±0.0134.
    assert!(((few.upper - few.lower) / 2.0 - 0.134).abs() < 0.03, "{few:?}");
    assert!(((many.upper - many.lower) / 2.0 - 0.0134).abs() < 0.003, "{many:?}");
    assert_eq!(bootstrap(&values(40), 2000, 1), Some(few));
    assert_eq!(bootstrap(&[], 100, 1), None);
    let constant = bootstrap(&[1.0; 5], 100, 3).expect("values");
    assert_eq!((constant.lower, constant.upper), (1.0, 1.0));
}
