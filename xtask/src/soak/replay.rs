//! Streams that crossed swaps, computed again alone in an engine of this process with the recorded spans.

use std::sync::Arc;

use anyhow::{Context, ensure};
use svs_engine::runtime::{Collected, Engine, event_channel};
use svs_engine::{EngineConfig, Generation};

use super::outcomes::Crossed;
use super::weights::{Weights, crossing_into};

/// Enough for one request.
const KV_BLOCKS: usize = 256;

/// Computes a stream again.
///
/// # Errors
/// Its tokens are others.
pub(super) fn check(weights: &Weights, crossed: &Crossed) -> anyhow::Result<()> {
    let (spans, wanted) = (&crossed.choice.spans, &crossed.choice.tokens);
    let tokens = repeat(weights, crossed)?;
    let same = tokens
        .iter()
        .zip(wanted)
        .take_while(|(token, wanted)| token == wanted)
        .count();
    ensure!(
        tokens == *wanted,
        "request {} choice {} over {spans:?}: a replay differs from token {same} on",
        crossed.asked.0,
        crossed.index,
    );
    Ok(())
}

fn repeat(weights: &Weights, crossed: &Crossed) -> anyhow::Result<Vec<u32>> {
    let (first, later) = crossed.choice.spans.split_first().context("no spans")?;
    let config = EngineConfig {
        kv_blocks: Some(KV_BLOCKS),
        ..EngineConfig::default()
    };
    let mut engine = Engine::new(weights.set(first.version), weights.model.tokenizer.clone(), &config)?;
    let request = crossed.asked.generate(crossed.choice.prompt.clone());
    let (events, received) = event_channel(&request);
    let policy = engine.store().policy();
    engine.add(&request, &policy, crossed.asked.0, &events);
    drop(policy);
    let mut generation = Generation::new(crossed.asked.0, request.n, received);
    let mut collected = Collected::new(crossed.asked.0, request.n);
    let mut later = later.iter().peekable();
    while engine.step() {
        while let Some(event) = generation.try_next() {
            collected.push(event)?;
        }
        let has = collected.completion.choices[crossed.index].tokens.len();
        if let Some(span) = later.next_if(|span| span.start as usize == has) {
            engine.publish(Arc::clone(&weights.set(span.version)), crossing_into(span.version))?;
        }
    }
    Ok(std::mem::take(&mut collected.completion.choices[crossed.index].tokens))
}
