use super::*;
use crate::svs::testing::{group, verdict};

#[test]
fn bands_are_inclusive_counts() {
    let seeds = Band {
        lower: 0.125,
        upper: 0.5,
    };
    let positive = Band {
        lower: 0.125,
        upper: 0.625,
    };
    let cases = [
        (seeds, 8, (1, 4)),
        (positive, 8, (1, 5)),
        (seeds, 16, (2, 8)),
        (positive, 16, (2, 10)),
        (seeds, 7, (1, 3)),
        (positive, 4, (1, 2)),
        (Band { lower: 0.1, upper: 0.3 }, 10, (1, 3)),
        (Band { lower: 0.7, upper: 0.7 }, 10, (7, 7)),
        (Band { lower: 0.0, upper: 1.0 }, 8, (0, 8)),
        (Band { lower: 1.0, upper: 1.0 }, 3, (3, 3)),
    ];
    for (band, n, counts) in cases {
        assert_eq!(band.counts(n), counts, "{band:?} of {n}");
    }
    let held: Vec<u32> = (0..=8)
        .filter(|&correct| seeds.holds(Score { correct, graded: 8 }))
        .collect();
    assert_eq!(held, [1, 2, 3, 4]);
    assert!(!Band { lower: 0.0, upper: 1.0 }.holds(Score::default()));
}

#[test]
fn scores_count_verdicts_and_leave_out_the_graders_faults() {
    let mut mixed = group("g", 4, 2);
    assert_eq!(Score::of(&mixed), Score { correct: 2, graded: 4 });
    assert!(Score::of(&mixed).is_mixed());
    mixed.members[3].verdicts = vec![verdict(svs_verifier::Verdict::Infrastructure)];
    assert_eq!(Score::of(&mixed), Score { correct: 2, graded: 3 });
    mixed.members[2].verdicts.clear();
    assert_eq!(Score::of(&mixed), Score { correct: 2, graded: 2 });
    assert!(!Score::of(&mixed).is_mixed());
    // A shaped reward does not make a wrong answer right.
    mixed.members[0].verdicts[0].verdict = svs_verifier::Verdict::Wrong;
    assert_eq!(Score::of(&mixed).correct, 1);
    // Rewards between right and wrong make a contrast that no verdict shows; a masked member makes none.
    let contrast = |rewards: [Option<f64>; 3]| {
        let mut group = group("g", 3, 0);
        for (member, reward) in group.members.iter_mut().zip(rewards) {
            member.verdicts[0].reward = reward;
        }
        has_contrast(&group)
    };
    assert!(contrast([Some(0.2), Some(0.5), None]));
    assert!(!contrast([Some(0.2), None, Some(0.2)]) && !contrast([None; 3]) && !contrast([Some(1.0), None, None]));
    assert!((Score { correct: 1, graded: 4 }.accuracy() - 0.25).abs() < 1e-15);
}
