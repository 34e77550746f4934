//! What the step loop keeps of a choice while it is generated.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::request::{Event, FinishReason, PromptLogprob, SamplingParams, TokenEvent};
use crate::sampler::{Draw, History, Key};
use crate::text::{DecodeStream, Tokenizer};
use crate::weights::WeightSet;

use super::stop::StopWatch;

/// A choice being generated.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) choice: u32,
    pub(super) sampling: Arc<SamplingParams>,
    pub(super) prompt_len: usize,
    pub(super) key: Key,
    pub(super) history: History,
    pub(super) weights: Arc<WeightSet>,
    pub(super) events: Sender<Event>,
    /// Tokens that end it: EOS unless ignored, and stop tokens.
    pub(super) ends: Vec<u32>,
    /// Sampled so far, resumed ones included.
    pub(super) sampled: usize,
    /// The scored prompt so far, for the choice that reports it.
    pub(super) prompt: Option<Vec<PromptLogprob>>,
    decoder: DecodeStream,
    stop: StopWatch,
}

/// What a sequence needs besides its request.
pub(super) struct Start<'a> {
    pub(super) choice: u32,
    pub(super) seed: u64,
    pub(super) prompt: &'a [u32],
    pub(super) resume: &'a [u32],
    pub(super) weights: Arc<WeightSet>,
    pub(super) events: Sender<Event>,
}

impl Live {
    pub(super) fn new(start: Start<'_>, sampling: Arc<SamplingParams>, tokenizer: &Tokenizer) -> Self {
        let eos = if sampling.ignore_eos {
            &[][..]
        } else {
            tokenizer.eos_ids()
        };
        let mut live = Self {
            choice: start.choice,
            prompt_len: start.prompt.len(),
            key: Key::new(start.seed, start.choice),
            history: History::new(&sampling, start.prompt),
            weights: start.weights,
            events: start.events,
            ends: eos.iter().chain(&sampling.stop_token_ids).copied().collect(),
            sampled: start.resume.len(),
            prompt: (start.choice == 0 && sampling.prompt_logprobs.is_some()).then(Vec::new),
            decoder: tokenizer.stream(),
            stop: StopWatch::new(&sampling.stop, sampling.include_stop_str_in_output),
            sampling,
        };
        for token in start.resume {
            live.history.push(*token);
            let text = live.decoder.push(*token);
            // Text of resumed tokens was shown before; only what they leave held back matters.
            let _ = live.stop.push(&text, true);
        }
        live
    }

    /// Ends must not be drawn yet.
    pub(super) fn suppressed(&self) -> &[u32] {
        if self.sampled < self.sampling.min_tokens as usize {
            &self.ends
        } else {
            &[]
        }
    }

    /// The caller went away.
    pub(super) fn abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Reports a drawn token; true if the choice has ended with it.
    pub(super) fn accept(&mut self, draw: Draw, version: u64, mixed_kv: bool) -> bool {
        self.sampled += 1;
        self.history.push(draw.token);
        let ended = self.ends.contains(&draw.token);
        let may_stop = self.sampled >= self.sampling.min_tokens as usize;
        // The text of an end is not part of the answer.
        let text = if ended {
            String::new()
        } else {
            self.decoder.push(draw.token)
        };
        let (text, stop) = self.stop.push(&text, may_stop);
        self.send(Event::Token(TokenEvent {
            choice: self.choice,
            token: draw.token,
            logprob: draw.logprob,
            raw_logprob: draw.raw_logprob,
            threshold: draw.threshold,
            top: draw.top,
            text,
            version,
            mixed_kv,
        }));
        let reason = match (
            ended || stop.is_some(),
            self.sampled >= self.sampling.max_tokens as usize,
        ) {
            (true, _) => FinishReason::Stop,
            (false, true) => FinishReason::Length,
            (false, false) => return false,
        };
        self.finish(reason, stop);
        true
    }

    /// Reports the end of the choice.
    pub(super) fn finish(&mut self, reason: FinishReason, stop: Option<String>) {
        let mut text = String::new();
        if stop.is_none() {
            let (more, _) = self.stop.push(&self.decoder.finish(), false);
            text = more + &self.stop.finish();
        }
        self.send(Event::Finished {
            choice: self.choice,
            reason,
            stop,
            text,
        });
    }

    /// Sends an event. The channel holds all events that a request can cause, so it is never full; a closed one means
    /// that the caller went away, which the next step notices.
    pub(super) fn send(&self, event: Event) {
        let sent = self.events.try_send(event);
        debug_assert!(!matches!(sent, Err(tokio::sync::mpsc::error::TrySendError::Full(_))));
    }
}
