//! Requests that name the version of the weights.

use super::swap::{swapped, under};
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

#[test]
fn who_was_queued_behind_a_publish_begins_under_the_new_weights() {
    let asked = |name: Option<&str>| GenerateRequest {
        weights: name.map(str::to_owned),
        ..request("late", 3, 8)
    };
    for in_flight in [InFlight::Keep, InFlight::Recompute, InFlight::Drain] {
        let mut engine = engine(EngineConfig::default());
        let before = engine.store().policy();
        engine.publish(weights(2), in_flight).expect("fits");
        let mut waiting = Vec::new();
        for request in [asked(None), asked(Some("policy")), asked(Some("1"))] {
            let (events, received) = event_channel(&request);
            engine.add(&request, &before, 3, &events);
            waiting.push((Generation::new(3, request.n, received), Collected::new(3, request.n)));
        }
        while engine.step() {
            drain(&mut waiting);
        }
        let versions = |at: usize| -> Vec<u64> {
            let choice = &waiting[at].1.completion.choices[0];
            choice.spans.iter().map(|span| span.version).collect()
        };
        assert_eq!([0, 1, 2].map(versions), [vec![2], vec![2], vec![1]], "{in_flight:?}");
    }
}
