//! Finished or partial choices → wire responses. Pure: no engine calls besides texts of tokens and labels of weights.

mod calls;
pub mod chat;
pub mod completion;
pub mod embeddings;
mod logprobs;
pub mod native;
mod offsets;
mod reading;
pub mod responses;
pub mod token_generation;

use serde_json::Value;
use svs_engine::request::Choice;
use svs_engine::{FinishReason, VersionSpan};
use svs_openapi::native::LabelledSpan;
use svs_openapi::{Usage, WeightVersionSpan};

use crate::app::App;
use crate::session::Session;

pub use logprobs::Vocabulary;
pub use offsets::Offsets;
pub use reading::Reading;

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

/// What ended a choice: the stop string, or the stop token.
fn stopped_by(choice: &Choice) -> Option<Value> {
    if choice.finish_reason != FinishReason::Stop {
        return None;
    }
    let last = || choice.tokens.last().map(|token| Value::from(*token));
    choice.stop.as_deref().map(Value::from).or_else(last)
}

/// Version spans with the labels of the weights.
fn labelled(app: &App, spans: &[VersionSpan]) -> Vec<LabelledSpan> {
    let wire = |span: &VersionSpan| LabelledSpan {
        version: app.labels.of(app.engine.weights(), span.version),
        start: span.start,
        end: span.end,
    };
    spans.iter().map(wire).collect()
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
