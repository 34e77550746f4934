//! Guided decoding: a grammar says which tokens may come next, and the sampler draws among those only.
//!
//! A [`Guide`] is what a request asks for. [`GuideCompiler`] turns it into a [`CompiledGuide`], which the samples of a
//! request share; a `GuideState` follows one sample through the grammar. Grammar and lexer are those of `llguidance`.

mod build;
mod compiled;
mod compiler;
mod grammar;
mod kept;
mod state;
#[cfg(test)]
mod tests;
pub mod trial;
mod vocabulary;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use compiled::CompiledGuide;
pub use compiler::GuideCompiler;
pub use grammar::json_rule;
pub use state::{Allowed, GuideState};

/// What the sampled text must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guide {
    /// JSON that a schema accepts.
    JsonSchema(Value),
    /// Any JSON object.
    JsonObject,
    /// A text that a regular expression matches as a whole (syntax of the `regex` crate, no look-around).
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of a context-free grammar in Lark's notation; the rule `start` is where it begins.
    Lark(String),
}

/// Bounds of guided decoding. The work per token is counted in steps, not in time; compiling, which the grammar library
/// does not count as a whole, is bounded by the kernel in a process of its own ([`trial`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuideLimits {
    /// Bytes of a schema, expression, grammar or of all choices together.
    pub max_bytes: usize,
    /// Symbols of a compiled grammar.
    pub max_grammar_size: usize,
    /// States of a request's lexer, 1 to 2 KB each.
    pub max_lexer_states: usize,
    /// Steps to build a lexer, about 50 000 a millisecond.
    pub compile_fuel: u64,
    /// Steps of the lexer for one token's mask, about 14 000 a millisecond.
    pub token_fuel: u64,
    /// Items of the parser for one token's mask, about 20 000 a millisecond.
    pub token_items: usize,
    /// Rules of the grammar that a text may be in at one place.
    pub row_items: usize,
    /// Seconds of processor time to try an unknown guide.
    pub compile_seconds: u64,
    /// Bytes of memory to try an unknown guide.
    pub compile_bytes: usize,
    /// Callers that may wait for a guide to be compiled, one at a time; one more is told to come again.
    pub compile_queue: usize,
    /// Verdicts on guides kept for later requests, compiled or refused.
    pub cached: usize,
    /// Bytes of the compiled guides kept.
    pub cached_bytes: usize,
    /// Bytes of the guides that running and waiting requests use; a request beyond is told to come again.
    pub live_bytes: usize,
}

impl Default for GuideLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 10,
            max_grammar_size: 200_000,
            max_lexer_states: 8192,
            compile_fuel: 1_000_000,
            token_fuel: 200_000,
            token_items: 50_000,
            row_items: 2000,
            compile_seconds: 2,
            compile_bytes: 256 << 20,
            compile_queue: 16,
            cached: 64,
            cached_bytes: 256 << 20,
            live_bytes: 1 << 30,
        }
    }
}

impl Guide {
    /// Bytes that the guide is written in.
    fn bytes(&self) -> usize {
        match self {
            Self::JsonSchema(schema) => schema.to_string().len(),
            Self::JsonObject => 0,
            Self::Regex(text) | Self::Lark(text) => text.len(),
            Self::Choice(texts) => texts.iter().map(String::len).sum(),
        }
    }
}
