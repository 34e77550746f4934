//! Many requests to the engine with a bound on how many are under way; results in the order asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use svs_engine::{Completion, EngineError, EngineHandle, GenerateRequest, Generation};

/// How long a full engine is retried while nothing of ours is under way.
const OVERLOAD_PATIENCE: Duration = Duration::from_secs(120);

/// Runs `requests`, at most `in_flight` at once, and hands each completion to `done` with its index, in order.
/// A full engine (clients have priority) is waited for.
///
/// # Errors
/// The first error of the engine or of `done`; what is under way is then aborted.
pub fn run<E: From<EngineError>>(
    engine: &EngineHandle,
    requests: impl IntoIterator<Item = GenerateRequest>,
    in_flight: usize,
    mut done: impl FnMut(usize, Completion) -> Result<(), E>,
) -> Result<(), E> {
    let mut under_way: VecDeque<Generation> = VecDeque::new();
    let mut finished = 0;
    for request in requests {
        let mut waiting_since: Option<Instant> = None;
        loop {
            if under_way.len() < in_flight.max(1) {
                match engine.submit(request.clone()) {
                    Ok(generation) => {
                        under_way.push_back(generation);
                        break;
                    }
                    Err(EngineError::Overloaded { .. }) if !under_way.is_empty() => {}
                    Err(error @ EngineError::Overloaded { .. }) => {
                        if waiting_since.get_or_insert_with(Instant::now).elapsed() > OVERLOAD_PATIENCE {
                            return Err(error.into());
                        }
                        std::thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(first) = under_way.pop_front() {
                done(finished, first.collect_blocking()?)?;
                finished += 1;
            }
        }
    }
    for generation in under_way {
        done(finished, generation.collect_blocking()?)?;
        finished += 1;
    }
    Ok(())
}
