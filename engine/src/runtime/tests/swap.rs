//! Swaps in the middle of streams: nothing changes before the boundary, and a replay gives what comes after it.

use super::*;

/// Publishes when the first request has `at` tokens; returns all completions.
pub(super) fn swapped(requests: &[GenerateRequest], at: usize, in_flight: InFlight) -> Vec<Completion> {
    swap_of(requests, at, in_flight).0
}

/// As [`swapped`], with how many tokens each had by then, and what the publish said.
fn swap_of(
    requests: &[GenerateRequest],
    at: usize,
    in_flight: InFlight,
) -> (Vec<Completion>, Vec<usize>, PublishReport) {
    let mut engine = engine(EngineConfig::default());
    let mut waiting: Vec<_> = requests.iter().map(|request| submit(&mut engine, request)).collect();
    let mut published = None;
    while engine.step() {
        drain(&mut waiting);
        let tokens = |(_, collected): &(_, Collected)| collected.completion.choices[0].tokens.len();
        if published.is_none() && tokens(&waiting[0]) == at {
            let report = engine.publish(weights(2), in_flight).expect("fits");
            assert_eq!(report.version, 2);
            published = Some((waiting.iter().map(tokens).collect(), report));
        }
    }
    let (had, report) = published.expect("the first request has so many tokens once");
    let completions = waiting.into_iter().map(|(_, collected)| collected.completion);
    (completions.collect(), had, report)
}

#[test]
fn a_request_that_names_its_weights_keeps_them_over_a_swap() {
    let follower = request("one of two", 7, 40);
    let named = |name: &str| GenerateRequest {
        weights: Some(name.into()),
        ..follower.clone()
    };
    let never = run(EngineConfig::default(), std::slice::from_ref(&follower));
    for in_flight in [InFlight::Keep, InFlight::Recompute] {
        let with = swapped(&[named("1"), named("policy")], 13, in_flight);
        let versions = |at: usize| -> Vec<u64> { with[at].choices[0].spans.iter().map(|s| s.version).collect() };
        assert_eq!((versions(0), versions(1)), (vec![1], vec![1, 2]), "{in_flight:?}");
        assert_eq!(with[0].choices[0].tokens, never[0].choices[0].tokens);
    }
}

/// Tokens of `choice` drawn under `version`.
pub(super) fn under(choice: &Choice, version: u64) -> &[u32] {
    let span = choice.spans.iter().find(|span| span.version == version);
    span.map_or(&[], |span| &choice.tokens[span.start as usize..span.end as usize])
}

#[test]
fn a_swap_changes_tokens_only_at_its_boundary() {
    // More tokens than a step takes: some begin a step later, and have fewer at the swap.
    let requests: Vec<_> = (0..64)
        .map(|seed| request(&format!("stream number {seed}"), seed, 40))
        .collect();
    let never = run(EngineConfig::default(), &requests);
    for in_flight in [InFlight::Keep, InFlight::Recompute, InFlight::Drain] {
        let (with, had, report) = swap_of(&requests, 13, in_flight);
        let crossed = if in_flight == InFlight::Drain { 0 } else { 64 };
        assert_eq!(report.in_flight, crossed, "{in_flight:?}: streams that crossed");
        assert!(
            had.iter().all(|had| *had > 0) && had.iter().any(|had| *had != 13),
            "{had:?}"
        );
        for (((request, never), with), had) in requests.iter().zip(&never).zip(&with).zip(had) {
            let (never, with) = (&never.choices[0], &with.choices[0]);
            assert_eq!(with.tokens.len(), 40, "{in_flight:?}: a stream was cut");
            let covered = with
                .spans
                .iter()
                .try_fold(0, |at, span| (span.start == at).then_some(span.end));
            assert_eq!(covered, Some(40), "{in_flight:?}: every token is of one version");
            let before = under(with, 1);
            assert_eq!(
                before,
                &never.tokens[..before.len()],
                "{in_flight:?}: tokens before the swap"
            );
            match in_flight {
                InFlight::Drain => assert_eq!((with, before.len()), (never, 40)),
                InFlight::Recompute => {
                    assert_eq!((before.len(), with.mixed_kv), (had, false));
                    assert_eq!(
                        under(with, 2),
                        replay_recomputed(request, before),
                        "a replay under the new weights"
                    );
                }
                InFlight::Keep => {
                    assert_eq!((before.len(), with.mixed_kv), (had, true));
                    // The replay: alone in an engine, swapped at the recorded span.
                    let replay = swapped(std::slice::from_ref(request), before.len(), in_flight).remove(0);
                    assert_eq!(with, &replay.choices[0], "a replay with the recorded spans");
                }
            }
            assert_ne!(
                (in_flight != InFlight::Drain).then_some(&with.tokens),
                Some(&never.tokens)
            );
        }
    }
}

/// Goes on from `before` under version 2 alone.
fn replay_recomputed(request: &GenerateRequest, before: &[u32]) -> Vec<u32> {
    let mut engine = engine(EngineConfig::default());
    engine.publish(weights(2), InFlight::Recompute).expect("fits");
    let resumed = GenerateRequest {
        resume: before.to_vec(),
        ..request.clone()
    };
    let mut waiting = [submit(&mut engine, &resumed)];
    while engine.step() {}
    drain(&mut waiting);
    waiting[0].1.completion.choices[0].tokens.clone()
}
