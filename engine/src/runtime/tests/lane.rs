//! A stream beside training: the same bits, and its share of a core.

use std::time::Instant;

use super::*;

#[test]
fn a_stream_beside_training_rests_and_keeps_its_tokens() {
    let expected = run(EngineConfig::default(), &[request("abc", 5, 40)]).remove(0);
    let wall_of = |beside: bool, share: f64| {
        let handle = start(EngineConfig {
            share_beside_training: share,
            ..EngineConfig::default()
        });
        let training = beside.then(|| handle.training_computes());
        let began = Instant::now();
        let done = handle.submit(request("abc", 5, 40)).expect("room");
        assert_eq!(done.collect_blocking().expect("served"), expected);
        let wall = began.elapsed().as_secs_f64();
        drop(training);
        (wall, handle.stats().decoder_seconds)
    };
    let (wall, computed) = wall_of(true, 0.05);
    let (even, all) = wall_of(true, 1.0);
    // Steps that are held up count less, so only the machine's speed is common to both: twenty times the distance, more or less.
    assert!(wall > 2.0 * computed, "{wall} s for {computed} s of steps");
    assert!(even >= all, "{even} s for {all} s of steps");
    wall_of(false, 0.05);
}

#[test]
fn a_share_out_of_range_is_refused_by_name() {
    for share in [0.0, -1.0, 1.5, f64::NAN] {
        let config = EngineConfig {
            share_beside_training: share,
            ..EngineConfig::default()
        };
        let refused = EngineHandle::start(weights(1), Tokenizer::bytes_only().expect("built in"), config);
        let named =
            matches!(&refused, Err(EngineError::InvalidParameter { field, .. }) if *field == "share_beside_training");
        assert!(named, "{share}: {refused:?}");
    }
}
