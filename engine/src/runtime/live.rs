//! What the step loop keeps of a choice while it is generated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use crate::error::EngineError;
use crate::guide::{Allowed, GuideState};
use crate::request::{Event, FinishReason, Pooling, SamplingParams, TokenEvent};
use crate::sampler::{Draw, History, Key};
use crate::tap::{MAX_TAPPED, Tapped};
use crate::text::{DecodeStream, Tokenizer};
use crate::weights::WeightSet;

use super::pooled::Pooled;
use super::scoring::Scoring;
use super::steer::Steering;
use super::stop::StopWatch;
use super::validate::invalid;

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
    /// Its way through the grammar it is held to, if any. Locked by the one thread that draws for it.
    pub(super) guide: Option<Mutex<GuideState>>,
    /// The scores of given tokens so far, for the choice that reports them.
    pub(super) scoring: Option<Scoring>,
    /// What its hidden states have come to, if they are pooled.
    pub(super) pooled: Option<Pooled>,
    /// It keeps its weights over a swap.
    pub(super) pinned: bool,
    /// Its text goes on in that of its prompt.
    pub(super) continues_text: bool,
    /// What it needs to be judged, if it is.
    pub(super) steering: Option<Steering>,
    /// What reads its hidden states, if anything does.
    pub(super) tapped: Option<Tapped>,
    /// Text of the tokens it was resumed with, as far as it is final.
    pub(super) resumed_text: String,
    arrived: Instant,
    /// The first step that computed something for it.
    pub(super) began: Option<Instant>,
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
    pub(super) guide: Option<GuideState>,
    pub(super) continues_text: bool,
    pub(super) score_from: Option<usize>,
    pub(super) pooling: Option<Pooling>,
    pub(super) pinned: bool,
    pub(super) steering: Option<Steering>,
    pub(super) tapped: Option<Tapped>,
}

