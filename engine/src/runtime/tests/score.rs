//! Scores of given tokens: bit for bit what sampling recorded, bounded in memory, of one weight version.

use super::*;
use crate::runtime::{ScoreRequest, Scores};
use crate::train::TrainSequence;

fn lowered(prompt: &[u32], response: &[u32], temperature: f32) -> GenerateRequest {
    let request = ScoreRequest {
        prompt: prompt.to_vec(),
        response: response.to_vec(),
        temperature,
        ..ScoreRequest::default()
    };
    request.lower().expect("in range")
}

fn read(completion: &Completion) -> Scores {
    let scored = completion.prompt.as_deref().expect("scored");
    Scores {
        version: 1,
        logprobs: scored.iter().map(|token| token.logprob.expect("has one")).collect(),
        tapped: completion.choices[0].tapped.clone(),
        entropies: scored.iter().map(|token| token.entropy.expect("has one")).collect(),
    }
}

/// Scores of `response` after `prompt`, alone in an engine.
pub(super) fn scored(prompt: &[u32], response: &[u32], temperature: f32) -> Scores {
    read(&run(EngineConfig::default(), &[lowered(prompt, response, temperature)])[0])
}

#[test]
fn scores_are_what_sampling_recorded() {
    for temperature in [1.0, 0.7, 1.6] {
        let mut sampled = request("a prompt to go on from", 9, 40);
        sampled.sampling.temperature = temperature;
        let choice = run(EngineConfig::default(), std::slice::from_ref(&sampled))
            .remove(0)
            .choices
            .remove(0);
        let scores = scored(&sampled.prompt, &choice.tokens, temperature);
        assert_eq!(scores.logprobs, choice.logprobs, "at {temperature}");
        assert!(
            scores
                .entropies
                .iter()
                .all(|entropy| *entropy > 0.0 && *entropy <= 259.0_f32.ln())
        );
        // The trainer's own forward, entropies included.
        let from = sampled.prompt.len() as u32;
        let sequence = TrainSequence {
            tokens: [sampled.prompt.as_slice(), &choice.tokens].concat(),
            scored: (from..from + 40).collect(),
            temperature,
        };
        let trained = crate::train::score(&weights(1), &[sequence]).expect("finite").remove(0);
        let (logprobs, entropies) = trained.iter().map(|token| (token.logprob, token.entropy)).unzip();
        assert_eq!((&scores.logprobs, &scores.entropies), (&logprobs, &entropies));
        let raw = scored(&sampled.prompt, &choice.tokens, 1.0);
        assert_eq!(raw.logprobs, choice.raw_logprobs);
        // And what `prompt_logprobs` says of the whole.
        let mut whole = lowered(&sampled.prompt, &choice.tokens, 1.0);
        (whole.score_from, whole.sampling.prompt_logprobs) = (None, Some(0));
        let prompt = run(EngineConfig::default(), &[whole]).remove(0).prompt.expect("scored");
        let tail: Vec<f32> = prompt[sampled.prompt.len()..]
            .iter()
            .map(|token| token.logprob.expect("has one"))
            .collect();
        assert_eq!(tail, raw.logprobs);
        assert!(prompt[0].logprob.is_none() && prompt.len() == sampled.prompt.len() + 40);
    }
}

