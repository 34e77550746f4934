//! Many requests to the engine with a bound on how many are under way; results in the order asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use svs_engine::{Completion, EngineError, EngineHandle, FinishReason, GenerateRequest, Generation};

/// How long a full engine is retried while nothing of ours is under way and it is not paused.
const OVERLOAD_PATIENCE: Duration = Duration::from_secs(120);
/// How often a request that a pause of the engine broke off is asked again.
const MAX_REPEATS: usize = 100;

/// Runs `requests`, at most `in_flight` at once, and hands each completion to `done` with its index, in order.
/// A full engine (clients have priority) is waited for; a request that a pause broke off is asked again, and its seed
/// gives the same tokens.
///
/// # Errors
/// The first error of the engine or of `done`; what is under way is then aborted.
pub fn run<E: From<EngineError>>(
    engine: &EngineHandle,
    requests: impl IntoIterator<Item = GenerateRequest>,
    in_flight: usize,
    mut done: impl FnMut(usize, Completion) -> Result<(), E>,
) -> Result<(), E> {
    let mut under_way: VecDeque<(GenerateRequest, Generation)> = VecDeque::new();
    let mut finished = 0;
    for request in requests {
        loop {
            if under_way.len() < in_flight.max(1) {
                let generation = if under_way.is_empty() {
                    Some(submit_waiting(engine, &request)?)
                } else {
                    submit(engine, &request)?
                };
                if let Some(generation) = generation {
                    under_way.push_back((request, generation));
                    break;
                }
            }
            if let Some((request, generation)) = under_way.pop_front() {
                done(finished, finish(engine, &request, generation)?)?;
                finished += 1;
            }
        }
    }
    for (request, generation) in under_way {
        done(finished, finish(engine, &request, generation)?)?;
        finished += 1;
    }
    Ok(())
}

/// Submits; `None` if the engine is full.
fn submit(engine: &EngineHandle, request: &GenerateRequest) -> Result<Option<Generation>, EngineError> {
    match engine.submit(request.clone()) {
        Ok(generation) => Ok(Some(generation)),
        Err(EngineError::Overloaded { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Submits, waiting for a full engine. The time of a pause does not count.
fn submit_waiting(engine: &EngineHandle, request: &GenerateRequest) -> Result<Generation, EngineError> {
    let mut since = Instant::now();
    loop {
        match engine.submit(request.clone()) {
            Err(EngineError::Overloaded { .. }) if engine.is_paused() => since = Instant::now(),
            Err(EngineError::Overloaded { .. }) if since.elapsed() < OVERLOAD_PATIENCE => {}
            outcome => return outcome,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for the end, and asks again where a pause broke the request off.
fn finish(
    engine: &EngineHandle,
    request: &GenerateRequest,
    mut generation: Generation,
) -> Result<Completion, EngineError> {
    for _ in 0..MAX_REPEATS {
        let completion = generation.collect_blocking()?;
        let broken = |choice: &svs_engine::request::Choice| choice.finish_reason == FinishReason::Abort;
        if !completion.choices.iter().any(broken) {
            return Ok(completion);
        }
        generation = submit_waiting(engine, request)?;
    }
    Err(EngineError::Stopped(format!(
        "pauses broke a request off {MAX_REPEATS} times"
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use svs_engine::runtime::PauseMode;
    use svs_engine::{EngineConfig, SamplingParams, WeightSet};

    use super::*;
    use crate::policy::testing::tiny_model;

    #[test]
    fn a_pause_that_breaks_requests_off_changes_no_result() {
        let model = tiny_model(1);
        let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
        let config = EngineConfig {
            kv_cache_bytes: 16 << 20,
            ..EngineConfig::default()
        };
        let engine = EngineHandle::start(weights, model.tokenizer.clone(), config).expect("an engine");
        let request = |seed| GenerateRequest {
            prompt: vec![1, 2, 3],
            n: 3,
            sampling: SamplingParams {
                seed: Some(seed),
                max_tokens: 12,
                ignore_eos: true,
                ..SamplingParams::default()
            },
            ..GenerateRequest::default()
        };
        let results = |engine: &EngineHandle| {
            let mut results = Vec::new();
            run(engine, (0..8).map(request), 4, |at, completion| {
                results.push((at, completion));
                Ok::<(), EngineError>(())
            })
            .expect("all done");
            results
        };
        let never = results(&engine);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let paused = std::thread::scope(|scope| {
            let running = scope.spawn(|| results(&engine));
            let mut pauses = 0;
            while !running.is_finished() && pauses < 4 {
                runtime.block_on(engine.pause(PauseMode::Abort, false)).expect("pauses");
                runtime.block_on(engine.resume()).expect("resumes");
                pauses += 1;
                std::thread::sleep(Duration::from_millis(3));
            }
            running.join().expect("no panic")
        });
        assert_eq!(paused, never);
    }
}
