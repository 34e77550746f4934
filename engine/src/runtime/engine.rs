//! The step: plan, compute, draw, report. Synchronous, so that a test can drive it by hand.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::live::{Live, Start};
use super::memory::{MemoryPlan, plan};
use super::{EngineStats, PublishReport};
use crate::config::{EngineConfig, InFlight};
use crate::error::EngineError;
use crate::kv::KvBlocks;
use crate::model::{KvCache, Scratch, SequenceRows, StepBatch, forward};
use crate::request::{Event, FinishReason, GenerateRequest, PromptLogprob};
use crate::sampler::{Context, Draw, DrawScratch, NonFinite, draw, score};
use crate::scheduler::{Limits, NewSequence, Scheduler, SeqId, StepPlan};
use crate::text::Tokenizer;
use crate::weights::{WeightSet, WeightStore};

/// Engine without a thread. [`super::EngineHandle`] runs one on its own thread.
#[derive(Debug)]
pub struct Engine {
    store: WeightStore,
    tokenizer: Tokenizer,
    scheduler: Scheduler,
    live: HashMap<SeqId, Live>,
    cache: KvCache,
    scratch: Scratch,
    logits: Vec<f32>,
    pool: rayon::ThreadPool,
    next: SeqId,
    stats: EngineStats,
}

/// A channel that holds every event `request` can cause, so that sending never waits.
#[must_use]
pub fn event_channel(request: &GenerateRequest) -> (Sender<Event>, Receiver<Event>) {
    channel(request.n as usize * (request.sampling.max_tokens as usize + 2) + 2)
}