#[test]
fn scores_are_the_same_under_any_load_and_take_few_rows_of_logits() {
    let prompt: Vec<u32> = (0..70).map(|at| 32 + at * 7 % 90).collect();
    let responses: Vec<Vec<u32>> = (0..5u32)
        .map(|at| (0..20 + at * 23).map(|i| 32 + (i * 11 + at) % 90).collect())
        .collect();
    let scores: Vec<Scores> = responses
        .iter()
        .map(|response| scored(&prompt, response, 1.0))
        .collect();
    for (rows, tokens, blocks) in [(128, 512, None), (3, 64, None), (1, 7, None), (5, 33, Some(20))] {
        let config = EngineConfig {
            max_scored_rows: rows,
            max_num_batched_tokens: tokens,
            kv_blocks: blocks,
            ..EngineConfig::default()
        };
        let mut engine = engine(config);
        let mut waiting: Vec<_> = responses
            .iter()
            .map(|response| submit(&mut engine, &lowered(&prompt, response, 1.0)))
            .collect();
        let mut talking: Vec<_> = (0..3)
            .map(|seed| submit(&mut engine, &request("meanwhile", seed, 50)))
            .collect();
        let mut most = 0;
        while engine.step() {
            most = most.max(engine.logits.len() / 259);
            drain(&mut waiting);
            drain(&mut talking);
            engine.check().expect("blocks and queues agree");
        }
        assert!(
            most <= rows + 3,
            "{most} rows of logits at once with max_scored_rows {rows}"
        );
        for ((_, collected), scores) in waiting.iter().zip(&scores) {
            assert_eq!(&read(&collected.completion), scores, "{rows} rows, {tokens} tokens");
        }
        for (seed, (_, collected)) in (0..).zip(&talking) {
            let alone = run(EngineConfig::default(), &[request("meanwhile", seed, 50)]).remove(0);
            assert_eq!(collected.completion, alone, "generation beside scoring");
        }
    }
}

#[test]
fn a_shared_prompt_is_computed_once() {
    let prompt: Vec<u32> = (0..64).map(|at| 32 + at).collect();
    let mut engine = engine(EngineConfig::default());
    for at in 0..3 {
        let mut waiting = [submit(&mut engine, &lowered(&prompt, &[40 + at, 41], 1.0))];
        while engine.step() {}
        drain(&mut waiting);
        assert_eq!(waiting[0].1.completion.prompt.as_ref().map(Vec::len), Some(2));
    }
    assert_eq!(
        engine.stats().prefix_hits,
        2 * 48,
        "all blocks but the one whose last row scores"
    );
}

#[test]
fn a_swap_does_not_touch_a_score() {
    let (prompt, response) = ([70, 71, 72], (0..60).map(|at| 40 + at).collect::<Vec<u32>>());
    let expected = scored(&prompt, &response, 1.0);
    for in_flight in [InFlight::Keep, InFlight::Recompute, InFlight::Drain] {
        let mut engine = engine(EngineConfig {
            max_num_batched_tokens: 16,
            ..EngineConfig::default()
        });
        let mut waiting = [submit(&mut engine, &lowered(&prompt, &response, 1.0))];
        assert!(engine.step());
        engine.publish(weights(2), in_flight).expect("fits");
        while engine.step() {}
        drain(&mut waiting);
        assert_eq!(read(&waiting[0].1.completion), expected, "{in_flight:?}");
    }
}

#[test]
fn a_handle_scores_beside_generation_and_refuses_by_name() {
    let handle = EngineHandle::start(
        weights(1),
        Tokenizer::bytes_only().expect("built in"),
        EngineConfig::default(),
    )
    .expect("starts");
    let ask = |prompt: &[u32], response: &[u32], temperature: f32| {
        handle.score(ScoreRequest {
            prompt: prompt.to_vec(),
            response: response.to_vec(),
            temperature,
            ..ScoreRequest::default()
        })
    };
    let running = handle.submit(request("hello", 1, 60)).expect("accepted");
    let scores = ask(&[65, 66], &[67, 68, 69], 1.0)
        .expect("accepted")
        .collect_blocking()
        .expect("done");
    assert_eq!(scores, scored(&[65, 66], &[67, 68, 69], 1.0));
    assert_eq!(running.collect_blocking().expect("done").choices[0].tokens.len(), 60);
    let table = [
        (&[][..], &[1][..], 1.0, "prompt"),
        (&[1], &[], 1.0, "response"),
        (&[1], &[2], 0.0, "temperature"),
        (&[1], &[2], f32::NAN, "temperature"),
        (&[1], &[300], 1.0, "prompt"),
    ];
    for (prompt, response, temperature, expected) in table {
        let refused = ask(prompt, response, temperature).map(|_| ());
        assert!(
            matches!(refused, Err(EngineError::InvalidParameter { field, .. }) if field == expected),
            "{refused:?}"
        );
    }
}
