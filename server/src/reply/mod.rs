//! Finished or partial choices → wire responses. Pure: no engine calls besides the tokenizer's token texts.

pub mod chat;
pub mod completion;
mod logprobs;
mod offsets;

use svs_engine::VersionSpan;
use svs_openapi::{Usage, WeightVersionSpan};

use crate::session::Session;

pub use logprobs::Vocabulary;
pub use offsets::Offsets;

/// Token counts of what was sampled so far; a prompt counts once.
#[must_use]
pub fn usage(session: &Session) -> Usage {
    let prompt_tokens = session.plan.prompts.iter().map(|prompt| prompt.tokens.len()).sum();
    let completion_tokens = session.choices.iter().map(|sampled| sampled.choice.tokens.len()).sum();
    Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
    }
}

/// Wire form of version spans.
fn spans(spans: &[VersionSpan]) -> Vec<WeightVersionSpan> {
    let wire = |span: &VersionSpan| WeightVersionSpan {
        version: span.version,
        start: span.start,
        end: span.end,
    };
    spans.iter().map(wire).collect()
}
