//! The second half of a step: scores prompts, draws tokens, tells the callers, ends what is done.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use super::Engine;
use super::live::Live;
use crate::error::EngineError;
use crate::ops::par::Par;
use crate::request::{Event, FinishReason, PromptLogprob};
use crate::sampler::{Context, Draw, DrawScratch, NonFinite, draw, score};
use crate::scheduler::{Scheduler, SeqId, StepPlan};

thread_local! {
    /// Kept from draw to draw.
    static SCRATCH: RefCell<DrawScratch> = RefCell::default();
}

impl Engine {
    /// Scores prompts, draws tokens, reports both.
    pub(super) fn report(&mut self, plan: &StepPlan, wanted: &[Vec<usize>]) {
        let vocab = self.store.policy().config.vocab_size;
        let mut first = 0;
        let mut draws: Vec<(SeqId, usize)> = Vec::new();
        for (rows, wanted) in plan.rows.iter().zip(wanted) {
            let last = first + wanted.len();
            let mut failed = false;
            for (row, at) in wanted.iter().zip(first..last) {
                let logits = &self.logits[at * vocab..(at + 1) * vocab];
                failed |= score_prompt(&mut self.live, &self.scheduler, rows.id, rows.start + row, logits).is_err();
            }
            if failed {
                let error = EngineError::NonFiniteLogits {
                    position: rows.start,
                    version: plan.version,
                };
                rows.draw.iter().for_each(|id| self.fail(*id, &error));
                self.fail(rows.id, &error);
            } else {
                draws.extend(rows.draw.iter().map(|id| (*id, last.wrapping_sub(1))));
            }
            first = last;
        }
        let began = Instant::now();
        let drawn = self.draw(&draws, vocab);
        self.stats.sampler_seconds += began.elapsed().as_secs_f64();
        for ((id, _), drawn) in draws.into_iter().zip(drawn) {
            self.accept(id, drawn, plan.version);
        }
    }

    /// Draws for each (sequence, row of logits), in parallel: a draw depends on its own sequence only.
    fn draw(&self, draws: &[(SeqId, usize)], vocab: usize) -> Vec<Option<Result<Draw, NonFinite>>> {
        let one = |at: usize| {
            let (id, row) = draws[at];
            let live = self.live.get(&id)?;
            if live.sampling.max_tokens == 0 {
                return None;
            }
            let context = Context {
                params: &live.sampling,
                history: &live.history,
                suppressed: live.suppressed(),
                key: live.key,
                position: self.scheduler.tokens(id).len(),
            };
            let logits = &self.logits[row * vocab..(row + 1) * vocab];
            Some(SCRATCH.with_borrow_mut(|scratch| draw(logits, scratch, context)))
        };
        // A handful of short rows is drawn sooner than other threads hear of it.
        let par = if draws.len() * vocab < 1 << 14 {
            Par::Serial
        } else {
            Par::Pool
        };
        self.team.install(|| par.collect(draws.len(), one))
    }

    /// Takes a draw into its sequence; ends the sequence where that is due.
    fn accept(&mut self, id: SeqId, drawn: Option<Result<Draw, NonFinite>>, version: u64) {
        let mixed = self.live.contains_key(&id) && self.scheduler.is_mixed(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        let ended = match drawn {
            None => {
                live.finish(FinishReason::Length, None);
                true
            }
            Some(Ok(draw)) => {
                self.stats.generation_tokens += 1;
                self.scheduler.push(id, draw.token);
                live.accept(draw, version, mixed)
            }
            Some(Err(NonFinite)) => {
                let position = self.scheduler.tokens(id).len();
                self.fail(id, &EngineError::NonFiniteLogits { position, version });
                return;
            }
        };
        if ended {
            self.scheduler.remove(id);
            self.live.remove(&id);
        }
    }

    pub(super) fn fail_all(&mut self, plan: &StepPlan, error: &EngineError) {
        for rows in &plan.rows {
            rows.draw.iter().for_each(|id| self.fail(*id, error));
            self.fail(rows.id, error);
        }
    }

    pub(super) fn fail(&mut self, id: SeqId, error: &EngineError) {
        if let Some(live) = self.live.remove(&id) {
            live.send(Event::Failed(error.clone()));
            self.scheduler.remove(id);
        }
    }
}

/// Adds the logprob of the prompt token after `position`, and reports the prompt when it is complete.
fn score_prompt(
    live: &mut HashMap<SeqId, Live>,
    scheduler: &Scheduler,
    id: SeqId,
    position: usize,
    logits: &[f32],
) -> Result<(), NonFinite> {
    let Some(live) = live.get_mut(&id) else { return Ok(()) };
    let alternatives = live.sampling.prompt_logprobs.unwrap_or(0) as usize;
    let (tokens, prompt_len) = (scheduler.tokens(id), live.prompt_len);
    let Some(prompt) = &mut live.prompt else { return Ok(()) };
    if prompt.is_empty() {
        prompt.push(PromptLogprob {
            token: tokens[0],
            logprob: None,
            top: Vec::new(),
        });
    }
    // After a preemption the first rows come again.
    if position + 1 == prompt.len() && position + 1 < prompt_len {
        let (logprob, top) = score(logits, tokens[position + 1], alternatives)?;
        prompt.push(PromptLogprob {
            token: tokens[position + 1],
            logprob: Some(logprob),
            top,
        });
    }
    if prompt.len() == prompt_len
        && let Some(prompt) = live.prompt.take()
    {
        live.send(Event::Prompt(prompt));
    }
    Ok(())
}
