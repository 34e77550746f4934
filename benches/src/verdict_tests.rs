use super::*;

fn sample(contestant: &Contestant, alternation: usize, tokens_per_second: f64) -> Sample {
    Sample {
        row: Row::Decode16,
        contestant: contestant.clone(),
        alternation,
        figures: Figures::of_peer(tokens_per_second),
        foreign_share: None,
    }
}

#[test]
fn spreads_have_the_median_of_even_and_odd_counts() {
    for (figures, expected) in [
        (vec![], None),
        (vec![3.0], Some((3.0, 3.0, 3.0))),
        (vec![3.0, 1.0, 2.0], Some((2.0, 1.0, 3.0))),
        (vec![4.0, 1.0, 3.0, 2.0], Some((2.5, 1.0, 4.0))),
    ] {
        let spread = Spread::of(figures);
        assert_eq!(spread.map(|s| (s.median, s.least, s.most)), expected);
    }
}

#[test]
fn a_ratio_is_of_neighbours_and_not_of_medians() {
    let (f16, f32) = (
        Contestant::LlamaCpp(Weights::F16, false),
        Contestant::LlamaCpp(Weights::F32, false),
    );
    // The machine halves its speed in the second alternation: the ratio of each pair stays 2.
    let mut samples = Vec::new();
    for (alternation, speed) in [(0, 100.0), (1, 50.0), (2, 80.0)] {
        samples.push(sample(&OURS, alternation, 2.0 * speed));
        samples.push(sample(&f16, alternation, speed));
        samples.push(sample(&f32, alternation, speed / 2.0));
    }
    // A peer that is measured once more than svs adds no pair.
    samples.push(sample(&f16, 3, 1.0));
    let verdict = verdicts(&samples).remove(0);
    assert_eq!(verdict.strongest, Some(f16));
    let ratio = verdict.ratio.map(|ratio| (ratio.median, ratio.least, ratio.most));
    assert_eq!(ratio, Some((2.0, 2.0, 2.0)));
    assert_eq!((verdict.floor, verdict.reached), (1.5, Some(true)));
    assert_eq!(verdict.standings.len(), 3);
}

#[test]
fn without_a_peer_there_is_no_verdict() {
    let verdict = verdicts(&[sample(&OURS, 0, 1.0)]).remove(0);
    assert_eq!((verdict.strongest, verdict.reached), (None, None));
}