impl Engine {
    /// Plans memory and starts the compute pool.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] for bounds that cannot hold.
    pub fn new(weights: Arc<WeightSet>, tokenizer: Tokenizer, config: &EngineConfig) -> Result<Self, EngineError> {
        let MemoryPlan { blocks, .. } = plan(config, &weights.config)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.unwrap_or(0))
            .thread_name(|at| format!("svs-compute-{at}"))
            .build()
            .map_err(|error| EngineError::Stopped(format!("cannot start the compute pool: {error}")))?;
        let limits = Limits {
            max_num_seqs: config.max_num_seqs,
            max_num_batched_tokens: config.max_num_batched_tokens,
        };
        Ok(Self {
            cache: KvCache::new(&weights.config, blocks),
            stats: EngineStats {
                version: weights.version,
                kv_blocks_total: blocks,
                ..EngineStats::default()
            },
            store: WeightStore::new(weights, config.max_weight_sets),
            tokenizer,
            scheduler: Scheduler::new(limits, KvBlocks::new(blocks, config.prefix_cache)),
            live: HashMap::new(),
            scratch: Scratch::default(),
            logits: Vec::new(),
            pool,
            next: 0,
        })
    }

    /// The weights held.
    #[must_use]
    pub fn store(&self) -> &WeightStore {
        &self.store
    }

    /// Queues a validated request; its events arrive on `events`, which [`event_channel`] made.
    pub fn add(&mut self, request: &GenerateRequest, weights: &Arc<WeightSet>, seed: u64, events: &Sender<Event>) {
        let sampling = Arc::new(request.sampling.clone());
        let salt: Option<Arc<str>> = request.cache_salt.as_deref().map(Into::into);
        let tokens: Vec<u32> = request.prompt.iter().chain(&request.resume).copied().collect();
        let leader = self.next;
        for choice in 0..request.n {
            let start = Start {
                choice,
                seed,
                prompt: &request.prompt,
                resume: &request.resume,
                weights: Arc::clone(weights),
                events: events.clone(),
            };
            let live = Live::new(start, Arc::clone(&sampling), &self.tokenizer);
            let new = NewSequence {
                tokens: tokens.clone(),
                prompt_len: request.prompt.len(),
                version: weights.version,
                salt: salt.clone(),
                leader: (choice > 0).then_some(leader),
                whole_prompt: live.prompt.is_some(),
            };
            self.scheduler.add(self.next, new);
            self.live.insert(self.next, live);
            self.next += 1;
        }
        self.stats.prompt_tokens += request.prompt.len() as u64;
    }

    /// Nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.live.is_empty()
    }

    /// Makes `weights` the policy, between two steps.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`].
    pub fn publish(&mut self, weights: Arc<WeightSet>, in_flight: InFlight) -> Result<PublishReport, EngineError> {
        let started = Instant::now();
        let version = weights.version;
        let old = self.store.policy().version;
        self.store.publish(Arc::clone(&weights))?;
        let mut crossed = 0;
        if in_flight != InFlight::Drain {
            // Only followers of the alias move; a sequence that asked for another version keeps it.
            crossed = self
                .scheduler
                .set_version(old, version, in_flight == InFlight::Recompute);
            let moved = self.live.values_mut().filter(|live| live.weights.version == old);
            moved.for_each(|live| live.weights = Arc::clone(&weights));
        }
        self.stats.publishes += 1;
        self.stats.version = version;
        Ok(PublishReport {
            version,
            in_flight: crossed,
            pause_ms: started.elapsed().as_secs_f64() * 1e3,
        })
    }

    /// Runs one step; false if there was nothing to do.
    pub fn step(&mut self) -> bool {
        let began = Instant::now();
        self.drop_abandoned();
        let Some(plan) = self.scheduler.schedule() else {
            return false;
        };
        self.stats.steps += 1;
        // A defect in a kernel fails the requests of this step, not the server.
        let wanted = self.wanted(&plan);
        let computed = catch_unwind(AssertUnwindSafe(|| self.compute(&plan, &wanted)));
        match computed {
            Ok(()) => {
                self.scheduler.computed(&plan);
                self.report(&plan, &wanted);
            }
            Err(_) => self.fail_all(&plan, &EngineError::Stopped("the step panicked; see the log".into())),
        }
        self.stats.step_seconds += began.elapsed().as_secs_f64();
        true
    }

    /// A snapshot.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (preemptions, prefix_queries, prefix_hits) = self.scheduler.counters();
        EngineStats {
            running: self.scheduler.running(),
            waiting: self.scheduler.waiting(),
            kv_blocks_used: self.scheduler.kv().in_use(),
            preemptions,
            prefix_queries,
            prefix_hits,
            ..self.stats.clone()
        }
    }

    /// Fails everything with `error`.
    pub fn fail_everything(&mut self, error: &EngineError) {
        let ids: Vec<SeqId> = self.live.keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail(id, error));
    }

    /// Checks queues and blocks.
    ///
    /// # Errors
    /// A sentence about the first inconsistency.
    pub fn check(&self) -> Result<(), String> {
        self.scheduler.check()
    }

    fn drop_abandoned(&mut self) {
        let gone: Vec<SeqId> = self
            .live
            .iter()
            .filter(|(_, live)| live.abandoned())
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.scheduler.remove(id);
            self.live.remove(&id);
        }
    }

    /// Rows of `plan` whose logits are wanted: the last one if it draws, all of a scored prompt.
    fn wanted(&self, plan: &StepPlan) -> Vec<Vec<usize>> {
        let rows = plan.rows.iter().map(|rows| {
            let live = &self.live[&rows.id];
            let scored = if live.prompt.is_some() {
                live.prompt_len.saturating_sub(rows.start)
            } else {
                0
            };
            let last = rows.len - 1;
            (0..rows.len)
                .filter(|row| *row < scored || *row == last && !rows.draw.is_empty())
                .collect()
        });
        rows.collect()
    }

    fn compute(&mut self, plan: &StepPlan, wanted: &[Vec<usize>]) {
        for copy in &plan.copies {
            self.cache.copy_block(copy.from, copy.to, copy.rows);
        }
        let (mut tokens, mut logit_rows) = (Vec::new(), Vec::new());
        let tables: Vec<Vec<u32>> = plan
            .rows
            .iter()
            .map(|rows| self.scheduler.block_table(rows.id))
            .collect();
        let mut sequences = Vec::with_capacity(plan.rows.len());
        for ((rows, table), wanted) in plan.rows.iter().zip(&tables).zip(wanted) {
            let first = tokens.len();
            tokens.extend_from_slice(&self.scheduler.tokens(rows.id)[rows.start..rows.start + rows.len]);
            logit_rows.extend(
                wanted
                    .iter()
                    .map(|row| u32::try_from(first + row).expect("a step's rows fit u32")),
            );
            sequences.push(SequenceRows {
                rows: first..tokens.len(),
                start: rows.start,
                block_table: table,
            });
        }
        let weights = Arc::clone(&self.live[&plan.rows[0].id].weights);
        debug_assert_eq!(weights.version, plan.version);
        let batch = StepBatch {
            tokens: &tokens,
            sequences: &sequences,
            logit_rows: &logit_rows,
        };
        let (cache, scratch, logits) = (&mut self.cache, &mut self.scratch, &mut self.logits);
        let began = Instant::now();
        self.pool.install(|| forward(&weights, cache, &batch, scratch, logits));
        self.stats.decoder_seconds += began.elapsed().as_secs_f64();
    }

    /// Scores prompts, draws tokens, reports both.
    fn report(&mut self, plan: &StepPlan, wanted: &[Vec<usize>]) {
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
        let one = |scratch: &mut DrawScratch, (id, row): &(SeqId, usize)| {
            let live = self.live.get(id)?;
            if live.sampling.max_tokens == 0 {
                return None;
            }
            let context = Context {
                params: &live.sampling,
                history: &live.history,
                suppressed: live.suppressed(),
                key: live.key,
                position: self.scheduler.tokens(*id).len(),
            };
            Some(draw(&self.logits[row * vocab..(row + 1) * vocab], scratch, context))
        };
        // A handful of short rows is drawn sooner than other threads wake up.
        if draws.len() * vocab < 1 << 14 {
            let mut scratch = DrawScratch::default();
            return draws.iter().map(|draw| one(&mut scratch, draw)).collect();
        }
        self.pool
            .install(|| draws.par_iter().map_init(DrawScratch::default, one).collect())
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

    fn fail_all(&mut self, plan: &StepPlan, error: &EngineError) {
        for rows in &plan.rows {
            rows.draw.iter().for_each(|id| self.fail(*id, error));
            self.fail(rows.id, error);
        }
    }

    fn fail(&mut self, id: SeqId, error: &EngineError) {
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
