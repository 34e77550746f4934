use proptest::prelude::*;

use super::*;

#[test]
fn maj_at_k_by_hand() {
    /// Counts, silent samples, the right answer, k, and the chance expected.
    type Case = (&'static [u32], u32, Option<usize>, u32, f64);
    let cases: [Case; 14] = [
        // One of four is right and drawn alone: 1/4; of two it must come first in the order to win its tie.
        (&[1, 3], 0, Some(0), 1, 0.25),
        // Pairs of {r, w, w, w}: 3 of 6 hold r, a tie that the earlier answer wins.
        (&[1, 3], 0, Some(0), 2, 0.5),
        (&[3, 1], 0, Some(1), 2, 0.0),
        // Triples of {r, r, w, w}: r wins the two with both r.
        (&[2, 2], 0, Some(0), 3, 0.5),
        (&[2, 2], 0, Some(1), 3, 0.5),
        // Pairs of {r, r, w, w}: rr wins, four ties go to the earlier: 5/6 and 1/6.
        (&[2, 2], 0, Some(0), 2, 5.0 / 6.0),
        (&[2, 2], 0, Some(1), 2, 1.0 / 6.0),
        // All samples: decided outright.
        (&[2, 3], 0, Some(1), 5, 1.0),
        (&[3, 3], 0, Some(1), 6, 0.0),
        (&[3, 3], 0, Some(0), 6, 1.0),
        // A silent sample is drawn but has no vote: pairs of {r, s, s}: 2 of 3 hold r, and it wins them.
        (&[1], 2, Some(0), 2, 2.0 / 3.0),
        (&[1, 1], 1, Some(1), 1, 1.0 / 3.0),
        // Nobody is right.
        (&[4], 0, None, 2, 0.0),
        (&[], 4, None, 2, 0.0),
    ];
    for (counts, silent, right, k, expected) in cases {
        let found = maj_at_k(counts, silent, right, k).expect("k <= n");
        assert!(
            (found - expected).abs() < 1e-12,
            "{counts:?} {silent} {right:?} {k}: {found} != {expected}"
        );
    }
    for (counts, silent, k) in [(&[2u32, 1][..], 0, 4), (&[2, 1], 0, 0), (&[], 0, 1)] {
        assert_eq!(maj_at_k(counts, silent, Some(0), k), None);
    }
}

/// The share of all subsets of `k` samples in which the right answer wins, by looking at each.
fn by_subsets(counts: &[u32], silent: u32, right: Option<usize>, k: u32) -> f64 {
    let voters = counts
        .iter()
        .enumerate()
        .flat_map(|(at, count)| (0..*count).map(move |_| Some(at)));
    let samples: Vec<Option<usize>> = voters.chain((0..silent).map(|_| None)).collect();
    let (mut wins, mut all) = (0u32, 0u32);
    for subset in (0u32..1 << samples.len()).filter(|subset| subset.count_ones() == k) {
        let mut votes = vec![0; counts.len()];
        let drawn = samples.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1);
        drawn.filter_map(|(_, vote)| *vote).for_each(|at| votes[at] += 1);
        let winner = (0..votes.len())
            .rev()
            .max_by_key(|at| votes[*at])
            .filter(|at| votes[*at] > 0);
        wins += u32::from(right.is_some() && winner == right);
        all += 1;
    }
    f64::from(wins) / f64::from(all)
}

proptest! {
    #[test]
    fn maj_at_k_equals_counting_subsets(
        counts in proptest::collection::vec(1u32..4, 0..5),
        silent in 0u32..3,
        right in 0usize..6,
        k in 1u32..12,
    ) {
        let right = Some(right).filter(|right| *right < counts.len());
        let n = counts.iter().sum::<u32>() + silent;
        let found = maj_at_k(&counts, silent, right, k);
        prop_assert_eq!(found.is_some(), k <= n);
        if let Some(found) = found {
            let expected = by_subsets(&counts, silent, right, k);
            prop_assert!((found - expected).abs() < 1e-10, "{} != {}", found, expected);
        }
    }
}

#[test]
fn many_samples_neither_overflow_nor_lose_the_sum() {
    // Two answers with k odd cannot tie, so the chances of either add to 1; the law of large numbers favours the larger.
    let chance = |right| maj_at_k(&[530, 470], 0, Some(right), 501).expect("k <= n");
    assert!((chance(0) + chance(1) - 1.0).abs() < 1e-9);
    assert!(chance(0) > 0.95);
}

#[test]
fn entropy_by_hand() {
    let ln = f64::ln;
    let cases: [(&[u32], Option<f64>); 6] = [
        (&[], None),
        (&[0], None),
        (&[5], Some(0.0)),
        (&[1, 1], Some(ln(2.0))),
        (&[2, 1, 1], Some(1.5 * ln(2.0))),
        (&[1; 8], Some(ln(8.0))),
    ];
    for (counts, expected) in cases {
        let found = entropy(counts);
        assert_eq!(found.is_some(), expected.is_some(), "{counts:?}");
        assert!(
            (found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12,
            "{counts:?}: {found:?}"
        );
    }
}

#[test]
fn right_answers_are_one_however_they_are_written() {
    let mut ballot = Ballot::new(&MathOptions::default(), false);
    let votes = [
        ("\\boxed{4}", Verdict::Wrong, Some((0, false))),
        ("\\boxed{0.5}", Verdict::Correct, Some((1, true))),
        ("nothing here", Verdict::NoAnswer, None),
        ("half, that is \\boxed{\\frac12}", Verdict::Correct, Some((1, true))),
        ("so the answer is 4.0", Verdict::Wrong, Some((0, false))),
        ("\\boxed{5}", Verdict::Wrong, Some((2, false))),
    ];
    for (response, verdict, expected) in votes {
        assert_eq!(ballot.vote(response, verdict), expected, "{response}");
    }
    let mut whole = Ballot::new(&MathOptions::default(), true);
    let found = ["yes of course", "no way", "yes  of course"].map(|text| whole.vote(text, Verdict::Wrong));
    assert_eq!(found, [Some((0, false)), Some((1, false)), Some((0, false))]);
}
