//! The requests for text: what is sent, and the same for an engine in this process.

use serde_json::{Value, json};
use svs_engine::{GenerateRequest, SamplingParams};

/// Different requests.
pub(super) const REQUESTS: u64 = 48;
const MOST_TOKENS: u64 = 96;

/// A request by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(pub(super) u64);

impl Asked {
    pub(super) fn prompt(self) -> String {
        // A third of the requests has a long prompt in common.
        let shared = if self.0.is_multiple_of(3) {
            "Count on, please: one two three four five six seven eight. "
        } else {
            ""
        };
        format!("{shared}Number {} is", self.0)
    }

    pub(super) fn choices(self) -> usize {
        1 + (self.0 % 3) as usize
    }

    pub(super) fn tokens(self) -> usize {
        (16 + self.0 * 5 % (MOST_TOKENS - 16)) as usize
    }

    fn temperature(self) -> f32 {
        (self.0 / 2 % 2) as f32
    }

    /// Nobody takes the place of one that runs, which would compute its KV anew at a moment that no answer tells.
    pub(super) fn keeps_its_place(self) -> bool {
        self.priority() == 0
    }

    fn priority(self) -> u64 {
        (self.0 % 4).saturating_sub(2) * 10
    }

    pub(super) fn body(self, model: &str, stream: bool) -> Value {
        json!({
            "model": model,
            "prompt": self.prompt(),
            "seed": self.0,
            "n": self.choices(),
            "temperature": self.temperature(),
            "max_tokens": self.tokens(),
            "ignore_eos": true,
            "priority": self.priority(),
            "stream": stream,
            "return_token_ids": true,
            "return_weight_versions": true,
        })
    }

    /// The same for an engine.
    pub(super) fn generate(self, prompt: Vec<u32>) -> GenerateRequest {
        let sampling = SamplingParams {
            seed: Some(self.0),
            temperature: self.temperature(),
            max_tokens: self.tokens() as u32,
            ignore_eos: true,
            ..SamplingParams::default()
        };
        GenerateRequest {
            prompt,
            n: self.choices() as u32,
            sampling,
            ..GenerateRequest::default()
        }
    }
}
