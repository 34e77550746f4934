//! Requests that name the version of the weights.

use super::*;

#[test]
fn who_names_a_version_keeps_it_over_a_swap() {
    let requests: Vec<_> = (0..6)
        .map(|seed| GenerateRequest {
            weights: (seed % 2 == 1).then(|| "1".to_owned()),
            ..request(&format!("stream number {seed}"), seed, 40)
        })
        .collect();
    let never = run(EngineConfig::default(), &requests);
    for in_flight in [InFlight::Keep, InFlight::Recompute, InFlight::Drain] {
        let with = swapped(&requests, 13, in_flight);
        for (at, (never, with)) in never.iter().zip(&with).enumerate() {
            let (never, with) = (&never.choices[0], &with.choices[0]);
            let stays = at % 2 == 1 || in_flight == InFlight::Drain;
            assert_eq!(with == never, stays, "{in_flight:?}: stream {at}");
            assert_eq!(
                under(with, 1).len(),
                if stays { 40 } else { 13 },
                "{in_flight:?}: stream {at}"
            );
        }
    }
}
