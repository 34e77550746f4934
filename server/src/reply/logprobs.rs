//! Logprobs in the shapes of the three places that report them: chat, completions, scored prompts.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use svs_engine::request::{Choice, PromptLogprob, TopLogprob};
use svs_engine::text::Tokenizer;
use svs_openapi::PromptLogprobs;
use svs_openapi::chat::{ChatLogprobs, TokenLogprob};
use svs_openapi::common::{self, LogprobsMode, SampledLogprobs};
use svs_openapi::completion::CompletionLogprobs;

use super::Offsets;
use crate::lower::Outputs;

/// JSON has no infinity; OpenAI's API reports such tokens as this.
const LOWEST_LOGPROB: f32 = -9999.0;

pub(super) fn finite(logprob: f32) -> f32 {
    logprob.max(LOWEST_LOGPROB)
}

/// The mode of `logprobs`, where a choice has them.
pub(super) fn mode(outputs: Outputs) -> Option<LogprobsMode> {
    outputs.logprobs.map(|_| LogprobsMode::Behaviour)
}

/// Both logprobs of tokens `range` of `choice`, where they are asked for.
pub(super) fn sampled(outputs: Outputs, choice: &Choice, range: Range<usize>) -> Option<SampledLogprobs> {
    outputs.raw_logprobs.then(|| SampledLogprobs {
        behaviour: choice.logprobs[range.clone()].to_vec(),
        raw: choice.raw_logprobs[range.clone()].to_vec(),
        thresholds: choice.thresholds[range].to_vec(),
    })
}

/// Texts of tokens.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a>(pub &'a Tokenizer);

impl Vocabulary<'_> {
    /// Chat logprobs of tokens `range` of `choice`.
    pub(super) fn chat(self, choice: &Choice, range: Range<usize>) -> ChatLogprobs {
        let alternative = |top: &TopLogprob| {
            let (token, bytes) = self.0.token_text(top.token);
            svs_openapi::chat::TopLogprob {
                token,
                logprob: finite(top.logprob),
                bytes,
            }
        };
        let content = range.map(|position| {
            let (token, bytes) = self.0.token_text(choice.tokens[position]);
            let top_logprobs = choice.top[position].iter().map(alternative).collect();
            TokenLogprob {
                token,
                logprob: finite(choice.logprobs[position]),
                bytes,
                top_logprobs,
            }
        });
        ChatLogprobs {
            content: content.collect(),
            refusal: None,
        }
    }

    /// Appends tokens `range` of `choice`, which come next in `offsets`, to completion logprobs.
    pub(super) fn append_sampled(
        self,
        out: &mut CompletionLogprobs,
        choice: &Choice,
        range: Range<usize>,
        offsets: &mut Offsets,
    ) {
        for position in range {
            let (token, logprob) = (choice.tokens[position], choice.logprobs[position]);
            self.append(out, token, Some(logprob), &choice.top[position], offsets.next(token));
        }
    }

    /// Appends a scored prompt, whose text is `echo`, with at most `alternatives` per token.
    pub(super) fn append_prompt(
        self,
        out: &mut CompletionLogprobs,
        prompt: &[PromptLogprob],
        alternatives: u32,
        echo: &str,
    ) {
        let offsets = Offsets::prompt(self.0, echo, prompt.iter().map(|scored| scored.token));
        for (scored, offset) in prompt.iter().zip(offsets) {
            let top = &scored.top[..scored.top.len().min(alternatives as usize)];
            self.append(out, scored.token, scored.logprob, top, offset);
        }
    }

    fn append(self, out: &mut CompletionLogprobs, token: u32, logprob: Option<f32>, top: &[TopLogprob], offset: usize) {
        let (text, _) = self.0.token_text(token);
        out.text_offset.push(offset);
        out.token_logprobs.push(logprob.map(finite));
        out.top_logprobs.push(logprob.map(|logprob| {
            let mut alternatives = Map::new();
            for candidate in top {
                // Tokens of incomplete characters may share a text; the most likely one stands.
                let (text, _) = self.0.token_text(candidate.token);
                alternatives
                    .entry(text)
                    .or_insert_with(|| Value::from(finite(candidate.logprob)));
            }
            alternatives
                .entry(text.clone())
                .or_insert_with(|| Value::from(finite(logprob)));
            alternatives
        }));
        out.tokens.push(text);
    }

    /// A scored prompt in vLLM's shape, at most `alternatives` per token.
    pub(super) fn prompt(self, prompt: &[PromptLogprob], alternatives: u32) -> PromptLogprobs {
        let candidate = |token: u32, logprob: f32| {
            let (decoded_token, _) = self.0.token_text(token);
            (
                token,
                common::PromptLogprob {
                    logprob: finite(logprob),
                    decoded_token,
                },
            )
        };
        let position = |scored: &PromptLogprob| {
            let mut candidates: BTreeMap<u32, common::PromptLogprob> = BTreeMap::new();
            let top = scored.top.iter().take(alternatives as usize);
            candidates.extend(top.map(|top| candidate(top.token, top.logprob)));
            candidates.extend([candidate(scored.token, scored.logprob?)]);
            Some(candidates)
        };
        prompt.iter().map(position).collect()
    }
}