impl Live {
    pub(super) fn new(start: Start<'_>, sampling: Arc<SamplingParams>, tokenizer: &Tokenizer) -> Self {
        let eos = if sampling.ignore_eos {
            &[][..]
        } else {
            tokenizer.eos_ids()
        };
        let scoring = scoring(&start, &sampling);
        let mut live = Self {
            choice: start.choice,
            prompt_len: start.prompt.len(),
            key: Key::new(start.seed, start.choice),
            history: History::new(&sampling, start.prompt),
            weights: start.weights,
            events: start.events,
            ends: eos.iter().chain(&sampling.stop_token_ids).copied().collect(),
            sampled: start.resume.len(),
            scoring,
            pooled: start.pooling.map(|pooling| Pooled::new(pooling, start.prompt.len())),
            pinned: start.pinned,
            continues_text: start.continues_text,
            steering: start.steering,
            tapped: start.tapped,
            resumed_text: String::new(),
            arrived: Instant::now(),
            began: None,
            guide: None,
            // A guided text is what the grammar read, a first space included.
            decoder: if start.guide.is_some() || start.continues_text {
                tokenizer.stream().verbatim()
            } else {
                tokenizer.stream()
            },
            stop: StopWatch::new(&sampling.stop, sampling.include_stop_str_in_output),
            sampling,
        };
        for token in start.resume {
            live.history.push(*token);
            let text = live.decoder.push(*token);
            // Text of resumed tokens was shown before; only what they leave held back matters.
            let (text, _) = live.stop.push(&text, true);
            live.resumed_text.push_str(&text);
        }
        live.guide = start.guide.map(Mutex::new);
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

    /// Tokens that its grammar lets come next, if it has one.
    pub(super) fn allowed(&self) -> Result<Option<Allowed>, EngineError> {
        let Some(guide) = &self.guide else { return Ok(None) };
        let mut guide = guide.lock().unwrap_or_else(PoisonError::into_inner);
        guide.allowed().map(Some).map_err(unguided)
    }

    /// Goes on in its grammar by a token that is no end.
    pub(super) fn follow(&mut self, token: u32) -> Result<(), EngineError> {
        match &mut self.guide {
            Some(guide) if !self.ends.contains(&token) => {
                let guide = guide.get_mut().unwrap_or_else(PoisonError::into_inner);
                guide.push(token).map_err(unguided)
            }
            _ => Ok(()),
        }
    }

    /// As [`Self::follow`], for a token that nobody's mask has passed: an end must find a whole text.
    pub(super) fn follow_forced(&mut self, token: u32) -> Result<(), EngineError> {
        if let Some(guide) = self.guide.as_mut().filter(|_| self.ends.contains(&token)) {
            let guide = guide.get_mut().unwrap_or_else(PoisonError::into_inner);
            return match guide.accepts().map_err(unguided)? {
                true => Ok(()),
                false => Err(unguided("an end was forced where the text is not whole".into())),
            };
        }
        self.follow(token)
    }

    /// The caller went away.
    pub(super) fn abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Reports a forced token; true if the choice has ended with it.
    pub(super) fn accept_forced(&mut self, token: u32, version: u64, mixed_kv: bool) -> bool {
        let certain = Draw {
            token,
            logprob: 0.0,
            raw_logprob: 0.0,
            threshold: None,
            top: Vec::new(),
        };
        self.take(certain, version, mixed_kv, true)
    }

    /// Reports a drawn token; true if the choice has ended with it.
    pub(super) fn accept(&mut self, draw: Draw, version: u64, mixed_kv: bool) -> bool {
        self.take(draw, version, mixed_kv, false)
    }

    fn take(&mut self, draw: Draw, version: u64, mixed_kv: bool, forced: bool) -> bool {
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
            sampled_at: Instant::now(),
            forced,
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
        self.end(reason, stop, None);
    }

    /// Reports that a controller aborted it.
    pub(super) fn abort(&mut self, why: String) {
        self.end(FinishReason::Abort, None, Some(why));
    }

    fn end(&mut self, reason: FinishReason, stop: Option<String>, aborted: Option<String>) {
        let mut text = String::new();
        if stop.is_none() {
            let (more, _) = self.stop.push(&self.decoder.finish(), false);
            text = more + &self.stop.finish();
        }
        self.send(match self.reduced() {
            Ok(tapped) => Event::Finished {
                choice: self.choice,
                reason,
                stop,
                text,
                aborted,
                tapped,
                queued_s: self.began.map_or(0.0, |began| (began - self.arrived).as_secs_f64()),
            },
            Err(error) => Event::Failed(error),
        });
    }

    /// What its tap makes of the states so far.
    pub(super) fn reduced(&self) -> Result<Vec<f32>, EngineError> {
        let Some(tapped) = &self.tapped else {
            return Ok(Vec::new());
        };
        let values = catch_unwind(AssertUnwindSafe(|| tapped.reduced())).map_err(|_| tap_panicked())?;
        if values.len() > MAX_TAPPED {
            let reason = format!("{} numbers; at most {MAX_TAPPED} may leave the engine", values.len());
            return Err(invalid("tap", reason));
        }
        Ok(values)
    }

    /// Sends an event. The channel holds all events that a request can cause, so it is never full; a closed one means
    /// that the caller went away, which the next step notices.
    pub(super) fn send(&self, event: Event) {
        let sent = self.events.try_send(event);
        debug_assert!(!matches!(sent, Err(tokio::sync::mpsc::error::TrySendError::Full(_))));
    }
}

/// What the first choice scores of its prompt.
fn scoring(start: &Start<'_>, sampling: &SamplingParams) -> Option<Scoring> {
    if start.choice != 0 {
        return None;
    }
    if let Some(from) = start.score_from {
        return Some(Scoring::new(start.prompt, from, 0).with_entropies(sampling.temperature));
    }
    let alternatives = sampling.prompt_logprobs?;
    Some(Scoring::new(start.prompt, 0, alternatives))
}

/// The failure of a request whose tap panicked.
pub(super) fn tap_panicked() -> EngineError {
    invalid("tap", "the tap panicked".into())
}

/// The failure of a sample whose grammar cannot go on within its limits.
fn unguided(reason: String) -> EngineError {
    EngineError::InvalidParameter { field: "guide", reason }
}
